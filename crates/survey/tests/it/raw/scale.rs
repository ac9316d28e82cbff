//! As many conversations at once as there are descriptors, in fixed memory.

use std::net::SocketAddr;

use kenshin_observation::Check;
use kenshin_survey::plan::Silence;
use socket2::{Domain, Socket, Type};

use super::*;
use crate::crash::{Task, wait};
use crate::world::{now, parts};

/// How many, when nobody says so with this variable: some thousand, so that the test is short.
const CONVERSATIONS: &str = "KENSHIN_TEST_CONVERSATIONS";

/// Memory of a survey without conversations, and of each of them, KiB.
const BASE_KIB: u64 = 72 << 10;
const EACH_KIB: u64 = 40;

/// Takes every call and says nothing, until the other side ends it.
async fn hold(listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let mut bytes = [0; 64];
            loop {
                if stream.readable().await.is_err() {
                    return;
                }
                match stream.try_read(&mut bytes) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Ok(1..) => {}
                    _ => return,
                }
            }
        });
    }
}

fn listener() -> tokio::net::TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], 80)).into()).unwrap();
    socket.listen(4096).unwrap();
    socket.set_nonblocking(true).unwrap();
    tokio::net::TcpListener::from_std(socket.into()).unwrap()
}

#[test]
fn conversations_by_the_thousand_take_little_memory() {
    let test = "conversations_by_the_thousand_take_little_memory";
    let conversations: u32 = std::env::var(CONVERSATIONS).map_or(2_000, |many| many.parse().unwrap());
    let files = u64::from(conversations) + 500;
    let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
    if soft < files && rlimit::setrlimit(rlimit::Resource::NOFILE, files, hard.max(files)).is_err() {
        eprintln!("SKIPPED {test}: needs {files} descriptors");
        return;
    }
    let Some(pair) = Pair::new(test) else { return };
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let handle = serving.handle();
    let _guard = handle.enter();
    let listener = pair.inside("b", || {
        let _guard = handle.enter();
        listener()
    });
    serving.spawn(hold(listener));
    let dir = tempfile::tempdir().unwrap();
    // Half as many hosts again as there are places.
    let hosts = (conversations + conversations / 2).next_power_of_two();
    let task = Task {
        dir: dir.path().to_owned(),
        prefix: format!("198.18.0.0/{}", 32 - hosts.ilog2()),
        ports: vec![80],
        hour: now().micros() / 3_600_000_000,
        slice_addresses: 128,
        namespace: Some(pair.name("a")),
        raw: Some("af-packet".to_owned()),
        source: Some(addr(US_V4)),
        silence: Silence::Coverage,
        rate: Some((50_000, 5_000)),
        conversations: Some(conversations),
        memory_kib_max: Some(BASE_KIB + EACH_KIB * u64::from(conversations)),
        ..Task::default()
    };
    let (code, talk) = wait(task.spawn());
    assert_eq!(code, Some(0), "{talk}");
    eprintln!("{talk}");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let rows = spool.pending().flat_map(|batch| batch.unwrap().observations);
    assert_eq!(rows.filter(|row| row.check == Check::Handshake).count(), hosts as usize);
    assert_eq!(spool.sealed(plan.survey_id).len(), u64::from(hosts / 128));
}
