//! A response as it arrives, piece by piece.

use super::{Head, HttpError, Limits, Version};

/// Whether more bytes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Push what arrives next, or call [`ResponseDecoder::end`] when the connection ended.
    More,
    /// The response is complete, or as long as we keep; call [`ResponseDecoder::end`].
    Done,
}

/// A response, whole or cut at a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status line and header fields.
    pub head: Head,
    /// Body, transfer coding removed, cut at [`Limits::body_bytes_max`].
    pub body: Vec<u8>,
    /// The whole body arrived.
    pub complete: bool,
}

impl Response {
    /// Body as text, by the charset of header or page, or what fits.
    pub fn text(&self) -> String {
        let declared = self
            .head
            .headers
            .get("content-type")
            .and_then(|value| crate::charset::declared(value.as_bytes()))
            .or_else(|| crate::charset::declared(&self.body));
        crate::charset::decode(&self.body, declared.as_deref())
    }

    /// The connection can carry another request.
    pub fn keeps_alive(&self) -> bool {
        let connection = self.head.headers.get("connection").unwrap_or_default().to_ascii_lowercase();
        self.complete
            && match self.head.version {
                Version::Http10 => connection.contains("keep-alive"),
                Version::Http11 | Version::Rtsp10 => !connection.contains("close"),
            }
    }
}

#[derive(Debug)]
enum State {
    Head,
    /// So many bytes of the body are still to come.
    Length(u64),
    /// The body ends with the connection.
    UntilClose,
    /// A line with a chunk's size comes next.
    ChunkSize,
    /// So many bytes of this chunk are still to come.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    Done,
}

/// Decodes one response, never holding more than its [`Limits`].
#[derive(Debug)]
pub struct ResponseDecoder {
    limits: Limits,
    /// Header section or chunk-size line, not yet complete.
    pending: Vec<u8>,
    head: Option<Head>,
    body: Vec<u8>,
    state: State,
    complete: bool,
}

/// Longest line that gives the size of a chunk, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 256;

impl ResponseDecoder {
    /// A decoder that keeps to `limits`.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: Vec::new(),
            head: None,
            body: Vec::new(),
            state: State::Head,
            complete: false,
        }
    }

    /// The head, once it is complete.
    pub const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Takes the bytes that arrived. Bytes after the end of the response are ignored.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Progress, HttpError> {
        loop {
            bytes = match self.state {
                State::Done => return Ok(Progress::Done),
                State::Head => match self.push_head(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(Progress::More),
                },
                State::UntilClose => {
                    self.keep(bytes);
                    &[]
                }
                State::Length(left) => {
                    let (body, rest) = split(bytes, left);
                    let left = left - body.len() as u64;
                    self.state = State::Length(left);
                    self.keep(body);
                    if left == 0 {
                        self.finish();
                    }
                    rest
                }
                State::Chunk(left) => {
                    let (body, rest) = split(bytes, left);
                    let left = left - body.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    self.keep(body);
                    rest
                }
                State::ChunkSize | State::ChunkEnd => match self.push_chunk_line(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(Progress::More),
                },
            };
            if bytes.is_empty() && !matches!(self.state, State::Done) {
                return Ok(Progress::More);
            }
        }
    }

    /// What arrived, now that the connection ended or enough was read.
    pub fn end(mut self) -> Result<Response, HttpError> {
        if self.head.is_none() && !self.pending.is_empty() {
            // Some devices close without the empty line; a status line alone is an answer.
            let pending = std::mem::take(&mut self.pending);
            self.head = Some(Head::parse(&pending, &self.limits)?);
        }
        let head = self.head.ok_or(HttpError::Truncated)?;
        let complete = self.complete || matches!(self.state, State::UntilClose);
        Ok(Response { head, body: self.body, complete })
    }

    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, HttpError> {
        let room = (self.limits.head_bytes_max + 4).saturating_sub(self.pending.len());
        let before = self.pending.len();
        self.pending.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let plausible = self.pending.len().min(5);
        if !b"HTTP/".starts_with(&self.pending[..plausible])
            && !b"RTSP/".starts_with(&self.pending[..plausible])
        {
            return Err(HttpError::StatusLine);
        }
        let Some((section, with_end)) = Head::end(&self.pending) else {
            return if self.pending.len() > self.limits.head_bytes_max {
                Err(HttpError::HeadTooLong)
            } else {
                Ok(None)
            };
        };
        let head = Head::parse(&self.pending[..section], &self.limits)?;
        // The end lies in the bytes just added: everything before was searched already.
        let rest = &bytes[with_end.saturating_sub(before).min(bytes.len())..];
        self.pending.clear();
        if (100..200).contains(&head.status) && head.status != 101 {
            return Ok(Some(rest)); // an interim answer; the real one follows
        }
        self.state = body_state(&head);
        if matches!(self.state, State::Length(0)) {
            self.finish();
        }
        self.head = Some(head);
        Ok(Some(rest))
    }

    fn push_chunk_line<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, HttpError> {
        let Some(newline) = bytes.iter().position(|&byte| byte == b'\n') else {
            if self.pending.len() + bytes.len() > CHUNK_LINE_BYTES_MAX {
                return Err(HttpError::Chunk);
            }
            self.pending.extend_from_slice(bytes);
            return Ok(None);
        };
        if self.pending.len() + newline > CHUNK_LINE_BYTES_MAX {
            return Err(HttpError::Chunk);
        }
        self.pending.extend_from_slice(&bytes[..newline]);
        let line = std::mem::take(&mut self.pending);
        let rest = &bytes[newline + 1..];
        if matches!(self.state, State::ChunkEnd) {
            self.state = State::ChunkSize;
            return if line.trim_ascii().is_empty() { Ok(Some(rest)) } else { Err(HttpError::Chunk) };
        }
        let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).map_err(|_| HttpError::Chunk)?;
        match u64::from_str_radix(size, 16).map_err(|_| HttpError::Chunk)? {
            // Trailers say nothing we keep.
            0 => self.finish(),
            size => self.state = State::Chunk(size),
        }
        Ok(Some(rest))
    }

    fn keep(&mut self, body: &[u8]) {
        let room = self.limits.body_bytes_max.saturating_sub(self.body.len());
        self.body.extend_from_slice(&body[..body.len().min(room)]);
        if body.len() > room {
            self.state = State::Done;
        }
    }

    fn finish(&mut self) {
        // A body cut at the limit is done too, but not complete.
        self.complete = !matches!(self.state, State::Done);
        self.state = State::Done;
    }
}

fn body_state(head: &Head) -> State {
    if matches!(head.status, 101 | 204 | 304) {
        return State::Length(0);
    }
    let coded =
        head.headers.all("transfer-encoding").any(|value| value.to_ascii_lowercase().contains("chunked"));
    if coded {
        return State::ChunkSize;
    }
    match head.headers.get("content-length").map(|value| value.trim().parse::<u64>()) {
        Some(Ok(length)) => State::Length(length),
        // RTSP answers have no body unless they say so.
        _ if head.version == Version::Rtsp10 => State::Length(0),
        _ => State::UntilClose,
    }
}

fn split(bytes: &[u8], left: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()))
}
