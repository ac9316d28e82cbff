//! What keeps a network running: names, time, management, calls.

use serde::{Deserialize, Serialize};

/// SNMP answer (RFC 1157, RFC 3411 to 3416).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snmp {
    /// Version that answered: `1`, `2c` or `3`.
    pub version: String,
    /// The community asked with was accepted; null when none was tried. The community is never
    /// kept.
    pub community_accepted: Option<bool>,
    /// `sysDescr.0`.
    pub sys_descr: Option<String>,
    /// `sysObjectID.0`, dotted.
    pub sys_object_id: Option<String>,
    /// `sysName.0`.
    pub sys_name: Option<String>,
    /// Engine id of version 3 (RFC 3411 §5), hexadecimal.
    pub engine_id: Option<String>,
    /// Private enterprise number in the engine id, as IANA assigns them.
    pub engine_enterprise: Option<i64>,
    /// How often the engine has started.
    pub engine_boots: Option<i64>,
    /// Time since the engine started, in s.
    pub engine_time: Option<i64>,
}

/// DNS answers (RFC 1035).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// `version.bind`, class CH.
    pub version_bind: Option<String>,
    /// It says that it recurses (RA).
    pub recursion_available: Option<bool>,
    /// It resolved a name of ours for us; null when it was not asked.
    pub recursion_open: Option<bool>,
    /// Response code: 0 no error, 5 refused.
    pub rcode: Option<i32>,
    /// It says that the answer is its own (AA).
    pub authoritative: Option<bool>,
}

/// NTP answers (RFC 5905; mode 6, control: RFC 9327; mode 7, private, is of ntpd alone).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ntp {
    /// Version of the answer.
    pub version: Option<i32>,
    /// Distance from a reference clock: 1 has one, 16 is not synchronised.
    pub stratum: Option<i32>,
    /// Reference: four characters at stratum 1, an address above.
    pub reference_id: Option<String>,
    /// `version` of a mode 6 answer.
    pub control_version: Option<String>,
    /// `system` of a mode 6 answer.
    pub control_system: Option<String>,
    /// `processor` of a mode 6 answer.
    pub control_processor: Option<String>,
    /// It answers mode 7; null when it was not asked.
    pub private_answers: Option<bool>,
}

/// SIP answer to OPTIONS (RFC 3261).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sip {
    /// Status code.
    pub status: i32,
    /// `Server` header.
    pub server: Option<String>,
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// Methods of the `Allow` header.
    pub methods: Vec<String>,
}

/// A connection request server of CWMP (Broadband Forum TR-069), by which a provider reaches its
/// customers' routers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cwmp {
    /// `Server` header.
    pub server: Option<String>,
    /// Realm of its challenge.
    pub realm: Option<String>,
}

/// How much a datagram service answers to how little, counted as UDP payload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reflector {
    /// Bytes asked.
    pub request_bytes: i64,
    /// Bytes answered before the limit.
    pub answer_bytes: i64,
    /// Packets answered before the limit.
    pub answer_packets: i64,
    /// Bytes answered for each byte asked, in thousandths.
    pub factor_milli: i64,
}
