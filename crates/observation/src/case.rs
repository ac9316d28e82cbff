//! Words and facts about cases that insight judges and casework keeps.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{AssetId, Endpoint, TimeUs};

words!(
    /// What a re-check saw of a case's subject. Silence is never health: only `clean` on the same
    /// asset can become *remedied*.
    Condition, "condition" {
        /// The weakness is still there.
        Affected = "affected",
        /// The same asset answers and the weakness is gone.
        Clean = "clean",
        /// The host is alive, the service is closed.
        ServiceGone = "service-gone",
        /// It cannot be told.
        Unobservable = "unobservable",
        /// The asset was seen at another address, which the coverage includes.
        Elsewhere = "elsewhere",
        /// Another asset answers at the endpoint and the old one is nowhere in the covered pool.
        Replaced = "replaced",
    }
);

words!(
    /// Kind of a key that may identify a device.
    DeviceKeyKind, "device key kind" {
        /// SHA-256 of an SSH host key blob.
        SshHostKey = "ssh-host-key",
        /// SHA-256 of a TLS SubjectPublicKeyInfo.
        TlsPublicKey = "tls-public-key",
        /// A serial number the device shows.
        SerialNumber = "serial-number",
        /// A MAC address the device shows.
        MacAddress = "mac-address",
    }
);

/// A key that may identify a device. A key seen at more than a few addresses in one round is
/// shared and identifies nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceKey {
    /// What kind of key.
    pub kind: DeviceKeyKind,
    /// Its value: hexadecimal digest or the text shown.
    pub value: String,
}

/// The immutable subject of a case: where, what and when it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSubject {
    /// The asset.
    pub asset_id: AssetId,
    /// Endpoint of the first finding.
    pub endpoint: Endpoint,
    /// Keys that identified the asset alone at that time; empty when it had none.
    pub keys: Vec<DeviceKey>,
    /// Product claimed at that time, when known; a weak sign of continuity.
    pub product: Option<String>,
    /// When it was observed.
    pub time: TimeUs,
}
