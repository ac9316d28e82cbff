//! Identification against labels: Recog's examples, reworded.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use kenshin_insight::evaluation::{Attribute, Evaluation, evaluate};
use kenshin_insight::fingerprint::{Database, Pack, Packs};

use crate::recog;

/// Databases of services that can be evaluated: kind of service, and how a text of the field is
/// dressed as a banner.
fn dressed(database: &Database, text: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let headed = |name: &str| {
        let mut head = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_vec();
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(text);
        head.extend_from_slice(b"\r\nContent-Type: text/html\r\n\r\n");
        head
    };
    // A header field ends with its line.
    let one_line = !text.contains(&b'\n') && !text.contains(&b'\r');
    Some(match database.key() {
        "ssh.banner" => ("ssh", [b"SSH-2.0-".as_slice(), text].concat()),
        "ftp.banner" => ("ftp", [b"220 ".as_slice(), text].concat()),
        "smtp.banner" => ("smtp", [b"220 ".as_slice(), text].concat()),
        "telnet_banners" => ("telnet", text.to_vec()),
        "snmp.sys_description" => ("snmp", text.to_vec()),
        "http_header.server" if one_line => ("http", headed("Server")),
        "http_header.wwwauth" if one_line => ("http", headed("WWW-Authenticate")),
        "html_title" if !text.contains(&b'<') => {
            ("http", [b"HTTP/1.1 200 OK\r\n\r\n<html><title>".as_slice(), text, b"</title></html>"].concat())
        }
        "rtsp_header.server" => {
            ("rtsp", [b"RTSP/1.0 200 OK\r\nServer: ".as_slice(), text, b"\r\n\r\n"].concat())
        }
        "x509.subject" => ("tls", text.to_vec()),
        _ => return None,
    })
}

/// The example with its version and host name changed, where it has some.
fn reworded(text: &[u8], attributes: &[(String, String)]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(text).into_owned();
    for (name, value) in attributes {
        if name.ends_with(".version") && value.len() >= 3 && text.matches(value.as_str()).count() == 1 {
            let changed: String = value
                .chars()
                .rev()
                .enumerate()
                .map(
                    |(at, c)| {
                        if at == 0 && c.is_ascii_digit() { if c == '9' { '8' } else { '9' } } else { c }
                    },
                )
                .collect();
            text = text.replace(value.as_str(), &changed.chars().rev().collect::<String>());
        }
        if name == "host.name" && value.len() >= 4 && text.matches(value.as_str()).count() == 1 {
            text = text.replace(value.as_str(), "gw7.example.net");
        }
    }
    text.into_bytes()
}

/// Labelled lines from every example whose fingerprint names a maker of anything.
fn labelled(pack: &Pack) -> String {
    let mut lines = String::new();
    for database in pack.databases() {
        for fingerprint in database.fingerprints() {
            let constant = |name: &str| {
                let param =
                    fingerprint.params().iter().find(|param| param.name == name && param.position == 0);
                param.map(|param| param.value.clone()).filter(|value| !value.contains('{'))
            };
            let vendors: BTreeSet<String> =
                ["hw.vendor", "os.vendor", "service.vendor", "service.component.vendor"]
                    .into_iter()
                    .filter_map(constant)
                    .collect();
            if vendors.is_empty() {
                continue;
            }
            for example in fingerprint.examples().iter().filter(|example| example.file.is_none()) {
                let text = reworded(&example.text, &example.attributes);
                let Some((service, banner)) = dressed(database, &text) else { continue };
                let line = serde_json::json!({
                    "service": service,
                    "banner_base64": base64::engine::general_purpose::STANDARD.encode(banner),
                    "truth": { "vendor": vendors },
                });
                lines.push_str(&format!("{line}\n"));
            }
        }
    }
    lines
}

#[test]
fn reworded_examples_of_recog_are_answered_as_often_and_right() {
    let Some(theirs) = recog::pack() else {
        eprintln!("skipped: reworded_examples_of_recog (no shared data)");
        return;
    };
    let lines = labelled(&theirs);
    let of = |packs: Packs| -> Evaluation { evaluate("recog.jsonl", lines.as_bytes(), &packs).unwrap() };
    let alone = of(Packs::new(vec![Arc::clone(&theirs)]));
    let both = of(Packs::both([theirs]));
    for (name, evaluation) in [("recog", &alone), ("both", &both)] {
        let score = evaluation.score(Attribute::Vendor);
        eprintln!(
            "{name}: judged {} answered {} correct {} precision {:.4} calibration error {:.3}",
            score.judged,
            score.answered,
            score.correct,
            score.precision().unwrap(),
            score.calibration_error().unwrap()
        );
    }
    let mut worst: std::collections::BTreeMap<(String, String), usize> = Default::default();
    for wrong in &both.wrong {
        *worst.entry((wrong.answer.clone(), wrong.truth.join("|"))).or_default() += 1;
    }
    for ((answer, truth), count) in &worst {
        eprintln!("  {count} {answer} instead of {truth}");
    }
    assert_eq!(both.rejected_total, 0);
    let (alone, both) = (alone.score(Attribute::Vendor), both.score(Attribute::Vendor));
    assert!(both.judged > 3_000, "{} judged", both.judged);
    assert!(both.precision().unwrap() >= 0.98);
    assert!(both.answered >= alone.answered, "{} < {}", both.answered, alone.answered);
}
