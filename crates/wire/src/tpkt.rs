//! Packets of ISO transport over TCP (RFC 1006) and the class 0 units inside them (X.224), which
//! both RDP and S7 ride on.

use crate::Answer;
use crate::answer::{begins, frame};

/// X.224 connection confirm.
pub(crate) const CONFIRM: u8 = 0xd0;

/// X.224 data.
pub(crate) const DATA: u8 = 0xf0;

/// One transport unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit<'a> {
    /// [`CONFIRM`], [`DATA`] or another.
    pub(crate) kind: u8,
    /// The rest of the header after the fixed part: parameters of a confirm.
    pub(crate) parameters: &'a [u8],
    /// What follows the header.
    pub(crate) data: &'a [u8],
}

/// The unit of the packet at the start of `bytes`, and how many bytes the packet took.
pub(crate) fn unit(bytes: &[u8]) -> Answer<(Unit<'_>, usize)> {
    if !begins(bytes, &[3, 0]) {
        return Answer::Other;
    }
    let &[_, _, high, low, ..] = bytes else { return Answer::More };
    let len = usize::from(u16::from_be_bytes([high, low]));
    frame(bytes, len.max(4)).read(|packet| {
        let (&header_len, rest) = packet[4..].split_first()?;
        let (header, data) = rest.split_at_checked(usize::from(header_len))?;
        let (&kind, fixed) = header.split_first()?;
        // References and class of a confirm, number and end mark of data.
        let parameters = match kind {
            CONFIRM => fixed.get(5..)?,
            _ => &[],
        };
        Some((Unit { kind, parameters, data }, len))
    })
}

/// A packet around one unit: its header (kind first, length left out) and data.
pub(crate) fn packet(header: &[u8], data: &[u8]) -> Vec<u8> {
    let len = 5 + header.len() + data.len();
    let mut out = vec![3, 0];
    out.extend_from_slice(&(len as u16).to_be_bytes());
    out.push(header.len() as u8);
    out.extend_from_slice(header);
    out.extend_from_slice(data);
    out
}
