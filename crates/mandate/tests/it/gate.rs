//! The gate, rule by rule.

use kenshin_mandate::{
    Gate, GateError, GateStart, Narrowing, Refusal, TemplateOptions, Verdict, standing, template,
};
use kenshin_observation::{Check, Endpoint, SensorId, Transport};

use crate::support::{at, exchange, gate, list, noon, options, read, verified};

fn refusal(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_permit_says_what_was_granted() {
    let mut gate = gate(&options(), noon());
    let Verdict::Granted(permit) = gate.judge(&exchange("198.51.100.1", 443, Check::Handshake), noon())
    else {
        panic!("not granted")
    };
    assert_eq!(permit.endpoint().to_string(), "198.51.100.1:443/tcp");
    assert_eq!(permit.check(), Check::Handshake);
    assert_eq!(permit.mandate_digest(), gate.mandate().digest());
    assert_eq!((permit.granted_at(), permit.sensor()), (noon(), gate.sensor().id));
    assert!(!permit.listen_only() && permit.packets_max() > 2);
    assert!(permit.usable_at(noon().plus_secs(1)) && !permit.usable_at(noon().plus_micros(1_000_001)));
}

#[test]
fn one_reason_for_each_refusal() {
    let cases = [
        (exchange("198.51.101.1", 80, Check::Sweep), "outside-scope"),
        (exchange("2001:db8:200::1", 80, Check::Sweep), "outside-scope"),
        (exchange("::ffff:198.51.100.1", 80, Check::Sweep), "outside-scope"),
        (exchange("198.51.100.130", 80, Check::Sweep), "excluded"),
        (exchange("198.51.100.1", 81, Check::Sweep), "port-not-granted"),
        (exchange("198.51.100.1", 80, Check::AnonymousLogin), "check-not-granted"),
    ];
    let mut gate = gate(&options(), noon());
    for (exchange, code) in cases {
        let refusal = refusal(gate.judge(&exchange, noon()));
        assert_eq!(refusal.code(), code, "{exchange:?}");
        assert!(refusal.concerns_target());
    }
    for transport in [Transport::Udp, Transport::Icmp] {
        let endpoint = Endpoint::new("198.51.100.1".parse().unwrap(), 80, transport);
        let exchange = kenshin_mandate::Exchange { endpoint, check: Check::Sweep };
        assert_eq!(refusal(gate.judge(&exchange, noon())).code(), "port-not-granted");
    }
}

#[test]
fn validity_is_half_open() {
    let probe = exchange("198.51.100.1", 80, Check::Sweep);
    let (from, until) = (options().valid_from, options().valid_until);
    let judged = |now| {
        let mut gate = gate(&options(), now);
        gate.judge(&probe, now)
    };
    assert_eq!(refusal(judged(from.plus_micros(-1))), Refusal::NotYetValid { from });
    assert!(matches!(judged(from), Verdict::Granted(_)));
    assert!(matches!(judged(until.plus_micros(-1)), Verdict::Granted(_)));
    assert_eq!(refusal(judged(until)), Refusal::Expired { until });
}

#[test]
fn it_expires_while_it_runs() {
    let until = options().valid_until;
    let mut gate = gate(&options(), until.plus_secs(-10));
    assert_eq!(gate.standing(until.plus_micros(-1)), Ok(()));
    assert_eq!(gate.standing(until), Err(Refusal::Expired { until }));
    // The clock steps back a little: it stays expired.
    assert_eq!(gate.standing(until.plus_micros(-500_000)), Err(Refusal::Expired { until }));
}

#[test]
fn without_a_revocation_list_nothing_is_granted() {
    let mandate = verified(&template(&options()));
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: None,
        narrowing: Narrowing::none(),
        now: noon(),
    };
    let mut gate = Gate::new(mandate, start).unwrap();
    assert_eq!(
        refusal(gate.judge(&exchange("198.51.100.1", 80, Check::Sweep), noon())),
        Refusal::RevocationMissing
    );
    gate.refresh(list(1, noon(), Vec::new())).unwrap();
    assert_eq!(gate.standing(noon()), Ok(()));
}

#[test]
fn a_sensor_that_is_not_named_gets_no_gate() {
    let start = GateStart {
        sensor: SensorId::from_bits(7),
        last_sent: None,
        revocation: None,
        narrowing: Narrowing::none(),
        now: noon(),
    };
    let error = Gate::new(verified(&template(&options())), start).unwrap_err();
    assert!(
        matches!(error, GateError::UnknownSensor { .. }) && error.hint().contains("[[sensor]]"),
        "{error}"
    );
}

#[test]
fn closed_hours_mean_waiting() {
    // 22:00 to 06:00 in Tokyo on weekdays; Tuesday 2 June 2026.
    let mandate = verified(&read("good.toml"));
    let before = at("2026-06-02T21:59:00+09:00");
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: Some(list(1, before, Vec::new())),
        narrowing: Narrowing::none(),
        now: before,
    };
    let mut gate = Gate::new(mandate.clone(), start).unwrap();
    let probe = exchange("127.0.1.1", 80, Check::Sweep);
    let opens = at("2026-06-02T22:00:00+09:00");
    let Verdict::Wait { until } = gate.judge(&probe, before) else { panic!("not waiting") };
    assert_eq!(until, opens);
    assert_eq!(gate.standing(before), Err(Refusal::WindowClosed { opens: Some(opens) }));
    assert!(matches!(gate.judge(&probe, opens), Verdict::Granted(_)));
    assert!(gate.standing(opens.plus_micros(-1)).is_err(), "a step back across the opening is shut");
    let closes = at("2026-06-03T06:00:00+09:00");
    let fresh = list(2, closes.plus_secs(-1), Vec::new());
    assert!(standing(&mandate, Some(&fresh), &Narrowing::none(), closes.plus_micros(-1)).is_ok());
    assert!(standing(&mandate, Some(&fresh), &Narrowing::none(), closes).is_err());
}

#[test]
fn listen_only_ports_are_heard_and_not_spoken_to() {
    let mandate = verified(&read("good.toml"));
    let now = at("2026-06-02T23:00:00+09:00");
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: Some(list(1, now, Vec::new())),
        narrowing: Narrowing::none(),
        now,
    };
    let mut gate = Gate::new(mandate, start).unwrap();
    for check in [Check::Sweep, Check::Banner, Check::Handshake] {
        let Verdict::Granted(permit) = gate.judge(&exchange("127.0.1.1", 9100, check), now) else {
            panic!("{check}")
        };
        assert!(permit.listen_only(), "{check}");
        let Verdict::Granted(permit) = gate.judge(&exchange("127.0.1.1", 502, check), now) else {
            panic!("{check}")
        };
        assert!(!permit.listen_only(), "502 has a grant to speak");
    }
    for check in [Check::AnonymousLogin, Check::CredentialCheck] {
        let refusal = refusal(gate.judge(&exchange("127.0.1.1", 9100, check), now));
        assert_eq!(refusal.code(), "listen-only");
    }
}

#[test]
fn rates_make_wait_until_exactly_then() {
    // 12 a minute to an address with a burst of 4: four at once, then one every five seconds.
    let mut gate = gate(&options(), noon());
    let probe = exchange("198.51.100.1", 80, Check::Sweep);
    for _ in 0..4 {
        assert!(matches!(gate.judge(&probe, noon()), Verdict::Granted(_)));
    }
    let Verdict::Wait { until } = gate.judge(&probe, noon()) else { panic!("not waiting") };
    assert_eq!(until, noon().plus_secs(5));
    assert!(matches!(gate.judge(&probe, until.plus_micros(-1)), Verdict::Wait { .. }));
    assert!(matches!(gate.judge(&probe, until), Verdict::Granted(_)));
    // 50 a second to a /24 with a burst of 10: six are left for the neighbours at noon.
    let mut gate = crate::support::gate(&options(), noon());
    let granted = (1..=20u8)
        .filter(|host| {
            let probe = exchange(&format!("198.51.100.{host}"), 80, Check::Sweep);
            matches!(gate.judge(&probe, noon()), Verdict::Granted(_))
        })
        .count();
    assert_eq!(granted, 10);
}

#[test]
fn a_restart_is_no_new_burst() {
    let mandate = verified(&template(&options()));
    let probe = exchange("198.51.100.1", 80, Check::Sweep);
    let judged = |last_sent| {
        let start = GateStart {
            sensor: mandate.sensors[0].id,
            last_sent,
            revocation: Some(list(1, noon(), Vec::new())),
            narrowing: Narrowing::none(),
            now: noon(),
        };
        Gate::new(mandate.clone(), start).unwrap().judge(&probe, noon())
    };
    assert!(matches!(judged(None), Verdict::Granted(_)));
    assert!(matches!(judged(Some(noon().plus_secs(-5))), Verdict::Granted(_)));
    let Verdict::Wait { until } = judged(Some(noon().plus_secs(-2))) else { panic!("not waiting") };
    assert_eq!(until, noon().plus_secs(3));
}

#[test]
fn a_clock_that_goes_back_gains_nothing() {
    let mut gate = gate(&options(), noon());
    let probe = exchange("198.51.100.1", 80, Check::Sweep);
    while let Verdict::Granted(_) = gate.judge(&probe, noon()) {}
    // A small step back: time stands still, and tokens come when the clock is past noon again.
    let Verdict::Wait { until } = gate.judge(&probe, noon().plus_micros(-900_000)) else {
        panic!("not waiting")
    };
    assert_eq!(until, noon().plus_secs(5));
    let back = refusal(gate.judge(&probe, noon().plus_secs(-2)));
    assert_eq!(back, Refusal::ClockBack { latest: noon() });
    assert!(!back.concerns_target());
}

#[test]
fn echo_requests_when_granted() {
    let text = template(&options()).replace("icmp_echo = false", "icmp_echo = true");
    let mandate = verified(&text);
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: Some(list(1, noon(), Vec::new())),
        narrowing: Narrowing::none(),
        now: noon(),
    };
    let mut gate = Gate::new(mandate, start).unwrap();
    let endpoint = Endpoint::new("198.51.100.1".parse().unwrap(), 0, Transport::Icmp);
    let exchange = kenshin_mandate::Exchange { endpoint, check: Check::Sweep };
    let Verdict::Granted(permit) = gate.judge(&exchange, noon()) else { panic!("not granted") };
    assert_eq!(permit.packets_max(), 1);
}

#[test]
fn two_judgements_alike_from_equal_gates() {
    let options = TemplateOptions { tcp_ports: vec![80, 443], ..options() };
    let (mut a, mut b) = (gate(&options, noon()), gate(&options, noon()));
    for n in 0..500u32 {
        let probe =
            exchange(&format!("198.51.100.{}", n % 7), if n % 2 == 0 { 80 } else { 443 }, Check::Sweep);
        let now = noon().plus_micros(i64::from(n) * 13_001);
        assert_eq!(format!("{:?}", a.judge(&probe, now)), format!("{:?}", b.judge(&probe, now)));
    }
}
