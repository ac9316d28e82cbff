//! Answers of stream protocols: they arrive in pieces, and may turn out to be something else.

/// What the bytes of a stream that arrived so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<T> {
    /// The beginning of an answer: read on.
    More,
    /// A whole answer.
    Whole(T),
    /// Bytes of another protocol, or more than we read of this one.
    Other,
}

impl<T> Answer<T> {
    /// The answer, once it is whole.
    pub fn whole(self) -> Option<T> {
        match self {
            Self::Whole(answer) => Some(answer),
            Self::More | Self::Other => None,
        }
    }

    /// The same with another answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        self.read(|answer| Some(change(answer)))
    }

    /// Reads what a whole frame contains; a frame that cannot be read belongs to another protocol.
    pub(crate) fn read<U>(self, read: impl FnOnce(T) -> Option<U>) -> Answer<U> {
        match self {
            Self::More => Answer::More,
            Self::Whole(frame) => read(frame).map_or(Answer::Other, Answer::Whole),
            Self::Other => Answer::Other,
        }
    }
}

/// The first `len` bytes as a frame, as soon as they are there.
pub(crate) fn frame(bytes: &[u8], len: usize) -> Answer<&[u8]> {
    bytes.get(..len).map_or(Answer::More, Answer::Whole)
}

/// True when `bytes` begin with `magic`, or are the beginning of it.
pub(crate) fn begins(bytes: &[u8], magic: &[u8]) -> bool {
    let len = bytes.len().min(magic.len());
    bytes[..len] == magic[..len]
}

/// The first line without its end, once it has arrived, and how many bytes it took; [`Answer::Other`]
/// when it is longer than `max` bytes.
pub(crate) fn line(bytes: &[u8], max: usize) -> Answer<(&[u8], usize)> {
    match bytes.iter().take(max + 2).position(|&byte| byte == b'\n') {
        Some(end) => Answer::Whole((bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]), end + 1)),
        None if bytes.len() > max + 1 => Answer::Other,
        None => Answer::More,
    }
}
