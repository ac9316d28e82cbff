//! The observation: what one sensor saw of one endpoint at one instant.

use serde::{Deserialize, Serialize};

use crate::protocol::Records;
use crate::words::words;
use crate::{Check, Direction, Endpoint, OrgId, Outcome, SensorId, SurveyId, TimeUs, Tlp};

/// What one sensor saw of one endpoint at one instant. Immutable once sealed into a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Owner of the row.
    pub org_id: OrgId,
    /// Mandate under which it was made.
    pub mandate_id: String,
    /// Survey it belongs to.
    pub survey_id: SurveyId,
    /// Who observed.
    pub sensor_id: SensorId,
    /// Who may see it.
    pub tlp: Tlp,
    /// When the attempt ended.
    pub time: TimeUs,
    /// Largest error of the sensor's clock in µs; `None` when it is not synchronised.
    pub clock_error_us: Option<i64>,
    /// The endpoint observed.
    pub subject: Endpoint,
    /// The address and port observed from.
    pub vantage: Endpoint,
    /// Which way the traffic went.
    pub direction: Direction,
    /// Class of exchange.
    pub check: Check,
    /// Version of the method that made it; raised when its meaning changes.
    pub method_version: i32,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for `limited` and `error`: a short code such as `bytes`, `time`, `revoked`.
    pub reason: Option<String>,
    /// What it spoke: the name of its record in [`Records`], such as `http` or `unknown`; `None` for
    /// a sweep.
    pub protocol: Option<String>,
    /// What was learned, per protocol; in JSON beside the other fields, as in the first batches.
    #[serde(flatten)]
    pub records: Records,
    /// SHA-256 of blobs that belong to it, hexadecimal.
    pub blobs: Vec<String>,
    /// What makes the endpoint no device, as far as the sensor noticed: `middlebox`, `tarpit`,
    /// `every-port-open`, `honeypot-tell`. Version 1 did not know it and its batches have no trace
    /// of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl Observation {
    /// True unless a label says that what was seen is no device.
    pub fn is_of_device(&self) -> bool {
        self.labels.is_empty()
    }
}

words!(
    /// What a blob holds; also its retention class.
    BlobClass, "blob class" {
        /// First bytes a service sent.
        Banner = "banner",
        /// A certificate, DER.
        Certificate = "certificate",
        /// A page body, redacted.
        Page = "page",
    }
);

/// A body kept by its digest: at most 512 bytes for banners and pages unless the mandate grants
/// more; certificates whole, at most 16 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// What it holds.
    pub class: BlobClass,
    /// The bytes, after redaction.
    #[serde(with = "hex::serde")]
    pub bytes: Vec<u8>,
}

impl Blob {
    /// SHA-256 of the bytes, hexadecimal: the name other rows know it by.
    pub fn sha256(&self) -> String {
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(&self.bytes))
    }
}
