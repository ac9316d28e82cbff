//! Crashes of a real process: killed at any instant, out of disk, out of descriptors.
//!
//! [`child`] is the other process: this test binary run again with a task in its environment.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kenshin_observation::{Check, Outcome, TimeUs};
use kenshin_survey::plan::Silence;
use kenshin_survey::progress::{Progress, Waiting};
use kenshin_survey::run::{Ending, RunSummary, run, run_with};
use kenshin_survey::sweep::{ConnectSettings, ConnectSweep};
use serde::{Deserialize, Serialize};

use crate::world::*;

const TASK: &str = "KENSHIN_SURVEY_TEST_TASK";

/// What the other process does; everything that is not stated is ordinary.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Task {
    pub(crate) dir: std::path::PathBuf,
    pub(crate) prefix: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) hour: i64,
    pub(crate) file_bytes_max: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) memory_kib_max: Option<u64>,
    pub(crate) slice_addresses: u32,
    /// Network namespace it runs in.
    pub(crate) namespace: Option<String>,
    /// Exchanges a second and burst.
    pub(crate) rate: Option<(u32, u32)>,
    pub(crate) excluded: Vec<String>,
    pub(crate) valid_until_us: Option<i64>,
    /// While this file is there, the mandate is revoked.
    pub(crate) revoked_when: Option<std::path::PathBuf>,
    /// Hosts that listen on the first port, in the same process.
    pub(crate) hosts: Vec<std::net::IpAddr>,
    /// Sweeps over raw packets with this engine.
    pub(crate) raw: Option<String>,
    pub(crate) source: Option<std::net::IpAddr>,
    pub(crate) silence: Silence,
    /// Keeps the line open for seconds, and wants so many conversations at a time.
    pub(crate) conversations: Option<u32>,
    /// Limit of open descriptors, of which the engine knows.
    pub(crate) files_max: Option<u64>,
}

impl Task {
    pub(crate) fn terms(&self) -> Terms {
        let mut terms = Terms::new(&self.prefix, &self.ports);
        terms.source = self.source.unwrap_or(terms.source);
        terms.silence = self.silence;
        if self.raw.is_some() {
            terms.manner.limits.connect_ms = 300;
        }
        terms.manner.slice_addresses = self.slice_addresses;
        terms.manner.slices_max = 3;
        terms.manner.attempts_max = 10;
        if let Some(conversations) = self.conversations {
            (terms.manner.connections_max, terms.manner.slices_max) = (conversations, 256);
            let listen_ms = 4_000 + u64::from(conversations) / 4;
            (terms.manner.limits.listen_ms, terms.manner.limits.conversation_ms) = (listen_ms, 2 * listen_ms);
        }
        if let Some((whole_pps, whole_burst)) = self.rate {
            (terms.rate.whole_pps, terms.rate.whole_burst) = (whole_pps, whole_burst);
        }
        terms.exclusions = self.excluded.iter().map(|prefix| (prefix.clone(), "a test".to_owned())).collect();
        terms.valid_until = self.valid_until_us.map(TimeUs::from_micros);
        terms
    }

    #[expect(clippy::disallowed_methods, reason = "a crash needs a process of its own")]
    pub(crate) fn spawn(&self) -> Child {
        let this = std::env::current_exe().unwrap();
        let mut command = match &self.namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(this);
                command
            }
            None => Command::new(this),
        };
        command
            .args(["--exact", "crash::child", "--nocapture"])
            .env(TASK, serde_json::to_string(self).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Runs the survey of the task; the exit code says how it ended.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let code = runtime.block_on(async {
        let (spool, _, gate, plan) = parts(&task.dir, &task.terms(), task.hour);
        if let Some(bytes) = task.file_bytes_max {
            // SAFETY: no handler is installed, the signal is only ignored; writes then fail with EFBIG.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
            rlimit::setrlimit(rlimit::Resource::FSIZE, bytes, bytes).unwrap();
        }
        let mut survey = make_run(&plan, &gate, &spool, Offset::default().clock());
        let mut town = Town::default();
        for host in &task.hosts {
            town.listen(*host, task.ports[0], Manners::Hold);
        }
        if let Some(path) = task.revoked_when.clone() {
            let revoke = revoking(plan.mandate_digest.clone());
            survey.settings.refresh = Some(std::sync::Arc::new(move |gate, now| {
                if path.exists() {
                    revoke(gate, now);
                }
            }));
        }
        if let Some(files) = task.files_max {
            rlimit::setrlimit(rlimit::Resource::NOFILE, files, files).unwrap();
        }
        let watching = watch(survey.progress.subscribe());
        let ended = match (&task.raw, task.descriptors) {
            #[cfg(target_os = "linux")]
            (Some(engine), _) => {
                use kenshin_survey::raw::{link, sweep};
                let settings = link::Settings {
                    engine: engine.parse().unwrap(),
                    ..link::Settings::new(vec![task.source.unwrap()])
                };
                sweep::run(survey, &sweep::Sockets::open(settings).unwrap()).await
            }
            (_, None) => run(survey).await,
            (_, Some(most)) => {
                rlimit::setrlimit(rlimit::Resource::NOFILE, most, most).unwrap();
                // As if nobody had told the engine how few there are.
                let settings = ConnectSettings {
                    sources: vec![],
                    timeout: Duration::from_secs(1),
                    connections_max: 500,
                };
                run_with(survey, ConnectSweep::new(settings)).await
            }
        };
        if let Some(most) = task.memory_kib_max {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
            let took = ended.as_ref().map(|summary| summary.ended_at.micros_since(summary.began_at));
            let Seen { conversations, room } = watching.await.unwrap();
            eprintln!("peak memory {kib} KiB, {conversations} conversations at a time, {took:?} µs");
            let asked_for = u64::from(task.conversations.unwrap_or_default());
            match task.files_max {
                Some(files) => assert!(room.contains("descriptors") && conversations < files, "{room:?}"),
                None => assert!(conversations * 10 >= asked_for * 9, "{conversations} of {asked_for}"),
            }
            assert!(kib < most, "{kib} KiB");
        }
        match ended {
            Ok(summary) if summary.ending == Ending::Finished => 0,
            Ok(RunSummary { ending: Ending::Ended { .. }, .. }) => 7,
            Ok(summary) => panic!("{summary:?}"),
            Err(error) if error.is_disk_full() => {
                eprintln!("{error}");
                42
            }
            Err(error) => panic!("{error:?}"),
        }
    });
    std::process::exit(code);
}

/// What a survey said of itself.
struct Seen {
    /// Most conversations at a time.
    conversations: u64,
    /// What it was short of.
    room: BTreeSet<String>,
}

fn watch(mut progress: tokio::sync::watch::Receiver<Progress>) -> tokio::task::JoinHandle<Seen> {
    tokio::spawn(async move {
        let mut seen = Seen { conversations: 0, room: BTreeSet::new() };
        while progress.changed().await.is_ok() {
            let now = progress.borrow();
            seen.conversations = seen.conversations.max(now.conversations);
            if let Some(Waiting::Room { what }) = &now.waiting {
                seen.room.insert(what.clone());
            }
        }
        seen
    })
}

/// Pseudo-random numbers with a seed, for the instants of the kills.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

pub(crate) fn wait(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn town(base: std::net::Ipv4Addr, ports: [u16; 3]) -> Town {
    let mut town = Town::default();
    for host in 0..64 {
        if host % 2 == 0 {
            town.listen(addr(base, host), ports[0], Manners::Banner("220 FTP ready\r\n"));
        }
        if host % 5 == 0 {
            town.listen(addr(base, host), ports[1], Manners::Hold);
        }
    }
    town
}

fn task(dir: &tempfile::TempDir, base: std::net::Ipv4Addr, ports: [u16; 3]) -> Task {
    Task {
        dir: dir.path().to_owned(),
        prefix: format!("{base}/26"),
        ports: ports.to_vec(),
        hour: now().micros() / 3_600_000_000,
        slice_addresses: 4,
        ..Task::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_instant_it_ends_with_one_row_for_each() {
    let (base, _) = network();
    let ports = [2301, 2302, 2303];
    let town = town(base, ports);
    let dir = tempfile::tempdir().unwrap();
    let task = task(&dir, base, ports);
    let (mut state, mut kills) = (20_260_401, 0);
    loop {
        let mut child = task.spawn();
        let lives_ms = 60 + next(&mut state) % 500;
        let began = std::time::Instant::now();
        while kills < 12
            && began.elapsed() < Duration::from_millis(lives_ms)
            && child.try_wait().unwrap().is_none()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if kills < 12 && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
            kills += 1;
            continue;
        }
        let (code, talk) = tokio::task::spawn_blocking(move || wait(child)).await.unwrap();
        assert_eq!(code, Some(0), "{talk}");
        break;
    }
    assert!(kills >= 3, "killed {kills} times: the machine is too fast for this test");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let batches: Vec<_> = spool.pending().map(Result::unwrap).collect();
    let rows = rows(&plan, &batches);
    for row in rows.values().filter(|row| row.reason.as_deref() != Some("attempts-exhausted")) {
        let host = u32::from_be_bytes(match row.subject.addr {
            std::net::IpAddr::V4(v4) => v4.octets(),
            std::net::IpAddr::V6(_) => unreachable!(),
        }) - base.to_bits();
        let listens =
            (host % 2 == 0 && row.subject.port == 2301) || (host % 5 == 0 && row.subject.port == 2302);
        if row.check == Check::Sweep {
            assert_eq!(row.outcome, if listens { Outcome::Answered } else { Outcome::Refused });
        }
    }
    assert!(town.most_at_one_address() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_clearly_and_resumed_from() {
    let (base, _) = network();
    let ports = [2304, 2305, 2306];
    let _town = town(base, ports);
    let dir = tempfile::tempdir().unwrap();
    let task = task(&dir, base, ports);
    // No file grows beyond this: first a batch is too large, then the journal or the chain.
    let mut full = 0;
    for file_bytes_max in [0, 600, 2_000, 18_000] {
        let short = Task { file_bytes_max: Some(file_bytes_max), ..task.clone() };
        let (code, talk) = tokio::task::spawn_blocking(move || wait(short.spawn())).await.unwrap();
        if code != Some(0) {
            assert_eq!(code, Some(42), "{talk}");
            assert!(talk.contains("hint: the disk is full; free space, then resume"), "{talk}");
            full += 1;
        }
    }
    assert!(full >= 3, "{full}");
    let task_again = task.clone();
    let (code, talk) = tokio::task::spawn_blocking(move || wait(task_again.spawn())).await.unwrap();
    assert_eq!(code, Some(0), "{talk}");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let batches: Vec<_> = spool.pending().map(Result::unwrap).collect();
    rows(&plan, &batches);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_it_slows_down_and_fails_nothing() {
    let (base, _) = network();
    let ports = [2307, 2308, 2309];
    let _town = town(base, ports);
    let dir = tempfile::tempdir().unwrap();
    let task = Task { descriptors: Some(36), ..task(&dir, base, ports) };
    let starved = task.clone();
    let (code, talk) = tokio::task::spawn_blocking(move || wait(starved.spawn())).await.unwrap();
    assert_eq!(code, Some(0), "{talk}");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let batches: Vec<_> = spool.pending().map(Result::unwrap).collect();
    let rows = rows(&plan, &batches);
    assert!(rows.values().filter(|row| row.check == Check::Sweep).all(|row| row.outcome != Outcome::Error));
}

/// Below the limit of open descriptors it goes on with fewer conversations, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_low_limit_of_descriptors_slows_it_down_and_is_told() {
    let (base, _) = network();
    let ports = [2316, 2317, 2318];
    let mut town = Town::default();
    for host in 0..256 {
        ports.iter().for_each(|port| town.listen(addr(base, host), *port, Manners::Hold));
    }
    let dir = tempfile::tempdir().unwrap();
    let task = Task {
        prefix: format!("{base}/24"),
        files_max: Some(260),
        conversations: Some(4_096),
        memory_kib_max: Some(100 << 10),
        slice_addresses: 16,
        ..task(&dir, base, ports)
    };
    let starved = task.clone();
    let (code, talk) = tokio::task::spawn_blocking(move || wait(starved.spawn())).await.unwrap();
    assert_eq!(code, Some(0), "{talk}");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let batches: Vec<_> = spool.pending().map(Result::unwrap).collect();
    let rows = rows(&plan, &batches);
    assert!(rows.values().all(|row| row.outcome != Outcome::Error));
    assert_eq!(rows.keys().filter(|(_, check)| *check == Check::Handshake).count(), 768);
}

#[test]
fn twelve_thousand_targets_take_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let task = Task {
        prefix: "127.250.0.0/20".into(),
        memory_kib_max: Some(100 << 10),
        slice_addresses: 64,
        ..task(&dir, std::net::Ipv4Addr::LOCALHOST, [2310, 2311, 2312])
    };
    let (code, talk) = wait(task.spawn());
    assert_eq!(code, Some(0), "{talk}");
    eprintln!("{talk}");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    assert_eq!(plan.space().unwrap().targets(), 12_288);
    assert_eq!(spool.sealed(plan.survey_id).len(), 64);
}
