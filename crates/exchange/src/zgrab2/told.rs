//! Our records as results of zgrab2's modules.

use std::net::IpAddr;

use kenshin_observation::protocol::{Http, Records, Smtp, Ssh, Telnet};
use kenshin_observation::{Endpoint, Observation};
use serde_json::{Map, Value, json};

use super::{compact, is_nothing, plain, telnet, tls};
use crate::speech;

/// zgrab2's headers by name of ours: it joins their words by `_`.
const HEADERS: &[(&str, &str)] = &[
    ("Server", "server"),
    ("X-Powered-By", "x_powered_by"),
    ("WWW-Authenticate", "www_authenticate"),
    ("Location", "location"),
    ("Content-Type", "content_type"),
    ("Set-Cookie", "set_cookie"),
];

/// The key for what zgrab2 has no place for.
pub(super) const OURS: &str = "kenshin";

/// Records whose module holds all that is worth keeping.
const WHOLE: &[&str] =
    &["http", "tls", "ssh", "telnet", "ftp", "smtp", "mqtt", "unknown", "memcached", "credential"];

/// The result of a row; `Null` when it learned nothing.
pub(super) fn result(row: &Observation) -> Value {
    let protocol = row.protocol.as_deref().unwrap_or_default();
    let session = row.records.tls.as_ref().map(|session| compact(tls::told(session)));
    let mut ours = match serde_json::to_value(&row.records) {
        Ok(Value::Object(records)) => records,
        _ => Map::new(),
    };
    let mut result = match (&row.records.http, protocol) {
        (Some(http), _) => compact(json!({ "response": response(http, row.subject, session) })),
        (None, "tls") => session.unwrap_or_default(),
        (None, _) => {
            let record = ours.get(protocol).unwrap_or(&Value::Null);
            let told = said(&row.records).or_else(|| plain::told(protocol, record));
            let mut told = compact(told.unwrap_or_else(|| Map::new().into()));
            if let Some(session) = session {
                told["tls"] = session;
            }
            told
        }
    };
    ours.retain(|name, record| !record.is_null() && !WHOLE.contains(&name.as_str()));
    if !ours.is_empty() {
        result[OURS] = ours.into();
    }
    if is_nothing(&result) { Value::Null } else { result }
}

/// The result of a module that zgrab2 has; `None` when it has none for what was learned.
fn said(records: &Records) -> Option<Value> {
    let greeting = |banner: &str| format!("{banner}\r\n");
    if let Some(ssh) = &records.ssh {
        return Some(key_exchange(ssh));
    }
    if let Some(telnet) = &records.telnet {
        return Some(options(telnet));
    }
    if let Some(ftp) = &records.ftp {
        return Some(json!({ "banner": greeting(&ftp.banner) }));
    }
    if let Some(smtp) = &records.smtp {
        return Some(json!({ "banner": greeting(&smtp.banner), "ehlo": extensions(smtp) }));
    }
    if let Some(mqtt) = &records.mqtt {
        return Some(json!({ "connect_return_code": mqtt.connack_code }));
    }
    records.unknown.as_ref().map(|unknown| json!({ "banner": unknown.banner, "length": unknown.bytes }))
}

fn response(http: &Http, subject: Endpoint, session: Option<Value>) -> Value {
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in speech::http_headers(http) {
        if let Some((_, key)) = HEADERS.iter().find(|(ours, _)| *ours == name) {
            let values = headers.entry(*key).or_insert_with(|| Value::Array(Vec::new()));
            values.as_array_mut().expect("made as a list just above").push(value.into());
        }
    }
    let host = match subject.addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let (scheme, usual) = if session.is_some() { ("https", 443) } else { ("http", 80) };
    let host = if subject.port == usual { host } else { format!("{host}:{}", subject.port) };
    json!({
        "status_code": http.status,
        "headers": headers,
        "body_sha256": http.body_sha256,
        "body_length": (http.body_bytes > 0).then_some(http.body_bytes),
        "request": {
            "url": { "scheme": scheme, "host": host, "path": "/" },
            "method": "GET",
            "host": host,
            "tls_log": session,
        },
    })
}

fn key_exchange(ssh: &Ssh) -> Value {
    // SSH-protoversion-softwareversion SP comments (RFC 4253 §4.2).
    let mut parts = ssh.banner.splitn(3, '-').skip(1);
    let (version, rest) = (parts.next(), parts.next().unwrap_or_default());
    let (software, comment) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut key = json!({ "algorithm": ssh.host_key_algorithm, "fingerprint_sha256": ssh.host_key_sha256 });
    let algorithm = ssh.host_key_algorithm.as_deref().unwrap_or_default();
    let member = match algorithm {
        "ssh-dss" => Some("dsa_public_key"),
        _ if algorithm.contains("rsa") => Some("rsa_public_key"),
        _ if algorithm.starts_with("ecdsa") => Some("ecdsa_public_key"),
        _ => None,
    };
    if let Some(member) = member {
        key[member] = json!({ "length": ssh.host_key_bits });
    }
    json!({
        "server_id": {
            "raw": text(&ssh.banner), "version": version, "software": text(software), "comment": text(comment),
        },
        "server_key_exchange": {
            "kex_algorithms": ssh.kex,
            "host_key_algorithms": ssh.host_key_algorithms,
            "client_to_server_ciphers": ssh.ciphers_client_to_server,
            "server_to_client_ciphers": ssh.ciphers_server_to_client,
            "client_to_server_macs": ssh.macs_client_to_server,
            "server_to_client_macs": ssh.macs_server_to_client,
            "client_to_server_compression": ssh.compression_client_to_server,
            "server_to_client_compression": ssh.compression_server_to_client,
        },
        "algorithm_selection": { "host_key_algorithm": ssh.host_key_algorithm },
        "key_exchange": { "server_host_key": key },
    })
}

fn options(record: &Telnet) -> Value {
    let mut result = json!({ "banner": record.text });
    for (verb, key) in telnet::VERBS {
        result[*key] = telnet::told(&record.options, verb).into();
    }
    result
}

/// The answer to EHLO as it was sent (RFC 5321 §4.2.1).
fn extensions(smtp: &Smtp) -> Option<String> {
    let (last, others) = smtp.ehlo.split_last()?;
    let mut out: String = others.iter().map(|line| format!("250-{line}\r\n")).collect();
    out.push_str(&format!("250 {last}\r\n"));
    Some(out)
}
