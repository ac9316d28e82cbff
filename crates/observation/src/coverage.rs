//! Coverage: what was attempted when.

use serde::{Deserialize, Serialize};

use crate::{SensorId, SurveyId, TimeUs};

/// A contiguous run of the permutation that a sensor worked through. Because the order is
/// random-access, when any target was attempted is arithmetic, and every rate has its denominator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Survey it belongs to.
    pub survey_id: SurveyId,
    /// Who attempted.
    pub sensor_id: SensorId,
    /// SHA-256 of the signed mandate text, hexadecimal.
    pub mandate_digest: String,
    /// SHA-256 of the canonical target space, hexadecimal.
    pub target_digest: String,
    /// Key of the permutation, hexadecimal.
    pub permutation_key: String,
    /// First index, inclusive.
    pub index_from: i64,
    /// Last index, exclusive.
    pub index_to: i64,
    /// When the first of them was attempted.
    pub time_from: TimeUs,
    /// When the last of them was finished.
    pub time_to: TimeUs,
    /// Exchanges sent.
    pub sent: i64,
    /// Targets of the run for which nothing was sent (refused by the mandate, out of attempts).
    pub dropped: i64,
}
