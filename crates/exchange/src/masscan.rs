//! masscan's JSON and list: one state of a port, or one banner, a record.
//!
//! masscan names some of its banners by what they are part of: `http.server` and `title` belong to
//! `http`; `ssl` and `X509` to TLS.

mod read;
mod write;

pub(crate) use read::{Statuses, What, status};
pub(crate) use write::Writer;
