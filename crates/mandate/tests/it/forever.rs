//! Old data opens forever: samples of version 1, signed by `ssh-keygen` when the format was new.
//! They are never written again; a newer format gets its own sample beside them.

use kenshin_mandate::{
    Gate, GateStart, Narrowing, RevocationList, TrustRoots, Verdict, VerifiedMandate, verify,
};
use kenshin_observation::Check;

use crate::support::{at, exchange, read};

const NOW: &str = "2026-06-02T23:00:00+09:00";

fn roots() -> TrustRoots {
    TrustRoots::parse("v1.allowed_signers", &read("v1.allowed_signers")).unwrap()
}

fn mandate() -> VerifiedMandate {
    let signatures = [read("v1.toml.sig"), read("v1.toml.2.sig")];
    let signatures: Vec<&str> = signatures.iter().map(String::as_str).collect();
    verify("v1.toml", &read("v1.toml"), &signatures, &roots(), at(NOW)).unwrap()
}

#[test]
fn the_first_mandate_opens() {
    let mandate = mandate();
    assert_eq!(mandate.digest(), read("v1.toml.sha256").trim());
    assert_eq!((mandate.id.as_str(), mandate.version), ("town-2026", 3));
    assert_eq!(mandate.signers().len(), 2);
    assert!(mandate.grants(Check::CredentialCheck));
    assert_eq!(mandate.allowed().count_v6(), 1 << 96);
}

#[test]
fn the_first_lists_open_and_a_gate_stands_on_them() {
    let list = RevocationList::verify(
        "v1-revocation.toml",
        &read("v1-revocation.toml"),
        &[&read("v1-revocation.toml.sig")],
        &roots(),
        at(NOW),
    )
    .unwrap();
    assert_eq!((list.number(), list.contents().revoked.len()), (7, 2));
    let narrowing = Narrowing::parse("v1-narrowing.toml", &read("v1-narrowing.toml")).unwrap();
    assert_eq!(narrowing.exclusions().len(), 3);
    let mandate = std::sync::Arc::new(mandate());
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: Some(list),
        narrowing,
        now: at(NOW),
    };
    let mut gate = Gate::new(mandate, start).unwrap();
    assert!(matches!(gate.judge(&exchange("127.0.1.1", 80, Check::Sweep), at(NOW)), Verdict::Granted(_)));
    assert!(matches!(gate.judge(&exchange("127.0.3.7", 80, Check::Sweep), at(NOW)), Verdict::Refused(_)));
}
