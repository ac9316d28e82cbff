//! A whole survey over UDP: swept over raw packets, and those who answered are asked for more, each
//! question by a permit of its own.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use kenshin_observation::{Check, Endpoint, Outcome, Transport};
use kenshin_survey::raw::sweep::{self, Sockets};
use kenshin_survey::run::Ending;

use super::*;
use crate::world::{Terms, World, rows};

/// An agent of `snmp-v3-net-snmp-5.9.3` that answers whom it likes; every other question it lets fall.
fn agent(addr: &str) {
    let socket = UdpSocket::bind((addr, 161)).unwrap();
    let path = format!("{}/../../testdata/wire/snmp-v3-net-snmp-5.9.3.bin", env!("CARGO_MANIFEST_DIR"));
    let report = std::fs::read(path).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let question = &bytes[..len];
            if question.get(4) != Some(&3) {
                continue; // not of version 3
            }
            let mut answer = report.clone();
            // An id of four bytes, as the recorded one; the sweep's is short and looked at by nobody.
            if let Some(at) = question.windows(2).position(|pair| pair == [2, 4]) {
                let (old, new) = (0x0123_4567_u32.to_be_bytes(), &question[at + 2..at + 6]);
                while let Some(at) = answer.windows(4).position(|window| window == old) {
                    answer[at..at + 4].copy_from_slice(new);
                }
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}

/// Counts what arrives, at the port of the agents and at one where it would do harm.
const RULES: &str = "table inet count {
    counter agents { }
    counter harm { }
    chain in {
        type filter hook prerouting priority -300
        udp dport 161 counter name agents
        udp dport 9600 counter name harm
    }
}";

#[test]
fn a_survey_over_udp_asks_those_who_answer() {
    let Some(pair) = Pair::new("a_survey_over_udp_asks_those_who_answer") else { return };
    let agents = ["198.18.7.5", "198.18.7.9"];
    pair.inside("b", || {
        nft(RULES);
        agents.into_iter().for_each(agent);
    });
    let mut terms = Terms::new("198.18.7.0/28", &[]);
    terms.udp_ports = vec![161, 9600];
    terms.source = addr(US_V4);
    terms.checks = vec![Check::Sweep, Check::Handshake, Check::AnonymousLogin];
    terms.manner.limits.connect_ms = 500;
    (terms.manner.limits.listen_ms, terms.manner.limits.answer_ms) = (100, 400);
    terms.manner.limits.conversation_ms = 2_000;
    let world = World::new(&terms);
    let summary = pair.inside("a", || {
        let sockets = Sockets::open(Settings::new(vec![addr(US_V4)])).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(sweep::run(world.run(), &sockets)).unwrap()
    });
    assert_eq!(summary.ending, Ending::Finished);
    let rows = rows(&world.plan, &world.batches());
    let mut outcomes = BTreeMap::<(u16, Check, Outcome), u32>::new();
    for ((subject, check), row) in &rows {
        *outcomes.entry((subject.port, *check, row.outcome)).or_default() += 1;
        assert_eq!((subject.transport, row.vantage.transport), (Transport::Udp, Transport::Udp));
    }
    // The kernel says so often that nobody listens, and then no more.
    let shut = [Outcome::Refused, Outcome::Dark];
    let shut: u32 = shut.iter().filter_map(|outcome| outcomes.remove(&(161, Check::Sweep, *outcome))).sum();
    assert_eq!(shut, 14);
    let expected = BTreeMap::from([
        ((161, Check::Sweep, Outcome::Answered), 2),
        ((161, Check::Handshake, Outcome::Answered), 2),
        ((161, Check::AnonymousLogin, Outcome::Answered), 2),
        ((9600, Check::Sweep, Outcome::Limited), 16),
    ]);
    assert_eq!(outcomes, expected);
    for agent in agents {
        let subject = Endpoint::new(addr(agent), 161, Transport::Udp);
        let handshake = &rows[&(subject, Check::Handshake)];
        assert_eq!(handshake.protocol.as_deref(), Some("snmp"));
        assert_eq!(handshake.records.snmp.as_ref().unwrap().engine_enterprise, Some(8072));
        let login = &rows[&(subject, Check::AnonymousLogin)];
        assert_eq!(login.records.snmp.as_ref().unwrap().community_accepted, Some(false));
    }
    let (asked, harm) = pair.inside("b", || (counter("agents"), counter("harm")));
    assert_eq!(harm, 0, "to ask there is to speak");
    // The sweep's sixteen; for each agent one handshake, and two questions of public, each put twice.
    assert_eq!(asked, 16 + 2 * (1 + 2 * 2));
    // What was counted is exchanges, of which each had a permit.
    assert_eq!(summary.progress.sent, 16 + 2 * 3);
}
