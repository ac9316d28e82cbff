//! Devices through time: keys, shared keys, moves, merges, splits, and hosts without a key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use kenshin_insight::asset::{AssetLink, AssetLinks, LinkAction, Resolution, Sighting, hosts, resolve};
use kenshin_observation::{AssetId, Identity, Messages, Observation, Outcome, SurveyId};
use proptest::prelude::*;

use crate::world::{DAY, Seen, addr, device, endpoint, good_tls, key, seen, swept, t0};

static MESSAGES: LazyLock<Messages> = LazyLock::new(Messages::builtin);

/// A record that rounds are added to; assets are numbered in the order they appear.
#[derive(Default)]
struct Book {
    links: AssetLinks,
    count: u128,
    round: u128,
}

impl Book {
    fn round(&mut self, observations: &[Observation]) -> Resolution {
        self.identified(observations, &[])
    }

    fn identified(&mut self, observations: &[Observation], products: &[(u8, &str)]) -> Resolution {
        let identities: BTreeMap<IpAddr, Identity> =
            products.iter().map(|(last, product)| (addr(*last), device("Acme", product, "", ""))).collect();
        let hosts = hosts(observations, |addr| identities.get(&addr));
        self.round += 1;
        let now = t0().plus_secs(DAY * i64::try_from(self.round).unwrap());
        let resolve = |count: &mut u128| {
            resolve(&self.links, &hosts, SurveyId::from_bits(self.round), now, || {
                *count += 1;
                AssetId::from_bits(*count)
            })
        };
        let mut again = self.count;
        let resolution = resolve(&mut self.count);
        assert_eq!(resolve(&mut again), resolution, "the same arguments give the same answer");
        let first = self.links.links().len() + 1;
        for (index, link) in resolution.links.iter().enumerate() {
            assert_eq!(link.sequence, i64::try_from(first + index).unwrap());
            assert!(MESSAGES.codes("ja").any(|code| code == link.reason.code), "{}", link.reason.code);
        }
        self.links.append(resolution.links.clone());
        self.links.see(resolution.sightings.clone());
        resolution
    }
}

fn ids(resolution: &Resolution) -> Vec<(u128, Vec<u8>)> {
    let last = |addr: &IpAddr| match addr {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => unreachable!("tests use IPv4"),
    };
    resolution
        .assets
        .iter()
        .map(|asset| (asset.asset_id.bits(), asset.addrs.iter().map(last).collect()))
        .collect()
}

fn actions(resolution: &Resolution) -> Vec<LinkAction> {
    resolution.links.iter().map(|link| link.action).collect()
}

#[test]
fn a_key_follows_its_device_to_another_address() {
    let mut book = Book::default();
    assert_eq!(
        ids(&book.round(&[seen(1, 22).ssh("a", "k1"), seen(2, 22).ssh("b", "k2")])),
        [(1, vec![1]), (2, vec![2])]
    );
    let moved = book.round(&[seen(9, 22).ssh("a", "k1"), seen(2, 22).ssh("b", "k2")]);
    assert_eq!(ids(&moved), [(1, vec![9]), (2, vec![2])]);
    assert_eq!(moved.assets[0].moved_from, BTreeSet::from([addr(1)]));
    assert!(!moved.assets[0].is_new && moved.links.is_empty(), "nothing new is known");
    assert_eq!(moved.endpoints[&endpoint(9, 22)].bits(), 1);
}

#[test]
fn a_key_at_more_than_three_addresses_identifies_nobody_ever_again() {
    let mut book = Book::default();
    let at = |addrs: &[u8]| addrs.iter().map(|last| seen(*last, 22).ssh("x", "k1")).collect::<Vec<_>>();
    assert_eq!(ids(&book.round(&at(&[1, 2, 3]))), [(1, vec![1, 2, 3])], "one device with three addresses");
    let shared = book.round(&at(&[1, 2, 3, 4]));
    assert_eq!(shared.shared.len(), 1);
    assert_eq!(shared.assets.len(), 4);
    assert!(shared.assets.iter().all(|asset| asset.keys.is_empty()));
    assert!(actions(&shared).contains(&LinkAction::Share));
    let later = book.round(&at(&[7]));
    assert!(later.assets[0].is_new && later.assets[0].keys.is_empty(), "shared once, shared for good");
    assert_eq!(later.shared.len(), 1);
    assert!(!actions(&later).contains(&LinkAction::Share), "said once");
}

#[test]
fn keys_that_show_together_are_one_device_and_apart_they_are_two() {
    let mut book = Book::default();
    let both = [seen(1, 22).ssh("a", "k1"), seen(1, 443).tls(good_tls("t1"))];
    let first = book.round(&both);
    assert_eq!((ids(&first), first.assets[0].keys.len()), (vec![(1, vec![1])], 2));
    let apart = book.round(&[seen(1, 22).ssh("a", "k1"), seen(5, 443).tls(good_tls("t1"))]);
    assert_eq!(ids(&apart), [(1, vec![1]), (2, vec![5])], "it stays where it was last seen");
    assert_eq!(actions(&apart), [LinkAction::Split]);
    let apart = book.round(&[seen(1, 22).ssh("a", "k1"), seen(5, 443).tls(good_tls("t1"))]);
    assert_eq!((ids(&apart), actions(&apart)), (vec![(1, vec![1]), (2, vec![5])], vec![]));
    let behind_one = book.round(&both);
    assert_eq!(ids(&behind_one), [(1, vec![1]), (2, vec![1])], "two devices behind one address stay two");
    assert_eq!(behind_one.endpoints[&endpoint(1, 443)].bits(), 2);
}

#[test]
fn two_records_of_one_address_merge_when_their_keys_show_together() {
    let mut book = Book::default();
    book.round(&[seen(1, 22).ssh("a", "k1")]);
    let second = book.round(&[seen(1, 443).tls(good_tls("t1"))]);
    assert_eq!(ids(&second), [(2, vec![1])], "another key alone is not the same device");
    let third = book.round(&[seen(1, 22).ssh("a", "k1"), seen(1, 443).tls(good_tls("t1"))]);
    assert_eq!((ids(&third), actions(&third)), (vec![(1, vec![1])], vec![LinkAction::Merge]));
    assert_eq!(book.links.current(AssetId::from_bits(2)).bits(), 1);
    assert_eq!(third.assets[0].keys.len(), 2);
    let moved = book.round(&[seen(8, 443).tls(good_tls("t1"))]);
    assert_eq!(ids(&moved), [(1, vec![8])], "the merged key leads to the device that went on");
}

#[test]
fn a_host_without_a_key_is_its_address_until_something_contradicts() {
    let mut book = Book::default();
    let telnet = [seen(1, 23).telnet("login:")];
    assert_eq!(ids(&book.identified(&telnet, &[(1, "Cam")])), [(1, vec![1])]);
    let same = book.identified(&telnet, &[(1, "Cam rev B")]);
    assert_eq!((ids(&same), actions(&same)), (vec![(1, vec![1])], vec![]));
    let unnamed = book.round(&telnet);
    assert_eq!(ids(&unnamed), [(1, vec![1])], "not identified this time, the same service");
    let other = book.identified(&telnet, &[(1, "Printer")]);
    assert_eq!(
        (ids(&other), actions(&other)),
        (vec![(2, vec![1])], vec![LinkAction::Unbind, LinkAction::Link])
    );
    let keyed = book.identified(&[seen(1, 22).ssh("a", "k1")], &[(1, "Router")]);
    assert_eq!(
        (ids(&keyed), actions(&keyed)),
        (vec![(3, vec![1])], vec![LinkAction::Link, LinkAction::Unbind])
    );
    let elsewhere = book.round(&[seen(2, 23).telnet("login:")]);
    assert_eq!(ids(&elsewhere), [(4, vec![2])], "without a key nobody follows it");
}

#[test]
fn a_device_that_gains_or_loses_its_key_goes_on() {
    let mut book = Book::default();
    let telnet = seen(1, 23).telnet("login:");
    book.identified(std::slice::from_ref(&telnet), &[(1, "Cam")]);
    let gained = book.identified(&[telnet.clone(), seen(1, 22).ssh("a", "k1")], &[(1, "Cam")]);
    assert_eq!((ids(&gained), gained.assets[0].keys.len()), (vec![(1, vec![1])], 1));
    let lost = book.identified(std::slice::from_ref(&telnet), &[(1, "Cam")]);
    assert_eq!((ids(&lost), lost.assets[0].keys.len()), (vec![(1, vec![1])], 0));
    let back = book.round(&[seen(6, 22).ssh("a", "k1"), telnet]);
    assert_eq!(ids(&back), [(1, vec![6]), (2, vec![1])], "its key is elsewhere, so it is not here");
    assert!(actions(&back).contains(&LinkAction::Unbind));
}

#[test]
fn a_renewed_tls_key_on_the_same_product_goes_on() {
    let mut book = Book::default();
    let tls = |last: u8, name: &str| seen(last, 443).tls(good_tls(name));
    book.identified(&[tls(1, "t1")], &[(1, "Cam")]);
    let renewed = book.identified(&[tls(1, "t2")], &[(1, "Cam")]);
    assert_eq!((ids(&renewed), actions(&renewed)), (vec![(1, vec![1])], vec![LinkAction::Link]));
    let other = book.identified(&[tls(1, "t3")], &[(1, "Printer")]);
    assert_eq!(ids(&other), [(2, vec![1])]);
    let unnamed = book.round(&[tls(1, "t4")]);
    assert_eq!(ids(&unnamed), [(3, vec![1])], "without a product a new key is a new device");
    let moved = book.identified(&[tls(7, "t2"), tls(1, "t5")], &[(1, "Cam"), (7, "Cam")]);
    assert_eq!(ids(&moved), [(1, vec![7]), (4, vec![1])], "its own key is elsewhere");
    let rekeyed = book.identified(&[seen(7, 22).ssh("x", "k1")], &[(7, "Cam")]);
    assert_eq!(ids(&rekeyed), [(5, vec![7])], "an SSH host key is not renewed with a certificate");
}

#[test]
fn silence_makes_no_asset() {
    let mut book = Book::default();
    let nothing =
        [swept(1, 23, Outcome::Dark), swept(2, 23, Outcome::Refused), swept(3, 23, Outcome::Answered)];
    assert!(book.round(&nothing).assets.is_empty());
}

#[test]
fn the_record_survives_its_stored_form() {
    let mut book = Book::default();
    book.round(&[seen(1, 22).ssh("a", "k1"), seen(2, 23).telnet("x"), seen(2, 443).tls(good_tls("t1"))]);
    book.round(&[seen(3, 22).ssh("a", "k1"), seen(2, 23).telnet("x")]);
    let links = serde_json::to_string(book.links.links()).unwrap();
    let sightings = serde_json::to_string(&book.links.sightings().iter().collect::<Vec<_>>()).unwrap();
    let links: Vec<AssetLink> = serde_json::from_str(&links).unwrap();
    let sightings: Vec<(AssetId, Sighting)> = serde_json::from_str(&sightings).unwrap();
    assert_eq!(AssetLinks::new(links, sightings), book.links);
}

proptest! {
    /// Whatever happens, every endpoint that answered belongs to exactly one asset, no key belongs
    /// to two, and a shared key to none.
    #[test]
    fn every_answer_has_one_owner(rounds in proptest::collection::vec(proptest::collection::vec((1u8..7, 0u8..5, any::<bool>()), 0..12), 1..5)) {
        let mut book = Book::default();
        for round in rounds {
            let observations: Vec<Observation> = round
                .iter()
                .map(|(last, key, ssh)| match (key, ssh) {
                    (0, _) => seen(*last, 23).telnet("login:"),
                    (key, true) => seen(*last, 22).ssh("b", &format!("k{key}")),
                    (key, false) => seen(*last, 443).tls(good_tls(&format!("t{key}"))),
                })
                .collect();
            let resolution = book.round(&observations);
            let answered: BTreeSet<_> = observations.iter().map(|o| o.subject).collect();
            prop_assert_eq!(resolution.endpoints.keys().copied().collect::<BTreeSet<_>>(), answered);
            let mut keys = BTreeSet::new();
            for asset in &resolution.assets {
                for key in &asset.keys {
                    prop_assert!(keys.insert(key.clone()) && !resolution.shared.contains(key));
                    prop_assert_eq!(book.links.of_key(key), Some(asset.asset_id));
                }
            }
        }
    }
}

/// Middleboxes, tarpits and decoys are no devices, whatever keys they show; a device beside a decoy at the
/// same address remains one.
#[test]
fn what_is_labelled_is_no_device() {
    let labelled =
        |observation: Observation, label: &str| Observation { labels: vec![label.to_owned()], ..observation };
    let mut book = Book::default();
    let resolution = book.round(&[
        swept(1, 22, Outcome::Answered),
        labelled(seen(1, 22).ssh("SSH-2.0-OpenSSH_6.0p1", &key("decoy")), "honeypot-tell"),
        swept(2, 80, Outcome::Answered),
        labelled(seen(2, 80), "tarpit"),
        swept(3, 22, Outcome::Answered),
        seen(3, 22).ssh("SSH-2.0-dropbear_2019.78", &key("own")),
        labelled(seen(3, 21).ftp("220 Welcome to the ftp service", Some("accepted")), "honeypot-tell"),
    ]);
    let addrs: Vec<_> = resolution.assets.iter().map(|asset| &asset.addrs).collect();
    assert_eq!(addrs, [&BTreeSet::from([addr(3)])]);
    assert_eq!(resolution.endpoints.keys().copied().collect::<Vec<_>>(), [endpoint(3, 22)]);
}
