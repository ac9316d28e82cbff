//! Who is limited to mandates sees what these brought, as if there were no others.

use std::collections::BTreeMap;

use kenshin_casework::{Limit, Role, User};
use kenshin_lake::search::Field;
use kenshin_lake::view::Counted;
use kenshin_lake::{Extent, Format, LakeError, Limits};
use kenshin_observation::Outcome;

use super::*;
use crate::AccountRequest;

fn limit(mandates: &[&str]) -> Limit {
    Limit { mandates: mandates.iter().map(|id| (*id).to_owned()).collect(), community: None }
}

fn request(login: &str, role: Role, mandates: &[&str]) -> AccountRequest {
    AccountRequest {
        login: login.to_owned(),
        name: None,
        role,
        language: "en".to_owned(),
        providers: Vec::new(),
        limit: limit(mandates),
    }
}

/// Rows that answered at these seconds, under a mandate, each saying so.
fn under(mandate: &str, seconds: i64) -> impl FnOnce(&mut Draft) + use<> {
    let mandate = mandate.to_owned();
    move |draft| {
        for row in &mut draft.observations {
            row.outcome = Outcome::Answered;
            row.labels = vec![format!("of-{mandate}")];
            row.mandate_id.clone_from(&mandate);
            row.time = NOW.plus_secs(seconds);
        }
    }
}

impl World {
    /// Registers a further version of the mandate, with or without a legal basis to share.
    async fn next_mandate(&self, version: i64, share: Option<&str>) {
        let (casework, org) = (self.observatory.casework(), self.observatory.org());
        let known = casework.newest_mandate(org, &self.plan.mandate_id).await.unwrap();
        let text: String = known
            .text
            .lines()
            .filter(|line| !line.starts_with("share = "))
            .map(|line| match (line, share) {
                ("[legal_basis]", Some(share)) => format!("{line}\nshare = \"{share}\"\n"),
                _ if line.starts_with("version = ") => format!("version = {version}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let new = NewMandate {
            mandate_id: self.plan.mandate_id.clone(),
            version,
            programme: "test".to_owned(),
            text,
            signatures: Vec::new(),
        };
        casework.add_mandate(org, &new, &Observatory::rule("test"), NOW).await.unwrap();
    }

    /// What the lake takes though no hub would: rows of a mandate that nobody planned a survey for.
    async fn commit(&self, batch: &Batch) {
        self.observatory.lake().await.unwrap().commit(std::slice::from_ref(batch), NOW).await.unwrap();
        self.observatory.complete_received().await.unwrap();
    }

    /// All that somebody finds, by whatever way.
    async fn seen_by(&self, user: &User) -> BTreeMap<String, String> {
        let (observatory, viewer) = (&self.observatory, user.viewer());
        let sight = observatory.sight(&viewer).await.unwrap();
        let view = observatory.view_for(&sight).await.unwrap();
        let mut seen = BTreeMap::new();
        for query in
            ["", "state:*", "port:23", "label:of-foreign", "first:2026-01-01..2027-01-01", "-port:22"]
        {
            let search = Search { query: query.parse().unwrap(), sight: sight.clone(), now: NOW };
            let found = view.find(&search).await.unwrap();
            let counted = [Field::Port, Field::Label, Field::First, Field::State]
                .map(|field| Counted { field, top: 9 });
            let mut services = found.services().await.unwrap();
            services.sort_by(ServiceRow::compare_keys);
            let told = format!(
                "{:?} {services:?} {:?}",
                found.total().await.unwrap(),
                found.facets(&counted).await.unwrap()
            );
            seen.insert(format!("search {query}"), told);
            let past = Past { known_by: None, history: true, most: FOUND_MAX };
            let past = observatory.search_past(&search, past).await.unwrap();
            let past = past.find(&search).await.unwrap().services().await.unwrap();
            seen.insert(format!("past {query}"), format!("{past:?}"));
        }
        for sql in [
            "SELECT count(*) AS n, count(DISTINCT mandate_id) AS m, min(t_us), max(t_us) FROM observations",
            "SELECT * FROM services ORDER BY addr, port",
            "SELECT labels, count(*) AS n FROM services GROUP BY 1 ORDER BY 1",
            "SELECT survey_id, sent FROM coverage ORDER BY 1, 2",
            "SELECT count(*) AS n FROM salts",
            "SELECT * FROM batches",
            "SELECT * FROM findings",
            "EXPLAIN ANALYZE SELECT * FROM observations",
        ] {
            let told = match observatory.sql(&viewer, sql, Limits::default()).await {
                Ok(answer) => answer.render(Format::Csv).unwrap(),
                Err(error) => format!("no: {error}"),
            };
            seen.insert(sql.to_owned(), told);
        }
        let tables = observatory.sql_tables(&viewer).await.unwrap();
        seen.insert(
            "tables".to_owned(),
            format!("{:?}", tables.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
        );
        for host in 0..16 {
            let addr: std::net::IpAddr = format!("198.51.100.{host}").parse().unwrap();
            let told = observatory.host(&viewer, addr, None).await.unwrap();
            let asked = observatory.probed(&sight, addr, usize::MAX).await.unwrap();
            let told = told.map(|host| (host.now, host.before));
            seen.insert(addr.to_string(), format!("{told:?} {asked:?}"));
        }
        seen
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_mandates_bring_changes_nothing() {
    let east = Sensor::new(1);
    let world = World::new(&[&east]).await;
    let own = world.plan.mandate_id.clone();
    // Half of the addresses are known when the account is made, and the rest comes later.
    world.receive(&east, &[east.seal(&world.plan, 0, under(&own, 0))]).await.unwrap();
    // Each of the others measures with a sensor of its own.
    let foreign = |sensor: u8, slice: u64, seconds: i64| {
        Sensor::new(sensor).seal(&world.plan, slice, under("foreign", seconds))
    };
    world.commit(&foreign(10, 0, 60)).await;
    let (guest, _) = world.observatory.add_account(&request("guest", Role::Analyst, &[&own])).await.unwrap();
    let (free, _) = world.observatory.add_account(&request("free", Role::Analyst, &[])).await.unwrap();
    let alone = {
        let lone = World::new(&[&east]).await;
        let (lone_guest, _) =
            lone.observatory.add_account(&request("guest", Role::Analyst, &[&own])).await.unwrap();
        let east = Sensor::new(1);
        lone.receive(&east, &[east.seal(&lone.plan, 0, under(&own, 0))]).await.unwrap();
        lone.receive(&east, &[east.seal(&lone.plan, 1, under(&own, 120))]).await.unwrap();
        lone.seen_by(&lone_guest).await
    };
    let before = world.seen_by(&guest).await;
    assert!(before["search "].starts_with("Total { services: 8, "), "{}", before["search "]);
    assert!(
        before["tables"].contains("observations") && !before["tables"].contains("batches"),
        "{}",
        before["tables"]
    );
    for (asked, told) in &before {
        assert!(asked.contains("foreign") || !told.contains("foreign"), "{asked}: {told}");
    }
    assert!(before["SELECT * FROM findings"].starts_with("no: "));
    assert!(before["SELECT survey_id, sent FROM coverage ORDER BY 1, 2"].lines().count() == 2, "{before:?}");

    // Other mandates look at the same hosts before, at once and afterwards, and at further ones.
    for (sensor, slice, seconds) in [(11, 0, -600), (12, 1, 0), (13, 2, 90), (14, 0, 600)] {
        world.commit(&foreign(sensor, slice, seconds)).await;
    }
    let same = |now: &BTreeMap<String, String>, before: &BTreeMap<String, String>| {
        for (asked, told) in now {
            assert_eq!(&before[asked], told, "{asked}");
        }
    };
    same(&world.seen_by(&guest).await, &before);
    // The free analyst sees all of it: also that what this mandate found was asked since.
    let all = world.seen_by(&free).await;
    assert!(all["search "].starts_with("Total { services: 24, "), "{}", all["search "]);
    let foreign = &all["search label:of-foreign"];
    assert!(foreign.starts_with("Total { services: 16, "), "{foreign}");
    assert_ne!(all["search port:23"], before["search port:23"]);

    // Made anew, kept up and read by another process, it is the same.
    world.observatory.rebuild_view().await.unwrap();
    same(&world.seen_by(&guest).await, &before);
    world.receive(&east, &[east.seal(&world.plan, 1, under(&own, 120))]).await.unwrap();
    let after = world.seen_by(&guest).await;
    assert!(after["search "].starts_with("Total { services: 16, "), "{}", after["search "]);
    for (asked, told) in &alone {
        let ids = |text: &str| text.replace(&*world.plan.survey_id.to_string(), "SURVEY");
        assert_eq!(ids(told), ids(&after[asked]), "{asked}");
    }
    world.observatory.rebuild_view().await.unwrap();
    same(&world.seen_by(&guest).await, &after);
    let (_, _) = world.observatory.compact_lake(|_, _, _| {}).await.unwrap();
    same(&world.seen_by(&guest).await, &after);
}

/// Views come with the accounts that need them, and go with them.
#[tokio::test]
async fn a_view_is_kept_for_those_who_need_it() {
    let east = Sensor::new(1);
    let world = World::new(&[&east]).await;
    let own = world.plan.mandate_id.clone();
    world.receive(&east, &[east.seal(&world.plan, 0, under(&own, 0))]).await.unwrap();
    let observatory = &world.observatory;
    let lake = observatory.lake().await.unwrap();
    let sight = Sight::Mandates(Mandates::new([own.clone()]).unwrap());
    // Rows of the views that are not of all.
    let views = async || -> Vec<u64> {
        let report = observatory.verify_lake(true, |_| {}).await.unwrap();
        assert!(report.faults.is_empty(), "{report:?}");
        let apart = report.tables.iter().filter(|table| table.table.starts_with("views/"));
        apart.map(|table| table.rows).collect()
    };
    assert_eq!(views().await, [] as [u64; 0]);
    // What somebody was killed over before its first commit is no view, and no damage.
    let begun = std::path::Path::new(lake.location()).join("views/begun/_delta_log");
    std::fs::create_dir_all(&begun).unwrap();
    std::fs::write(begun.join("_commit_1.json.tmp"), "").unwrap();
    assert_eq!(views().await, [] as [u64; 0]);

    for wrong in [request("a", Role::Auditor, &[&own]), request("b", Role::Analyst, &["nowhere"])] {
        let error = observatory.add_account(&wrong).await.unwrap_err();
        assert_eq!(error.blame(), crate::Blame::Input, "{error}");
    }
    let (guest, password) = observatory.add_account(&request("guest", Role::Analyst, &[])).await.unwrap();
    assert_eq!(observatory.sight(&guest.viewer()).await.unwrap(), Sight::All);
    assert!(guest.must_change && password.len() > 20);
    let guest = observatory.limit_account("guest", &limit(&[&own])).await.unwrap();
    assert_eq!(observatory.sight(&guest.viewer()).await.unwrap(), sight);
    assert_eq!(observatory.view_for(&sight).await.unwrap().services(), 8);
    assert_eq!(views().await, [8]);

    // Before it is made, nothing is told, rather than that there is nothing.
    let early = Sight::Mandates(Mandates::new([own.clone(), "z".to_owned()]).unwrap());
    let untold = observatory.view_for(&early).await.err().unwrap();
    assert!(matches!(untold, ActError::Lake(LakeError::Unmade { .. })), "{untold}");

    observatory.lock_account("guest", true).await.unwrap();
    observatory.rebuild_view().await.unwrap();
    assert_eq!(views().await.iter().sum::<u64>(), 0, "nobody is limited to anything any more");
    observatory.lock_account("guest", false).await.unwrap();
    let made = lake.view_of(&Extent::Mandates(Mandates::new([own.clone()]).unwrap())).await.unwrap();
    assert_eq!(made.view().await.unwrap().services(), 8);
    // One that was not needed for a while knows what came in between.
    observatory.lock_account("guest", true).await.unwrap();
    world.receive(&east, &[east.seal(&world.plan, 1, under(&own, 0))]).await.unwrap();
    assert_eq!(made.view().await.unwrap().services(), 8, "nobody keeps it up");
    observatory.lock_account("guest", false).await.unwrap();
    assert_eq!(made.view().await.unwrap().services(), 16);
}

/// Somebody from outside sees what a mandate may share, and of that what labels let communities see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_community_sees_what_may_be_shared() {
    let east = Sensor::new(1);
    let world = World::new(&[&east]).await;
    let (observatory, own) = (&world.observatory, world.plan.mandate_id.clone());
    let labelled = |slice: u64, tlp: Tlp, seconds: i64| {
        Sensor::new(20 + slice as u8 + seconds as u8).seal(&world.plan, slice, |draft: &mut Draft| {
            under(&own, seconds)(draft);
            draft.observations.iter_mut().for_each(|row| row.tlp = tlp);
        })
    };
    world.commit(&labelled(0, Tlp::Green, 0)).await;
    world.commit(&labelled(1, Tlp::Amber, 0)).await;
    let outside = |community: &str| {
        let mut request = request("peer", Role::Analyst, &[&own]);
        request.limit.community = Some(community.to_owned());
        request
    };
    let refused = observatory.add_account(&outside("Energy ISAC")).await.unwrap_err();
    assert_eq!(refused.blame(), crate::Blame::No);
    assert!(refused.to_string().contains("no legal basis to share"), "{refused}");
    assert!(observatory.add_account(&outside(" ")).await.is_err());

    world.next_mandate(2, Some("an agreement of 2026")).await;
    let mut unlimited = outside("Energy ISAC");
    unlimited.limit.mandates.clear();
    assert!(observatory.add_account(&unlimited).await.unwrap_err().to_string().contains("under mandates"));
    let (peer, _) = observatory.add_account(&outside("Energy ISAC")).await.unwrap();
    assert_eq!(peer.community.as_deref(), Some("Energy ISAC"));
    let before = world.seen_by(&peer).await;
    assert!(before["search "].starts_with("Total { services: 8, "), "{}", before["search "]);
    assert_eq!(before["tables"], "[\"observations\", \"services\"]");
    // What is kept in the organisation changes nothing of it, at the same hosts or at others.
    world.commit(&labelled(0, Tlp::Amber, 60)).await;
    world.commit(&labelled(0, Tlp::Red, 90)).await;
    world.commit(&labelled(2, Tlp::AmberStrict, 0)).await;
    for made_anew in [false, true] {
        if made_anew {
            observatory.rebuild_view().await.unwrap();
        }
        for (asked, told) in world.seen_by(&peer).await {
            assert_eq!(before[&asked], told, "{asked}");
        }
    }
    // What may be seen by everybody comes.
    world.commit(&labelled(3, Tlp::Clear, 0)).await;
    let after = world.seen_by(&peer).await;
    assert!(after["search "].starts_with("Total { services: 16, "), "{}", after["search "]);
    // An account of the organisation with the same mandate sees all of it.
    let (colleague, _) = observatory.add_account(&request("guest", Role::Analyst, &[&own])).await.unwrap();
    assert!(world.seen_by(&colleague).await["search "].starts_with("Total { services: 32, "));
    // A mandate that may not be shared any more is not.
    world.next_mandate(3, None).await;
    assert_eq!(observatory.sight(&peer.viewer()).await.unwrap(), Sight::Only(Vec::new()));
}
