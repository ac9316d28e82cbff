//! Ports in.

use std::collections::VecDeque;
use std::io::BufRead;

use kenshin_observation::protocol::{Http, Tls};
use kenshin_observation::{Check, Endpoint, Observation, Outcome, Transport};

use super::entries::Rest;
use super::{Entries, Entry, Host, Port, State, protocol_of};
use crate::format::Tool;
use crate::import::{Imported, Scribe, Source};
use crate::problem::ReadError;
use crate::{escape, speech};

impl<R: BufRead> Source for Entries<R> {
    fn read(&mut self, scribe: &mut Scribe, rows: &mut VecDeque<Imported>) -> Option<Result<(), ReadError>> {
        let entry = match self.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        if let Some(run) = self.take_run() {
            scribe.state(run.scanner.parse().unwrap_or(Tool::Nmap), run.version.as_deref());
        }
        match entry {
            Entry::Port(host, port) => port_rows(scribe, &host, &port, rows),
            Entry::Rest(host, rest) => rest_rows(scribe, &host, &rest, rows),
            Entry::End(host) => rows.extend(echo(scribe, &host).map(Imported::from)),
        }
        Some(Ok(()))
    }
}

fn port_rows(scribe: &Scribe, host: &Host, port: &Port, rows: &mut VecDeque<Imported>) {
    let Some(addr) = host.addr else { return };
    let subject = Endpoint::new(addr, port.number, port.transport);
    rows.push_back(sweep(scribe, host, subject, &port.state).into());
    if port.state.state == "open" {
        rows.extend(service(scribe, host, subject, port).map(Imported::from));
    }
}

fn rest_rows(scribe: &Scribe, host: &Host, rest: &Rest, rows: &mut VecDeque<Imported>) {
    let Some(addr) = host.addr else { return };
    for number in rest.ports.iter().flat_map(|(first, last)| *first..=*last) {
        let subject = Endpoint::new(addr, number, rest.transport);
        rows.push_back(sweep(scribe, host, subject, &rest.state).into());
    }
}

/// A host without ports that answered an echo request.
fn echo(scribe: &Scribe, host: &Host) -> Option<Observation> {
    let answered = host.ports == 0 && host.up == Some(true) && host.reason == "echo-reply";
    let subject = Endpoint::new(host.addr?, 0, Transport::Icmp);
    answered.then(|| scribe.row(subject, host.time, Check::Sweep, Outcome::Answered))
}

fn sweep(scribe: &Scribe, host: &Host, subject: Endpoint, State { state, reason }: &State) -> Observation {
    // A host that nmap was told to hold for alive is not known to be.
    let alive = host.up == Some(true) && host.reason != "user-set";
    let (outcome, reason) = match state.as_str() {
        "open" => (Outcome::Answered, None),
        // `unfiltered`: it answered a probe for filters, by a reset.
        "closed" | "unfiltered" => (Outcome::Refused, None),
        "filtered" | "open|filtered" | "closed|filtered" if reason == "no-response" => {
            (if alive { Outcome::SilentHostAlive } else { Outcome::Dark }, None)
        }
        "filtered" | "open|filtered" | "closed|filtered" => (Outcome::Filtered, Some(reason.as_str())),
        _ => (Outcome::Error, Some("unknown-state")),
    };
    let mut row = scribe.row(subject, host.time, Check::Sweep, outcome);
    row.reason = reason.map(escape::word);
    row
}

/// What the service said; `None` when it was not talked to.
fn service(scribe: &Scribe, host: &Host, subject: Endpoint, port: &Port) -> Option<Observation> {
    let script =
        |id: &str| port.scripts.iter().find(|(name, _)| name == id).map(|(_, output)| output.as_str());
    let probed = port.service.as_ref().filter(|service| service.probed);
    let header = script("http-server-header");
    let title = script("http-title").filter(|title| !title.starts_with("Site doesn't have a title"));
    let banner = script("banner").map(escape::bytes);
    let name = match probed {
        Some(service) if service.name == "tcpwrapped" => {
            let mut row = scribe.row(subject, host.time, Check::Handshake, Outcome::Limited);
            row.reason = Some("closed".to_owned());
            return Some(row);
        }
        Some(service) => protocol_of(&service.name),
        None if header.is_some() || title.is_some() => "http",
        None if banner.is_some() => "unknown",
        None => return None,
    };
    let mut row = scribe.row(subject, host.time, Check::Handshake, Outcome::Answered);
    row.protocol = Some(scribe.said(name.as_bytes()));
    if let Some(banner) = banner {
        row.records = speech::heard(scribe, name, &banner);
    }
    if name == "http" && (header.is_some() || title.is_some()) {
        let http: &mut Http = row.records.http.get_or_insert_default();
        // The first line of the output is the value; notes of the script may follow.
        let first = |text: &str| scribe.said(text.lines().next().unwrap_or_default().as_bytes());
        http.server = http.server.take().or(header.map(first));
        http.title = http.title.take().or(title.map(first));
    }
    if port.service.as_ref().is_some_and(|service| service.tls || service.name == "https" && service.probed) {
        row.records.tls = Some(Box::new(Tls::default()));
    }
    Some(row)
}
