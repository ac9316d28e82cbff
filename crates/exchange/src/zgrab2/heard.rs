//! Results of zgrab2's modules as our records.

use base64::Engine;
use kenshin_observation::protocol::{Ftp, Http, LIST_MAX, Mqtt, Records, Smtp, Ssh};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::told::OURS;
use super::{at, plain, telnet, tls};
use crate::import::Scribe;
use crate::speech;

/// What a result says: records, the certificate shown, and the port where it was asked.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) records: Records,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) port: Option<u16>,
}

/// Reads the result of a module for `protocol`, a name of ours.
pub(super) fn result(scribe: &Scribe, protocol: &str, result: &Value) -> Heard {
    let reader = Reader { scribe };
    let mut heard = Heard::default();
    let mut session = &result["tls"];
    match protocol {
        "http" => {
            // After a redirect the response may be another host's; the first one is this host's.
            let first = result["redirect_response_chain"].as_array().and_then(|chain| chain.first());
            let response = first.unwrap_or(&result["response"]);
            session = at(response, &["request", "tls_log"]);
            heard.port = port(response);
            heard.records.http = (!response.is_null()).then(|| Box::new(reader.http(response)));
        }
        "tls" => session = result,
        "ssh" => heard.records.ssh = Some(Box::new(reader.ssh(result))),
        "ftp" => {
            let banner = reader.line(&result["banner"]);
            heard.records.ftp = Some(Box::new(Ftp { banner, anonymous: None }));
        }
        "smtp" => heard.records.smtp = Some(Box::new(reader.smtp(result))),
        "telnet" => {
            let text = result["banner"].as_str().unwrap_or_default();
            let record = speech::telnet(scribe, text.as_bytes(), telnet::heard(result));
            heard.records.telnet = Some(Box::new(record));
        }
        "mqtt" => heard.records.mqtt = Some(Box::new(mqtt(result))),
        other => {
            let plain = plain::heard(other, &reader.clean(result));
            heard.records = reader.ours(result).or(plain).unwrap_or_else(|| reader.other(result));
        }
    }
    if let Some((record, certificate)) = tls::heard(scribe, session) {
        heard.records.tls = Some(Box::new(record));
        heard.certificate = certificate;
    }
    heard
}

struct Reader<'a> {
    scribe: &'a Scribe,
}

impl Reader<'_> {
    fn text(&self, value: &Value) -> Option<String> {
        value.as_str().map(|text| self.scribe.said(text.as_bytes()))
    }

    /// A text of one line, without its end.
    fn line(&self, value: &Value) -> String {
        let text = value.as_str().unwrap_or_default();
        self.scribe.said(text.trim_end_matches(['\r', '\n']).as_bytes())
    }

    fn list(&self, value: &Value) -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|item| self.text(item)).take(LIST_MAX).collect()
    }

    fn http(&self, response: &Value) -> Http {
        let headers = &response["headers"];
        let header = |name: &str| self.text(&headers[name][0]);
        let cookies = headers["set_cookie"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let body = response["body"].as_str().unwrap_or_default();
        Http {
            status: number(&response["status_code"]).unwrap_or(0),
            server: header("server"),
            title: (self.scribe.terms.look.title)(body).map(|title| self.scribe.said(title.as_bytes())),
            www_authenticate: header("www_authenticate"),
            powered_by: header("x_powered_by"),
            location: header("location"),
            content_type: header("content_type"),
            cookie_names: speech::cookie_names(cookies),
            password_form: (self.scribe.terms.look.password_form)(body),
            body_bytes: response["body_length"].as_i64().unwrap_or(body.len() as i64),
            body_sha256: self.text(&response["body_sha256"]),
            ..Http::default()
        }
    }

    fn ssh(&self, result: &Value) -> Ssh {
        let lists = &result["server_key_exchange"];
        let key = at(result, &["key_exchange", "server_host_key"]);
        let key = if key.is_null() { &result["server_host_key"] } else { key };
        let raw = key["raw"].as_str();
        let blob = raw.and_then(|raw| base64::engine::general_purpose::STANDARD.decode(raw).ok());
        let members = ["rsa_public_key", "dsa_public_key", "ecdsa_public_key"];
        let bits = members.iter().find_map(|member| number(&key[*member]["length"]));
        let ed25519 = key["algorithm"].as_str() == Some("ssh-ed25519");
        Ssh {
            banner: self.line(&result["server_id"]["raw"]),
            kex: self.list(&lists["kex_algorithms"]),
            host_key_algorithms: self.list(&lists["host_key_algorithms"]),
            ciphers_client_to_server: self.list(&lists["client_to_server_ciphers"]),
            ciphers_server_to_client: self.list(&lists["server_to_client_ciphers"]),
            macs_client_to_server: self.list(&lists["client_to_server_macs"]),
            macs_server_to_client: self.list(&lists["server_to_client_macs"]),
            compression_client_to_server: self.list(&lists["client_to_server_compression"]),
            compression_server_to_client: self.list(&lists["server_to_client_compression"]),
            host_key_algorithm: self.text(&key["algorithm"]),
            host_key_sha256: match blob {
                Some(blob) => Some(hex::encode(Sha256::digest(blob))),
                None => self.text(&key["fingerprint_sha256"]),
            },
            host_key_bits: bits.or(ed25519.then_some(256)),
            ..Ssh::default()
        }
    }

    fn smtp(&self, result: &Value) -> Smtp {
        let answer = result["ehlo"].as_str().unwrap_or_default();
        // `250-` or `250 `; anything else is no list of extensions.
        let lines = answer.lines().filter_map(|line| line.strip_prefix("250")?.get(1..));
        Smtp {
            banner: self.line(&result["banner"]),
            ehlo: lines.map(|line| self.scribe.said(line.as_bytes())).take(LIST_MAX).collect(),
        }
    }

    /// A protocol without a shape of its own here: what the service said first.
    fn other(&self, result: &Value) -> Records {
        let packet = result["raw_packets"][0].as_str();
        let packet = packet.and_then(|packet| base64::engine::general_purpose::STANDARD.decode(packet).ok());
        let said =
            packet.unwrap_or_else(|| result["banner"].as_str().unwrap_or_default().as_bytes().to_vec());
        let mut unknown = speech::unknown(self.scribe, &said);
        if let (Some(unknown), Some(length)) = (&mut unknown, result["length"].as_i64()) {
            unknown.bytes = length;
        }
        Records { unknown, ..Records::default() }
    }

    /// Our own records, from a file that we wrote.
    fn ours(&self, result: &Value) -> Option<Records> {
        let ours = &result[OURS];
        let records = serde_json::from_value::<Records>(self.clean(ours)).ok()?;
        (ours.is_object() && records.credential.is_none()).then_some(records)
    }

    /// The same with texts redacted and cut, and lists cut.
    fn clean(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.scribe.said(text.as_bytes()).into(),
            Value::Array(items) => items.iter().take(LIST_MAX).map(|item| self.clean(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(key, value)| (key.clone(), self.clean(value))).collect()
            }
            other => other.clone(),
        }
    }
}

fn mqtt(result: &Value) -> Mqtt {
    let code = number(&result["connect_return_code"]);
    // zgrab2 names no user: MQTT 3.1.1 §3.2.2.3.
    let anonymous = match code {
        Some(0) => Some("accepted"),
        Some(4 | 5) => Some("rejected"),
        _ => None,
    };
    Mqtt { connack_code: code, anonymous: anonymous.map(str::to_owned) }
}

/// The port that was asked, by the address of the page.
fn port(response: &Value) -> Option<u16> {
    let url = at(response, &["request", "url"]);
    let host = url["host"].as_str()?;
    let stated = host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
    match stated {
        Some((_, port)) => port.parse().ok(),
        None => Some(if url["scheme"].as_str() == Some("https") { 443 } else { 80 }),
    }
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}
