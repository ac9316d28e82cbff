//! Mandates in plain words, and the commented template.

use std::fs;
use std::path::Path;

use kenshin_mandate::{Mandate, Narrowing, Refusal, Statement, TemplateOptions, standing, template};
use kenshin_observation::{Check, Messages};

use crate::support::{at, list, noon, read, testdata, verified};

fn compare(path: &Path, text: &str) {
    if std::env::var_os("KENSHIN_UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), text, "{}", path.display());
}

#[test]
fn the_town_in_both_languages() {
    let mandate = verified(&read("good.toml"));
    let now = at("2026-06-01T23:00:00+09:00");
    let stands = standing(&mandate, Some(&list(1, now, Vec::new())), &Narrowing::none(), now);
    let statement = Statement::new(&mandate, mandate.signers(), Some(stands));
    let messages = Messages::builtin();
    for sentence in &statement.sentences {
        for language in ["en", "ja"] {
            assert!(
                messages.codes(language).any(|code| code == sentence.code),
                "{} in {language}",
                sentence.code
            );
            let text = messages.explain(language, sentence);
            assert!(!text.contains('{'), "{text}");
        }
    }
    compare(&testdata("good.en.txt"), &statement.render(&messages, "en"));
    compare(&testdata("good.ja.txt"), &statement.render(&messages, "ja"));
}

#[test]
fn numbers_for_programs() {
    let mandate = Mandate::parse("good.toml", &read("good.toml")).unwrap();
    let statement = Statement::new(&mandate, &[], None);
    assert_eq!(statement.targets, Some(65_282));
    assert_eq!(statement.ports, 108);
    assert_eq!(statement.exchanges, Some(65_282 * 108));
    // 254 prefixes of 256 addresses at 200/s: 256 × 108 / 200 s; in all: 7 050 456 / 1000 s.
    assert_eq!(statement.duration_s, Some(7051));
    // 40 hours of 168 are open.
    assert_eq!(statement.calendar_s, Some(7051 * 168 / 40));
    assert_eq!(statement.excluded, 256);
    assert!(statement.signed_by.is_empty() && statement.refused.is_none());
    assert!(statement.sentences.iter().any(|s| s.code == "mandate.says.unsigned"));
    assert!(
        statement
            .sentences
            .iter()
            .any(|s| s.code == "mandate.says.listen-only" && s.args["ports"] == "9100/tcp")
    );
}

#[test]
fn what_does_not_stand_says_why() {
    let mandate = verified(&read("good.toml"));
    let statement = Statement::new(&mandate, mandate.signers(), Some(Err(Refusal::RevocationMissing)));
    assert_eq!(statement.refused, Some("revocation-missing"));
    assert_eq!(statement.sentences.last().unwrap().code, "mandate.refusal.revocation-missing");
}

#[test]
fn every_refusal_and_check_has_words() {
    let messages = Messages::builtin();
    let endpoint = kenshin_observation::Endpoint::tcp("127.0.0.1".parse().unwrap(), 1);
    let (addr, check, now) = (endpoint.addr, Check::Banner, noon());
    let refusals = [
        Refusal::NotYetValid { from: now },
        Refusal::Expired { until: now },
        Refusal::SignerExpired { until: now },
        Refusal::Revoked { reason: "r".into() },
        Refusal::RevocationMissing,
        Refusal::RevocationStale { issued_at: now, max_age_s: 900 },
        Refusal::RevocationAhead { issued_at: now },
        Refusal::WindowClosed { opens: None },
        Refusal::ClockBack { latest: now },
        Refusal::OutsideScope { addr },
        Refusal::Excluded { addr, reason: "r".into() },
        Refusal::PortNotGranted { endpoint },
        Refusal::CheckNotGranted { check },
        Refusal::ListenOnly { endpoint, check },
    ];
    let mut codes: Vec<String> = refusals.iter().map(|r| r.explanation().code).collect();
    codes.extend(
        ["daily", "weekdays", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            .map(|days| format!("mandate.says.hours.{days}")),
    );
    codes.extend(Check::ALL.iter().map(|check| format!("mandate.says.check.{check}")));
    for language in ["en", "ja"] {
        for code in &codes {
            assert!(messages.codes(language).any(|known| known == code), "{code} in {language}");
        }
        for refusal in &refusals {
            let text = messages.explain(language, &refusal.explanation());
            assert!(!text.contains('{') && !refusal.hint().is_empty(), "{text}");
        }
    }
}

#[test]
fn the_template_parses_and_is_the_shipped_example() {
    let options = TemplateOptions::example();
    let text = template(&options);
    let mandate = Mandate::parse("template", &text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(mandate.rate, options.rate);
    assert_eq!(mandate.allowed().count_v4(), 256 - 16);
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mandate-example.toml"), &text);
}

#[test]
fn the_template_survives_awkward_text() {
    let options = TemplateOptions {
        title: "say \"hi\" \\ # [x] = 検診".into(),
        purpose: "line one\nline two \u{7}".into(),
        prefixes: ["127.0.0.0/8", "10.1.0.0/16", "fd00::/64", "9.9.9.0/24"]
            .map(|p| p.parse().unwrap())
            .to_vec(),
        special_reason: "\"\"\"".into(),
        contact_web: None,
        legal_basis_notify: None,
        ..TemplateOptions::example()
    };
    let mandate = Mandate::parse("template", &template(&options)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(mandate.title, options.title);
    assert_eq!(mandate.purpose, options.purpose);
    assert_eq!(mandate.special_space.len(), 3);
    assert_eq!(mandate.legal_basis.notify, None);
}
