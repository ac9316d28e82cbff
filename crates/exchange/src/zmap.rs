//! ZMap's CSV and JSON: one response a line, of the fields that were asked for.
//!
//! ZMap 2 joins the words of a field's name by `-`, later versions by `_`; both are read, the
//! latter is written. No field holds anything that a stranger wrote.

mod read;
mod write;

pub(crate) use read::Responses;
pub(crate) use write::Writer;
pub use write::{Fields, UnknownField, ZmapField};
