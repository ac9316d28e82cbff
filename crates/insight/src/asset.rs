//! Devices through time, across address changes, by keys that identify them alone.
//!
//! [`hosts`] gathers a round's observations by address; [`resolve`] says which device each host is,
//! given the append-only [`AssetLinks`] of earlier rounds. A device is known by its SSH host keys
//! and TLS public keys. A key seen at more than [`SHARED_ABOVE`] addresses in one round, now or
//! ever, is shared by many devices and identifies nobody. A host without a key of its own is
//! bound to its address, weakly: the binding ends when another key or another product answers
//! there. Middleboxes, tarpits and decoys, as labels of observations tell, are no devices.
//!
//! ```
//! use kenshin_insight::asset::{AssetLinks, hosts, resolve};
//! use kenshin_observation::{AssetId, SurveyId, TimeUs};
//! let now = TimeUs::from_secs(1_800_000_000);
//! let round = hosts([], |_| None);
//! let mut counter = 0;
//! let resolution = resolve(&AssetLinks::default(), &round, SurveyId::new(now, 1), now, || {
//!     counter += 1;
//!     AssetId::new(now, counter)
//! });
//! assert!(resolution.assets.is_empty() && resolution.links.is_empty());
//! ```

mod host;
mod link;
mod resolve;
mod sharing;

pub use host::{Host, Service, hosts, keys, sharers};
pub use link::{AssetLink, AssetLinks, Basis, LinkAction, Sighting};
pub use resolve::{Resolution, ResolvedAsset, resolve};
pub use sharing::{Sharing, sharing};
pub(crate) use sharing::{is_shared, own_keys};

/// A key seen at more addresses than this in one round identifies nobody.
pub const SHARED_ABOVE: usize = 3;
