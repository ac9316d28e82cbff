//! WS-Discovery (April 2005, and 1.1 of 2009) over UDP, asked of one host alone, and the scopes by
//! which ONVIF cameras say what they are (ONVIF Core Specification §7.3).

use crate::malformed::Malformed;
use crate::xml::{self, Step};

/// Most matches of an answer.
const MATCHES_MAX: usize = 16;

/// Most types, scopes or addresses of a match.
const LIST_MAX: usize = 64;

/// Kinds of device that are asked for. A question without a type is for all, but many look for
/// their own in it and keep silent without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Every kind.
    Any,
    /// ONVIF cameras.
    Cameras,
    /// Devices of the Devices Profile for Web Services: computers, printers, storage.
    Devices,
}

/// An answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeMatches {
    /// Id of the message that it answers, as [`message_id`] writes it.
    pub relates_to: Option<String>,
    /// Devices, at most 16.
    pub matches: Vec<Match>,
}

/// A device that answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// Its lasting name, most often `urn:uuid:…`.
    pub endpoint: Option<String>,
    /// What it is, with the prefixes it chose, such as `dn:NetworkVideoTransmitter`.
    pub types: Vec<String>,
    /// Its scopes, as sent.
    pub scopes: Vec<String>,
    /// Where it can be spoken to, as sent.
    pub xaddrs: Vec<String>,
}

impl Match {
    /// Name of an ONVIF device, decoded.
    pub fn name(&self) -> Option<String> {
        self.onvif("name").next()
    }

    /// Hardware of an ONVIF device, decoded.
    pub fn hardware(&self) -> Option<String> {
        self.onvif("hardware").next()
    }

    /// Where an ONVIF device says it stands, decoded, all of them joined by `, `.
    pub fn location(&self) -> Option<String> {
        let all: Vec<String> = self.onvif("location").collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Values of the scopes `onvif://www.onvif.org/{category}/…`.
    fn onvif<'a>(&'a self, category: &'a str) -> impl Iterator<Item = String> + 'a {
        self.scopes.iter().filter_map(move |scope| {
            let rest = scope.strip_prefix("onvif://www.onvif.org/")?;
            let (found, value) = rest.split_once('/')?;
            (found.eq_ignore_ascii_case(category) && !value.is_empty()).then(|| percent_decoded(value))
        })
    }
}

/// The id of a message, as it is sent and comes back.
pub fn message_id(id: u128) -> String {
    let hex = format!("{id:032x}");
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
}

/// A Probe without scopes, with the prefixes that Windows uses: small devices look for those, not
/// for what they stand for. Every probe needs an id of its own, as devices keep silent to one that
/// they have seen.
pub fn probe(id: u128, wanted: Wanted) -> Vec<u8> {
    let id = message_id(id);
    let types = match wanted {
        Wanted::Any => "",
        Wanted::Cameras => {
            "<wsd:Types xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">dn:NetworkVideoTransmitter</wsd:Types>"
        }
        Wanted::Devices => "<wsd:Types>wsdp:Device</wsd:Types>",
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:wsdp=\"http://schemas.xmlsoap.org/ws/2006/02/devprof\"><soap:Header>\
         <wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To>\
         <wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action>\
         <wsa:MessageID>{id}</wsa:MessageID>\
         </soap:Header><soap:Body><wsd:Probe>{types}</wsd:Probe></soap:Body></soap:Envelope>"
    )
    .into_bytes()
}

/// Reads ProbeMatches of either version.
pub fn parse(bytes: &[u8]) -> Result<ProbeMatches, Malformed> {
    let mut relates_to = None;
    let (mut answers, mut full) = (false, false);
    let mut matches: Vec<Match> = Vec::new();
    xml::walk(bytes, |path, step| match (path, step) {
        (["Envelope", "Header", "RelatesTo"], Step::Close(text)) => relates_to = Some(text.to_owned()),
        (["Envelope", "Body", "ProbeMatches"], _) => answers = true,
        // Some leave the list around a single match out.
        (
            ["Envelope", "Body", "ProbeMatches", "ProbeMatch", field @ ..]
            | ["Envelope", "Body", "ProbeMatch", field @ ..],
            step,
        ) => match (field, step) {
            ([], Step::Open) if matches.len() == MATCHES_MAX => full = true,
            ([], Step::Open) => matches.push(Match::default()),
            (field, Step::Close(text)) if !full => {
                if let Some(found) = matches.last_mut() {
                    fill(found, field, text);
                }
            }
            _ => {}
        },
        _ => {}
    })?;
    match answers || !matches.is_empty() {
        true => Ok(ProbeMatches { relates_to, matches }),
        false => Err(Malformed::Not("ProbeMatches")),
    }
}

fn fill(found: &mut Match, field: &[&str], text: &str) {
    let list = match field {
        ["EndpointReference", "Address"] => {
            if found.endpoint.is_none() && !text.is_empty() {
                found.endpoint = Some(text.to_owned());
            }
            return;
        }
        ["Types"] => &mut found.types,
        ["Scopes"] => &mut found.scopes,
        ["XAddrs"] => &mut found.xaddrs,
        _ => return,
    };
    let room = LIST_MAX - list.len();
    list.extend(text.split_whitespace().take(room).map(str::to_owned));
}

/// `%41` becomes `A`; what is no such form stays.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let coded = (byte == b'%').then(|| more.split_at_checked(2)).flatten();
        let digits = coded.and_then(|(digits, _)| std::str::from_utf8(digits).ok());
        let value = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (value, coded) {
            (Some(value), Some((_, after))) => {
                out.push(value);
                rest = after;
            }
            _ => {
                out.push(byte);
                rest = more;
            }
        }
    }
    crate::charset::decode(&out, None)
}
