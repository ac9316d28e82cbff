//! A gate for tests of this crate: 198.18.0.0/15, every port, one signer.

use std::sync::Arc;

use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    AddressRate, Gate, GateStart, Narrowing, PrefixRate, Rate, RevocationDraft, RevocationList, SignerKey,
    TemplateOptions, TrustRoots, template, verify,
};
use kenshin_observation::{Check, TimeUs};

/// When tests begin.
pub(crate) const START: TimeUs = TimeUs::from_secs(1_800_000_000);

const AUTHORITY: &str = "authority@example.jp";

/// A gate that stands at [`START`] and lets send so many exchanges a second, after a burst of a tenth
/// of it; the other limits never make a test wait.
pub(crate) fn gate(pps: u32) -> Gate {
    gate_at(Rate {
        whole_pps: pps,
        whole_burst: pps / 10,
        per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 1_000_000, burst: 1_000_000 },
        per_address: AddressRate { per_minute: 60_000_000, burst: 1_000_000 },
    })
}

/// A gate that stands at [`START`], with these rates.
pub(crate) fn gate_at(rate: Rate) -> Gate {
    let key = SignerKey::from_seed(&[1; 32], "test");
    let line = key.allowed_signers_line(AUTHORITY, &[MANDATE_NAMESPACE, REVOCATION_NAMESPACE]);
    let roots = TrustRoots::parse("allowed_signers", &line).unwrap();
    let mut options = TemplateOptions::example();
    options.prefixes = vec!["198.18.0.0/15".parse().unwrap()];
    options.special_reason = "a test".to_owned();
    options.exclusions = vec![];
    options.tcp_ports = (1..=1024).collect();
    options.checks = vec![Check::Sweep, Check::Banner, Check::Handshake];
    options.rate = rate;
    options.valid_from = START.plus_secs(-3600);
    options.valid_until = START.plus_secs(36_000);
    options.signers_required = 1;
    options.sensors[0].share_percent = 100;
    let sensor = options.sensors[0].id;
    let text = template(&options);
    let signature = key.sign(&text, MANDATE_NAMESPACE).unwrap();
    let mandate = verify("test.toml", &text, &[&signature], &roots, START).unwrap();
    let draft = RevocationDraft { authority: AUTHORITY.into(), number: 1, issued_at: START, revoked: vec![] };
    let text = draft.to_text();
    let signature = key.sign(&text, REVOCATION_NAMESPACE).unwrap();
    let list = RevocationList::verify("revocation.toml", &text, &[&signature], &roots, START).unwrap();
    let start = GateStart {
        sensor,
        last_sent: None,
        revocation: Some(list),
        narrowing: Narrowing::none(),
        now: START,
    };
    Gate::new(Arc::new(mandate), start).unwrap()
}
