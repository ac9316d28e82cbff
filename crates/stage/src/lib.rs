//! The stage: a contained imitation of devices. Its one stage today is the town, which plays
//! invented providers and their customers' devices on `127.0.0.0/8`, without privilege.
//!
//! The main type is [`Town`]: built from a seed, pure and repeatable. It knows what every device
//! is, what it says and how its owner behaves from round to round, and [`Town::truth`] is the
//! answer key. [`serve`] plays one round of it on real sockets; [`RunningTown::advance`] plays
//! the next.
//!
//! What devices say is written as transcripts in `devices/*.toml`, as the real products publicly
//! show it, not made by the codecs that parse it. Factory credentials are invented.
//!
//! The stage refuses to bind anything outside `127.0.0.0/8` and contacts nobody.
//!
//! ```
//! use kenshin_stage::{Town, TownConfig};
//! let town = Town::build(&TownConfig { seed: 7, ..TownConfig::default() }).unwrap();
//! assert!(town.round(1).devices.len() >= 400);
//! assert_eq!(town.truth(2), Town::build(&TownConfig { seed: 7, ..TownConfig::default() }).unwrap().truth(2));
//! ```

mod device;
mod evolution;
mod intelligence;
mod key;
mod model;
mod persona;
mod provider;
mod running;
mod silence;
mod town;
mod truth;

pub use device::{Device, ServiceState, TlsState};
pub use evolution::{Event, EventKind};
pub use intelligence::TownIntelligence;
pub use model::{
    Attribute, Factory, Firmware, FirmwareState, HttpAuth, KeyPolicy, Model, ModelError, Service,
    ServiceKind, TlsModel,
};
pub use provider::{PROVIDER_KEYS, TownProvider};
pub use running::{RunningTown, ServeError, TownLog, serve};
pub use town::{Round, Town, TownConfig, TownError};
pub use truth::{KnowableIdentity, Truth, TruthCase, TruthDevice, TruthFinding, TruthRound, Unknowable};
