//! What is wrong with SSH and TLS, which keys are shared, and how many are ready for what comes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kenshin_insight::asset::{hosts, sharing};
use kenshin_insight::cryptography::{
    Aspect, Census, Part, Readiness, obsolete_offers, readiness, weaknesses,
};
use kenshin_insight::finding::{findings, shared_keys};
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind, Snapshot};
use kenshin_insight::judge::{Question, RoundView, judge};
use kenshin_observation::protocol::{Records, Ssh, Tls};
use kenshin_observation::{
    AssetId, CaseSubject, Condition, DeviceKey, DeviceKeyKind, FindingKind, Identity, Observation, Remedy,
    Severity,
};

use crate::world::{DAY, Seen, addr, endpoint, good_tls, key, seen, spoken, t0};

fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A server of today.
fn good_ssh() -> Ssh {
    Ssh {
        banner: "SSH-2.0-OpenSSH_9.9".into(),
        kex: names("mlkem768x25519-sha256,curve25519-sha256,ext-info-s,kex-strict-s-v00@openssh.com"),
        host_key_algorithms: names("rsa-sha2-512,ssh-ed25519"),
        ciphers_client_to_server: names("chacha20-poly1305@openssh.com,aes256-gcm@openssh.com"),
        ciphers_server_to_client: names("chacha20-poly1305@openssh.com,aes256-gcm@openssh.com"),
        macs_client_to_server: names("hmac-sha2-256-etm@openssh.com"),
        macs_server_to_client: names("hmac-sha2-256-etm@openssh.com"),
        host_key_algorithm: Some("ssh-ed25519".into()),
        host_key_sha256: Some(key("s")),
        host_key_bits: Some(256),
        ..Ssh::default()
    }
}

fn speaks_ssh(last: u8, ssh: Ssh) -> Observation {
    spoken(seen(last, 22), "ssh", |records| records.ssh = Some(ssh.into()))
}

fn of(observations: &[Observation]) -> Vec<(FindingKind, Severity, String)> {
    let all: Vec<&Observation> = observations.iter().collect();
    let found = findings(AssetId::from_bits(1), &all, &Identity::default(), &Intelligence::default(), t0());
    found
        .into_iter()
        .map(|finding| {
            assert_eq!(finding.remedy, Remedy::Update);
            assert_eq!(finding.evidence.len(), finding.explanation.args["reasons"].split(", ").count());
            (finding.kind, finding.severity, finding.explanation.args["reasons"].clone())
        })
        .collect()
}

#[test]
fn ssh_is_weak_where_nothing_better_is_offered() {
    assert_eq!(of(&[speaks_ssh(1, good_ssh())]), []);
    type Change = fn(&mut Ssh);
    let cases: &[(Change, Option<(Severity, &str)>)] = &[
        (|ssh| ssh.kex = names("diffie-hellman-group1-sha1,kexguess2@matt.ucc.asn.au"), {
            Some((Severity::Medium, "diffie-hellman-group1-sha1"))
        }),
        (|ssh| ssh.kex.push("diffie-hellman-group1-sha1".into()), None),
        (|ssh| ssh.kex = names("ext-info-s"), None),
        (|ssh| ssh.host_key_algorithms = names("ssh-dss"), Some((Severity::Medium, "ssh-dss"))),
        (
            |ssh| {
                ssh.ciphers_client_to_server = names("arcfour,3des-cbc");
                ssh.ciphers_server_to_client = names("arcfour,3des-cbc");
            },
            Some((Severity::Medium, "arcfour,3des-cbc")),
        ),
        (|ssh| ssh.ciphers_server_to_client.push("3des-cbc".into()), None),
        (|ssh| ssh.macs_client_to_server = names("hmac-md5"), Some((Severity::Medium, "hmac-md5"))),
        (|ssh| ssh.macs_client_to_server = names("hmac-sha1"), None),
        (
            |ssh| (ssh.host_key_algorithm, ssh.host_key_bits) = (Some("ssh-rsa".into()), Some(1024)),
            Some((Severity::Medium, "RSA 1024 (< 2048)")),
        ),
        (|ssh| (ssh.host_key_algorithm, ssh.host_key_bits) = (Some("rsa-sha2-256".into()), Some(2048)), None),
        (|ssh| ssh.banner = "SSH-1.5-OldServer".into(), Some((Severity::High, "SSH-1.5-"))),
        (|ssh| ssh.banner = "SSH-1.99-Cisco-1.25".into(), Some((Severity::High, "SSH-1.99"))),
    ];
    for (change, expected) in cases {
        let mut ssh = good_ssh();
        change(&mut ssh);
        let expected: Vec<_> = expected
            .map(|(severity, reasons)| (FindingKind::WeakSsh, severity, reasons.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(of(&[speaks_ssh(1, ssh.clone())]), expected, "{ssh:?}");
    }
}

#[test]
fn what_is_offered_beside_better_ones_is_told_apart() {
    let mut ssh = good_ssh();
    assert!(obsolete_offers(&ssh).is_empty());
    ssh.kex.push("diffie-hellman-group1-sha1".into());
    ssh.ciphers_client_to_server.push("3des-cbc".into());
    ssh.ciphers_server_to_client.push("3des-cbc".into());
    ssh.macs_server_to_client.push("hmac-md5".into());
    assert_eq!(obsolete_offers(&ssh), ["diffie-hellman-group1-sha1", "3des-cbc", "hmac-md5"]);
}

#[test]
fn tls_is_judged_by_what_it_chose_and_by_its_certificate() {
    type Change = fn(&mut Tls);
    let old = |tls: &mut Tls, cipher: &str| {
        tls.version = "TLSv1.2".into();
        tls.cipher = cipher.into();
    };
    let suites = [
        ("ECDHE-RSA-AES128-GCM-SHA256", None),
        ("DHE-RSA-AES128-SHA", None),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", None),
        ("AES128-SHA", Some((Severity::Low, "AES128-SHA (Kx=RSA)"))),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", Some((Severity::Low, "TLS_RSA_WITH_AES_128_CBC_SHA (Kx=RSA)"))),
        ("ECDHE-RSA-RC4-SHA", Some((Severity::Medium, "ECDHE-RSA-RC4-SHA"))),
        ("DES-CBC3-SHA", Some((Severity::Medium, "DES-CBC3-SHA, DES-CBC3-SHA (Kx=RSA)"))),
        ("ECDHE-ECDSA-DES-CBC3-SHA", Some((Severity::Medium, "ECDHE-ECDSA-DES-CBC3-SHA"))),
        ("EXP-RC4-MD5", Some((Severity::High, "EXP-RC4-MD5, EXP-RC4-MD5 (Kx=RSA)"))),
        ("ADH-AES128-SHA", Some((Severity::High, "ADH-AES128-SHA"))),
        ("NULL-SHA256", Some((Severity::High, "NULL-SHA256, NULL-SHA256 (Kx=RSA)"))),
    ];
    let told = |tls: Tls| {
        let found = of(&[seen(1, 443).tls(tls)]);
        found.into_iter().next().map(|(kind, severity, reasons)| {
            assert_eq!(kind, FindingKind::BrokenTls);
            (severity, reasons)
        })
    };
    for (suite, expected) in suites {
        let mut tls = good_tls("k");
        old(&mut tls, suite);
        assert_eq!(told(tls), expected.map(|(severity, reasons)| (severity, reasons.to_owned())), "{suite}");
    }
    let others: &[(Change, Severity, &str)] = &[
        (|tls| tls.dh_bits = Some(1024), Severity::Medium, "DH 1024 (< 2048)"),
        (
            |tls| tls.not_after_us = Some(t0().plus_secs(100 * 366 * DAY).micros()),
            Severity::Low,
            "notBefore 2025-06-05T00:00:00Z",
        ),
        (
            |tls| tls.not_after_us = Some(t0().plus_secs(-301 * DAY).micros()),
            Severity::Medium,
            "notAfter 2025-06-04T00:00:00Z < notBefore 2025-06-05T00:00:00Z",
        ),
    ];
    for (change, severity, reason) in others {
        let mut tls = good_tls("k");
        change(&mut tls);
        let weak = weaknesses(&Records { tls: Some(tls.into()), ..Records::default() }, t0());
        assert_eq!(weak.len(), 1, "{weak:?}");
        assert_eq!((weak[0].severity, weak[0].reason.starts_with(reason)), (*severity, true), "{weak:?}");
    }
    // RFC 5280 §4.1.2.5: no well-defined end.
    let endless = Tls { not_after_us: Some(253_402_300_799_000_000), ..good_tls("k") };
    assert_eq!(told(endless), None);
}

#[test]
fn readiness_is_known_only_where_it_was_measured() {
    let ssh = |kex: &str| {
        let ssh = Ssh { kex: names(kex), ..good_ssh() };
        readiness(&Records { ssh: Some(ssh.into()), ..Records::default() }).unwrap()
    };
    for offered in ["mlkem768x25519-sha256", "a,sntrup761x25519-sha512@openssh.com", "sntrup761x25519-sha512"]
    {
        assert_eq!(ssh(offered), Readiness::Offered, "{offered}");
    }
    assert_eq!(ssh("curve25519-sha256,diffie-hellman-group14-sha256"), Readiness::NotOffered);
    assert_eq!(ssh(""), Readiness::Unknown, "the lists did not come");
    assert_eq!(ssh(&vec!["a"; 64].join(",")), Readiness::Unknown, "the list may have been cut");

    let tls = |version: &str, group: Option<&str>, hybrid_offered: Option<bool>| {
        let group = group.map(str::to_owned);
        let tls = Tls { version: version.into(), group, hybrid_offered, ..good_tls("k") };
        readiness(&Records { tls: Some(tls.into()), ..Records::default() }).unwrap()
    };
    assert_eq!(tls("TLSv1.3", Some("X25519MLKEM768"), Some(true)), Readiness::Offered);
    assert_eq!(tls("TLSv1.3", Some("0x6399"), None), Readiness::Offered);
    assert_eq!(tls("TLSv1.3", Some("x25519"), Some(true)), Readiness::NotOffered);
    assert_eq!(tls("TLSv1.2", None, Some(true)), Readiness::NotOffered, "older versions know none");
    assert_eq!(tls("TLSv1.2", Some("secp256r1"), Some(false)), Readiness::Unknown, "nobody asked");
    assert_eq!(tls("TLSv1.3", Some("x25519"), None), Readiness::Unknown, "rows before version 3");
    assert_eq!(tls("TLSv1.3", None, Some(true)), Readiness::Unknown);
    assert_eq!(readiness(&Records::default()), None);
}

/// The same SSH key at five addresses, of which `away` lie in another network.
fn spread(away: usize) -> Vec<Observation> {
    let mut all: Vec<Observation> = (1..=5).map(|last| speaks_ssh(last, good_ssh())).collect();
    for (observation, last) in all.iter_mut().zip(1..).take(away) {
        observation.subject.addr = IpAddr::from([203, 0, 113, last]);
    }
    all
}

fn shared(observations: &[Observation]) -> usize {
    let round = hosts(observations, |_| None);
    let sharing = sharing(&round, &BTreeSet::new());
    let found: Vec<_> = observations
        .iter()
        .flat_map(|observation| {
            shared_keys(AssetId::from_bits(1), &[observation], &sharing, &Intelligence::default())
        })
        .collect();
    for finding in &found {
        assert_eq!(
            (finding.kind, finding.explanation.args["networks"].as_str()),
            (FindingKind::SharedKey, "2")
        );
    }
    found.len()
}

#[test]
fn keys_of_several_owners_are_findings() {
    assert_eq!(shared(&spread(2)), 5);
    assert_eq!(shared(&spread(0)), 0, "one owner may have five addresses");
    assert_eq!(shared(&spread(2)[1..4]), 0, "too few to tell");
    let tls = |self_signed: bool| -> Vec<Observation> {
        let made = |o: Observation| {
            let tls = Tls { self_signed: Some(self_signed), ..good_tls("k") };
            let subject = o.subject;
            Observation { subject, ..seen(1, 443).tls(tls) }
        };
        spread(2).into_iter().map(made).collect()
    };
    assert_eq!(shared(&tls(true)), 5);
    assert_eq!(shared(&tls(false)), 0, "an authority's certificate may stand on all servers of its owner");
}

#[test]
fn every_count_has_its_denominator() {
    let mut census: Census<&str> = Census::default();
    let weak = Ssh { kex: names("diffie-hellman-group1-sha1"), ..good_ssh() };
    let broken_off = Ssh { banner: "SSH-2.0-x".into(), ..Ssh::default() };
    for observation in spread(2) {
        census.add("a", &observation);
    }
    census.add("a", &speaks_ssh(9, weak.clone()).later(5));
    census.add("a", &speaks_ssh(9, good_ssh()));
    census.add("a", &speaks_ssh(10, broken_off));
    census.add("a", &seen(11, 80));
    census.add("a", &seen(12, 443).tls(Tls { version: "TLSv1".into(), ..good_tls("k") }));
    census.add(
        "b",
        &seen(12, 443).tls(Tls { hybrid_offered: Some(true), group: Some("x25519".into()), ..good_tls("k") }),
    );
    let mut decoy = speaks_ssh(13, weak);
    decoy.labels = vec!["tarpit".into()];
    census.add("b", &decoy);

    let figures = census.figures();
    let part = |count, judged, unknown| Part { count, judged, unknown };
    let a = &figures["a"];
    assert_eq!((a.answering, a.encrypted), (9, 8));
    assert_eq!(a.old_protocol, part(1, 8, 0));
    assert_eq!(a.weak_algorithm, part(1, 7, 1), "as last seen; one broke off");
    assert_eq!(a.small_key, part(0, 7, 1));
    assert_eq!(a.invalid_dates, part(0, 1, 7), "SSH keys have no dates");
    assert_eq!(a.obsolete_offered, part(1, 6, 2));
    assert_eq!(a.shared_key, part(6, 7, 1), "{:?} has the key of the five too", addr(9));
    assert_eq!(a.hybrid_offered, part(5, 6, 2));
    let b = &figures["b"];
    assert_eq!((b.answering, b.encrypted, b.hybrid_offered), (1, 1, part(0, 1, 0)));
    assert_eq!(Aspect::ALL.len(), 4);
}

/// What a re-check says of a case about the SSH of host 1 at its address, with what decided.
fn rechecked(kind: FindingKind, before: &[Observation], now: &[Observation]) -> (Condition, String) {
    let device = crate::world::device("Acme", "Cam", "", "camera");
    let before = hosts(before, |at| (at == addr(1)).then_some(&device));
    let round = hosts(now, |at| (at == addr(1)).then_some(&device));
    let known = BTreeSet::from([DeviceKey { kind: DeviceKeyKind::SshHostKey, value: key("s") }]);
    let asset = AssetId::from_bits(1);
    let at_home: Vec<&Observation> = now.iter().filter(|o| o.subject.addr == addr(1)).collect();
    let none = Identity::default();
    let mut found = findings(asset, &at_home, &none, &Intelligence::default(), t0());
    found.extend(shared_keys(asset, &at_home, &sharing(&round, &known), &Intelligence::default()));
    let subject = CaseSubject {
        asset_id: asset,
        endpoint: endpoint(1, 22),
        keys: Vec::new(),
        product: Some("Cam".to_owned()),
        time: t0(),
    };
    let question = Question {
        subject: &subject,
        remedy: Remedy::Update,
        kinds: &[kind],
        before: before.get(&addr(1)),
        pool_covered: false,
    };
    let judgement = judge(&question, &RoundView::new(&round, &found, known, &|_| true, &|asset| asset));
    (judgement.condition, judgement.reasons[0].code.clone())
}

#[test]
fn a_recheck_wants_a_key_of_its_own_and_better_algorithms() {
    let told = |condition, code: &str| (condition, code.to_owned());
    // Of five, two are in another network; host 3 stands in for host 1's neighbours.
    let mut five = spread(2);
    five.push(speaks_ssh(1, good_ssh()));
    let of = |now: &[Observation]| rechecked(FindingKind::SharedKey, &five, now);
    assert_eq!(of(&five), told(Condition::Affected, "judge.affected"));
    let own = |name: &str| speaks_ssh(1, Ssh { host_key_sha256: Some(key(name)), ..good_ssh() });
    assert_eq!(of(&[own("n")]), told(Condition::Clean, "judge.clean"));
    assert_eq!(of(&[own("s")]), told(Condition::Unobservable, "judge.not-asked.key"), "nobody else was seen");

    let weak = |kex: &str| speaks_ssh(1, Ssh { kex: names(kex), ..good_ssh() });
    let of =
        |now: Observation| rechecked(FindingKind::WeakSsh, &[weak("diffie-hellman-group1-sha1")], &[now]);
    assert_eq!(of(weak("diffie-hellman-group1-sha1")), told(Condition::Affected, "judge.affected"));
    assert_eq!(of(weak("curve25519-sha256")), told(Condition::Clean, "judge.clean"));
    let broken_off = speaks_ssh(1, Ssh { banner: "SSH-2.0-OpenSSH_9.9".into(), ..Ssh::default() });
    assert_eq!(of(broken_off), told(Condition::Unobservable, "judge.not-asked.exposure"));
}

#[test]
fn a_published_key_needs_no_neighbours() {
    let list = format!("# by hand\nssh-host-key {} Example Router, firmware 1.0\nnothing\n", key("ab"));
    let mut importer = Importer::new(IntelligenceKind::Keys);
    importer.read("keys.txt", list.as_bytes()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert_eq!((import.snapshot.records.len(), import.rejected[0].line), (1, 3));
    let mut stored = Vec::new();
    import.snapshot.write(&mut stored).unwrap();
    assert_eq!(Snapshot::read(stored.as_slice()).unwrap(), import.snapshot);
    let intelligence = Intelligence::new([import.snapshot]);

    let asset = AssetId::from_bits(1);
    let of = |ssh: Ssh| shared_keys(asset, &[&speaks_ssh(1, ssh)], &Default::default(), &intelligence);
    let found = of(Ssh { host_key_sha256: Some(key("ab")), ..good_ssh() });
    assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    assert_eq!(found[0].explanation.code, "finding.shared-key.known");
    assert_eq!(found[0].explanation.args["label"], "Example Router, firmware 1.0");
    assert!(found[0].snapshots[0].starts_with("keys@2026-04-01#sha256:"), "{:?}", found[0].snapshots);
    assert_eq!(of(Ssh { host_key_sha256: Some(key("o")), ..good_ssh() }), []);
    let mut importer = Importer::new(IntelligenceKind::Keys);
    assert!(importer.read("kev.json", "{\"title\": 1}".as_bytes()).is_err(), "no such list");
}
