//! `kill -9` in the middle of queueing and delivering: no notice or alert twice, no case or change untold.

#![expect(clippy::disallowed_methods, reason = "the test starts, and kills, copies of itself")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use kenshin_casework::{
    Delivery, Look, NoticeState, PageRequest, Role, SavedSearch, Stage, SurveyKind, Transport, Viewer,
};
use kenshin_observation::TimeUs;

use crate::notices::{all, queue};
use crate::searches;
use crate::world::{DAY, DIRECTORY, Place, T0, World, assessment, clock, directory, key, telnet};

const CHILD: &str = "KENSHIN_CASEWORK_TEST_HOME";
const KILLS: u64 = 16;

fn place(home: &Path) -> Place {
    Place { url: format!("sqlite://{}/k.db", home.display()) }
}

/// The whole work, written so that doing it again after a crash does what is left of it.
async fn work(home: &Path) -> World {
    let casework = place(home).open().await;
    let org = match casework.orgs().await.unwrap().first() {
        Some(org) => org.org_id,
        None => casework.add_org("Example CSIRT", T0).await.unwrap().org_id,
    };
    let world = World { casework, org, viewer: Viewer::system(org) };
    let rule = kenshin_casework::Actor::rule("test");
    world.casework.import_directory(org, &directory(DIRECTORY, Some(&key().0)), &rule, T0).await.unwrap();
    let outbox = Transport::Maildir(home.join("outbox"));
    let search = search(&world).await;
    for round in 1..=3 {
        let now = T0.plus_secs(round * DAY);
        let surveys =
            world.casework.surveys(org, None, &kenshin_casework::PageRequest::first()).await.unwrap().items;
        let survey = match surveys.into_iter().find(|survey| survey.round == round) {
            Some(survey) => survey,
            None => world.survey(SurveyKind::Survey, now).await,
        };
        let findings = (1..=24)
            .map(|n| match n % 3 {
                0 => telnet(n, &format!("192.0.2.{n}"), now),
                1 => telnet(n, &format!("198.51.100.{n}"), now),
                _ => telnet(n, &format!("198.51.100.{}", 200 + n), now),
            })
            .collect();
        let assessment = assessment(survey.survey_id, findings, vec![]);
        let none = kenshin_casework::Experiment::none();
        world.casework.record_assessment(org, &assessment, &none, now).await.unwrap();
        world.casework.recover_notices(org, &outbox, now, now).await.unwrap();
        queue(&world, survey.survey_id, now).await;
        world.casework.deliver_notices(org, &outbox, &clock(now)).await.unwrap();
        alert(&world, &search, round, home, now).await;
    }
    // A delivery whose process died is taken up when its lease is over.
    alert(&world, &search, 3, home, T0.plus_secs(4 * DAY)).await;
    world
}

/// A saved search whose answer changes in every round.
async fn search(world: &World) -> SavedSearch {
    let page = PageRequest::first();
    if let Some(search) = world.casework.saved_searches(&world.viewer, None, &page).await.unwrap().items.pop()
    {
        return search;
    }
    let owner = match world.casework.user_named(world.org, "hanako").await {
        Ok(owner) => owner,
        Err(_) => searches::person(&world.casework, world.org, "hanako", Role::Analyst).await,
    };
    let rule = kenshin_casework::Actor::rule("test");
    let (new, base) = (searches::new(&owner), searches::base());
    world.casework.save_search(world.org, &new, &base, &rule, T0).await.unwrap().0
}

/// Looks at it when it has not seen this round, and delivers.
async fn alert(world: &World, search: &SavedSearch, round: i64, home: &Path, now: TimeUs) {
    let outbox = Transport::Maildir(home.join("alerts"));
    let held = world.casework.saved_search(&world.viewer, None, search.search_id).await.unwrap();
    if held.looked_version.is_some_and(|seen| seen < 10 + round) {
        let look = Look { version: Some(10 + round), ..searches::change(false) };
        searches::record(&world.casework, &held, &look, now).await.unwrap();
    }
    let never = Delivery::Failed(String::new());
    searches::deliver(&world.casework, &outbox, &never, now).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Not a test of its own: what the test below starts and kills.
#[test]
fn child_of_kill() {
    if let Ok(home) = std::env::var(CHILD) {
        runtime().block_on(work(Path::new(&home)));
    }
}

#[test]
fn kill_at_any_instant_sends_every_notice_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let written = || {
        // What has been written so far, in the log and out of it: the clock by which we kill.
        let size = |name: &str| std::fs::metadata(home.join(name)).map_or(0, |file| file.len());
        let mails = std::fs::read_dir(home.join("outbox/new")).map_or(0, Iterator::count) as u64;
        size("k.db-wal") + size("k.db") + 50_000 * mails
    };
    let mut killed = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_of_kill"])
            .env(CHILD, home)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = written() + 4096 * (1 + kill * 7919 % 61);
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if written() >= until {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::yield_now();
        };
        match ended {
            Some(status) => assert!(status.success(), "what a crash left must not stop the next run"),
            None => killed += 1,
        }
    }
    assert!(killed > 3, "only {killed} were killed in the middle");
    finish_and_verify(home);
}

#[test]
fn a_full_disk_stops_the_work_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let mut failed = 0;
    for blocks in [100, 300, 600, 900, 1200, 1500, 1800, 2400] {
        // No file may grow beyond so many blocks of 512 bytes; the signal is ignored, so that the
        // write fails as it does where there is no room.
        let status = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; exec \"$0\" --exact killed::child_of_kill"])
            .arg(std::env::current_exe().unwrap())
            .arg(blocks.to_string())
            .env(CHILD, home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        failed += usize::from(!status.success());
    }
    assert!(failed > 2, "only {failed} met a full disk");
    finish_and_verify(home);
}

/// Does what is left of the work, and looks at what there is then.
fn finish_and_verify(home: &Path) {
    runtime().block_on(async {
        let world = work(home).await;
        let notices = all(&world).await;
        assert_eq!(notices.len(), 9, "three providers, three rounds");
        assert!(notices.iter().all(|notice| notice.state == NoticeState::Sent));
        let mut ids = BTreeSet::new();
        for entry in std::fs::read_dir(home.join("outbox/new")).unwrap() {
            let mail = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let id = mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
            assert!(ids.insert(id), "a notice was sent twice");
        }
        assert_eq!(ids, notices.iter().map(|notice| notice.message_id.clone()).collect());
        let alerts = world.casework.alerts(&search(&world).await).await.unwrap();
        let told: Vec<_> = alerts.iter().flat_map(|alert| &alert.deliveries).collect();
        assert!(told.iter().all(|delivery| delivery.state == NoticeState::Sent), "{told:?}");
        let mails = searches::mails(&home.join("alerts"));
        assert_eq!((alerts.len(), told.len(), mails.len()), (3, 3, 3), "one change a round");
        for delivery in told {
            assert_eq!(mails.iter().filter(|mail| mail.contains(&delivery.message_id)).count(), 1);
        }
        let cases = world.cases().await;
        assert_eq!(cases.len(), 24);
        assert!(cases.iter().all(|case| case.stage == Stage::Notified));
        assert!(world.casework.verify_audit(world.org).await.unwrap().is_ok());
        world.casework.rebuild_projections(world.org).await.unwrap();
        assert_eq!(world.cases().await, cases);
    });
}
