//! What is stated of an erasure that is done: signed, each with the digest of the one before, so that none
//! can be taken away or changed unseen.

use kenshin_lake::Intent;
use kenshin_observation::{SensorId, TimeUs};
use kenshin_survey::sensor::SensorIdentity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::ActError;

/// Format of a statement, and what its signed bytes begin with.
const FORMAT: &str = "kenshin-erasure-v1";
/// What the first statement has as the digest of the one before.
const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What was erased, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Format.
    pub format: String,
    /// Counts the statements of a lake, from 1.
    pub number: i64,
    /// SHA-256 of the statement before, hexadecimal; zeros before the first.
    pub previous: String,
    /// Who runs the observatory.
    pub organisation: String,
    /// What was erased.
    #[serde(flatten)]
    pub erased: Intent,
    /// Who asked for it.
    pub asked_by: String,
    /// The whole policy at that time.
    pub policy: serde_json::Value,
    /// SHA-256 of its JSON, hexadecimal.
    pub policy_sha256: String,
    /// When nothing showed the rows any more.
    pub removed_at: TimeUs,
    /// When the bytes were gone.
    pub erased_at: TimeUs,
}

/// A statement as it is kept: its exact text, because that is what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    /// JSON of a [`Statement`].
    pub statement: String,
    /// Whose key it is: the sensor of the hub's own machine.
    pub sensor_id: SensorId,
    /// The key (Ed25519), hexadecimal.
    pub public_key: String,
    /// Over the format's name, a zero byte and the text, hexadecimal.
    pub signature: String,
}

impl Statement {
    pub(super) fn format() -> String {
        FORMAT.to_owned()
    }
}

impl SignedStatement {
    pub(super) fn of(statement: &Statement, key: &SensorIdentity) -> Result<Self, ActError> {
        let statement = serde_json::to_string(statement)
            .map_err(|error| ActError::outside("failed to write a statement", error))?;
        Ok(Self {
            sensor_id: key.id,
            public_key: key.public_key_hex(),
            signature: hex::encode(key.sign(&message(&statement))),
            statement,
        })
    }

    /// SHA-256 of the text, hexadecimal: what the next one names as the one before.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.statement))
    }

    /// What it states.
    pub fn read(&self) -> Result<Statement, ActError> {
        serde_json::from_str(&self.statement)
            .map_err(|error| ActError::outside("failed to read a statement", error))
    }

    fn is_signed(&self) -> bool {
        let key = <[u8; 32]>::try_from(hex::decode(&self.public_key).unwrap_or_default()).ok();
        let key = key.and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok());
        let signature = hex::decode(&self.signature).unwrap_or_default();
        let signature = ed25519_dalek::Signature::from_slice(&signature).ok();
        key.zip(signature)
            .is_some_and(|(key, signature)| key.verify_strict(&message(&self.statement), &signature).is_ok())
    }
}

fn message(statement: &str) -> Vec<u8> {
    [FORMAT.as_bytes(), &[0], statement.as_bytes()].concat()
}

/// Where the next statement goes on: its number, and the digest of the one before.
pub(super) fn next(statements: &[SignedStatement]) -> (i64, String) {
    let number = i64::try_from(statements.len()).unwrap_or(i64::MAX).saturating_add(1);
    (number, statements.last().map_or_else(|| FIRST.to_owned(), SignedStatement::digest))
}

/// What is wrong with statements in the order of their numbers: none is missing but at the end, each is
/// signed by the key it names.
pub(super) fn fault(statements: &[SignedStatement]) -> Option<String> {
    for at in 0..statements.len() {
        let (number, previous) = next(&statements[..at]);
        let one = &statements[at];
        let Ok(told) = one.read() else { return Some(format!("statement {number} cannot be read")) };
        if told.format != FORMAT || told.number != number || told.previous != previous {
            return Some(format!("statement {number} does not follow the one before"));
        }
        if !one.is_signed() {
            return Some(format!("statement {number} is not signed by the key that it names"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use kenshin_lake::Shelf;

    fn chain(count: usize) -> Vec<SignedStatement> {
        let key = SensorIdentity::from_seed(TimeUs::from_secs(1), [7; 32]);
        let mut chain = Vec::new();
        for _ in 0..count {
            let (number, previous) = next(&chain);
            let erased = Intent {
                erasure_id: format!("E{number}"),
                shelf: Shelf { table: "blobs".into(), month: None, mandate_id: None, class: None },
                files: Vec::new(),
                rows: 1,
                batches: 0,
                batches_sha256: String::new(),
                unproven: 0,
                intended_at: TimeUs::from_secs(2),
            };
            let statement = Statement {
                format: Statement::format(),
                number,
                previous,
                organisation: "検診".into(),
                erased,
                asked_by: "rule:retention".into(),
                policy: serde_json::json!({}),
                policy_sha256: String::new(),
                removed_at: TimeUs::from_secs(3),
                erased_at: TimeUs::from_secs(4),
            };
            chain.push(SignedStatement::of(&statement, &key).unwrap());
        }
        chain
    }

    #[test]
    fn what_is_changed_or_missing_shows() {
        let whole = chain(3);
        assert_eq!(fault(&whole), None);
        assert_eq!(whole[2].read().unwrap().erased.erasure_id, "E3");
        let changed = |change: fn(&mut Vec<SignedStatement>)| {
            let mut copy = whole.clone();
            change(&mut copy);
            fault(&copy).unwrap_or_default()
        };
        assert!(changed(|all| drop(all.remove(1))).contains("2 does not follow"));
        assert!(changed(|all| all.swap(0, 1)).contains("1 does not follow"));
        let text = changed(|all| all[2].statement = all[2].statement.replace("\"rows\":1", "\"rows\":2"));
        assert!(text.contains("3 is not signed"));
        assert!(changed(|all| all[1].statement = all[1].statement.replace("検診", "x")).contains("2 is not"));
        assert!(changed(|all| all[0].signature = all[1].signature.clone()).contains("1 is not signed"));
        assert!(changed(|all| all[0].public_key.clear()).contains("1 is not signed"));
        assert!(changed(|all| all[0].statement = "{}".into()).contains("1 cannot be read"));
    }
}
