//! The software inside: which components a device carries, how sure that is, and on what evidence.
//!
//! A weakness of a component is a weakness of every product that contains it, and records of it name
//! the component, not the products (CVE-2017-9765 names gSOAP and not one camera). Three kinds of
//! evidence say that a device carries a component ([`Certainty`]): it shows it, a bill of materials or
//! an advisory of its product names it, or its product family is said to contain it. [`Census`] answers *who carries
//! it* for many assets, and says of how many nothing is known: what is not known never reads as
//! healthy.
//!
//! ```
//! use kenshin_insight::component::{Census, Query};
//! use kenshin_insight::intelligence::Intelligence;
//! use kenshin_observation::Identity;
//! let (unknown, knowledge) = (Identity::default(), Intelligence::default());
//! let query: Query = "gsoap:<2.8.48".parse().unwrap();
//! let mut census = Census::new(&query, &knowledge);
//! assert!(census.ask(&unknown).is_none());
//! assert_eq!(census.gaps.unidentified, 1, "nobody knows what that device carries");
//! ```

pub mod advisory;
mod carried;
mod catalogue;
mod census;
mod document;
mod fact;
mod knowledge;
pub(crate) mod list;
pub(crate) mod sbom;
mod visible;

pub use carried::{Carried, Certainty, Ground, carried};
pub use catalogue::{CATALOGUE, Known, Role, key, known};
pub use census::{Carrier, Census, Count, Exposure, Exposures, Gaps, Inventory, Query};
pub use fact::{Basis, Contains, Fact, Family, ParseFamilyError, Part, Upkeep};
pub(crate) use knowledge::Index;
pub use knowledge::{Maintenance, Supported};
pub(crate) use visible::add_visible;
