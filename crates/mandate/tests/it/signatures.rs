//! Whose signatures count.

use ed25519_dalek::{Signer, SigningKey};
use kenshin_mandate::signature::{MANDATE_NAMESPACE, SignatureError};
use kenshin_mandate::{SignerKey, TrustRoots, VerifyError, template, verify};
use kenshin_observation::TimeUs;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, Signature, SshSig};

use crate::support::{AUTHORITY, SECOND, key, noon, options, read, roots, sign};

fn refused(text: &str, signatures: &[&str], roots: &TrustRoots, now: TimeUs) -> SignatureError {
    match verify("m.toml", text, signatures, roots, now) {
        Err(VerifyError::Signature(error)) => {
            assert!(!error.hint().is_empty());
            error
        }
        other => panic!("{other:?}"),
    }
}

fn roots_of(lines: &[String]) -> TrustRoots {
    TrustRoots::parse("allowed_signers", &lines.concat()).unwrap()
}

#[test]
fn one_good_signature_is_enough_for_the_usual_checks() {
    let text = template(&options());
    let mandate = verify("m.toml", &text, &[&sign(&text, 1)], &roots(), noon()).unwrap();
    assert_eq!(mandate.signers()[0].principals, [AUTHORITY]);
    assert!(mandate.signers()[0].fingerprint.starts_with("SHA256:"));
    assert_eq!(mandate.trusted_until(), None);
    assert_eq!(mandate.digest().len(), 64);
}

#[test]
fn every_way_to_be_wrong() {
    let (text, now) = (template(&options()), noon());
    let good = sign(&text, 1);
    let is = |error: SignatureError, expected: &str| assert!(error.to_string().contains(expected), "{error}");

    is(refused(&text, &[], &roots(), now), "is not signed");
    is(refused(&text, &["", "\n"], &roots(), now), "is not signed");
    is(refused(&text, &["hello"], &roots(), now), "cannot be read");
    is(refused(&text, &[&good[..good.len() / 2]], &roots(), now), "cannot be read");
    is(refused(&text, &[&format!("x\n{good}")], &roots(), now), "cannot be read");
    is(refused(&text, &[&good.repeat(17)], &roots(), now), "17 signatures");
    is(
        refused(&text, &[&key(1).sign(&text, "git").unwrap()], &roots(), now),
        "namespace `git`, not `kenshin-mandate`",
    );
    is(refused(&format!("{text} "), &[&good], &roots(), now), "does not match its text");
    is(refused(&text, &[&sign(&text, 9)], &roots(), now), "not among the trust roots");
    is(refused(&text, &[&sign(&text, 2)], &roots(), now), "names `authority@example.jp` as its authority");
    // A second signature that does not count is not ignored.
    is(refused(&text, &[&good, &sign(&text, 9)], &roots(), now), "not among the trust roots");

    let git_only = roots_of(&[key(1).allowed_signers_line(AUTHORITY, &["git"])]);
    is(refused(&text, &[&good], &git_only, now), "may not sign in namespace");
    let public = key(1).public_line();
    let past = roots_of(&[format!("{AUTHORITY} valid-before=\"20260101Z\" {public}\n")]);
    is(refused(&text, &[&good], &past, now), "was trusted until 2026-01-01T00:00:00Z");
    let future = roots_of(&[format!("{AUTHORITY} valid-after=\"20270101Z\" {public}\n")]);
    is(refused(&text, &[&good], &future, now), "is trusted from 2027-01-01T00:00:00Z");
}

#[test]
fn the_second_signer_has_another_key_and_another_name() {
    let (text, now) = (read("good.toml"), noon());
    let (first, second) = (sign(&text, 1), sign(&text, 2));
    let too_few = |signatures: &[&str], roots: &TrustRoots| {
        let error = refused(&text, signatures, roots, now);
        assert!(matches!(error, SignatureError::TooFew { needed: 2, found: 1, .. }), "{error}");
    };
    let accepted = |signatures: &[&str]| verify("m.toml", &text, signatures, &roots(), now).unwrap();

    assert_eq!(accepted(&[&first, &second]).signers().len(), 2);
    // Several blocks in one file count as well, in any order.
    assert_eq!(accepted(&[&format!("{second}\n{first}")]).signers().len(), 2);
    too_few(&[&first], &roots());
    too_few(&[&first, &first], &roots());

    let ns = [MANDATE_NAMESPACE];
    let same_person =
        roots_of(&[key(1).allowed_signers_line(AUTHORITY, &ns), key(2).allowed_signers_line(AUTHORITY, &ns)]);
    too_few(&[&first, &second], &same_person);
    let alias = format!("{SECOND},{AUTHORITY}");
    let overlapping =
        roots_of(&[key(1).allowed_signers_line(AUTHORITY, &ns), key(2).allowed_signers_line(&alias, &ns)]);
    too_few(&[&first, &second], &overlapping);
    // One key listed for two people is still one key.
    let two_names =
        roots_of(&[key(1).allowed_signers_line(AUTHORITY, &ns), key(1).allowed_signers_line(SECOND, &ns)]);
    too_few(&[&first, &first], &two_names);
}

#[test]
fn trust_that_ends_takes_the_mandate_along() {
    let text = template(&options());
    let line = format!("{AUTHORITY} valid-before=\"20260701Z\" {}\n", key(1).public_line());
    let mandate = verify("m.toml", &text, &[&sign(&text, 1)], &roots_of(&[line]), noon()).unwrap();
    assert_eq!(mandate.trusted_until(), Some("2026-07-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn nothing_is_believed_before_the_signature() {
    // A text that breaks every rule and is not signed is refused for not being signed.
    assert!(matches!(
        verify("m.toml", "not a mandate", &[], &roots(), noon()),
        Err(VerifyError::Signature(SignatureError::Missing { .. }))
    ));
    let signature = sign("not a mandate", 1);
    let error = verify("m.toml", "not a mandate", &[&signature], &roots(), noon()).unwrap_err();
    assert!(
        matches!(error, VerifyError::Invalid(_)) && error.to_string().starts_with("m.toml:1:"),
        "{error}"
    );
}

/// What a hardware token would make of the text: its public key and its signature (PROTOCOL.u2f).
fn token(text: &str, flags: u8) -> (String, String) {
    let pair = SigningKey::from_bytes(&[3; 32]);
    let key = SkEd25519::new(Ed25519PublicKey(*pair.verifying_key().as_bytes()), "ssh:");
    let key = PublicKey::new(KeyData::SkEd25519(key), "token");
    let signed = SshSig::signed_data(MANDATE_NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
    let flags_and_counter = [flags, 0, 0, 0, 9];
    let message = [&Sha256::digest(b"ssh:")[..], &flags_and_counter, &Sha256::digest(signed)[..]].concat();
    let data = [&pair.sign(&message).to_bytes()[..], &flags_and_counter].concat();
    let signature = Signature::new(Algorithm::SkEd25519, data).unwrap();
    let signature =
        SshSig::new(key.key_data().clone(), MANDATE_NAMESPACE, HashAlg::Sha512, signature).unwrap();
    (key.to_openssh().unwrap(), signature.to_pem(LineEnding::LF).unwrap())
}

#[test]
fn hardware_tokens_sign_when_somebody_touches_them() {
    let text = template(&options());
    let (public, signature) = token(&text, 1);
    let roots = roots_of(&[format!("{AUTHORITY} {public}\n")]);
    assert_eq!(verify("m.toml", &text, &[&signature], &roots, noon()).unwrap().signers().len(), 1);
    let error = refused(&format!("{text} "), &[&signature], &roots, noon());
    assert!(matches!(error, SignatureError::Mismatch { .. }), "{error}");
    let error = refused(&text, &[&token(&text, 4).1], &roots, noon());
    assert!(matches!(error, SignatureError::Untouched { .. }), "{error}");
}

#[test]
fn private_keys_survive_openssh_format() {
    let pem = key(7).to_openssh();
    let again = SignerKey::from_openssh(&pem, None).unwrap();
    assert_eq!(again.public_line(), key(7).public_line());
    assert!(SignerKey::from_openssh("nonsense", None).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing widens unsigned: whatever single character of a signed mandate changes, it is void.
    #[test]
    fn any_change_voids_the_signature(at in 0usize..6000, replacement in "\\PC") {
        let text = template(&options());
        let at = text.char_indices().map(|(n, _)| n).nth(at % text.chars().count()).unwrap();
        let old = text[at..].chars().next().unwrap();
        prop_assume!(replacement != old.to_string());
        let changed = format!("{}{replacement}{}", &text[..at], &text[at + old.len_utf8()..]);
        let error = refused(&changed, &[&sign(&text, 1)], &roots(), noon());
        let mismatch = matches!(error, SignatureError::Mismatch { .. });
        prop_assert!(mismatch, "{error}");
    }
}
