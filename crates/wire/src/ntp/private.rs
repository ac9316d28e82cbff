//! Private messages (mode 7) of ntpd up to 4.2.6, and of whoever enabled them later. The list of
//! those who asked (`monlist`) is what attackers reflect from such servers, and reading it would
//! take personal data and up to a hundred datagrams. Nobody needs it to know: whether mode 7 is
//! answered at all, is told by the smallest request there is.

use crate::malformed::Malformed;
use crate::reader::Reader;

/// Implementation number of ntpd.
const XNTPD: u8 = 3;

/// Statistics of the timer: of all requests without authentication the one with the smallest
/// answer, four numbers in one datagram of 24 bytes.
const TIMER_STATS: u8 = 9;

/// The request, version 2, eight bytes without data.
pub const REQUEST: [u8; 8] = [2 << 3 | 7, 0, XNTPD, TIMER_STATS, 0, 0, 0, 0];

/// An answer to [`REQUEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Version, 1 to 4.
    pub version: u8,
    /// Others follow.
    pub more: bool,
    /// Implementation number, 3 for ntpd, 2 for older ones.
    pub implementation: u8,
    /// 0 okay, 1 wrong implementation, 2 unknown request, 3 wrong format, 4 no data, 7 not allowed.
    pub error: u8,
    /// Items in this datagram.
    pub items: u16,
    /// Bytes of an item.
    pub item_bytes: u16,
}

impl Answer {
    /// The server does what strangers ask for in mode 7.
    pub const fn serves(&self) -> bool {
        self.error == 0
    }
}

/// Reads an answer.
pub fn parse(bytes: &[u8]) -> Result<Answer, Malformed> {
    const END: Malformed = Malformed::Truncated("an NTP private message");
    let mut reader = Reader::new(bytes);
    let [first, _sequence, implementation, code] = reader.array().ok_or(END)?;
    let (response, more, version, mode) = (first & 0x80 != 0, first & 0x40 != 0, first >> 3 & 7, first & 7);
    if mode != 7 || !response || !(1..=4).contains(&version) || code != TIMER_STATS {
        return Err(Malformed::Not("an answer to a private request"));
    }
    let (counted, sized) = (reader.u16().ok_or(END)?, reader.u16().ok_or(END)?);
    let (error, items, item_bytes) = ((counted >> 12) as u8, counted & 0x0fff, sized & 0x0fff);
    // A whole number of items, perhaps padded.
    if reader.rest().len() < usize::from(items) * usize::from(item_bytes) {
        return Err(END);
    }
    Ok(Answer { version, more, implementation, error, items, item_bytes })
}
