//! What is no device: middleboxes, tarpits and decoys, as labels of observations tell.

use std::collections::BTreeSet;

use kenshin_observation::{Endpoint, Observation};

/// Endpoints of which a row is labelled. Whatever else they said is not believed either.
pub(crate) fn decoys(observations: &[&Observation]) -> BTreeSet<Endpoint> {
    observations.iter().filter(|o| !o.is_of_device()).map(|o| o.subject).collect()
}

/// The observations of devices.
pub(crate) fn of_devices<'a>(observations: &[&'a Observation]) -> Vec<&'a Observation> {
    let decoys = decoys(observations);
    observations.iter().copied().filter(|o| !decoys.contains(&o.subject)).collect()
}
