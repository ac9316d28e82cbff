//! HTTP/1.x (RFC 9112): responses from strangers, requests that introduce us.

pub mod challenge;
mod decoder;
pub mod digest;
pub mod favicon;
pub mod form;
mod head;
pub mod page;
pub mod reference;
mod request;

pub use decoder::{Progress, Response, ResponseDecoder};
pub use head::{Head, Headers, Version};
pub use request::{Body, Request, Session};

/// Bounds of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of status line and headers together.
    pub head_bytes_max: usize,
    /// Most header fields.
    pub headers_max: usize,
    /// Body bytes kept; a longer body is cut there and the response is done.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes_max: 16 * 1024, headers_max: 128, body_bytes_max: 48 * 1024 }
    }
}

/// Bytes that are not an HTTP response, or more than we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The first line is no status line.
    #[error("not an HTTP status line")]
    StatusLine,
    /// Status line and headers exceed [`Limits::head_bytes_max`].
    #[error("header section too long")]
    HeadTooLong,
    /// More fields than [`Limits::headers_max`].
    #[error("too many header fields")]
    TooManyHeaders,
    /// A chunk of the body has no size.
    #[error("malformed chunk")]
    Chunk,
    /// The connection ended inside the header section.
    #[error("ended inside the header section")]
    Truncated,
}
