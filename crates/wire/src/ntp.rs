//! NTP: the time as any client asks for it (RFC 5905, mode 3), and the two other ways in which
//! servers answer strangers, both known for being turned against third parties: [`control`] (mode
//! 6, RFC 9327) and [`private`] (mode 7).

pub mod control;
pub mod private;

use std::net::Ipv4Addr;

use crate::malformed::Malformed;
use crate::reader::Reader;

/// Length of a packet without extensions.
const PACKET_BYTES: usize = 48;

/// A client's question of version 4 that tells nothing of us: all zero but the transmit timestamp,
/// which is `nonce` and comes back as [`Answer::origin`].
pub fn client(nonce: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = 4 << 3 | 3;
    packet[PACKET_BYTES - 8..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Leap indicator; 3 says that the clock is not synchronised.
    pub leap: u8,
    /// Version, 1 to 4.
    pub version: u8,
    /// 1 has a clock of its own, 2 to 15 asks others, 0 and 16 do not know the time.
    pub stratum: u8,
    /// Log2 of the clock's precision in seconds.
    pub precision: i8,
    /// Where the time comes from, see [`Answer::reference`].
    pub reference_id: [u8; 4],
    /// Transmit timestamp of the question.
    pub origin: u64,
    /// When the question arrived: seconds since 1900 in the upper half, their fraction in the lower.
    pub received: u64,
}

/// Meaning of a reference id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Stratum 0: why the server gives no time, such as `RATE`, or `INIT` before it knows.
    Kiss(String),
    /// Stratum 1: kind of clock, such as `GPS`.
    Clock(String),
    /// Address of the server it asks; over IPv6 the beginning of a digest of that.
    Server(Ipv4Addr),
}

impl Answer {
    /// What [`Answer::reference_id`] means at this stratum.
    pub fn reference(&self) -> Reference {
        let text =
            || self.reference_id.iter().copied().filter(u8::is_ascii_graphic).map(char::from).collect();
        match self.stratum {
            0 => Reference::Kiss(text()),
            1 => Reference::Clock(text()),
            _ => Reference::Server(self.reference_id.into()),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kiss(text) | Self::Clock(text) => f.write_str(text),
            Self::Server(addr) => addr.fmt(f),
        }
    }
}

/// Reads a server's answer to [`client`]; extensions and authentication behind it are passed over.
pub fn parse(bytes: &[u8]) -> Result<Answer, Malformed> {
    const END: Malformed = Malformed::Truncated("an NTP packet");
    let mut reader = Reader::new(bytes);
    let first = reader.u8().ok_or(END)?;
    let (leap, version, mode) = (first >> 6, first >> 3 & 7, first & 7);
    if mode != 4 || !(1..=4).contains(&version) {
        return Err(Malformed::Not("an NTP server's answer"));
    }
    let [stratum, _poll, precision] = reader.array().ok_or(END)?;
    let _delay_and_dispersion: [u8; 8] = reader.array().ok_or(END)?;
    let reference_id = reader.array().ok_or(END)?;
    let _reference_time = reader.u64().ok_or(END)?;
    let origin = reader.u64().ok_or(END)?;
    let received = reader.u64().ok_or(END)?;
    let _transmitted = reader.u64().ok_or(END)?;
    let precision = precision.cast_signed();
    Ok(Answer { leap, version, stratum, precision, reference_id, origin, received })
}
