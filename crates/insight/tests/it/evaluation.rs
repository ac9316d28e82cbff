//! Identification against labels: Recog's examples, reworded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use kenshin_insight::evaluation::{Attribute, Evaluation, evaluate, plot};
use kenshin_insight::fingerprint::{Database, Match, Pack, Packs};

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

/// Of whom a fingerprint may speak; the label takes any of them.
const GROUPS: [&str; 4] = ["hw", "os", "service", "service.component"];

/// Labelled lines from every example whose fingerprint names a maker of anything.
fn labelled(pack: &Pack) -> String {
    let mut lines = String::new();
    for database in pack.databases() {
        for fingerprint in database.fingerprints() {
            let says = |attribute: &str, found: Option<&Match<'_>>| -> BTreeSet<String> {
                let names = GROUPS.map(|group| format!("{group}.{attribute}"));
                let constant =
                    |name: &&String| fingerprint.params().iter().any(|p| p.name == **name && p.position == 0);
                match found {
                    Some(found) => {
                        names.iter().filter_map(|name| found.get(name).map(str::to_owned)).collect()
                    }
                    None => {
                        let params = names
                            .iter()
                            .filter(constant)
                            .flat_map(|name| fingerprint.params().iter().filter(move |p| p.name == *name));
                        params.map(|param| param.value.clone()).filter(|value| !value.contains('{')).collect()
                    }
                }
            };
            if says("vendor", None).is_empty() {
                continue;
            }
            for example in fingerprint.examples().iter().filter(|example| example.file.is_none()) {
                let text = reworded(&example.text, &example.attributes);
                let Some((service, banner)) = dressed(database, &text) else { continue };
                let found = database.first_match(&text);
                let known = |attribute: &str| says(attribute, found.as_ref());
                // A version that the text does not show is one that the pattern merely assumes.
                let shown = String::from_utf8_lossy(&text).into_owned();
                let versions: BTreeSet<String> =
                    known("version").into_iter().filter(|v| shown.contains(v)).collect();
                let line = serde_json::json!({
                    "service": service,
                    "banner_base64": base64::engine::general_purpose::STANDARD.encode(banner),
                    "truth": {
                        "vendor": known("vendor"),
                        "product": known("product"),
                        "type": known("device"),
                        "version": versions,
                    },
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
        for attribute in Attribute::ALL {
            let score = evaluation.score(*attribute);
            eprintln!(
                "{name} {attribute}: judged {} answered {} correct {} precision {:.4} calibration error {:.3}",
                score.judged,
                score.answered,
                score.correct,
                score.precision().unwrap_or(f64::NAN),
                score.calibration_error().unwrap_or(f64::NAN)
            );
        }
    }
    for (attribute, wrong) in
        Attribute::ALL.iter().flat_map(|a| misses(&both, *a).into_iter().map(move |m| (a, m)))
    {
        eprintln!("  {attribute}: {wrong}");
    }
    // The picture in docs/ is written on request: its figures are those of a day.
    let picture = plot(&both);
    if std::env::var_os("KENSHIN_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/calibration.svg"), &picture).unwrap();
    }
    let points: usize = Attribute::ALL.iter().map(|a| both.score(*a).calibration().len()).sum();
    assert_eq!(picture.matches("<circle").count(), points);
    assert_eq!(both.rejected_total, 0);
    let (alone, both) = (alone.score(Attribute::Vendor), both.score(Attribute::Vendor));
    assert!(both.judged > 3_000, "{} judged", both.judged);
    assert!(both.precision().unwrap() >= 0.98);
    assert!(both.calibration_error().unwrap() <= 0.05);
    assert!(both.answered >= alone.answered, "{} < {}", both.answered, alone.answered);
}

/// What was claimed instead of what, with how often, the most frequent first.
fn misses(evaluation: &Evaluation, attribute: Attribute) -> Vec<String> {
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for wrong in evaluation.wrong.iter().filter(|wrong| wrong.attribute == attribute) {
        *counts.entry((&wrong.answer, wrong.truth.join("|"))).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
        .into_iter()
        .take(25)
        .map(|((answer, truth), count)| format!("{count} {answer} instead of {truth}"))
        .collect()
}
