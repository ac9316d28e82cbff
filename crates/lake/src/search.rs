//! The search language: `port:23 country:JP vendor:buffalo version:<1.99 seen:7d "login:"`.
//!
//! [`Query`] is what a text asks for, typed; it is read by [`str::parse`], which points at the
//! character that it does not understand, and written by [`std::fmt::Display`]. Side by side means
//! and, `OR` binds less than that, `-` or `NOT` excludes, parentheses group. [`FIELDS`] is the one
//! table of what can be asked about.
//!
//! ```
//! use kenshin_lake::search::Query;
//! let query: Query = "port:23,2323 (vendor:buffalo OR \"login:\") -country:JP".parse().unwrap();
//! assert_eq!(query.to_string(), "port:23,2323 (vendor:buffalo OR \"login:\") -country:JP");
//! let error = "prot:23".parse::<Query>().unwrap_err();
//! assert_eq!(error.hint.as_deref(), Some("did you mean `port`?"));
//! assert_eq!(error.pointed("prot:23"), "prot:23\n^^^^");
//! ```
//!
//! It does no I/O and knows no now: ages stay ages until rows are looked at.

mod error;
mod field;
mod parser;
mod query;

pub use error::QueryError;
pub(crate) use error::is_bidi;
pub use field::{FIELDS, Field, FieldInfo, Kind, STATES};
pub use parser::{DEPTH_MAX, QUERY_BYTES_MAX, TEXTS_MAX, VALUES_MAX};
pub use query::{Age, Moment, Pattern, Query, Span, Term, TimeTest, VersionTest};

#[cfg(test)]
mod tests;
