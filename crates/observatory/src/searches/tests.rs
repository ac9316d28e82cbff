//! Saved searches from the view to the outbox and to a server that checks signatures.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use kenshin_casework::providers::Directory;
use kenshin_casework::{NewUser, PageRequest, Viewer};
use kenshin_lake::Progress;
use kenshin_observation::schema::SERVICE_VERSION;
use kenshin_observation::{SensorId, addr_to_hi_lo};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Edge, Home};

const T0: TimeUs = TimeUs::from_secs(1_790_000_000);
const HOUR: i64 = 3_600;
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{1b}[2J";

struct World {
    observatory: Observatory,
    home: Home,
    edge: Edge,
    offset: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (edge, offset) = Edge::simulated(T0, [7; 32]);
        Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
        let observatory = Observatory::open(&home, &edge).await.unwrap();
        let directory = "prefix_or_asn,name,mail,language,encryption\n\
                         192.0.2.0/24,Nishi Net,abuse@nishi.example,ja,link-only\n\
                         198.51.100.0/24,North ISP,abuse@north.example,en,link-only\n";
        let directory =
            Directory::parse("providers.csv", directory, &["en", "ja"], |_| Err("no such file".into()))
                .unwrap();
        let actor = Observatory::rule("test");
        observatory.casework().import_directory(observatory.org(), &directory, &actor, T0).await.unwrap();
        Self { observatory, home, edge, offset, _folder: folder }
    }

    /// The process ends, and another begins.
    async fn restarted(self) -> Self {
        self.observatory.casework().close().await;
        let observatory = Observatory::open(&self.home, &self.edge).await.unwrap();
        Self { observatory, ..self }
    }

    fn pass(&self, seconds: i64) {
        self.offset.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    async fn person(&self, role: Role) -> User {
        let all =
            self.observatory.casework().providers(&self.observatory.viewer(), &PageRequest::first()).await;
        let own = all.unwrap().items.into_iter().find(|provider| provider.name == "Nishi Net").unwrap();
        let user = NewUser {
            login: format!("a-{role}"),
            name: format!("A {role}"),
            role,
            language: "ja".into(),
            password: "correct horse".into(),
            must_change: false,
            providers: if role == Role::Provider { vec![own.provider_id] } else { Vec::new() },
            limit: kenshin_casework::Limit::default(),
        };
        self.observatory.casework().add_user(self.observatory.org(), &user, T0).await.unwrap()
    }

    /// What the view knows of these addresses now, as after a batch.
    async fn see(&self, services: &[(&str, &str)]) {
        let now = self.observatory.now().micros();
        let rows = services.iter().map(|(addr, state)| {
            let (addr_hi, addr_lo) = addr_to_hi_lo(addr.parse().unwrap());
            ServiceRow {
                tlp: "TLP:AMBER".into(),
                schema: SERVICE_VERSION,
                addr_hi,
                addr_lo,
                port: 23,
                transport: "tcp".into(),
                protocol: Some("telnet".into()),
                state: (*state).to_owned(),
                first_us: now,
                seen_us: now,
                asked_us: now,
                known_us: now,
                product: Some("Cam".into()),
                banner: Some(format!("{HOSTILE} login:")),
                ..ServiceRow::default()
            }
        });
        let lake = self.observatory.lake().await.unwrap();
        lake.whole().add(rows.collect(), &Progress::from([(SensorId::new(T0, 1), 1)])).await.unwrap();
    }

    async fn save(&self, owner: &User, request: SearchRequest) -> Saved {
        self.observatory.save_search(owner, &request, &Observatory::rule("test")).await.unwrap()
    }

    /// Looks at what is due, as `serve` does, and says what came of it.
    async fn look(&self) -> Vec<Outcome> {
        let looked = self.observatory.look_at_searches().await.unwrap();
        self.observatory.deliver_alerts().await.unwrap();
        looked.into_iter().map(|one| one.outcome).collect()
    }

    fn mails(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.home.outbox().join("new")).into_iter().flatten();
        let mut mails: Vec<String> =
            folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        mails.sort();
        mails
    }

    async fn search(&self, id: SearchId) -> SavedSearch {
        let viewer = Viewer::system(self.observatory.org());
        self.observatory.casework().saved_search(&viewer, None, id).await.unwrap()
    }
}

fn request(query: &str) -> SearchRequest {
    SearchRequest {
        name: format!("search {query}"),
        query: query.to_owned(),
        watch: Watch::Any,
        threshold: None,
        mails: vec!["soc@csirt.example".into()],
        webhook: None,
        interval_s: None,
        language: Some("en".into()),
    }
}

/// A request as a receiver gets it.
#[derive(Debug, Clone)]
struct Posted {
    headers: Vec<(String, String)>,
    body: String,
}

impl Posted {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(held, _)| held == name).map_or("", |(_, value)| value)
    }

    /// As a receiver checks it, with the secret that it was given.
    fn is_signed(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed =
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let given = self.header("webhook-signature").strip_prefix("v1,").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(signed.as_bytes());
        mac.verify_slice(&STANDARD.decode(given).unwrap()).is_ok()
    }
}

/// A receiver on loopback that gives these answers in turn, the last one from then on.
async fn receiver(answers: &'static [&'static str]) -> (String, Arc<Mutex<Vec<Posted>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<Posted>>> = Arc::default();
    let kept = heard.clone();
    tokio::spawn(async move {
        let mut answers = answers.iter().chain(std::iter::repeat(answers.last().unwrap()));
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let headers = head.lines().filter_map(|line| line.split_once(':'));
            let headers: Vec<(String, String)> =
                headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
            let mut posted = Posted { headers, body: String::new() };
            let mut body = vec![0; posted.header("content-length").parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            posted.body = String::from_utf8(body).unwrap();
            kept.lock().unwrap().push(posted);
            let answer = answers.next().unwrap();
            let _ = stream
                .write_all(
                    format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
                )
                .await;
        }
    });
    (base, heard)
}

#[tokio::test]
async fn what_is_otherwise_is_told_once_by_mail_and_by_a_signed_request() {
    let world = World::new().await;
    let analyst = world.person(Role::Operator).await;
    let (base, heard) = receiver(&["204 No Content"]).await;
    world.see(&[("192.0.2.1", "answered"), ("192.0.2.2", "answered")]).await;
    let wanted = SearchRequest { webhook: Some(format!("{base}/hook")), ..request("protocol:telnet") };
    let saved = world.save(&analyst, wanted).await;
    let secret = saved.secret.unwrap();
    assert_eq!((saved.search.services, world.look().await), (2, vec![]), "the base line tells nothing");
    world.pass(60);
    world.see(&[("192.0.2.2", "refused"), ("198.51.100.3", "answered")]).await;
    assert_eq!(world.look().await, [Outcome::Alerted]);
    assert_eq!(world.look().await, []);
    let mails = world.mails();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("X-Kenshin-Alert:") && mails[0].contains("To: soc@csirt.example"),
        "{}",
        mails[0]
    );
    let posted = heard.lock().unwrap().clone();
    assert_eq!(posted.len(), 1);
    assert!(posted[0].is_signed(&secret), "{posted:?}");
    assert!(!posted[0].body.contains('\u{1b}') && !posted[0].body.contains('\u{202e}'), "{posted:?}");
    let body: serde_json::Value = serde_json::from_str(&posted[0].body).unwrap();
    assert_eq!(
        (&body["added"], &body["gone"], &body["services"], &body["schema"]),
        (&1.into(), &1.into(), &2.into(), &1.into())
    );
    let items: Vec<(&str, &str)> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["change"].as_str().unwrap(), item["addr"].as_str().unwrap()))
        .collect();
    assert_eq!(items, [("new", "198.51.100.3"), ("gone", "192.0.2.2")]);
    assert_eq!(body["explorer_url"], "http://127.0.0.1:8480/search?q=protocol%3Atelnet");
    // Every field of the kept sample is still there.
    let sample = include_str!("../../../../testdata/searches/alert-v1.json");
    let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
    let names = |value: &serde_json::Value| {
        value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert!(names(&body).is_superset(&names(&sample)), "{body}");
    assert!(names(&body["items"][0]).is_superset(&names(&sample["items"][0])), "{body}");
    // Another process later: the same answer is no news.
    let world = world.restarted().await;
    world.pass(2 * HOUR);
    world.see(&[("192.0.2.1", "answered"), ("203.0.113.9", "refused")]).await;
    assert_eq!(world.look().await, [Outcome::Same]);
    assert_eq!((world.mails().len(), heard.lock().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn nobody_is_told_of_a_service_out_of_their_sight() {
    let world = World::new().await;
    let (provider, admin) = (world.person(Role::Provider).await, world.person(Role::Admin).await);
    world.see(&[("192.0.2.1", "answered"), ("198.51.100.1", "answered")]).await;
    let theirs = world.save(&provider, request("port:23")).await.search;
    assert_eq!(theirs.services, 1);
    world.pass(60);
    world.see(&[("198.51.100.2", "answered"), ("198.51.100.1", "refused")]).await;
    assert_eq!(world.look().await, [Outcome::Same]);
    assert_eq!(world.search(theirs.search_id).await.services, 1);
    world.see(&[("192.0.2.9", "answered"), ("198.51.100.3", "answered")]).await;
    assert_eq!(world.look().await, [Outcome::Alerted]);
    let alerts = world.observatory.casework().alerts(&theirs).await.unwrap();
    let told: Vec<String> = alerts[0].change.items.iter().map(|item| item.addr.to_string()).collect();
    assert_eq!((told, alerts[0].change.services), (vec!["192.0.2.9".to_owned()], 2));
    // What falls out of sight is not told as gone.
    let nobody = "prefix_or_asn,name,mail,language,encryption\n\
                  192.0.2.9/32,Nishi Net,abuse@nishi.example,ja,link-only\n";
    world.observatory.import_providers("providers.csv", nobody, world.home.root()).await.unwrap();
    world.pass(2 * HOUR);
    world.see(&[("203.0.113.1", "answered")]).await;
    assert_eq!(world.look().await, [Outcome::Same]);
    assert_eq!(world.search(theirs.search_id).await.services, 1);
    // Only who runs this machine may tell programs on it.
    let here = |name: &str| SearchRequest {
        name: name.into(),
        webhook: Some("http://127.0.0.1:1/".into()),
        ..request("port:23")
    };
    let actor = Observatory::rule("test");
    let refused = world.observatory.save_search(&provider, &here("a"), &actor).await.err().unwrap();
    assert!(refused.to_string().contains("on this machine"), "{refused}");
    world.save(&admin, here("b")).await;
}

#[tokio::test]
async fn who_may_not_search_any_more_is_told_nothing_and_it_is_said_why() {
    let world = World::new().await;
    let owner = world.person(Role::Analyst).await;
    world.see(&[("192.0.2.1", "answered")]).await;
    let search = world.save(&owner, request("port:23")).await.search;
    let (casework, org) = (world.observatory.casework(), world.observatory.org());
    casework.disable_user(org, owner.user_id, true, T0).await.unwrap();
    world.see(&[("192.0.2.2", "answered")]).await;
    assert_eq!(world.look().await, [Outcome::Trouble]);
    assert_eq!(world.look().await, [], "once for each change of the view");
    let held = world.search(search.search_id).await;
    assert_eq!(
        (held.trouble, held.trouble_detail.as_deref()),
        (Some(Trouble::OwnerDisabled), Some("a-analyst"))
    );
    assert!(world.mails().is_empty());
    // Back again, they are told what came meanwhile.
    casework.disable_user(org, owner.user_id, false, T0).await.unwrap();
    let looked = world.observatory.look_at_search(&held).await.unwrap();
    assert_eq!((looked.outcome, looked.services), (Outcome::Alerted, Some(2)));
    assert_eq!(world.search(search.search_id).await.trouble, None);
    // Silent is silent.
    casework.enable_search(&held, false, &Observatory::rule("test"), T0).await.unwrap();
    world.pass(2 * HOUR);
    world.see(&[("192.0.2.3", "answered")]).await;
    assert_eq!(world.look().await, []);
    let silent = world.search(search.search_id).await;
    assert_eq!(world.observatory.look_at_search(&silent).await.unwrap().outcome, Outcome::Disabled);
    // A researcher sees no rows, and saves no search.
    let researcher = world.person(Role::Researcher).await;
    let actor = Observatory::rule("test");
    assert!(world.observatory.save_search(&researcher, &request("port:23"), &actor).await.is_err());
}

#[tokio::test]
async fn a_survey_in_progress_sends_one_alert_an_interval() {
    let world = World::new().await;
    let owner = world.person(Role::Analyst).await;
    let search = world.save(&owner, request("port:23")).await.search;
    for n in 1..=9 {
        world.pass(60);
        world.see(&[(format!("192.0.2.{n}").as_str(), "answered")]).await;
        world.look().await;
    }
    assert_eq!(world.mails().len(), 1);
    let waits = world.observatory.look_at_search(&world.search(search.search_id).await).await.unwrap();
    assert_eq!((waits.outcome, waits.waits_until.is_some()), (Outcome::Waiting, true));
    world.pass(HOUR);
    assert_eq!(world.look().await, [Outcome::Alerted]);
    let alerts = world.observatory.casework().alerts(&search).await.unwrap();
    let added: Vec<i64> = alerts.iter().map(|alert| alert.change.added).collect();
    assert_eq!((added, world.mails().len()), (vec![8, 1], 2), "all that came meanwhile, together");
}

#[tokio::test]
async fn time_alone_changes_no_answer() {
    let world = World::new().await;
    let owner = world.person(Role::Analyst).await;
    world.see(&[("192.0.2.1", "answered"), ("192.0.2.2", "answered")]).await;
    let recent = world.save(&owner, request("seen:7d")).await.search;
    let old = world.save(&owner, request("seen:>7d")).await.search;
    world.pass(8 * 24 * HOUR);
    world.see(&[("192.0.2.3", "dark")]).await;
    assert_eq!(world.look().await, [Outcome::Same, Outcome::Same]);
    let found = [world.search(recent.search_id).await.services, world.search(old.search_id).await.services];
    assert_eq!(found, [0, 2], "the answers are others, and nobody was told");
    world.see(&[("192.0.2.4", "answered"), ("192.0.2.1", "answered")]).await;
    let mut outcomes = world.look().await;
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::Alerted, Outcome::Alerted]);
    let told = async |search: &SavedSearch| {
        let alerts = world.observatory.casework().alerts(search).await.unwrap();
        (alerts[0].change.added, alerts[0].change.gone)
    };
    assert_eq!((told(&recent).await, told(&old).await), ((2, 0), (0, 1)), "seen again, and new");
}

#[tokio::test]
async fn a_receiver_that_fails_is_asked_again_and_nothing_is_followed() {
    let world = World::new().await;
    let admin = world.person(Role::Admin).await;
    let (elsewhere, followed) = receiver(&["204 No Content"]).await;
    let moved = format!("307 Temporary Redirect\r\nlocation: {elsewhere}/x");
    let answers: &'static [&'static str] = vec!["500 Internal Server Error", moved.leak(), "200 OK"].leak();
    let (base, heard) = receiver(answers).await;
    let wanted = SearchRequest {
        mails: vec![],
        webhook: Some(format!("{base}/hook?key=s3cret")),
        ..request("port:23")
    };
    let saved = world.save(&admin, wanted).await;
    world.see(&[("192.0.2.1", "answered")]).await;
    let state = async || {
        let alerts = world.observatory.casework().alerts(&saved.search).await.unwrap();
        let told = alerts[0].deliveries[0].clone();
        (told.state, told.detail)
    };
    assert_eq!(world.look().await, [Outcome::Alerted]);
    assert_eq!(state().await, (NoticeState::Queued, "answered 500 Internal Server Error".to_owned()));
    world.look().await;
    assert_eq!(heard.lock().unwrap().len(), 1, "not at once");
    world.pass(30);
    world.look().await;
    assert!(state().await.1.contains("redirections are not followed"));
    world.pass(120);
    let world = world.restarted().await;
    world.look().await;
    let alerts = world.observatory.casework().alerts(&saved.search).await.unwrap();
    assert_eq!(alerts[0].deliveries[0].state, NoticeState::Sent);
    let posted = heard.lock().unwrap().clone();
    assert_eq!(posted.len(), 3);
    assert!(posted.iter().all(|one| one.is_signed(saved.secret.as_ref().unwrap())));
    assert!(posted.iter().all(|one| one.header("webhook-id") == alerts[0].alert_id.to_string()));
    assert!(posted[0].header("webhook-timestamp") < posted[2].header("webhook-timestamp"));
    assert!(followed.lock().unwrap().is_empty());
    // Nobody listens any more: what is said of that does not repeat the address.
    let gone = SearchRequest {
        name: "gone".into(),
        webhook: Some("http://127.0.0.1:1/s3cret".into()),
        ..request("port:23")
    };
    let gone = world.save(&admin, gone).await.search;
    world.pass(2 * HOUR);
    world.see(&[("192.0.2.2", "answered")]).await;
    world.look().await;
    let told = world.observatory.casework().alerts(&gone).await.unwrap()[0].deliveries[1].clone();
    assert_eq!(told.state, NoticeState::Queued);
    assert!(!told.detail.is_empty() && !told.detail.contains("s3cret"), "{told:?}");
}

/// Killed between the journal and the first byte: whoever starts again sends what was journalled, once.
#[tokio::test]
async fn what_was_journalled_before_a_crash_is_sent_once_after_it() {
    let world = World::new().await;
    let owner = world.person(Role::Analyst).await;
    world.save(&owner, request("port:23")).await;
    world.see(&[("192.0.2.1", "answered")]).await;
    let looked = world.observatory.look_at_searches().await.unwrap();
    assert_eq!((looked[0].outcome, world.mails().len()), (Outcome::Alerted, 0));
    let world = world.restarted().await;
    assert_eq!((world.look().await, world.mails().len()), (vec![], 1));
    let world = world.restarted().await;
    assert_eq!((world.look().await, world.mails().len()), (vec![], 1));
}

#[tokio::test]
async fn a_query_that_cannot_be_understood_is_pointed_at() {
    let world = World::new().await;
    let owner = world.person(Role::Analyst).await;
    let actor = Observatory::rule("test");
    let error = world.observatory.save_search(&owner, &request("prot:23"), &actor).await.err().unwrap();
    assert!(error.to_string().contains("prot:23\n^^^^"), "{error}");
    assert_eq!(error.hint(), Some("did you mean `port`?"));
    let klingon = SearchRequest { language: Some("tlh".into()), ..request("port:23") };
    assert!(world.observatory.save_search(&owner, &klingon, &actor).await.is_err());
}
