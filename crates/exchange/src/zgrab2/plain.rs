//! Modules whose results hold the values of our records one by one, under other names.

use base64::Engine;
use kenshin_observation::protocol::Records;
use serde_json::{Map, Value, json};

use super::at;

/// A field of ours, and where zgrab2's result has it.
type Place = (&'static str, &'static [&'static str]);

/// Places by protocol of ours.
const PLACES: &[(&str, &[Place])] = &[
    (
        "bacnet",
        &[
            ("vendor", &["vendor_name"]),
            ("vendor_id", &["vendor_id"]),
            ("model", &["model_name"]),
            ("firmware", &["firmware_revision"]),
            ("object_name", &["object_name"]),
            ("instance", &["instance_number"]),
        ],
    ),
    ("memcached", &[("version", &["version"])]),
    (
        "modbus",
        &[
            ("vendor", &["mei_response", "objects", "vendor"]),
            ("product_code", &["mei_response", "objects", "product_code"]),
            ("revision", &["mei_response", "objects", "revision"]),
            ("exception", &["exception_response", "exception_type"]),
        ],
    ),
    (
        "mongodb",
        &[("version", &["build_info", "version"]), ("wire_version", &["is_master", "max_wire_version"])],
    ),
    ("ntp", &[("version", &["version"]), ("stratum", &["time_response", "stratum"])]),
    ("redis", &[("version", &["version"]), ("mode", &["mode"])]),
    (
        "s7",
        &[
            ("module", &["module_id"]),
            ("system_name", &["system"]),
            ("module_name", &["module"]),
            ("plant", &["plant_id"]),
            ("serial_number", &["serial_number"]),
            ("version", &["firmware"]),
        ],
    ),
    ("smb", &[("capabilities", &["negotiation_log", "capabilities"]), ("smb1", &["smbv1_support"])]),
];

fn places(protocol: &str) -> Option<&'static [Place]> {
    PLACES.iter().find(|(ours, _)| *ours == protocol).map(|(_, places)| *places)
}

/// The result that our record fills; `None` for a protocol that is no plain one.
pub(super) fn told(protocol: &str, record: &Value) -> Option<Value> {
    let mut result = match protocol {
        "bacnet" => json!({ "is_bacnet": true }),
        "s7" => json!({ "is_s7": true }),
        _ => json!({}),
    };
    for (field, path) in places(protocol)? {
        if !record[*field].is_null() {
            let place = path.iter().fold(&mut result, |value, key| &mut value[*key]);
            *place = record[*field].clone();
        }
    }
    Some(result)
}

/// Our record of a result, whose texts are redacted and cut; `None` for a protocol that is no plain
/// one, and for values that do not fit.
pub(super) fn heard(protocol: &str, result: &Value) -> Option<Records> {
    let mut record = Map::new();
    for (field, path) in places(protocol)? {
        let value = match at(result, path) {
            // memcached's version comes with half of its line end.
            Value::String(text) => text.trim().into(),
            other => other.clone(),
        };
        record.insert((*field).to_owned(), value);
    }
    let derived = match protocol {
        "redis" => vec![("authentication_required", authentication(&result["ping_response"]))],
        "ntp" => vec![
            ("reference_id", reference(&result["time_response"])),
            ("private_answers", at(result, &["monlist_header", "is_response"]).clone()),
        ],
        "smb" => vec![
            ("dialect", at(result, &["smb_version", "version_string"]).as_str().map_or(Value::Null, dialect)),
            ("signing_required", signing(at(result, &["negotiation_log", "security_mode"]))),
        ],
        _ => Vec::new(),
    };
    record.extend(derived.into_iter().map(|(field, value)| (field.to_owned(), value)));
    let records: Map<String, Value> = [(protocol.to_owned(), record.into())].into_iter().collect();
    serde_json::from_value(records.into()).ok()
}

/// Whether Redis asks for a password, by its answer to PING.
fn authentication(answer: &Value) -> Value {
    match answer.as_str() {
        Some(text) if text.contains("NOAUTH") => true.into(),
        Some(text) if text.starts_with("PONG") => false.into(),
        _ => Value::Null,
    }
}

/// The reference of an NTP server: characters up to stratum 1, an address above (RFC 5905 §7.3).
fn reference(header: &Value) -> Value {
    let decoded = header["reference_id"]
        .as_str()
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let Some(id) = decoded.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else { return Value::Null };
    if header["stratum"].as_i64().is_some_and(|stratum| stratum > 1) {
        return std::net::Ipv4Addr::from(id).to_string().into();
    }
    let text: String =
        id.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    if text.is_empty() { Value::Null } else { text.into() }
}

/// `SMB 3.1.1` without its first word.
fn dialect(version: &str) -> Value {
    version.trim_start_matches("SMB ").into()
}

/// MS-SMB2 §2.2.4: bit 1 of the security mode.
fn signing(mode: &Value) -> Value {
    mode.as_u64().map_or(Value::Null, |mode| (mode & 2 != 0).into())
}
