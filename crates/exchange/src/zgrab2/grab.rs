//! Hosts in.

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::IpAddr;

use kenshin_observation::protocol::Records;
use kenshin_observation::{Check, Endpoint, Observation, Outcome, TimeUs};
use serde_json::Value;

use super::{heard, module, usual_transport};
use crate::import::{Imported, Scribe, Source};
use crate::objects::{Object, Objects};
use crate::problem::{Place, Problem, ReadError, quoted};

/// Most modules of one host.
const MODULES_MAX: usize = 1 << 16;

/// Reads hosts.
pub(crate) struct Grabs<R> {
    objects: Objects<R>,
}

impl<R: BufRead> Grabs<R> {
    pub(crate) fn new(file: &str, from: R) -> Self {
        Self { objects: Objects::new(file, from) }
    }
}

impl<R: BufRead> Source for Grabs<R> {
    fn read(&mut self, scribe: &mut Scribe, rows: &mut VecDeque<Imported>) -> Option<Result<(), ReadError>> {
        let Object { place, value } = match self.objects.next()? {
            Ok(object) => object,
            Err(error) => return Some(Err(error)),
        };
        Some(host(scribe, &place, &value, rows).map_err(Into::into))
    }
}

fn host(scribe: &Scribe, place: &Place, value: &Value, rows: &mut VecDeque<Imported>) -> Result<(), Problem> {
    let addr = address(scribe, place, value)?;
    let Some(modules) = value["data"].as_object() else {
        return Err(
            place.problem("there is no `data`", "give the file as zgrab2 wrote it: one object a host")
        );
    };
    let mut refused = None;
    for (name, grab) in modules.iter().take(MODULES_MAX) {
        match row(scribe, addr, name, grab) {
            Ok(row) => rows.push_back(row),
            // The other modules of the host are of use all the same.
            Err((message, hint)) => refused = Some(place.problem(message, hint)),
        }
    }
    refused.map_or(Ok(()), Err)
}

fn address(scribe: &Scribe, place: &Place, value: &Value) -> Result<IpAddr, Problem> {
    const HINT: &str =
        "this host is passed over; names are not resolved: state the address with `--host NAME=ADDRESS`";
    if let Some(text) = value["ip"].as_str().filter(|text| !text.is_empty()) {
        let parsed = text.parse::<IpAddr>().map(|addr| addr.to_canonical());
        return parsed.map_err(|_| place.problem(format!("ip {} is not an address", quoted(text)), HINT));
    }
    match value["domain"].as_str() {
        Some(name) => {
            let known = scribe.terms.names.get(name).copied();
            known.ok_or_else(|| place.problem(format!("only a name is stated, {}", quoted(name)), HINT))
        }
        None => Err(place.problem("neither `ip` nor `domain` is stated", HINT)),
    }
}

fn row(scribe: &Scribe, addr: IpAddr, name: &str, grab: &Value) -> Result<Imported, (String, &'static str)> {
    // A scan may have a name of its own; its protocol is that of the module.
    let spoken = grab["protocol"].as_str().unwrap_or(name);
    let known = module(spoken);
    let protocol = known.map_or(spoken, |(_, ours, ..)| ours);
    let heard = heard::result(scribe, protocol, &grab["result"]);
    let stated = grab["port"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let transport = grab["transport"].as_str().and_then(|word| word.parse().ok());
    let transport = transport.unwrap_or_else(|| usual_transport(spoken));
    let usual = known.map(|(_, _, port, _)| (*port, transport));
    let port = stated.or(heard.port).map(|port| (port, transport)).or(scribe.terms.port).or(usual);
    let (port, transport) = port.ok_or_else(|| {
        let hint = "say which port was asked, with `--port`; zgrab2 writes it from 2024 on";
        (format!("module {} has no usual port, and none is stated", quoted(spoken)), hint)
    })?;
    let (outcome, reason) = outcome(grab);
    let time = grab["timestamp"].as_str().and_then(|text| text.parse::<TimeUs>().ok());
    let check = check(protocol, &heard.records);
    let mut row = scribe.row(Endpoint::new(addr, port, transport), time, check, outcome);
    row.reason = reason;
    row.protocol = (outcome == Outcome::Answered).then(|| scribe.said(protocol.as_bytes()));
    if outcome == Outcome::Answered {
        row.records = heard.records;
    }
    Ok(Imported::with_certificate(row, heard.certificate))
}

/// The class of exchange that a module's conversation is (DESIGN.md §6).
fn check(protocol: &str, records: &Records) -> Check {
    match protocol {
        "unknown" => Check::Banner,
        "bacnet" | "dnp3" | "fox" | "modbus" | "s7" => Check::IcsIdentity,
        "mongodb" | "mqtt" | "redis" | "snmp" => Check::AnonymousLogin,
        "ntp" if records.ntp.as_ref().is_some_and(|ntp| ntp.private_answers.is_some()) => Check::Reflector,
        _ => Check::Handshake,
    }
}

/// zgrab2's status in our words. Our own files state the outcome in `error`.
fn outcome(grab: &Value) -> (Outcome, Option<String>) {
    let status = grab["status"].as_str().unwrap_or_default();
    if let Some((word, reason)) = grab["error"].as_str().and_then(|error| error.split_once(": "))
        && let Ok(outcome) = word.parse::<Outcome>()
    {
        return (outcome, Some(crate::escape::word(reason)));
    }
    let heard = !grab["result"].is_null();
    match status {
        "success" => (Outcome::Answered, None),
        "connection-refused" => (Outcome::Refused, None),
        "connection-timeout" => (Outcome::Dark, None),
        "io-timeout" if !heard => (Outcome::Limited, Some("time".to_owned())),
        "connection-closed" if !heard => (Outcome::Limited, Some("closed".to_owned())),
        // It spoke, and not to the end.
        "io-timeout" | "connection-closed" | "protocol-error" | "application-error" if heard => {
            (Outcome::Answered, Some(status.to_owned()))
        }
        "protocol-error" | "application-error" => (Outcome::Limited, Some(status.to_owned())),
        _ => (Outcome::Error, Some("unknown-error".to_owned())),
    }
}

/// The status and the error that a row is written with.
pub(super) fn status(row: &Observation) -> (&'static str, Option<String>) {
    let status = match row.outcome {
        Outcome::Answered => "success",
        Outcome::Refused => "connection-refused",
        Outcome::Dark | Outcome::SilentHostAlive => "connection-timeout",
        Outcome::Limited => match row.reason.as_deref() {
            Some("time" | "silent") => "io-timeout",
            Some("closed" | "reset") => "connection-closed",
            _ => "application-error",
        },
        Outcome::Filtered | Outcome::Error => "unknown-error",
    };
    let reason = row.reason.as_deref();
    let error =
        (row.outcome != Outcome::Answered).then(|| format!("{}: {}", row.outcome, reason.unwrap_or("none")));
    (status, error)
}
