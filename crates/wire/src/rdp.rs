//! Remote Desktop (MS-RDPBCGR §2.2.1): the X.224 connection request with the security protocols we
//! would speak, and the server's choice among them. Nothing follows: no TLS, no credentials.

use crate::Answer;
use crate::reader::Reader;
use crate::tpkt;

/// Connection request that offers TLS, CredSSP (network level authentication) and CredSSP with
/// early user authorisation, without a cookie.
pub const CONNECTION_REQUEST: [u8; 19] = [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0x0b, 0, 0, 0];

/// What a server answered to [`CONNECTION_REQUEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiation {
    /// It confirms without negotiating: a server that knows standard RDP security only.
    Absent,
    /// It chose a protocol.
    Selected {
        /// 0 standard RDP security, 1 TLS, 2 CredSSP, 8 CredSSP with early authorisation; see
        /// [`protocol_name`].
        protocol: u32,
        /// Such as 1 extended client data, 2 graphics pipeline, 8 restricted admin mode, 16 remote
        /// credential guard.
        flags: u8,
    },
    /// It refuses what we offered, for this reason; see [`failure_name`].
    Failed {
        /// 1 to 6.
        code: u32,
    },
}

/// Reads the connection confirm at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Answer<Negotiation> {
    tpkt::unit(bytes).read(|(unit, _)| {
        if unit.kind != tpkt::CONFIRM || !unit.data.is_empty() {
            return None;
        }
        if unit.parameters.is_empty() {
            return Some(Negotiation::Absent);
        }
        let mut reader = Reader::new(unit.parameters);
        let (kind, flags, len, value) = (reader.u8()?, reader.u8()?, reader.u16_le()?, reader.u32_le()?);
        match (kind, len) {
            (2, 8) => Some(Negotiation::Selected { protocol: value, flags }),
            (3, 8) => Some(Negotiation::Failed { code: value }),
            _ => None,
        }
    })
}

/// Name of a selected protocol (§2.2.1.2.1).
pub const fn protocol_name(protocol: u32) -> Option<&'static str> {
    Some(match protocol {
        0 => "rdp",
        1 => "tls",
        2 => "credssp",
        4 => "rdstls",
        8 => "credssp-early",
        16 => "aad",
        _ => return None,
    })
}

/// Name of a failure code (§2.2.1.2.2).
pub const fn failure_name(code: u32) -> Option<&'static str> {
    Some(match code {
        1 => "tls-required",
        2 => "tls-not-allowed",
        3 => "no-certificate",
        4 => "inconsistent-flags",
        5 => "credssp-required",
        6 => "tls-with-client-certificate-required",
        _ => return None,
    })
}
