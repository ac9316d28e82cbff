//! Random mandates against random exchanges. The model is written from the numbers that went into
//! the mandate, not from what was parsed out of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use kenshin_mandate::{
    AddressRate, AddressSet, Exchange, Gate, GateStart, Narrowing, PrefixRate, ProviderRate, Rate,
    Revocation, Revoked, TemplateOptions, TemplateSensor, Verdict, VerifiedMandate, template,
};
use kenshin_observation::{Check, Endpoint, Prefix, SensorId, TimeUs, Transport};
use proptest::prelude::*;

use crate::support::{list, noon, options, verified};

/// What one test mandate says, in plain numbers.
#[derive(Debug, Clone)]
struct World {
    scope: Vec<Prefix>,
    excluded: Vec<Prefix>,
    ports: Vec<u16>,
    checks: Vec<Check>,
    rate: Rate,
    shares: Vec<u8>,
    /// Seconds of validity after noon.
    valid_s: i64,
    /// Networks of providers, probes a second and burst.
    providers: Vec<(Vec<Prefix>, u32, u32)>,
}

/// Addresses near each other, so that prefixes overlap and hits are common.
fn addr() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        3 => (0u32..1024).prop_map(|n| Ipv4Addr::from_bits(0x0b00_0000 + n).into()),
        1 => (0u128..256).prop_map(|n| Ipv6Addr::from_bits((0x2400_u128 << 112) + n).into()),
    ]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (addr(), 0u8..9)
        .prop_map(|(addr, bits)| Prefix::containing(addr, if addr.is_ipv4() { 32 } else { 128 } - bits))
}

fn world() -> impl Strategy<Value = World> {
    let rate = (1u32..200, 5u32..30, 1u32..60, 5u32..20, 1u32..600, 5u32..12, 22u8..=32).prop_map(
        |(whole_pps, whole_burst, pps, burst, per_minute, address_burst, v4_len)| Rate {
            whole_pps,
            whole_burst,
            per_prefix: PrefixRate { v4_len, v6_len: 120, pps, burst },
            per_address: AddressRate { per_minute, burst: address_burst },
        },
    );
    (
        proptest::collection::vec(prefix(), 1..6),
        proptest::collection::vec(prefix(), 0..5),
        proptest::collection::btree_set(
            prop_oneof![Just(22u16), Just(80), Just(102), Just(9100), 1u16..30],
            1..6,
        ),
        proptest::sample::subsequence(
            vec![Check::Banner, Check::Handshake, Check::AnonymousLogin, Check::CredentialCheck],
            0..=4,
        ),
        rate,
        prop_oneof![Just(vec![100]), Just(vec![60, 40]), Just(vec![33, 33, 34]), Just(vec![20, 25])],
        1i64..40,
        proptest::collection::vec((proptest::collection::vec(prefix(), 1..4), 1u32..40, 1u32..10), 0..3),
    )
        .prop_map(|(scope, excluded, ports, mut checks, rate, shares, valid_s, providers)| {
            checks.push(Check::Sweep);
            let ports = ports.into_iter().collect();
            World { scope, excluded, ports, checks, rate, shares, valid_s, providers }
        })
}

impl World {
    fn mandate(&self) -> Arc<VerifiedMandate> {
        let sensor = |(n, share): (usize, &u8)| {
            let n = u8::try_from(n + 1).unwrap();
            TemplateSensor {
                id: SensorId::from_bits(n.into()),
                name: format!("sensor-{n}"),
                public_key: ed25519_key(n),
                source_addresses: vec!["192.0.2.10".parse().unwrap()],
                share_percent: *share,
            }
        };
        verified(&template(&TemplateOptions {
            valid_from: noon(),
            valid_until: noon().plus_secs(self.valid_s),
            prefixes: self.scope.clone(),
            exclusions: self.excluded.iter().map(|prefix| (*prefix, "excluded".to_owned())).collect(),
            tcp_ports: self.ports.clone(),
            checks: self.checks.clone(),
            signers_required: 2,
            rate: self.rate,
            sensors: self.shares.iter().enumerate().map(sensor).collect(),
            ..options()
        }))
    }

    fn gate(
        &self,
        mandate: &Arc<VerifiedMandate>,
        sensor: usize,
        last_sent: Option<TimeUs>,
        now: TimeUs,
    ) -> Gate {
        let mut narrowing = Narrowing::none();
        for (prefixes, pps, burst) in &self.providers {
            narrowing.slow_down(ProviderRate {
                name: "a provider".to_owned(),
                addresses: prefixes.iter().copied().collect(),
                pps: *pps,
                burst: *burst,
            });
        }
        let start = GateStart {
            sensor: mandate.sensors[sensor].id,
            last_sent,
            revocation: Some(list(1, noon(), Vec::new())),
            narrowing,
            now,
        };
        Gate::new(Arc::clone(mandate), start).unwrap()
    }

    /// Whether the terms, rates apart, allow the exchange.
    fn allows(&self, exchange: &Exchange, now: TimeUs) -> bool {
        let Exchange { endpoint, check } = exchange;
        let speaks = !matches!(check, Check::Sweep | Check::Banner | Check::Handshake);
        self.scope.iter().any(|prefix| prefix.contains(endpoint.addr))
            && !self.excluded.iter().any(|prefix| prefix.contains(endpoint.addr))
            && endpoint.transport == Transport::Tcp
            && self.ports.contains(&endpoint.port)
            && self.checks.contains(check)
            && !([102, 9100].contains(&endpoint.port) && speaks)
            && noon() <= now
            && now < noon().plus_secs(self.valid_s)
    }
}

fn ed25519_key(seed: u8) -> ed25519_dalek::VerifyingKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key()
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let transport =
        prop_oneof![8 => Just(Transport::Tcp), 1 => Just(Transport::Udp), 1 => Just(Transport::Icmp)];
    let port = prop_oneof![Just(22u16), Just(80), Just(102), Just(9100), 0u16..30];
    (addr(), port, transport, proptest::sample::select(Check::ALL)).prop_map(
        |(addr, port, transport, check)| Exchange { endpoint: Endpoint::new(addr, port, transport), check },
    )
}

/// Asserts that in every span at most `burst + rate × span` happened; `per` is the period of the
/// rate in µs. All in integers: n × per ≤ burst × per + rate × span.
fn assert_rate(times: &[TimeUs], rate: u32, burst: u32, per: i128, what: &str) {
    let mut times = times.to_vec();
    times.sort_unstable();
    for (i, first) in times.iter().enumerate() {
        for (n, last) in times[i..].iter().enumerate() {
            let span = i128::from(last.micros_since(*first));
            let happened = i128::try_from(n + 1).unwrap();
            assert!(
                happened * per <= i128::from(burst) * per + i128::from(rate) * span,
                "{what}: {happened} in {span} µs"
            );
        }
    }
}

/// Every limit of the world holds over everything that was granted, by whichever sensor.
fn assert_rates(world: &World, granted: &[(TimeUs, IpAddr)]) {
    let rate = world.rate;
    let times = |of: &dyn Fn(&IpAddr) -> bool| -> Vec<TimeUs> {
        granted.iter().filter(|(_, addr)| of(addr)).map(|(time, _)| *time).collect()
    };
    assert_rate(&times(&|_| true), rate.whole_pps, rate.whole_burst, 1_000_000, "whole");
    let mut prefixes: BTreeMap<Prefix, ()> = BTreeMap::new();
    let mut addresses: BTreeMap<IpAddr, ()> = BTreeMap::new();
    for (_, addr) in granted {
        let len = if addr.is_ipv4() { rate.per_prefix.v4_len } else { rate.per_prefix.v6_len };
        prefixes.insert(Prefix::containing(*addr, len), ());
        addresses.insert(*addr, ());
    }
    for prefix in prefixes.keys() {
        let times = times(&|addr| prefix.contains(*addr));
        assert_rate(&times, rate.per_prefix.pps, rate.per_prefix.burst, 1_000_000, "prefix");
    }
    for address in addresses.keys() {
        let times = times(&|addr| addr == address);
        assert_rate(&times, rate.per_address.per_minute, rate.per_address.burst, 60_000_000, "address");
    }
    for (prefixes, pps, burst) in &world.providers {
        let times = times(&|addr| prefixes.iter().any(|prefix| prefix.contains(*addr)));
        // Each sensor may send one at least.
        let burst = burst + u32::try_from(world.shares.len()).unwrap();
        assert_rate(&times, *pps, burst, 1_000_000, "provider");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Nothing outside the terms is ever granted, everything refused is outside them, and what
    /// has to wait is granted when the wait is over (or its time has run out).
    #[test]
    fn granted_is_allowed_and_refused_is_not(
        world in world(),
        asked in proptest::collection::vec((exchange(), 0i64..400_000), 1..200),
    ) {
        let mandate = world.mandate();
        let mut gate = world.gate(&mandate, 0, None, noon());
        let mut now = noon();
        for (exchange, pause) in asked {
            now = now.plus_micros(pause);
            let allowed = world.allows(&exchange, now);
            match gate.judge(&exchange, now) {
                Verdict::Granted(permit) => {
                    prop_assert!(allowed, "{exchange:?} at {now}");
                    prop_assert_eq!(permit.endpoint(), exchange.endpoint);
                    prop_assert_eq!(permit.listen_only(), [102, 9100].contains(&exchange.endpoint.port));
                }
                Verdict::Refused(refusal) => prop_assert!(!allowed, "{exchange:?} at {now}: {refusal}"),
                Verdict::Wait { until } => {
                    prop_assert!(allowed && until > now);
                    match gate.judge(&exchange, until) {
                        Verdict::Granted(_) => now = until,
                        Verdict::Refused(_) => prop_assert!(!world.allows(&exchange, until)),
                        Verdict::Wait { until: again } => prop_assert!(false, "{until} became {again}"),
                    }
                    now = now.max(until);
                }
            }
        }
    }

    /// All sensors together stay below every limit, however greedily they ask, also when one of
    /// them starts again.
    #[test]
    fn rates_hold_in_every_span(
        world in world(),
        asked in proptest::collection::vec((exchange(), 0i64..60_000, any::<u8>(), 0u8..50), 1..400),
    ) {
        let world = World { valid_s: 3600, ..world };
        let mandate = world.mandate();
        let sensors = world.shares.len();
        let mut gates: Vec<Gate> = (0..sensors).map(|n| world.gate(&mandate, n, None, noon())).collect();
        let mut last_sent = vec![None; sensors];
        let mut granted = Vec::new();
        let mut now = noon();
        for (exchange, pause, sensor, restart) in asked {
            now = now.plus_micros(pause);
            let sensor = usize::from(sensor) % sensors;
            if restart == 0 {
                gates[sensor] = world.gate(&mandate, sensor, last_sent[sensor], now);
            }
            // Ask often about few targets, so that the limits are what decides.
            let addr = mandate.allowed().nth(u128::from(exchange.endpoint.port) % 4).unwrap_or(exchange.endpoint.addr);
            let endpoint = Endpoint::tcp(addr, world.ports[0]);
            for _ in 0..3 {
                let exchange = Exchange { endpoint, check: Check::Sweep };
                if let Verdict::Granted(_) = gates[sensor].judge(&exchange, now) {
                    granted.push((now, addr));
                    last_sent[sensor] = Some(now);
                }
            }
        }
        assert_rates(&world, &granted);
    }

    /// A narrowed gate grants a subset of what it granted before, and never what was taken away.
    #[test]
    fn narrowing_only_narrows(
        world in world(),
        taken in proptest::collection::vec(prefix(), 0..4),
        opted_out in addr(),
        asked in proptest::collection::vec(exchange(), 1..200),
    ) {
        let generous = Rate {
            whole_pps: 1_000_000, whole_burst: 1_000_000,
            per_prefix: PrefixRate { pps: 1_000_000, burst: 1_000_000, ..world.rate.per_prefix },
            per_address: AddressRate { per_minute: 1_000_000, burst: 1_000_000 },
        };
        let world = World { rate: generous, providers: Vec::new(), ..world };
        let mandate = world.mandate();
        let (mut plain, mut narrowed) =
            (world.gate(&mandate, 0, None, noon()), world.gate(&mandate, 0, None, noon()));
        let mut narrowing = Narrowing::none();
        narrowing.exclude(taken.iter().copied().collect(), "taken");
        narrowing.opt_out(opted_out);
        narrowing.revoke(Revocation { what: Revoked::Mandate("another".into()), reason: "x".into() });
        narrowed.narrow(&narrowing);
        let left = plain.allowed().minus(&taken.iter().copied().collect()).minus(&AddressSet::from(Prefix::host(opted_out)));
        prop_assert_eq!(narrowed.allowed(), &left);
        for exchange in asked {
            let grants = |gate: &mut Gate| matches!(gate.judge(&exchange, noon()), Verdict::Granted(_));
            let (before, after) = (grants(&mut plain), grants(&mut narrowed));
            prop_assert_eq!(after, before && left.contains(exchange.endpoint.addr));
        }
    }

    /// However the clock jumps back and forth, nothing is granted outside validity by either the
    /// clock or its latest reading, and rates hold over the time that really passed.
    #[test]
    fn a_jumping_clock_widens_nothing(world in world(), jumps in proptest::collection::vec(-3_000_000i64..3_000_000, 1..200)) {
        let mandate = world.mandate();
        let mut gate = world.gate(&mandate, 0, None, noon());
        let addr = mandate.allowed().nth(0);
        prop_assume!(addr.is_some());
        let probe = Exchange { endpoint: Endpoint::tcp(addr.unwrap(), world.ports[0]), check: Check::Sweep };
        let (mut now, mut latest, mut granted) = (noon(), noon(), Vec::new());
        for jump in jumps {
            now = now.plus_micros(jump);
            let verdict = gate.judge(&probe, now);
            if latest.micros_since(now) <= 1_000_000 {
                latest = latest.max(now);
            }
            if let Verdict::Granted(permit) = verdict {
                prop_assert!(world.allows(&probe, now) && world.allows(&probe, latest));
                prop_assert_eq!(permit.granted_at(), latest);
                granted.push((latest, addr.unwrap()));
            }
        }
        assert_rates(&world, &granted);
    }
}
