//! Keys, texts and instants that the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    Exchange, Gate, GateStart, Narrowing, Revocation, RevocationDraft, RevocationList, SignerKey,
    TemplateOptions, TrustRoots, VerifiedMandate, template, verify,
};
use kenshin_observation::{Check, Endpoint, TimeUs, Transport};

pub(crate) const AUTHORITY: &str = "authority@example.jp";
pub(crate) const SECOND: &str = "second@example.jp";

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/mandate").join(name)
}

pub(crate) fn read(name: &str) -> String {
    let path = testdata(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn at(text: &str) -> TimeUs {
    text.parse().unwrap()
}

/// An instant at which the example mandate holds.
pub(crate) fn noon() -> TimeUs {
    at("2026-06-01T12:00:00+09:00")
}

pub(crate) fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(&[seed; 32], "test")
}

/// Key 1 is the authority's, key 2 the second signer's.
pub(crate) fn roots() -> TrustRoots {
    let both = [MANDATE_NAMESPACE, REVOCATION_NAMESPACE];
    let text = key(1).allowed_signers_line(AUTHORITY, &both)
        + &key(2).allowed_signers_line(SECOND, &[MANDATE_NAMESPACE]);
    TrustRoots::parse("allowed_signers", &text).unwrap()
}

pub(crate) fn sign(text: &str, seed: u8) -> String {
    key(seed).sign(text, MANDATE_NAMESPACE).unwrap()
}

pub(crate) fn verified(text: &str) -> Arc<VerifiedMandate> {
    let signatures = [sign(text, 1), sign(text, 2)];
    let signatures: Vec<&str> = signatures.iter().map(String::as_str).collect();
    Arc::new(
        verify("test.toml", text, &signatures, &roots(), noon()).unwrap_or_else(|e| panic!("{e}\n{text}")),
    )
}

pub(crate) fn list(number: u64, issued_at: TimeUs, revoked: Vec<Revocation>) -> RevocationList {
    let text = RevocationDraft { authority: AUTHORITY.into(), number, issued_at, revoked }.to_text();
    let signature = key(1).sign(&text, REVOCATION_NAMESPACE).unwrap();
    RevocationList::verify("revocation.toml", &text, &[&signature], &roots(), issued_at).unwrap()
}

/// The example with its revocation list good for a week, so that tests may let time pass.
pub(crate) fn options() -> TemplateOptions {
    TemplateOptions { revocation_max_age_minutes: 7 * 24 * 60, ..TemplateOptions::example() }
}

pub(crate) fn gate(options: &TemplateOptions, now: TimeUs) -> Gate {
    let mandate = verified(&template(options));
    let start = GateStart {
        sensor: mandate.sensors[0].id,
        last_sent: None,
        revocation: Some(list(1, now, Vec::new())),
        narrowing: Narrowing::none(),
        now,
    };
    Gate::new(mandate, start).unwrap()
}

pub(crate) fn exchange(addr: &str, port: u16, check: Check) -> Exchange {
    Exchange { endpoint: Endpoint::new(addr.parse().unwrap(), port, Transport::Tcp), check }
}
