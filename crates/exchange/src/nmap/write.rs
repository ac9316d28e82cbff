//! Ports out, by the rules of nmap.dtd.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use kenshin_observation::{Check, Observation, Outcome, TimeUs, Transport};

use super::service_of;
use crate::escape;
use crate::export::Rows;
use crate::software::Software;
use crate::speech;

/// Most ports of a host that are held; at one more the host is written and begun again.
const PORTS_MAX: usize = 1 << 16;

/// Writes hosts as elements.
pub(crate) struct Writer<W> {
    to: W,
    begun: bool,
    host: Option<Host>,
    up: u64,
    down: u64,
    times: Option<(TimeUs, TimeUs)>,
}

/// What is known of the host whose rows are coming.
struct Host {
    addr: IpAddr,
    /// Why it is up.
    alive: Option<&'static str>,
    times: (TimeUs, TimeUs),
    ports: BTreeMap<(Transport, u16), Port>,
}

#[derive(Default)]
struct Port {
    state: Option<(&'static str, String)>,
    service: Option<Service>,
}

struct Service {
    name: String,
    tls: bool,
    software: Software,
    banner: Option<String>,
    header: Option<String>,
    title: Option<String>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, begun: false, host: None, up: 0, down: 0, times: None }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        // The format knows one scanner only; who really wrote the file stands beside it.
        writeln!(
            self.to,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n\
             <nmaprun scanner=\"nmap\" args=\"kenshin survey export --as nmap-xml\" version=\"kenshin {}\" xmloutputversion=\"1.05\">\n\
             <verbose level=\"0\"/>\n<debugging level=\"0\"/>",
            env!("CARGO_PKG_VERSION")
        )
    }

    fn flush_host(&mut self) -> io::Result<()> {
        let Some(host) = self.host.take() else { return Ok(()) };
        self.begin()?;
        let (first, last) = host.times;
        self.times = Some(self.times.map_or(host.times, |(from, to)| (from.min(first), to.max(last))));
        let (state, reason) = match host.alive {
            Some(reason) => ("up", reason),
            None => ("down", "no-response"),
        };
        *(if host.alive.is_some() { &mut self.up } else { &mut self.down }) += 1;
        let family = if host.addr.is_ipv4() { "ipv4" } else { "ipv6" };
        writeln!(
            self.to,
            "<host starttime=\"{}\" endtime=\"{}\"><status state=\"{state}\" reason=\"{reason}\" reason_ttl=\"0\"/>\n\
             <address addr=\"{}\" addrtype=\"{family}\"/>\n<hostnames>\n</hostnames>\n<ports>",
            seconds(first),
            seconds(last),
            host.addr
        )?;
        for ((transport, number), port) in &host.ports {
            // What spoke is open, whether or not a sweep's row is there to say so.
            let open = ("open", "syn-ack".to_owned());
            let (state, reason) = port.state.as_ref().unwrap_or(&open);
            write!(
                self.to,
                "<port protocol=\"{transport}\" portid=\"{number}\"><state state=\"{state}\" reason=\"{}\" reason_ttl=\"0\"/>",
                escape::attribute(reason)
            )?;
            if let Some(service) = &port.service {
                service.write(&mut self.to)?;
            }
            writeln!(self.to, "</port>")?;
        }
        writeln!(self.to, "</ports>\n</host>")
    }
}

impl Service {
    fn of(row: &Observation) -> Option<Self> {
        let http = row.records.http.as_ref();
        Some(Self {
            name: service_of(row.protocol.as_deref()?).to_owned(),
            tls: row.records.tls.is_some(),
            software: Software::of(row),
            banner: speech::said(row),
            header: http.and_then(|http| http.server.clone()),
            title: http.and_then(|http| http.title.clone()),
        })
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "<service name=\"{}\"", escape::attribute(&self.name))?;
        let Software { product, version, extra } = &self.software;
        for (name, value) in [("product", product), ("version", version), ("extrainfo", extra)] {
            if let Some(value) = value {
                write!(to, " {name}=\"{}\"", escape::attribute(value))?;
            }
        }
        if self.tls {
            write!(to, " tunnel=\"ssl\"")?;
        }
        write!(to, " method=\"probed\" conf=\"10\"/>")?;
        // A banner is written as nmap's script of that name writes it, and so comes back as it was.
        let banner = self.banner.as_deref().map(escape::ascii);
        let header = self.header.as_deref().map(escape::attribute);
        let title = self.title.as_deref().map(escape::attribute);
        for (id, output) in [("banner", banner), ("http-server-header", header), ("http-title", title)] {
            if let Some(output) = output {
                write!(to, "<script id=\"{id}\" output=\"{output}\"/>")?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Rows for Writer<W> {
    fn row(&mut self, row: &Observation) -> io::Result<()> {
        let full = |host: &Host| host.addr != row.subject.addr || host.ports.len() == PORTS_MAX;
        if self.host.as_ref().is_some_and(full) {
            self.flush_host()?;
        }
        let service = if row.check == Check::Sweep { None } else { Service::of(row) };
        let state = if row.check == Check::Sweep { state(row) } else { None };
        if service.is_none() && state.is_none() {
            return Ok(());
        }
        let host = self.host.get_or_insert_with(|| Host {
            addr: row.subject.addr,
            alive: None,
            times: (row.time, row.time),
            ports: BTreeMap::new(),
        });
        host.times = (host.times.0.min(row.time), host.times.1.max(row.time));
        host.alive = host.alive.or(match row.outcome {
            Outcome::Answered if row.subject.transport == Transport::Icmp => Some("echo-reply"),
            Outcome::Answered => Some("syn-ack"),
            Outcome::Refused => Some("conn-refused"),
            Outcome::SilentHostAlive => Some("unknown-response"),
            _ => None,
        });
        if row.subject.transport == Transport::Icmp {
            return Ok(());
        }
        let port = host.ports.entry((row.subject.transport, row.subject.port)).or_default();
        port.state = port.state.take().or(state);
        port.service = port.service.take().or(service);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush_host()?;
        self.begin()?;
        let (first, last) = self.times.unwrap_or((TimeUs::from_micros(0), TimeUs::from_micros(0)));
        writeln!(
            self.to,
            "<runstats><finished time=\"{}\" timestr=\"{last}\" elapsed=\"{:.2}\" exit=\"success\"/>\
             <hosts up=\"{}\" down=\"{}\" total=\"{}\"/>\n</runstats>\n</nmaprun>",
            seconds(last),
            last.micros_since(first) as f64 / 1e6,
            self.up,
            self.down,
            self.up + self.down
        )?;
        self.to.flush()
    }
}

/// nmap's state and reason of a sweep; `None` where nmap has no word: it was not asked to the end.
fn state(row: &Observation) -> Option<(&'static str, String)> {
    let udp = row.subject.transport == Transport::Udp;
    let (state, reason) = match row.outcome {
        Outcome::Answered => ("open", if udp { "udp-response" } else { "syn-ack" }),
        Outcome::Refused => ("closed", if udp { "port-unreach" } else { "conn-refused" }),
        Outcome::SilentHostAlive | Outcome::Dark if udp => ("open|filtered", "no-response"),
        Outcome::SilentHostAlive | Outcome::Dark => ("filtered", "no-response"),
        Outcome::Filtered => ("filtered", row.reason.as_deref().unwrap_or("unknown-response")),
        Outcome::Limited | Outcome::Error => return None,
    };
    Some((state, reason.to_owned()))
}

fn seconds(time: TimeUs) -> i64 {
    time.micros().div_euclid(1_000_000)
}
