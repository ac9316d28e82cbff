//! Hosts out.

use std::io::{self, Write};
use std::net::IpAddr;

use kenshin_observation::{Check, Endpoint, Observation, Outcome, TimeUs};
use serde_json::{Map, Value, json};

use super::{compact, grab, module_of, told, usual_transport};
use crate::export::Rows;

/// Most results of a host that are held; at one more the host is written and begun again.
const RESULTS_MAX: usize = 4_096;

/// Writes hosts as objects.
pub(crate) struct Writer<W> {
    to: W,
    host: Option<Host>,
}

/// What is known of the host whose rows are coming.
struct Host {
    addr: IpAddr,
    results: Vec<Result>,
}

struct Result {
    subject: Endpoint,
    protocol: Option<String>,
    scan: Value,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, host: None }
    }

    fn flush_host(&mut self) -> io::Result<()> {
        let Some(host) = self.host.take() else { return Ok(()) };
        let mut data = Map::new();
        for Result { subject, protocol, scan } in host.results {
            // What was cut off before it spoke is a banner that did not come.
            let name = module_of(protocol.as_deref().unwrap_or("unknown"));
            let mut key = name.to_owned();
            // The second of a kind is named as a second scan of zgrab2 would be.
            for number in 0.. {
                if !data.contains_key(&key) {
                    break;
                }
                let again = if number > 0 { format!("-{number}") } else { String::new() };
                key = format!("{name}-{}{again}", subject.port);
            }
            data.insert(key, scan);
        }
        let object = json!({ "ip": host.addr.to_string(), "data": data });
        writeln!(self.to, "{object}")
    }
}

impl<W: Write> Rows for Writer<W> {
    fn row(&mut self, row: &Observation) -> io::Result<()> {
        if row.check == Check::Sweep {
            return Ok(());
        }
        let addr = row.subject.addr;
        if self.host.as_ref().is_some_and(|host| host.addr != addr || host.results.len() == RESULTS_MAX) {
            self.flush_host()?;
        }
        let host = self.host.get_or_insert_with(|| Host { addr, results: Vec::new() });
        // A second look at the same service adds nothing that the format has a place for.
        let told_before = |result: &Result| {
            result.subject == row.subject && (result.protocol == row.protocol || row.protocol.is_none())
        };
        if !host.results.iter().any(told_before) {
            host.results.push(Result {
                subject: row.subject,
                protocol: row.protocol.clone(),
                scan: scan(row),
            });
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush_host()?;
        self.to.flush()
    }
}

fn scan(row: &Observation) -> Value {
    let (status, error) = grab::status(row);
    let module = module_of(row.protocol.as_deref().unwrap_or("unknown"));
    let transport = row.subject.transport;
    let mut scan = compact(json!({
        "status": status,
        "protocol": module,
        "port": row.subject.port,
        // zgrab2 knows the transport by the module; a key of ours says where that would be wrong.
        "transport": (transport != usual_transport(module)).then(|| transport.as_str()),
        // zgrab2 states whole seconds.
        "timestamp": TimeUs::from_secs(row.time.micros().div_euclid(1_000_000)).to_string(),
        "error": error,
    }));
    let result = told::result(row);
    if row.outcome == Outcome::Answered && !result.is_null() {
        scan["result"] = result;
    }
    scan
}
