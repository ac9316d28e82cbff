//! What one host is, fused from everything it was seen to say.
//!
//! [`identify`] takes all observations of one host or asset and answers with an [`Identity`]: the
//! device itself (maker, model, firmware version, type, CPE) and, apart from it, the software
//! components that show through. Dropbear on a router is a component, not the product.
//!
//! Every claim carries a confidence and names the fingerprints and fields that support it, and
//! those that contradict it. Fields that agree strengthen a claim, fields that disagree weaken it,
//! and below [`THRESHOLD`] nothing is claimed: unknown is an answer. A version is only ever what
//! the host disclosed.
//!
//! ```
//! use kenshin_insight::fingerprint::Packs;
//! use kenshin_insight::identity::{Field, Sighting, identify_sightings};
//! let seen = [Sighting::new(Field::SshBanner, 22, "SSH-2.0-dropbear_2019.78")];
//! let identity = identify_sightings(&seen, &Packs::own());
//! assert!(identity.is_unknown());
//! assert_eq!(identity.components[0].version.as_deref(), Some("2019.78"));
//! ```

mod cpe;
mod fusion;
mod hardware;
mod name;
mod plain;
mod sighting;
mod statement;

use kenshin_observation::{Identity, Observation};

use crate::component;
use crate::decoy::of_devices;
use crate::fingerprint::Packs;

pub use cpe::cpe23;
pub use name::{device_type, normal_product, normal_vendor};
pub use sighting::{Field, Sighting, sightings};

/// Percent below which nothing is claimed.
pub const THRESHOLD: u8 = 60;

/// What the host that all of `observations` saw is, with every component that shows. A decoy at its
/// address tells nothing of it.
pub fn identify(observations: &[&Observation], packs: &Packs) -> Identity {
    identify_host(&sightings(&of_devices(observations)), packs)
}

/// What the host that showed all of `sightings` is, with every component that shows.
pub(crate) fn identify_host(sightings: &[Sighting], packs: &Packs) -> Identity {
    let mut identity = identify_sightings(sightings, packs);
    component::add_visible(&mut identity.components, sightings);
    identity
}

/// What the host that showed all of `sightings` is.
pub fn identify_sightings(sightings: &[Sighting], packs: &Packs) -> Identity {
    fusion::fuse(&statement::statements(sightings, packs))
}
