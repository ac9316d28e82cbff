//! Revocation and narrowing lists.

use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    Narrowing, Refusal, Revocation, RevocationDraft, RevocationError, RevocationList, Revoked, Verdict,
    standing, template,
};
use kenshin_observation::Check;

use crate::support::{AUTHORITY, SECOND, exchange, gate, key, list, noon, options, roots, verified};

fn draft(number: u64) -> RevocationDraft {
    RevocationDraft { authority: AUTHORITY.into(), number, issued_at: noon(), revoked: Vec::new() }
}

fn verify(text: &str, seed: u8, namespace: &str) -> Result<RevocationList, RevocationError> {
    let signature = key(seed).sign(text, namespace).unwrap();
    RevocationList::verify("r.toml", text, &[&signature], &roots(), noon())
}

fn by_id(id: &str) -> Revocation {
    Revocation { what: Revoked::Mandate(id.into()), reason: "the contract \"ended\"\n".into() }
}

#[test]
fn a_list_is_written_signed_and_read_again() {
    let digest = Revocation { what: Revoked::Digest("ab".repeat(32)), reason: "typing error".into() };
    let next = draft(6).next(noon(), [by_id("old-2025"), digest, by_id("old-2025")]);
    assert_eq!((next.number, next.revoked.len()), (7, 2));
    let list = verify(&next.to_text(), 1, REVOCATION_NAMESPACE).unwrap();
    assert_eq!(list.contents(), &next);
    assert_eq!(list.signers()[0].principals, [AUTHORITY]);
}

#[test]
fn only_the_authority_can_sign_and_only_for_this_purpose() {
    let text = draft(1).to_text();
    let says = |result: Result<RevocationList, RevocationError>, expected: &str| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.hint().is_empty(), "{error}");
    };
    says(verify(&text, 1, MANDATE_NAMESPACE), "namespace `kenshin-mandate`");
    says(verify(&text, 2, REVOCATION_NAMESPACE), "may not sign it now");
    says(verify(&text, 9, REVOCATION_NAMESPACE), "not among the trust roots");
    let other = RevocationDraft { authority: SECOND.into(), ..draft(1) };
    says(verify(&other.to_text(), 1, REVOCATION_NAMESPACE), "names `second@example.jp`");
    says(RevocationList::verify("r.toml", &text, &[], &roots(), noon()), "is not signed");
}

#[test]
fn bad_lists_name_the_place() {
    for (text, expected) in [
        (
            "schema_version = 2\nauthority = \"a\"\nnumber = 1\nissued_at = 2026-01-01T00:00:00Z",
            "r.toml:1:18: this version",
        ),
        (
            "schema_version = 1\nauthority = \"a\"\nnumber = -1\nissued_at = 2026-01-01T00:00:00Z",
            "r.toml:3:10: the number",
        ),
        (
            "schema_version = 1\nauthority = \"a\"\nnumber = 1\nissued_at = 2026-01-01T00:00:00",
            "r.toml:4:13: this is not an instant",
        ),
        (
            "schema_version = 1\nauthority = \"a\"\nnumber = 1\nissued_at = 2026-01-01T00:00:00Z\n[[revoked]]\nreason = \"x\"",
            "r.toml:5:1: an entry names one mandate",
        ),
        (
            "schema_version = 1\nauthority = \"a\"\nnumber = 1\nissued_at = 2026-01-01T00:00:00Z\n[[revoked]]\nsha256 = \"12\"\nreason = \"x\"",
            "r.toml:6:10: this is not a SHA-256 digest",
        ),
        (
            "schema_version = 1\nauthority = \"a\"\nnumber = 1\nissued_at = 2026-01-01T00:00:00Z\nallow = [\"b\"]",
            "r.toml:5:1: unknown key `allow`",
        ),
    ] {
        let error = RevocationDraft::parse("r.toml", text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn numbers_never_go_back() {
    let mut gate = gate(&options(), noon());
    gate.refresh(list(5, noon(), Vec::new())).unwrap();
    gate.refresh(list(5, noon(), Vec::new())).unwrap();
    let rollback = gate.refresh(list(4, noon().plus_secs(60), Vec::new())).unwrap_err();
    assert_eq!(rollback, RevocationError::Rollback { number: 4, seen: 5 });
    let twin = gate.refresh(list(5, noon().plus_secs(60), Vec::new())).unwrap_err();
    assert_eq!(twin, RevocationError::Equivocation { number: 5 });
    assert_eq!(gate.revocation().unwrap().number(), 5);
}

#[test]
fn a_list_of_another_authority_is_refused() {
    let both = [REVOCATION_NAMESPACE];
    let roots = kenshin_mandate::TrustRoots::parse("x", &key(2).allowed_signers_line(SECOND, &both)).unwrap();
    let text = RevocationDraft { authority: SECOND.into(), ..draft(9) }.to_text();
    let signature = key(2).sign(&text, REVOCATION_NAMESPACE).unwrap();
    let other = RevocationList::verify("r.toml", &text, &[&signature], &roots, noon()).unwrap();
    let error = gate(&options(), noon()).refresh(other).unwrap_err();
    assert!(matches!(error, RevocationError::OtherAuthority { .. }), "{error}");
}

#[test]
fn revocation_takes_effect_at_once_and_for_good() {
    let probe = exchange("198.51.100.1", 80, Check::Sweep);
    let digest = gate(&options(), noon()).mandate().digest().to_owned();
    for what in [Revoked::Mandate(options().id), Revoked::Digest(digest)] {
        let entry = Revocation { what, reason: "stop".into() };

        let mut signed = gate(&options(), noon());
        assert!(matches!(signed.judge(&probe, noon()), Verdict::Granted(_)));
        signed.refresh(list(2, noon(), vec![entry.clone()])).unwrap();
        let revoked = Refusal::Revoked { reason: "stop".into() };
        assert_eq!(signed.standing(noon()), Err(revoked.clone()));
        // A later list that leaves it out does not bring it back.
        signed.refresh(list(3, noon(), Vec::new())).unwrap();
        assert_eq!(signed.standing(noon()), Err(revoked.clone()));

        let mut unsigned = gate(&options(), noon());
        let draft = draft(1).next(noon(), [entry]);
        unsigned.narrow(&Narrowing::from(&draft));
        assert_eq!(unsigned.standing(noon()), Err(revoked));
    }
    let mut other = gate(&options(), noon());
    other.refresh(list(2, noon(), vec![by_id("another-mandate")])).unwrap();
    assert_eq!(other.standing(noon()), Ok(()));
}

#[test]
fn a_stale_list_stops_everything_and_a_fresh_one_starts_it_again() {
    let options = kenshin_mandate::TemplateOptions { revocation_max_age_minutes: 15, ..options() };
    let mut gate = gate(&options, noon());
    let later = |seconds| noon().plus_secs(seconds);
    assert_eq!(gate.standing(later(899)), Ok(()));
    let stale = Refusal::RevocationStale { issued_at: noon(), max_age_s: 900 };
    assert_eq!(gate.standing(later(900)), Err(stale));
    gate.refresh(list(2, later(890), Vec::new())).unwrap();
    assert_eq!(gate.standing(later(901)), Ok(()));
    // A list from the future does not make the present fresh.
    gate.refresh(list(3, later(10_000), Vec::new())).unwrap();
    assert!(matches!(gate.standing(later(902)), Err(Refusal::RevocationAhead { .. })));
}

#[test]
fn narrowing_lists_in_both_forms() {
    let text = r#"
schema_version = 1
[[exclusion]]
prefixes = ["198.51.100.0/28", "2001:db8:100::/64"]
reason = "maintenance"
[[opt_out]]
address = "198.51.100.77"
[[opt_out]]
prefix = "198.51.100.64/30"
proof = "letter of 3 June 2026"
[[revoked]]
mandate = "other-mandate"
reason = "ended"
"#;
    let narrowing = Narrowing::parse("n.toml", text).unwrap();
    assert_eq!(narrowing.exclusions().len(), 3);
    assert_eq!(narrowing.revoked().len(), 1);
    let plain =
        Narrowing::parse_plain("n.txt", "# list\n198.51.100.9   # printer\n\n198.51.100.32/28\n").unwrap();
    let mut gate = gate(&options(), noon());
    gate.narrow(&narrowing.and(plain));
    let mut reason = |addr: &str| match gate.judge(&exchange(addr, 80, Check::Sweep), noon()) {
        Verdict::Refused(Refusal::Excluded { reason, .. }) => reason,
        other => panic!("{addr}: {other:?}"),
    };
    assert_eq!(reason("198.51.100.3"), "maintenance");
    assert_eq!(reason("198.51.100.77"), "opt-out");
    assert_eq!(reason("198.51.100.66"), "opt-out, proof: letter of 3 June 2026");
    assert_eq!(reason("198.51.100.33"), "");
    assert_eq!(reason("198.51.100.130"), "Hospital with devices that tolerate nothing");
    assert!(gate.still_allows(exchange("198.51.100.77", 80, Check::Sweep).endpoint).is_err());
}

#[test]
fn the_same_list_again_costs_nothing() {
    let mut narrowing =
        Narrowing::parse_plain("n.txt", "198.51.100.9 # printer\n9.9.9.9 # elsewhere\n").unwrap();
    narrowing.exclude("198.51.100.8/29".parse::<kenshin_observation::Prefix>().unwrap().into(), "wider");
    let mut gate = gate(&options(), noon());
    gate.narrow(&narrowing);
    let once = format!("{gate:?}");
    for _ in 0..100 {
        gate.narrow(&narrowing);
    }
    assert_eq!(format!("{gate:?}"), once);
}

#[test]
fn an_opt_out_of_a_prefix_needs_proof() {
    for (entry, expected) in [
        ("prefix = \"198.51.100.0/24\"", "n.toml:3:10: the opt-out of `198.51.100.0/24` has no proof"),
        (
            "prefix = \"198.51.100.0/24\"\nproof = \" \"",
            "n.toml:3:10: the opt-out of `198.51.100.0/24` has no proof",
        ),
        ("address = \"198.51.100.0/24\"", "n.toml:3:11: `198.51.100.0/24` is not an address"),
        ("proof = \"x\"", "n.toml:2:1: an opt-out names one address or one prefix"),
        ("grant = \"198.51.100.0/24\"", "n.toml:3:1: unknown key `grant`"),
    ] {
        let text = format!("schema_version = 1\n[[opt_out]]\n{entry}\n");
        let error = Narrowing::parse("n.toml", &text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = Narrowing::parse_plain("n.txt", "1.2.3.4\n  1.2.3.4/8 # x\n").unwrap_err().to_string();
    assert!(error.starts_with("n.txt:2:3:"), "{error}");
}

#[test]
fn a_newer_version_takes_the_place_of_the_one_it_names() {
    let older = gate(&options(), noon());
    let digest = older.mandate().digest();
    let both = format!("\nversion = 2\nsupersedes = {{ version = 1, sha256 = \"{digest}\" }}\n");
    let text = template(&options()).replace("\nversion = 1\n", &both);
    let newer = verified(&text);
    let mut narrowing = Narrowing::none();
    narrowing.supersede(&newer);
    assert_eq!(standing(&newer, Some(&list(1, noon(), Vec::new())), &narrowing, noon()), Ok(()));
    let refusal = standing(older.mandate(), older.revocation(), &narrowing, noon()).unwrap_err();
    assert_eq!(refusal, Refusal::Revoked { reason: "superseded by version 2".into() });
}

#[test]
fn the_example_text_round_trips_its_own_revocation() {
    let mandate = kenshin_mandate::Mandate::parse("m", &template(&options())).unwrap();
    assert!(by_id(&mandate.id).what.covers(&mandate));
    assert!(!by_id("x").what.covers(&mandate));
}
