//! Surveys: the only room that sends to strangers, and only with a permit.
//!
//! The main type is [`run::Run`]: a [`plan::SurveyPlan`] that a mandate allows, the gate that
//! judges every exchange, and the [`spool::Spool`] of the sensor that does it. [`run::run`] asks
//! addresses × ports in the exact order of a [`space::Space`], talks to those who answer
//! ([`probe`], [`credential`]), and seals each slice as one signed batch in the spool, from where
//! the lake takes it. Killed at any instant, [`run::resume`] goes on: one final outcome for each
//! (survey, target, check).
//!
//! ```
//! use kenshin_mandate::AddressSet;
//! use kenshin_observation::Prefix;
//! use kenshin_survey::permutation::PermutationKey;
//! use kenshin_survey::space::{Port, Space};
//!
//! let addresses: AddressSet = "198.51.100.0/24".parse::<Prefix>().unwrap().into();
//! let space = Space::new(addresses, [22, 23, 80].map(Port::tcp).to_vec(), 64, PermutationKey([7; 16])).unwrap();
//! assert_eq!((space.targets(), space.slices()), (768, 4));
//! // Any position of the order is arithmetic, in both directions.
//! let target = space.target_at(500);
//! assert_eq!(space.index_of(target), Some(500));
//! ```
//!
//! What it refuses to do: send without a permit, or later than a second after the mandate was
//! revoked; open more than two connections to an address; go on with a plan the mandate does not
//! allow; try a credential that is not on the disk first, or twice; run a survey twice at a time.
//! Engines are behind [`sweep::Sweep`]; the one here needs no privilege and says what that costs.

pub mod attempts;
pub mod credential;
pub mod journal;
pub mod logbook;
pub mod permutation;
pub mod plan;
pub mod probe;
pub mod progress;
#[cfg(target_os = "linux")]
pub mod raw;
pub mod run;
pub mod sensor;
pub mod slices;
pub mod space;
pub mod spool;
pub mod sweep;
mod tls;
