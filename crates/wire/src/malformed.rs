//! Why a datagram or a document was refused.

/// What a decoder says of bytes that are not what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside of it.
    #[error("{0} ends too early")]
    Truncated(&'static str),
    /// It holds more than is read.
    #[error("too many or too long: {0}")]
    Limit(&'static str),
    /// The bytes are something else.
    #[error("not {0}")]
    Not(&'static str),
}
