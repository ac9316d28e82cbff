//! What zgrab2 recorded of real servers, read by our decoders. The samples lie beside the
//! repository; without them these tests say so and pass.

use std::path::PathBuf;

use kenshin_wire::reply::ReplyDecoder;
use kenshin_wire::telnet::TelnetDecoder;
use kenshin_wire::{Recognised, recognise};
use serde_json::Value;

/// The sample `name`, or `None` with a word about the skipped test.
fn sample(test: &str, name: &str) -> Option<Value> {
    let folder = std::env::var_os("KENSHIN_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join("zgrab2").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {test}: no sample {}", path.display());
        return None;
    };
    // One JSON document, or one a line.
    let document = text.lines().next().and_then(|line| serde_json::from_str(line).ok());
    Some(document.unwrap_or_else(|| serde_json::from_str(&text).unwrap()))
}

/// Every string under the key `key`, wherever it lies.
fn strings<'a>(value: &'a Value, key: &str, out: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let (true, Some(text)) = (name == key, field.as_str()) {
                    out.push(text);
                }
                strings(field, key, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, out)),
        _ => {}
    }
}

fn found<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let mut out = Vec::new();
    strings(value, key, &mut out);
    out
}

#[test]
fn numbered_greetings_of_real_servers() {
    for (name, expected) in [
        ("ftp-default.json", Recognised::Ftp),
        ("ftp-authtls.json", Recognised::Ftp),
        ("smtp-00.json", Recognised::Smtp),
        ("smtp-ehlo.03.json", Recognised::Smtp),
    ] {
        let Some(value) = sample("numbered_greetings_of_real_servers", name) else { return };
        let banners = found(&value, "banner");
        assert!(!banners.is_empty(), "{name} has no banner");
        for banner in banners {
            assert_eq!(recognise(banner.as_bytes()), expected, "{name}: {banner}");
            let mut decoder = ReplyDecoder::default();
            decoder.push(banner.as_bytes()).unwrap();
            assert!(decoder.next_reply().unwrap().is_some_and(|reply| reply.code == 220), "{name}: {banner}");
        }
    }
}

#[test]
fn an_ehlo_answer_of_a_real_server() {
    let Some(value) = sample("an_ehlo_answer_of_a_real_server", "smtp-ehlo.03.json") else { return };
    let answers = found(&value, "ehlo");
    assert!(!answers.is_empty());
    for answer in answers {
        let mut decoder = ReplyDecoder::default();
        decoder.push(answer.as_bytes()).unwrap();
        let reply = decoder.next_reply().unwrap().unwrap();
        assert_eq!(reply.code.to_string(), answer[..3]);
        assert_eq!(reply.lines.len(), answer.trim_end().lines().count());
    }
}

#[test]
fn a_telnet_banner_of_a_real_server() {
    let Some(value) = sample("a_telnet_banner_of_a_real_server", "telnet-telnet.json") else { return };
    for banner in found(&value, "banner") {
        let mut decoder = TelnetDecoder::new(4096);
        assert!(decoder.push(banner.as_bytes()).is_empty());
        assert_eq!(decoder.text(), banner.as_bytes());
    }
}

#[test]
fn other_protocols_stay_unknown() {
    for name in ["pop3-banner.json", "mysql-5.7.json"] {
        let Some(value) = sample("other_protocols_stay_unknown", name) else { return };
        for banner in found(&value, "banner") {
            assert_eq!(recognise(banner.as_bytes()), Recognised::Unknown, "{name}: {banner}");
        }
    }
}
