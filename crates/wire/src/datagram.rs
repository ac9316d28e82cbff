//! Which protocol a datagram speaks, told by what it holds, whatever was asked and at which port.

use crate::ntp::{self, control, private};
use crate::{coap, dns, sip, snmp, ssdp, wsd};

/// An answer of one of the protocols that are asked over UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// SNMP of any version.
    Snmp(snmp::Answer),
    /// To a search.
    Ssdp(ssdp::Answer),
    /// WS-Discovery.
    Wsd(wsd::ProbeMatches),
    /// DNS or mDNS, a response.
    Dns(dns::Message),
    /// NTP, a server's.
    Ntp(ntp::Answer),
    /// NTP, mode 6.
    NtpControl(control::Fragment),
    /// NTP, mode 7.
    NtpPrivate(private::Answer),
    /// CoAP, an answer or what concerns a message of ours.
    Coap(coap::Message),
    /// SIP.
    Sip(sip::Answer),
}

/// Reads a datagram as whatever it is; `None` when it is none of these. Formats with words or tags
/// of their own come first; those that are only numbers must fit as a whole.
pub fn read(bytes: &[u8]) -> Option<Answer> {
    if bytes.starts_with(b"SIP/2.0 ") {
        return sip::parse(bytes).ok().map(Answer::Sip);
    }
    if bytes.starts_with(b"HTTP/") {
        return ssdp::parse(bytes).ok().map(Answer::Ssdp);
    }
    if let Ok(answer) = snmp::parse(bytes) {
        return Some(Answer::Snmp(answer));
    }
    if let Ok(matches) = wsd::parse(bytes) {
        return Some(Answer::Wsd(matches));
    }
    if let Some(answer) = ntp(bytes) {
        return Some(answer);
    }
    if let Some(message) = dns::Message::decode(bytes).ok().filter(|message| message.response) {
        return Some(Answer::Dns(message));
    }
    let coap = coap::parse(bytes).ok()?;
    // A request is no answer, and most codes do not exist.
    (coap.is_answer() || coap.code == 0).then_some(Answer::Coap(coap))
}

/// NTP has no mark of its own, only a length and numbers that must fit.
fn ntp(bytes: &[u8]) -> Option<Answer> {
    match bytes.first()? & 7 {
        4 if bytes.len().is_multiple_of(4) => {
            ntp::parse(bytes).ok().filter(|answer| answer.stratum <= 16).map(Answer::Ntp)
        }
        6 => control::parse(bytes).ok().map(Answer::NtpControl),
        7 => private::parse(bytes).ok().map(Answer::NtpPrivate),
        _ => None,
    }
}
