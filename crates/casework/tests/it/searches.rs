//! Saved searches: whose they are, one alert for one change, and what a crash leaves of a delivery.

use std::collections::BTreeSet;
use std::path::Path;

use kenshin_casework::{
    Actor, Alert, AnswerChange, Casework, ChangedService, Channel, Delivery, ErrorKind, Look, NewSearch,
    NewUser, NoticeState, PageRequest, Role, SEARCHES_MAX, SavedSearch, Sender, Transport, Trouble, Turn,
    User, Viewer, Watch,
};
use kenshin_observation::{AlertId, Messages, OrgId, TimeUs};
use mail_parser::MessageParser;

use crate::world::{Place, T0, everywhere};

const HOSTILE: &str = "</p><script>alert(1)</script>\u{202e}\u{1b}[2J\r\nBcc: x@example.net";

struct World {
    casework: Casework,
    org: OrgId,
    owner: User,
}

impl World {
    async fn new(place: &Place) -> Self {
        let casework = place.open().await;
        let org = casework.add_org("Example CSIRT", T0).await.unwrap().org_id;
        let owner = person(&casework, org, "hanako", Role::Analyst).await;
        Self { casework, org, owner }
    }

    async fn save(&self, new: &NewSearch) -> SavedSearch {
        self.casework.save_search(self.org, new, &base(), &actor(), T0).await.unwrap().0
    }

    async fn again(&self, search: &SavedSearch) -> SavedSearch {
        self.casework.saved_search(&Viewer::system(self.org), None, search.search_id).await.unwrap()
    }

    async fn record(&self, search: &SavedSearch, look: &Look, now: TimeUs) -> Option<AlertId> {
        record(&self.casework, search, look, now).await
    }

    async fn alerts(&self, search: &SavedSearch) -> Vec<Alert> {
        self.casework.alerts(search).await.unwrap()
    }

    async fn deliver(&self, transport: &Transport, webhook: &Delivery, now: TimeUs) -> usize {
        deliver(&self.casework, transport, webhook, now).await
    }
}

pub(crate) async fn record(
    casework: &Casework,
    search: &SavedSearch,
    look: &Look,
    now: TimeUs,
) -> Option<AlertId> {
    casework.record_look(search, look, &sender(), &Messages::builtin(), now).await.unwrap()
}

/// Delivers what is due; webhooks end as `webhook` says.
pub(crate) async fn deliver(
    casework: &Casework,
    transport: &Transport,
    webhook: &Delivery,
    now: TimeUs,
) -> usize {
    let mut made = 0;
    while let Some(job) = casework.lease_alert("test", now).await.unwrap() {
        let Some(outgoing) = casework.begin_alert(&job, transport, now).await.unwrap() else { continue };
        let end = match outgoing.delivery.channel {
            Channel::Mail => transport.deliver_alert(&outgoing).await,
            Channel::Webhook => webhook.clone(),
        };
        casework.settle_alert(&job, &outgoing, &end, now).await.unwrap();
        made += 1;
    }
    made
}

pub(crate) async fn person(casework: &Casework, org: OrgId, login: &str, role: Role) -> User {
    let user = NewUser {
        login: login.into(),
        name: format!("Person {login}"),
        role,
        language: "en".into(),
        password: "correct horse".into(),
        must_change: false,
        providers: Vec::new(),
        limit: kenshin_casework::Limit::default(),
    };
    casework.add_user(org, &user, T0).await.unwrap()
}

fn actor() -> Actor {
    Actor::rule("test")
}

fn sender() -> Sender {
    Sender {
        organisation: "Example CSIRT".into(),
        from: "Example CSIRT <alerts@csirt.example>".into(),
        base_url: "https://kenshin.csirt.example/".into(),
        message_domain: "csirt.example".into(),
    }
}

pub(crate) fn new(owner: &User) -> NewSearch {
    NewSearch {
        owner: owner.user_id,
        name: "new cameras".into(),
        query: "type:camera \"login & more\"".into(),
        watch: Watch::Any,
        threshold: None,
        mails: vec!["soc@csirt.example".into()],
        webhook: None,
        interval_s: 3_600,
        language: "en".into(),
    }
}

pub(crate) fn base() -> Look {
    Look { version: Some(1), services: Some(3), standing: Some("base".into()), ..Look::default() }
}

pub(crate) fn change(gone: bool) -> Look {
    let item = ChangedService {
        gone,
        addr: "192.0.2.7".parse().unwrap(),
        port: 23,
        transport: "tcp".into(),
        protocol: Some("telnet".into()),
        product: Some("Cam <Pro>".into()),
        says: Some(HOSTILE.into()),
        provider: None,
        country: Some("JP".into()),
    };
    let (added, gone) = if gone { (0, 1) } else { (25, 0) };
    let change = AnswerChange { turn: Turn::Changed, services: 28, added, gone, items: vec![item] };
    Look {
        version: Some(2),
        services: Some(28),
        standing: Some("next".into()),
        change: Some(change),
        ..Look::default()
    }
}

pub(crate) fn mails(outbox: &Path) -> Vec<String> {
    let folder = std::fs::read_dir(outbox.join("new")).into_iter().flatten();
    folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn one_change_is_told_once_whoever_looks_and_whenever() {
    everywhere("one_change_is_told_once_whoever_looks_and_whenever", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        let mut wanted = new(&world.owner);
        wanted.mails = ["a@csirt.example", "A <b@csirt.example>", "b@csirt.example"].map(String::from).into();
        let search = world.save(&wanted).await;
        assert_eq!(search.mails, ["a@csirt.example", "b@csirt.example"]);
        assert_eq!((search.services, search.alerted_at, search.revision), (3, None, 0));
        // Two hubs saw the same.
        let second = place.open().await;
        let (sender, messages, look) = (sender(), Messages::builtin(), change(false));
        let (one, two) = tokio::join!(
            world.casework.record_look(&search, &look, &sender, &messages, T0),
            second.record_look(&search, &look, &sender, &messages, T0)
        );
        let alerts: Vec<AlertId> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
        assert_eq!(alerts.len(), 1);
        let search = world.again(&search).await;
        assert_eq!((search.services, search.alerted_at, search.looked_version), (28, Some(T0), Some(2)));
        assert_eq!(world.casework.search_standing(search.search_id).await.unwrap(), "next");
        // Journalled with Message-IDs before anything is sent.
        let kept = world.alerts(&search).await;
        let ids: Vec<&str> = kept[0].deliveries.iter().map(|one| one.message_id.as_str()).collect();
        assert_eq!(ids, [1, 2].map(|part| format!("<{}.{part}@csirt.example>", alerts[0])));
        assert!(kept[0].deliveries.iter().all(|one| one.state == NoticeState::Queued));
        assert!(mails(folder.path()).is_empty());
        let never = Delivery::Failed("no webhook here".into());
        assert_eq!(world.deliver(&outbox, &never, T0).await, 2);
        assert_eq!(world.deliver(&outbox, &never, T0).await, 0);
        assert_eq!(mails(folder.path()).len(), 2);
        // A process that starts now finds the search as it stands: nothing is told again.
        world.casework.close().await;
        let world = World { casework: place.open().await, ..world };
        let same = Look { version: Some(3), services: Some(28), ..Look::default() };
        assert_eq!(world.record(&search, &same, T0.plus_secs(60)).await, None);
        assert_eq!(world.record(&search, &change(false), T0.plus_secs(60)).await, None, "an old reading");
        assert_eq!(world.deliver(&outbox, &never, T0.plus_secs(900)).await, 0);
        let kept = world.alerts(&search).await;
        assert_eq!((kept.len(), kept[0].deliveries[1].state), (1, NoticeState::Sent));
        assert_eq!(world.again(&search).await.undelivered, 0);
        assert!(world.casework.verify_audit(world.org).await.unwrap().is_ok());
    });
}

#[test]
fn a_search_is_looked_at_when_the_view_changed_and_its_interval_is_over() {
    everywhere("a_search_is_looked_at_when_the_view_changed_and_its_interval_is_over", |place| async move {
        let world = World::new(&place).await;
        let search = world.save(&new(&world.owner)).await;
        let due = async |version, now| {
            let due = world.casework.searches_due(world.org, Some(version), 10, now).await.unwrap();
            due.into_iter().map(|search| search.search_id).collect::<Vec<_>>()
        };
        assert!(due(1, T0).await.is_empty(), "the base line was taken of this view");
        assert_eq!(due(2, T0).await, [search.search_id]);
        world.record(&search, &change(false), T0).await.unwrap();
        assert!(due(3, T0.plus_secs(3_599)).await.is_empty(), "it alerted a moment ago");
        assert_eq!(due(3, T0.plus_secs(3_600)).await, [search.search_id]);
        // Trouble is kept until a look without it; what could not be looked at is due again.
        let failed = Look { trouble: Some((Trouble::Failed, "no disk\0".into())), ..Look::default() };
        let later = T0.plus_secs(4_000);
        assert_eq!(world.record(&world.again(&search).await, &failed, later).await, None);
        let search = world.again(&search).await;
        assert_eq!((search.trouble, search.services), (Some(Trouble::Failed), 28));
        assert_eq!(due(2, later).await, [search.search_id]);
        world.record(&search, &Look { version: Some(4), ..Look::default() }, later).await;
        let search = world.again(&search).await;
        assert_eq!((search.trouble, search.trouble_detail.as_deref()), (None, None));
        // Silent, it is not looked at, and what somebody found a moment before is not told.
        world.casework.enable_search(&search, false, &actor(), later).await.unwrap();
        assert!(
            due(5, later).await.is_empty() && !world.casework.any_search_enabled(world.org).await.unwrap()
        );
        assert_eq!(world.record(&search, &change(true), later).await, None);
        world.casework.enable_search(&search, true, &actor(), later).await.unwrap();
        assert_eq!(due(4, later).await, [search.search_id]);
    });
}

#[test]
fn a_person_sees_their_own_and_no_read_gives_the_secret() {
    everywhere("a_person_sees_their_own_and_no_read_gives_the_secret", |place| async move {
        let world = World::new(&place).await;
        let other = person(&world.casework, world.org, "jiro", Role::Provider).await;
        let hook = NewSearch { webhook: Some("https://hooks.example/path".into()), ..new(&world.owner) };
        let saved = world.casework.save_search(world.org, &hook, &base(), &actor(), T0).await.unwrap();
        let (search, secret) = (saved.0, saved.1.unwrap());
        let own = world.save(&new(&other)).await;
        let seen = async |viewer: Viewer, mine| {
            let page = world.casework.saved_searches(&viewer, mine, &PageRequest::first()).await.unwrap();
            page.items.into_iter().map(|search| search.search_id).collect::<BTreeSet<_>>()
        };
        let [theirs, owns] = [&search, &own].map(|search| BTreeSet::from([search.search_id]));
        assert_eq!(seen(world.owner.viewer(), None).await, &theirs | &owns);
        assert_eq!(seen(world.owner.viewer(), Some(world.owner.user_id)).await, theirs);
        assert_eq!(seen(other.viewer(), Some(other.user_id)).await, owns);
        assert!(seen(other.viewer(), None).await.is_empty(), "a provider sees nothing without a name");
        let hidden =
            world.casework.saved_search(&other.viewer(), Some(other.user_id), search.search_id).await;
        assert_eq!(hidden.unwrap_err().kind(), ErrorKind::NotFound);
        world.record(&search, &change(false), T0).await.unwrap();
        let trail = world.casework.audit_trail(&Viewer::system(world.org), &PageRequest::first()).await;
        let told = format!(
            "{:?} {} {:?} {}",
            search,
            serde_json::to_string(&search).unwrap(),
            world.alerts(&search).await,
            serde_json::to_string(&trail.unwrap()).unwrap()
        );
        assert_eq!(secret.len(), 32);
        assert!(!told.contains(&hex::encode(&secret)) && told.contains("search.save"), "{told}");
        // Whoever sends gets it, and does not show it.
        let outbox = Transport::Maildir(place.url.replace("sqlite://", "").into());
        let mut sent = None;
        while let Some(job) = world.casework.lease_alert("test", T0).await.unwrap() {
            let outgoing = world.casework.begin_alert(&job, &outbox, T0).await.unwrap().unwrap();
            if outgoing.delivery.channel == Channel::Webhook {
                sent = Some(outgoing);
            }
        }
        let sent = sent.unwrap();
        assert_eq!(sent.secret.as_ref(), Some(&secret));
        assert!(!format!("{sent:?}").contains(&hex::encode(&secret)));
    });
}

#[test]
fn a_mail_says_what_is_otherwise_in_its_language_and_hostile_text_is_text() {
    everywhere(
        "a_mail_says_what_is_otherwise_in_its_language_and_hostile_text_is_text",
        |place| async move {
            let world = World::new(&place).await;
            for (language, watch, gone, said) in [
                ("en", Watch::New, false, ["another answer than before", "New: 25", "And 24 more."]),
                (
                    "ja",
                    Watch::Gone,
                    true,
                    ["結果が変わりました", "該当しなくなった数: 1", "該当しなくなったサービス"],
                ),
            ] {
                let folder = tempfile::tempdir().unwrap();
                let wanted = NewSearch {
                    name: format!("新しい cameras {language}"),
                    language: language.into(),
                    watch,
                    ..new(&world.owner)
                };
                let search = world.save(&wanted).await;
                world.record(&search, &change(gone), T0).await.unwrap();
                let outbox = Transport::Maildir(folder.path().to_owned());
                world.deliver(&outbox, &Delivery::Failed(String::new()), T0).await;
                let mail = mails(folder.path()).remove(0);
                let mail = MessageParser::default().parse(&mail).unwrap();
                assert!(mail.bcc().is_none() && mail.header("X-Kenshin-Alert").is_some());
                let subject = mail.subject().unwrap();
                assert!(
                    subject.starts_with("[Example CSIRT]") && subject.ends_with(&wanted.name),
                    "{subject}"
                );
                assert!(!subject.contains("192.0.2.7"));
                let (text, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
                for said in said {
                    assert!(
                        text.contains(said)
                            && html
                                .contains(&said.replace(": ", "</dt><dd style=\"margin: 0 0 .3em 1.2em\">")),
                        "{said}: {text} {html}"
                    );
                }
                assert!(text.contains("192.0.2.7:23 telnet · Cam <Pro> · </p><script>"), "{text}");
                assert!(text.contains("q=type%3Acamera%20%22login%20%26%20more%22"), "{text}");
                assert!(text.contains(&format!("/searches/{}", search.search_id)));
                for part in [&text, &html] {
                    assert!(!part.contains(['\u{1b}', '\u{202e}']) && part.contains("\\u{202e}"), "{part}");
                }
                assert!(!html.contains("<script>"), "{html}");
            }
        },
    );
}

#[test]
fn a_crash_in_the_middle_is_uncertain_by_smtp_and_repeated_in_a_maildir() {
    everywhere("a_crash_in_the_middle_is_uncertain_by_smtp_and_repeated_in_a_maildir", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        // Nobody listens there: if anything were sent again, it would fail, not be uncertain.
        let relay = Transport::Smtp(crate::smtp::relay(1));
        let never = Delivery::Failed(String::new());
        for (name, transport, state, files) in
            [("smtp", &relay, NoticeState::DeliveryUncertain, 0), ("maildir", &outbox, NoticeState::Sent, 1)]
        {
            let search = world.save(&NewSearch { name: name.into(), ..new(&world.owner) }).await;
            world.record(&search, &change(false), T0).await.unwrap();
            // Journalled and not begun: a process that starts then sends it; here it dies in between.
            let job = world.casework.lease_alert("first", T0).await.unwrap().unwrap();
            let begun = world.casework.begin_alert(&job, transport, T0).await.unwrap().unwrap();
            if name == "maildir" {
                assert!(matches!(transport.deliver_alert(&begun).await, Delivery::Sent(_)), "and died then");
            }
            assert_eq!(world.deliver(transport, &never, T0.plus_secs(60)).await, 0, "its lease still holds");
            let later = T0.plus_secs(400);
            world.deliver(transport, &never, later).await;
            let delivery = world.alerts(&search).await[0].deliveries[0].clone();
            assert_eq!(delivery.state, state, "{name}: {delivery:?}");
            assert_eq!(world.deliver(transport, &never, later.plus_secs(86_400)).await, 0);
            assert_eq!(mails(folder.path()).len(), files, "{name}");
        }
    });
}

#[test]
fn what_certainly_was_not_sent_is_tried_again_later_and_later_and_given_up() {
    everywhere(
        "what_certainly_was_not_sent_is_tried_again_later_and_later_and_given_up",
        |place| async move {
            let world = World::new(&place).await;
            let outbox = Transport::Maildir("/nowhere".into());
            let hook = NewSearch {
                mails: Vec::new(),
                webhook: Some("https://hooks.example/path".into()),
                ..new(&world.owner)
            };
            let search = world.save(&hook).await;
            let alert = world.record(&search, &change(false), T0).await.unwrap();
            let refused = Delivery::Failed("answered 500".into());
            let (mut at, mut waits) = (T0, Vec::new());
            for wait in 0..100_000 {
                let now = T0.plus_secs(wait);
                // Only at instants that could be due: the waits are what is looked for.
                if wait % 30 == 0 && world.deliver(&outbox, &refused, now).await == 1 {
                    waits.push(now.micros_since(at) / 1_000_000);
                    at = now;
                    let told = world.alerts(&search).await[0].deliveries[0].clone();
                    assert_eq!(told.message_id, alert.to_string(), "the same at every attempt");
                    if told.state == NoticeState::Failed {
                        assert_eq!((told.attempts, told.detail.as_str()), (6, "answered 500"));
                        break;
                    }
                    assert_eq!(told.state, NoticeState::Queued);
                }
            }
            assert_eq!(waits, [0, 30, 120, 480, 1_920, 7_680]);
            assert_eq!(world.deliver(&outbox, &refused, at.plus_secs(86_400)).await, 0);
            assert_eq!(world.again(&search).await.undelivered, 1);
        },
    );
}

#[test]
fn nothing_leaves_for_who_was_silenced_disabled_or_deleted_meanwhile() {
    everywhere("nothing_leaves_for_who_was_silenced_disabled_or_deleted_meanwhile", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        let never = Delivery::Failed(String::new());
        let mut searches = Vec::new();
        for name in ["silenced", "deleted", "disabled"] {
            let search = world.save(&NewSearch { name: name.into(), ..new(&world.owner) }).await;
            world.record(&search, &change(false), T0).await.unwrap();
            searches.push(search);
        }
        let [silenced, deleted, disabled] = searches.try_into().unwrap();
        world.casework.enable_search(&silenced, false, &actor(), T0).await.unwrap();
        world.casework.delete_search(&deleted, &actor(), T0).await.unwrap();
        world.casework.disable_user(world.org, world.owner.user_id, true, T0).await.unwrap();
        assert_eq!(world.deliver(&outbox, &never, T0).await, 0);
        assert!(mails(folder.path()).is_empty());
        for (search, why) in [(&silenced, "silenced"), (&disabled, "owner")] {
            let told = world.alerts(search).await[0].deliveries[0].clone();
            assert_eq!(told.state, NoticeState::Failed);
            assert!(told.detail.contains(why), "{told:?}");
        }
        assert!(world.alerts(&deleted).await.is_empty());
    });
}

#[test]
fn a_search_that_nobody_could_be_told_of_is_not_saved() {
    everywhere("a_search_that_nobody_could_be_told_of_is_not_saved", |place| async move {
        let world = World::new(&place).await;
        let good = || new(&world.owner);
        let wrong = [
            (NewSearch { name: " ".into(), ..good() }, "the name"),
            (NewSearch { name: "a\nb".into(), ..good() }, "the name"),
            (NewSearch { mails: vec![], ..good() }, "nobody would be told"),
            (NewSearch { mails: vec!["nobody".into()], ..good() }, "not a mail address"),
            (
                NewSearch { mails: vec!["a@x.example\r\nBcc: b@x.example".into()], ..good() },
                "not a mail address",
            ),
            (NewSearch { mails: vec!["a@x.example".into(); 6], ..good() }, "at most 5"),
            (NewSearch { watch: Watch::Count, ..good() }, "threshold"),
            (NewSearch { threshold: Some(3), ..good() }, "--on count"),
            (NewSearch { interval_s: 59, ..good() }, "60 to"),
            (NewSearch { webhook: Some("x".repeat(501)), ..good() }, "500 bytes"),
        ];
        for (new, why) in wrong {
            let error = world.casework.save_search(world.org, &new, &base(), &actor(), T0).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        for n in 0..SEARCHES_MAX {
            world.save(&NewSearch { name: format!("search {n}"), ..good() }).await;
        }
        let more = world.casework.save_search(world.org, &good(), &base(), &actor(), T0).await.unwrap_err();
        assert_eq!(more.kind(), ErrorKind::Conflict);
        let other = person(&world.casework, world.org, "jiro", Role::Operator).await;
        world.save(&new(&other)).await;
        let twice = world.casework.save_search(world.org, &new(&other), &base(), &actor(), T0).await;
        assert!(twice.unwrap_err().to_string().contains("already"));
    });
}

#[test]
fn only_the_newest_alerts_are_kept() {
    everywhere("only_the_newest_alerts_are_kept", |place| async move {
        let world = World::new(&place).await;
        let mut search = world.save(&new(&world.owner)).await;
        let mut made = Vec::new();
        for n in 0..103 {
            made.extend(world.record(&search, &change(false), T0.plus_secs(n)).await);
            search = world.again(&search).await;
        }
        let kept: Vec<AlertId> = world.alerts(&search).await.iter().map(|alert| alert.alert_id).collect();
        assert_eq!((made.len(), kept.len()), (103, 100));
        assert_eq!(kept, made[3..].iter().rev().copied().collect::<Vec<_>>());
    });
}
