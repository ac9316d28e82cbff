//! Credential checks against daemons of Debian that ask in odd ways, and defend themselves. Each counts in
//! its own log what it was asked.

use super::world::{Household, World};
use super::{consoles, dictionary, house};
use crate::process::Processors;

const TEST: &str = "odd_logins_are_understood_and_logs_count_what_was_tried";

/// What a check must come to, at which entry, why it stopped, and how many attempts the daemon counted.
struct Expected {
    host: u8,
    method: &'static str,
    result: &'static str,
    reason: Option<&'static str>,
    entry: Option<u64>,
    counted: usize,
}

const fn opened(host: u8, method: &'static str, entry: u64, counted: usize) -> Expected {
    Expected { host, method, result: "accepted", reason: None, entry: Some(entry), counted }
}

/// The fourth of the entries opens what can be opened; two more are communities.
const EXPECTED: &[Expected] = &[
    opened(consoles::ODD_WORDS, "telnet", 4, 4),
    opened(consoles::PASSWORD_ONLY, "telnet", 4, 4),
    opened(consoles::ISSUE, "telnet", 4, 4),
    // PAM's faillock closes the account after two failures, and says so when the third asks: no third
    // password is sent.
    Expected {
        host: consoles::FAILLOCK,
        method: "telnet",
        result: "locked-out",
        reason: Some("lockout"),
        entry: None,
        counted: 2,
    },
    opened(consoles::FORM, "http-form", 4, 4),
    Expected {
        host: consoles::FORM_LIMITED,
        method: "http-form",
        result: "locked-out",
        reason: Some("lockout"),
        entry: None,
        counted: 3,
    },
    opened(consoles::STREAM_DIGEST, "rtsp", 4, 4),
    opened(consoles::STREAM_BASIC, "rtsp", 4, 4),
    opened(consoles::SNMP, "snmp", 6, 2),
];

#[test]
fn odd_logins_are_understood_and_logs_count_what_was_tried() {
    let _processor = Processors::take(1);
    let pairs = [1, 2, 3].map(|number| format!("invented-{number}"));
    let pairs = pairs.iter().map(|password| (house::USER, password.as_str()));
    let pairs: Vec<(&str, &str)> = pairs.chain([(house::USER, house::PASSWORD)]).collect();
    let communities: String = ["invented-5", consoles::COMMUNITY]
        .map(|name| format!("[[entries]]\nuser = \"\"\npassword = \"{name}\"\nmethods = [\"snmp\"]\n"))
        .concat();
    let household = Household {
        name: "logins",
        daemons: consoles::daemons,
        programs: &consoles::PROGRAMS,
        dictionary: dictionary(&pairs) + &communities,
        recipes: consoles::RECIPES,
        tcp_ports: &[consoles::STREAM_PORT],
        udp_ports: &[consoles::SNMP_PORT],
    };
    let Some(world) = World::new(TEST, &household) else { return };
    // UDP is swept over raw packets. Without `anonymous-login`, which would ask the agent for `public` too.
    let checks = ["--check", "sweep,banner,handshake,credential-check", "--udp-port", "161"];
    let survey = world.survey(&[&["--engine", "raw", "--credential-attempts", "5"], &checks[..]].concat());
    let tried = world.tried(&survey);
    for expected in EXPECTED {
        let addr = house::addr(expected.host);
        let row = tried
            .get(&addr)
            .unwrap_or_else(|| panic!("nothing was tried at {addr}: {}", world.house.said(expected.host)));
        let credential = &row["credential"];
        let what = format!("{addr}: {row:#}\n{}", world.house.said(expected.host));
        assert_eq!(credential["method"], expected.method, "{what}");
        assert_eq!(credential["result"], expected.result, "{what}");
        assert_eq!(row["reason"].as_str(), expected.reason, "{what}");
        assert_eq!(credential["entry"].as_u64(), expected.entry, "{what}");
        assert_eq!(consoles::counted(&world.house, expected.host), expected.counted, "{what}: its own log");
    }
    assert_eq!(tried.len(), EXPECTED.len(), "{:?}", tried.keys());
    // Nothing was said to the shells that opened, and the page was left by its logout.
    assert_eq!(consoles::commands(&world.house), "");
    assert_eq!(consoles::logouts(&world.house), 1);
    let weak = world
        .findings()
        .values()
        .filter(|kinds| kinds.iter().any(|kind| kind == "default-credentials"))
        .count();
    assert_eq!(weak, EXPECTED.iter().filter(|expected| expected.entry.is_some()).count());
    assert_eq!(world.outside(), 0);
}
