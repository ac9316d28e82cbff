//! Rows of the table `services`: the current view, one row a service, as it was when it was last
//! asked.

use std::cmp::Ordering;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::SchemaError;
use crate::addr_from_hi_lo;

/// Version of the rows of the current view; rows of another version are made anew.
pub const SERVICE_VERSION: i32 = 1;

/// A row of the table `services`. Its key is (address, port, transport, protocol); of several rows
/// with one key that with the latest `asked_us` holds.
///
/// Texts that are lists have one space between their items, so that every column is flat, reads
/// fast and compresses to a dictionary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// [`SERVICE_VERSION`].
    pub schema: i32,
    /// Upper half of the address, see [`crate::addr_to_hi_lo`].
    pub addr_hi: i64,
    /// Lower half.
    pub addr_lo: i64,
    /// Port.
    pub port: i32,
    /// Transport.
    pub transport: String,
    /// What it spoke; null when that is not known.
    pub protocol: Option<String>,
    /// `answered`; else how the last attempt ended, or `changed` when the port speaks another
    /// protocol now.
    pub state: String,
    /// When it was first seen to answer, µs.
    pub first_us: i64,
    /// When it was last seen to answer, µs.
    pub seen_us: i64,
    /// When it was last asked, µs.
    pub asked_us: i64,
    /// When the lake took the observation this row stands on, µs.
    pub known_us: i64,
    /// Owner of the observation.
    pub org_id: String,
    /// Mandate of the observation.
    pub mandate_id: String,
    /// Survey of the observation.
    pub survey_id: String,
    /// Who observed.
    pub sensor_id: String,
    /// Who may see it.
    pub tlp: String,
    /// Maker of the device.
    pub vendor: Option<String>,
    /// Its model.
    pub product: Option<String>,
    /// Version of its firmware.
    pub version: Option<String>,
    /// Kind of device.
    pub device_type: Option<String>,
    /// CPE 2.3 name of the device.
    pub cpe: Option<String>,
    /// Software that shows at this port: JSON, a list of [`Software`].
    pub software: Option<String>,
    /// What the service says first, or of itself.
    pub banner: Option<String>,
    /// Title of its page.
    pub title: Option<String>,
    /// Its Server header.
    pub server: Option<String>,
    /// Status code.
    pub status: Option<i32>,
    /// Version of TLS.
    pub tls: Option<String>,
    /// SHA-256 of the certificate, hexadecimal.
    pub cert_sha256: Option<String>,
    /// Subject of the certificate.
    pub cert_subject: Option<String>,
    /// Names in the certificate.
    pub cert_names: Option<String>,
    /// Issuer of the certificate.
    pub cert_issuer: Option<String>,
    /// End of its validity, µs.
    pub cert_expires_us: Option<i64>,
    /// SHA-256 of the SSH host key or TLS public key, hexadecimal.
    pub key_sha256: Option<String>,
    /// Fingerprint of SSH algorithms.
    pub hassh: Option<String>,
    /// Fingerprint of the TLS answer.
    pub ja3s: Option<String>,
    /// MurmurHash3 of the icon.
    pub favicon: Option<i32>,
    /// What makes it no device.
    pub labels: Option<String>,
    /// Version of the tables that the columns below are from; null: not enriched.
    pub enriched_by: Option<String>,
    /// Autonomous system.
    pub asn: Option<i64>,
    /// Its name.
    pub as_name: Option<String>,
    /// Country, two letters.
    pub country: Option<String>,
    /// Part of the country, ISO 3166-2.
    pub region: Option<String>,
    /// Provider by the directory of that day, its name.
    pub provider: Option<String>,
}

/// Software that shows at a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// Maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Name.
    pub product: String,
    /// Version, when disclosed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// CPE 2.3 name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
}

/// What tells services apart, in the order of the view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the columns of the same names")]
pub struct ServiceKey {
    pub addr: (i64, i64),
    pub port: i32,
    pub transport: String,
    pub protocol: Option<String>,
}

impl ServiceRow {
    /// Its key.
    pub fn key(&self) -> ServiceKey {
        ServiceKey {
            addr: (self.addr_hi, self.addr_lo),
            port: self.port,
            transport: self.transport.clone(),
            protocol: self.protocol.clone(),
        }
    }

    /// Its address.
    pub fn addr(&self) -> IpAddr {
        addr_from_hi_lo(self.addr_hi, self.addr_lo)
    }

    /// Order of the view: by address, port, transport, protocol.
    pub fn compare_keys(&self, other: &Self) -> Ordering {
        let key = |row: &Self| (row.addr_hi, row.addr_lo, row.port);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.transport.cmp(&other.transport))
            .then_with(|| self.protocol.cmp(&other.protocol))
    }

    /// The software at this port.
    pub fn software(&self) -> Result<Vec<Software>, SchemaError> {
        let Some(text) = &self.software else { return Ok(Vec::new()) };
        serde_json::from_str(text)
            .map_err(|_| SchemaError::Value { column: "software", value: text.chars().take(80).collect() })
    }
}
