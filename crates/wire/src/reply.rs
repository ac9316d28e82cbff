//! Numbered replies as FTP (RFC 959) and SMTP (RFC 5321) give them, one line or several.

use crate::charset;

/// Longest line of a reply.
const LINE_BYTES_MAX: usize = 2048;

/// Most lines of one reply.
const LINES_MAX: usize = 64;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// Text of every line, code removed.
    pub lines: Vec<String>,
}

impl Reply {
    /// The reply as it was sent, code included, lines joined by line feeds.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for (at, line) in self.lines.iter().enumerate() {
            let last = at + 1 == self.lines.len();
            out.push_str(&format!("{}{}{line}", self.code, if last { ' ' } else { '-' }));
            if !last {
                out.push('\n');
            }
        }
        out
    }
}

/// Bytes that are not a reply, or more than we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with the code.
    #[error("not a numbered reply")]
    Code,
    /// A line or a reply is too long.
    #[error("reply too long")]
    TooLong,
}

/// Takes replies from a stream of bytes.
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    buffer: Vec<u8>,
    current: Option<Reply>,
}

impl ReplyDecoder {
    /// Takes the bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReplyError> {
        if self.buffer.len() + bytes.len() > LINE_BYTES_MAX * LINES_MAX {
            return Err(ReplyError::TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole reply, if it has arrived.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') else {
                return if self.buffer.len() > LINE_BYTES_MAX { Err(ReplyError::TooLong) } else { Ok(None) };
            };
            if end > LINE_BYTES_MAX {
                return Err(ReplyError::TooLong);
            }
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            if let Some(reply) = self.take(line.trim_ascii_end())? {
                return Ok(Some(reply));
            }
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let code = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten()
        });
        let separator = line.get(3).copied();
        let text = |from: usize| charset::decode(line.get(from..).unwrap_or_default(), None);
        match (&mut self.current, code) {
            (None, Some(code)) => {
                let reply = Reply { code, lines: vec![text(4)] };
                if separator == Some(b'-') {
                    self.current = Some(reply);
                    return Ok(None);
                }
                match separator {
                    None | Some(b' ' | b'\t') => Ok(Some(reply)),
                    _ => Err(ReplyError::Code),
                }
            }
            (None, None) => Err(ReplyError::Code),
            (Some(open), code) => {
                if open.lines.len() == LINES_MAX {
                    return Err(ReplyError::TooLong);
                }
                let same = code == Some(open.code);
                // FTP lets lines in the middle begin with anything.
                open.lines.push(if same && matches!(separator, None | Some(b' ' | b'-')) {
                    text(4)
                } else {
                    text(0)
                });
                if same && separator != Some(b'-') {
                    return Ok(self.current.take());
                }
                Ok(None)
            }
        }
    }
}
