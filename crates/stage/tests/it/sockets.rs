//! The town on real sockets: what answers, what refuses, what is silent, what is left behind.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use kenshin_stage::{RunningTown, Town, TownConfig, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// One town at a time: together they could need more descriptors than a process may have.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// Longer than any answer on the loopback, shorter than the kernel's second SYN.
const SILENCE: Duration = Duration::from_millis(700);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    Accepted,
    Refused,
    Silent,
}

async fn knock(address: Ipv4Addr, port: u16) -> Reaction {
    match tokio::time::timeout(SILENCE, TcpStream::connect(SocketAddr::from((address, port)))).await {
        Ok(Ok(_)) => Reaction::Accepted,
        Ok(Err(_)) => Reaction::Refused,
        Err(_) => Reaction::Silent,
    }
}

pub(crate) fn small(seed: u64, third: u8) -> Town {
    let base = format!("127.{third}.0.0/16").parse().unwrap();
    Town::build(&TownConfig { seed, base, devices: 120, ..TownConfig::default() }).unwrap()
}

/// Knocks at every port of every address and compares with the answer key.
async fn compare(running: &RunningTown) {
    let town = running.town();
    let truth = town.truth(running.round());
    let round = truth.rounds.last().unwrap();
    let dark: BTreeSet<Ipv4Addr> = round.dark.iter().copied().collect();
    let nuisances: BTreeSet<Ipv4Addr> = round.nuisances.iter().copied().collect();
    let open: BTreeSet<(Ipv4Addr, u16)> =
        round.devices.iter().flat_map(|d| d.open_ports.iter().map(|p| (d.address, *p))).collect();
    let alive: BTreeSet<Ipv4Addr> = round.devices.iter().map(|d| d.address).collect();
    let targets = town.targets().into_iter().flat_map(|p| match (p.base(), p.last()) {
        (std::net::IpAddr::V4(a), std::net::IpAddr::V4(b)) => {
            (a.to_bits()..=b.to_bits()).map(Ipv4Addr::from_bits)
        }
        _ => unreachable!("the town is IPv4"),
    });
    let ports = town.ports();
    let doors: Vec<(Ipv4Addr, u16)> =
        targets.filter(|a| !nuisances.contains(a)).flat_map(|a| ports.iter().map(move |p| (a, *p))).collect();
    let reactions: Vec<((Ipv4Addr, u16), Reaction)> = stream::iter(doors)
        .map(|(a, p)| async move { ((a, p), knock(a, p).await) })
        .buffer_unordered(128)
        .collect()
        .await;
    for ((address, port), reaction) in reactions {
        match reaction {
            Reaction::Accepted => assert!(open.contains(&(address, port)), "{address}:{port} answers"),
            Reaction::Refused => assert!(!open.contains(&(address, port)) && !dark.contains(&address)),
            Reaction::Silent => assert!(
                dark.contains(&address) || alive.contains(&address) && !open.contains(&(address, port)),
                "{address}:{port} is silent"
            ),
        }
        if dark.contains(&address) {
            assert_eq!(reaction, Reaction::Silent, "{address}:{port}");
        }
    }
}

/// Sockets of this machine with an end inside the town that some process still holds.
fn sockets_in(town: &Town) -> usize {
    let base = town.config().base;
    let inside = |text: &str| {
        let bits = u32::from_str_radix(text.split(':').next().unwrap_or_default(), 16).unwrap_or_default();
        base.contains(Ipv4Addr::from_bits(bits.swap_bytes()).into())
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .skip(1)
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|cells| (inside(cells[1]) || inside(cells[2])) && cells[9] != "0")
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_behaves_as_the_truth_says_round_after_round() {
    let _alone = ALONE.lock().await;
    let town = small(11, 43);
    let mut running = serve(&town, 1).await.unwrap();
    compare(&running).await;
    for round in 2..=3 {
        running.advance(round).await.unwrap();
        assert_eq!(running.round(), round);
        compare(&running).await;
    }
    assert!(running.advance(99).await.unwrap_err().hint().contains("1 to 8"));
    assert_eq!(running.log().printed_bytes, 0);
    assert!(sockets_in(&town) >= running.posts());
    running.stop().await;
    assert_eq!(sockets_in(&town), 0, "nothing stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_speaks_as_its_transcript() {
    let _alone = ALONE.lock().await;
    let town = small(12, 44);
    let running = serve(&town, 1).await.unwrap();
    let round = town.round(1);
    let mut heard = BTreeSet::new();
    for device in &round.devices {
        for (_, service) in device.open_services() {
            let place = SocketAddr::from((device.address, Town::port(service.port)));
            let kind = format!("{:?}", service.kind);
            let kind = kind.split([' ', '{']).next().unwrap().to_owned();
            if service.tls || !heard.insert((device.model.kind.clone(), service.port)) {
                continue;
            }
            let mut stream = TcpStream::connect(place).await.unwrap();
            let question: &[u8] = match kind.as_str() {
                "Http" => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "Rtsp" => b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n",
                "Mqtt" => b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a",
                _ => b"",
            };
            stream.write_all(question).await.unwrap();
            let mut answer = vec![0; 4096];
            let read = match kind.as_str() {
                "Print" => continue,
                _ => tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer))
                    .await
                    .unwrap()
                    .unwrap(),
            };
            let text = String::from_utf8_lossy(&answer[..read]).into_owned();
            let expected = match kind.as_str() {
                "Http" => "HTTP/1.",
                "Rtsp" => "RTSP/1.0 200 OK\r\nCSeq: 7\r\n",
                "Ftp" | "Smtp" => "220 ",
                "Ssh" => "SSH-2.0-",
                _ => "",
            };
            let begins = text.starts_with(expected) || kind == "Rtsp" && text.contains("\r\nCSeq: 7\r\n");
            assert!(read > 0 && begins, "{} {}: {text:?}", device.model.kind, service.port);
            assert!(!text.contains("{version}") && !text.contains("{length}") && !text.contains("{nonce}"));
        }
    }
    assert!(heard.len() > 60);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_in_progress_does_not_outlive_the_town() {
    let _alone = ALONE.lock().await;
    let town = small(13, 45);
    let running = serve(&town, 1).await.unwrap();
    let device = town.round(1).devices.iter().find(|d| d.open_services().any(|(_, s)| s.port == 21)).unwrap();
    let mut visitor = TcpStream::connect(SocketAddr::from((device.address, Town::port(21)))).await.unwrap();
    let mut greeting = [0; 4];
    visitor.read_exact(&mut greeting).await.unwrap();
    running.stop().await;
    let mut rest = Vec::new();
    let _ = visitor.read_to_end(&mut rest).await;
    drop(visitor);
    assert_eq!(sockets_in(&town), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_with_a_way_out() {
    let _alone = ALONE.lock().await;
    let town = small(14, 46);
    let device = &town.round(1).devices[0];
    let port = Town::port(device.open_services().next().unwrap().1.port);
    let _taken = std::net::TcpListener::bind((device.address, port)).unwrap();
    let error = serve(&town, 1).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{}:{port}", device.address)), "{error}");
    assert!(error.hint().contains("another prefix"));
}
