//! Batches: signed groups of observations, chained per sensor.
//!
//! Each row is hashed with its own salt into a leaf; the leaves form a Merkle tree as in
//! RFC 6962 §2.1. Salts travel beside the rows and are stored apart, so that a row can be erased
//! (with its salt) and every other proof stays valid.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{BatchId, Blob, Coverage, Observation, SensorId, SurveyId, TimeUs, merkle};

/// Version of the batch format written today. Version 2 brought records and labels, version 3 the key
/// exchange of TLS, that the version before would read as nothing, and so would find another root.
pub const SCHEMA: i32 = 3;

/// Root of the empty chain: the `previous_root` of a sensor's first batch.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What the sensor signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Format version, at most [`SCHEMA`].
    pub schema: i32,
    /// Id of the batch.
    pub batch_id: BatchId,
    /// Who observed.
    pub sensor_id: SensorId,
    /// Survey all rows belong to.
    pub survey_id: SurveyId,
    /// Slice of the survey's permutation that the batch completes.
    pub slice: i64,
    /// Counts the sensor's batches, from 1, without gaps.
    pub sequence: i64,
    /// Number of observations.
    pub rows: i64,
    /// Merkle root over salted canonical rows, hexadecimal.
    pub root: String,
    /// Digest of the batch before ([`BatchHeader::digest`]), or [`GENESIS`].
    pub previous: String,
    /// SHA-256 of the signed mandate text, hexadecimal.
    pub mandate_digest: String,
    /// SHA-256 over the canonical coverage rows and blob digests, hexadecimal.
    pub attachments_sha256: String,
    /// Version and build of the software.
    pub build: String,
    /// When the batch was sealed.
    pub sealed_at: TimeUs,
    /// Ed25519 signature over the header with this field empty, hexadecimal.
    pub signature: String,
}

/// A signed group of observations with what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The signed header.
    pub header: BatchHeader,
    /// Rows, in order.
    pub observations: Vec<Observation>,
    /// One 16-byte salt a row, hexadecimal.
    pub salts: Vec<String>,
    /// Coverage the batch completes.
    pub coverage: Vec<Coverage>,
    /// Bodies the rows refer to.
    pub blobs: Vec<Blob>,
}

/// Everything about a batch that is not computed from its contents.
#[derive(Debug, Clone)]
pub struct Seal<'a> {
    /// Id of the batch.
    pub batch_id: BatchId,
    /// Who observed.
    pub sensor_id: SensorId,
    /// Survey all rows belong to.
    pub survey_id: SurveyId,
    /// Slice it completes.
    pub slice: i64,
    /// Position in the sensor's chain, from 1.
    pub sequence: i64,
    /// Digest of the batch before, or [`GENESIS`].
    pub previous: String,
    /// SHA-256 of the signed mandate text, hexadecimal.
    pub mandate_digest: String,
    /// Version and build of the software.
    pub build: String,
    /// Now.
    pub now: TimeUs,
    /// The sensor's own key.
    pub key: &'a SigningKey,
}

/// Why a batch is not what its sensor signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The format is newer than this software, or none there ever was.
    #[error("batch format {0} is not known to this version")]
    Schema(i32),
    /// Rows and salts differ in number from the header.
    #[error("the batch holds {rows} rows and {salts} salts, its header says {header}")]
    Count {
        /// Rows present.
        rows: usize,
        /// Salts present.
        salts: usize,
        /// Rows stated.
        header: i64,
    },
    /// The rows are not those that were signed.
    #[error("the Merkle root does not match the rows")]
    Root,
    /// Coverage or blobs are not those that were signed.
    #[error("coverage or blobs do not match the header")]
    Attachments,
    /// Not signed by this sensor.
    #[error("the signature is not the sensor's")]
    Signature,
}

impl BatchHeader {
    /// SHA-256 of the signed header, hexadecimal; the next batch's `previous`.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(canonical(self)))
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let unsigned = Self { signature: String::new(), ..self.clone() };
        [b"kenshin-batch-v1\0".as_slice(), &canonical(&unsigned)].concat()
    }
}

impl Batch {
    /// Seals rows into a signed batch. `salts` yields random bytes; one is drawn for each row.
    pub fn seal(
        seal: Seal<'_>,
        observations: Vec<Observation>,
        coverage: Vec<Coverage>,
        blobs: Vec<Blob>,
        mut salt: impl FnMut() -> [u8; 16],
    ) -> Self {
        let salts: Vec<String> = observations.iter().map(|_| hex::encode(salt())).collect();
        let mut header = BatchHeader {
            schema: SCHEMA,
            batch_id: seal.batch_id,
            sensor_id: seal.sensor_id,
            survey_id: seal.survey_id,
            slice: seal.slice,
            sequence: seal.sequence,
            rows: i64::try_from(observations.len()).expect("a batch fits in memory"),
            root: merkle_root(&leaves(&observations, &salts)),
            previous: seal.previous,
            mandate_digest: seal.mandate_digest,
            attachments_sha256: attachments(&coverage, &blobs),
            build: seal.build,
            sealed_at: seal.now,
            signature: String::new(),
        };
        header.signature = hex::encode(seal.key.sign(&header.signed_bytes()).to_bytes());
        Self { header, observations, salts, coverage, blobs }
    }

    /// The mandate its rows were observed under; none when it has no row.
    pub fn mandate_id(&self) -> Option<&str> {
        self.observations.first().map(|observation| observation.mandate_id.as_str())
    }

    /// Checks that this is what the sensor with `key` signed.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), BatchError> {
        if !(1..=SCHEMA).contains(&self.header.schema) {
            return Err(BatchError::Schema(self.header.schema));
        }
        let count = (self.observations.len(), self.salts.len());
        if i64::try_from(count.0) != Ok(self.header.rows) || count.0 != count.1 {
            return Err(BatchError::Count { rows: count.0, salts: count.1, header: self.header.rows });
        }
        if merkle_root(&leaves(&self.observations, &self.salts)) != self.header.root {
            return Err(BatchError::Root);
        }
        if attachments(&self.coverage, &self.blobs) != self.header.attachments_sha256 {
            return Err(BatchError::Attachments);
        }
        let signature = hex::decode(&self.header.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(BatchError::Signature)?;
        key.verify(&self.header.signed_bytes(), &signature).map_err(|_| BatchError::Signature)
    }
}

/// Fields in declaration order, no white space: the same value has the same bytes everywhere.
pub(crate) fn canonical(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("vocabulary types serialise to JSON")
}

fn leaves(observations: &[Observation], salts: &[String]) -> Vec<Option<merkle::Hash>> {
    observations.iter().zip(salts).map(|(observation, salt)| Some(merkle::leaf(observation, salt))).collect()
}

fn attachments(coverage: &[Coverage], blobs: &[Blob]) -> String {
    let mut hash = Sha256::new();
    for row in coverage {
        hash.update(canonical(row));
    }
    for blob in blobs {
        hash.update(blob.class.as_str());
        hash.update(blob.sha256());
    }
    hex::encode(hash.finalize())
}

fn merkle_root(leaves: &[Option<merkle::Hash>]) -> String {
    hex::encode(merkle::root(leaves, &[]).expect("every row has its leaf"))
}
