//! The document as what it says of one port after the other: however many ports a host has, one is
//! held.

use std::io::BufRead;
use std::net::IpAddr;

use kenshin_observation::{TimeUs, Transport};

use crate::problem::{Place, Problem, ReadError, quoted};
use crate::xml::{Element, Elements, Markup};

/// Most bytes kept of one attribute or text; records keep less.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Most scripts of one port; further ones are passed over.
const SCRIPTS_MAX: usize = 64;

/// What wrote the document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// `scanner`: `nmap` or `masscan`.
    pub(crate) scanner: String,
    /// Version of the scanner.
    pub(crate) version: Option<String>,
    start: Option<TimeUs>,
}

/// A host, as far as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) addr: Option<IpAddr>,
    /// `status`; `None` when it is not stated, as in masscan's files.
    pub(crate) up: Option<bool>,
    /// Why it is held to be up.
    pub(crate) reason: String,
    /// When its scan ended, or the next best that is stated.
    pub(crate) time: Option<TimeUs>,
    /// Ports listed so far.
    pub(crate) ports: u32,
}

/// One thing the document says.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A port of the host.
    Port(Host, Port),
    /// Ports of the host that are summed up, where they are named.
    Rest(Host, Rest),
    /// The host has ended.
    End(Host),
}

/// A `<port>`.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) transport: Transport,
    pub(crate) state: State,
    pub(crate) service: Option<Service>,
    /// Id and output of its scripts.
    pub(crate) scripts: Vec<(String, String)>,
}

/// A `<state>` or the like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// A `<service>`.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Found by talking to it, not looked up by port number.
    pub(crate) probed: bool,
    pub(crate) tls: bool,
}

/// `<extraports>` whose ports are named.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) state: State,
    pub(crate) transport: Transport,
    /// First and last of each run.
    pub(crate) ports: Vec<(u16, u16)>,
}

/// Reads entries.
pub(crate) struct Entries<R> {
    elements: Elements<R>,
    run: Option<Run>,
    /// Whether `run` was handed out.
    stated: bool,
    host: Option<Host>,
    port: Option<Port>,
    /// State of the `<extraports>` that is open.
    extra: Option<String>,
    /// Names of the elements that are open.
    open: Vec<String>,
}

impl<R: BufRead> Entries<R> {
    pub(crate) fn new(file: &str, from: R) -> Self {
        Self {
            elements: Elements::new(file, from),
            run: None,
            stated: false,
            host: None,
            port: None,
            extra: None,
            open: Vec::new(),
        }
    }

    /// What wrote the document, the first time that it is asked for after the first entry.
    pub(crate) fn take_run(&mut self) -> Option<Run> {
        if std::mem::replace(&mut self.stated, true) { None } else { self.run.clone() }
    }

    /// The next entry. What is wrong with one element is reported, and the rest follows.
    pub(crate) fn next(&mut self) -> Option<Result<Entry, ReadError>> {
        loop {
            let found = match self.elements.next() {
                None => return self.end().map(|problem| Err(problem.into())),
                Some(Err(error)) => {
                    // Whatever is wrong with the file, one report is enough.
                    self.run.get_or_insert_default();
                    return Some(Err(error));
                }
                Some(Ok(Markup::Open(element))) => self.opened(element),
                Some(Ok(Markup::Close)) => Ok(self.closed()),
            };
            match found {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(problem) => return Some(Err(problem.into())),
            }
        }
    }

    /// A document that ended without any scan is none of nmap's.
    fn end(&mut self) -> Option<Problem> {
        if self.run.is_some() {
            return None;
        }
        self.run = Some(Run::default());
        Some(no_scan(&self.elements.place()))
    }

    fn opened(&mut self, element: Element) -> Result<Option<Entry>, Problem> {
        let parent = self.open.last().cloned().unwrap_or_default();
        self.open.push(element.name.clone());
        if let Some(problem) = element.problem {
            return Err(problem);
        }
        match (parent.as_str(), element.name.as_str()) {
            ("", "nmaprun") => {
                let stated = |name: &str| element.get(name).map(cut);
                self.run = Some(Run {
                    scanner: stated("scanner").unwrap_or_default(),
                    version: stated("version"),
                    start: element.get("start").and_then(seconds),
                });
            }
            ("", _) => {
                self.run.get_or_insert_default();
                return Err(no_scan(&element.place));
            }
            ("nmaprun", "host") => {
                let time = ["endtime", "starttime"].iter().find_map(|name| seconds(element.get(name)?));
                self.host = Some(Host {
                    addr: None,
                    up: None,
                    reason: String::new(),
                    time: time.or(self.run.as_ref().and_then(|run| run.start)),
                    ports: 0,
                });
            }
            ("host", "status") => {
                if let Some(host) = &mut self.host {
                    let State { state, reason } = state(&element);
                    (host.up, host.reason) = (Some(state == "up"), reason);
                }
            }
            ("host", "address") => return self.address(&element).map(|()| None),
            ("ports", "port") if self.host.is_some() => self.port = Some(port(&element)?),
            ("port", "state") => {
                if let Some(port) = &mut self.port {
                    port.state = state(&element);
                }
            }
            ("port", "service") => {
                if let Some(port) = &mut self.port {
                    port.service = Some(Service {
                        name: element.get("name").map(cut).unwrap_or_default(),
                        // masscan states no method, and its names are what it recognised.
                        probed: element.get("method") != Some("table"),
                        tls: element.get("tunnel") == Some("ssl"),
                    });
                }
            }
            ("port", "script") => {
                if let (Some(port), Some(id), Some(output)) =
                    (&mut self.port, element.get("id"), element.get("output"))
                    && port.scripts.len() < SCRIPTS_MAX
                {
                    port.scripts.push((cut(id), cut(output)));
                }
            }
            ("ports", "extraports") => self.extra = element.get("state").map(cut),
            ("extraports", "extrareasons") => return self.rest(&element),
            _ => {}
        }
        Ok(None)
    }

    fn closed(&mut self) -> Option<Entry> {
        match self.open.pop()?.as_str() {
            "port" => {
                let port = self.port.take()?;
                let host = self.host.as_mut()?;
                host.ports += 1;
                Some(Entry::Port(host.clone(), port))
            }
            "extraports" => {
                self.extra = None;
                None
            }
            "host" => self.host.take().map(Entry::End),
            _ => None,
        }
    }

    fn address(&mut self, element: &Element) -> Result<(), Problem> {
        let Some(host) = &mut self.host else { return Ok(()) };
        if element.get("addrtype") == Some("mac") || host.addr.is_some() {
            return Ok(());
        }
        let text = element.get("addr").unwrap_or_default();
        let addr = text.parse::<IpAddr>().map_err(|_| {
            element.place.problem(format!("{} is not an address", quoted(text)), "its host is passed over")
        })?;
        host.addr = Some(addr.to_canonical());
        Ok(())
    }

    fn rest(&mut self, element: &Element) -> Result<Option<Entry>, Problem> {
        let (Some(host), Some(extra)) = (&self.host, &self.extra) else { return Ok(None) };
        // Older files only count them.
        let Some(text) = element.get("ports") else { return Ok(None) };
        let Some(transport) = transport(element.get("proto").unwrap_or("tcp")) else { return Ok(None) };
        let mut ports = Vec::new();
        for run in text.split(',') {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                // Ascending, as nmap writes them: so a list of 64 KiB names each port once.
                (Ok(first), Ok(last))
                    if first <= last && ports.last().is_none_or(|(_, before)| *before < first) =>
                {
                    ports.push((first, last));
                }
                _ => {
                    let message = format!("{} is not a run of ports in ascending order", quoted(run));
                    return Err(element.place.problem(message, "these ports are passed over"));
                }
            }
        }
        let state =
            State { state: extra.clone(), reason: element.get("reason").map(cut).unwrap_or_default() };
        Ok(Some(Entry::Rest(host.clone(), Rest { state, transport, ports })))
    }
}

fn port(element: &Element) -> Result<Port, Problem> {
    let text = element.get("portid").unwrap_or_default();
    let number = text.parse::<u16>().map_err(|_| {
        element.place.problem(format!("{} is not a port", quoted(text)), "this port is passed over")
    })?;
    let protocol = element.get("protocol").unwrap_or_default();
    let transport = transport(protocol).ok_or_else(|| {
        let message = format!("{} is not a transport that Kenshin knows", quoted(protocol));
        element.place.problem(message, "this port is passed over; tcp and udp are read")
    })?;
    Ok(Port { number, transport, state: State::default(), service: None, scripts: Vec::new() })
}

fn state(element: &Element) -> State {
    let stated = |name: &str| element.get(name).map(cut).unwrap_or_default();
    State { state: stated("state"), reason: stated("reason") }
}

fn transport(text: &str) -> Option<Transport> {
    match text {
        "tcp" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<TimeUs> {
    text.parse::<i64>().ok().map(TimeUs::from_secs)
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn no_scan(place: &Place) -> Problem {
    place
        .problem("this is not nmap's XML: it does not begin with <nmaprun>", "write the file with `nmap -oX`")
}
