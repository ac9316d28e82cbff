//! Responses in.

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::IpAddr;

use kenshin_observation::{Check, Endpoint, Outcome, TimeUs, Transport};
use serde_json::Value;

use crate::csv;
use crate::import::{Imported, Scribe, Source};
use crate::lines::{Line, Lines};
use crate::objects::Objects;
use crate::problem::{Place, Problem, ReadError, quoted};

/// Most columns of a file.
const COLUMNS_MAX: usize = 256;

/// Reads responses.
pub(crate) enum Responses<R> {
    /// With the names of the columns, once they are known.
    Csv(Lines<R>, Vec<String>),
    Json(Objects<R>),
}

/// One response, as far as it is of use.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) place: Place,
    pub(crate) saddr: IpAddr,
    pub(crate) sport: Option<u16>,
    vantage: Option<(IpAddr, u16)>,
    classification: Option<String>,
    success: Option<bool>,
    /// Type, code and sender of an ICMP message about the probe.
    icmp: Option<(u16, u16, Option<IpAddr>)>,
    time: Option<TimeUs>,
}

/// One field: its name, its value, and where that stands.
type Field = (String, String, Place);

impl<R: BufRead> Responses<R> {
    pub(crate) fn csv(file: &str, from: R) -> Self {
        Self::Csv(Lines::new(file, from), Vec::new())
    }

    pub(crate) fn json(file: &str, from: R) -> Self {
        Self::Json(Objects::new(file, from))
    }

    /// The next response.
    pub(crate) fn next(&mut self) -> Option<Result<Response, ReadError>> {
        loop {
            let found = match self {
                Self::Csv(lines, columns) => match lines.next()? {
                    Ok(line) => fields_of_line(line, columns).transpose(),
                    Err(error) => Some(Err(error)),
                },
                Self::Json(objects) => {
                    Some(objects.next()?.map(|object| fields_of_object(&object.value, &object.place)))
                }
            };
            let Some(fields) = found else { continue };
            return Some(fields.and_then(|(place, fields)| Ok(response(place, &fields)?)));
        }
    }
}

/// The fields of a line; `None` for an empty line and for that of the names.
fn fields_of_line(
    line: Line<'_>,
    columns: &mut Vec<String>,
) -> Result<Option<(Place, Vec<Field>)>, ReadError> {
    if line.text.trim().is_empty() {
        return Ok(None);
    }
    let cells = csv::cells(line.text).map_err(|at| {
        line.place(at)
            .problem("a quotation mark stands in the middle of a value", "give the file as ZMap wrote it")
    })?;
    if columns.is_empty() {
        // ZMap writes no names above a single column.
        let headless = cells.len() == 1 && cells[0].1.trim().parse::<IpAddr>().is_ok();
        if headless {
            columns.push("saddr".to_owned());
        } else {
            columns.extend(cells.iter().take(COLUMNS_MAX).map(|(_, cell)| name(cell)));
            if !columns.iter().any(|column| column == "saddr") {
                let hint =
                    "the first line names the columns; run ZMap with `--output-fields saddr,sport,...`";
                return Err(line.place(0).problem("there is no column `saddr`", hint).into());
            }
            return Ok(None);
        }
    }
    if cells.len() != columns.len() {
        let message = format!("{} values where there are {} columns", cells.len(), columns.len());
        return Err(line.place(0).problem(message, "the line was cut, or joined with another").into());
    }
    let fields = columns
        .iter()
        .zip(cells)
        .map(|(column, (at, cell))| (column.clone(), cell.trim().to_owned(), line.place(at)));
    Ok(Some((line.place(0), fields.collect())))
}

fn fields_of_object(value: &Value, place: &Place) -> (Place, Vec<Field>) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let members = value.as_object().into_iter().flatten().take(COLUMNS_MAX);
    let fields = members.map(|(key, value)| (name(key), text(value), place.clone()));
    (place.clone(), fields.collect())
}

fn name(text: &str) -> String {
    text.trim().replace('-', "_")
}

fn response(place: Place, fields: &[Field]) -> Result<Response, Problem> {
    let find = |name: &str| fields.iter().find(|(key, value, _)| key == name && !value.is_empty());
    let get = |name: &str| find(name).map(|(_, value, _)| value.as_str());
    let number = |name: &str| match find(name) {
        None => Ok(None),
        Some((_, value, place)) => value.parse::<u16>().map(Some).map_err(|_| {
            place.problem(
                format!("{name} {} is not a number from 0 to 65535", quoted(value)),
                "this response is passed over",
            )
        }),
    };
    let address = |name: &str| match find(name) {
        None => Ok(None),
        Some((_, value, place)) => {
            value.parse::<IpAddr>().map(|addr| Some(addr.to_canonical())).map_err(|_| {
                place.problem(
                    format!("{name} {} is not an address", quoted(value)),
                    "this response is passed over",
                )
            })
        }
    };
    let saddr = address("saddr")?.ok_or_else(|| {
        place.problem("there is no `saddr`", "run ZMap with `--output-fields saddr,sport,...`")
    })?;
    let icmp = match (number("icmp_type")?, number("icmp_code")?) {
        (Some(kind), Some(code)) => Some((kind, code, address("icmp_responder")?)),
        _ => None,
    };
    Ok(Response {
        saddr,
        sport: number("sport")?,
        vantage: address("daddr")?.zip(Some(number("dport")?.unwrap_or(0))),
        classification: get("classification").map(str::to_owned),
        success: get("success").map(|value| matches!(value, "1" | "true")),
        icmp,
        time: time(get("timestamp_ts"), get("timestamp_us"), get("timestamp_str")),
        place,
    })
}

/// Seconds and µs where they are stated, else the text, whose offset ZMap writes without a colon.
fn time(seconds: Option<&str>, micros: Option<&str>, text: Option<&str>) -> Option<TimeUs> {
    if let Some(seconds) = seconds.and_then(|text| text.parse::<i64>().ok()) {
        let micros = micros.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        return Some(TimeUs::from_secs(seconds).plus_micros(micros));
    }
    let text = text?;
    match text.len().checked_sub(5) {
        Some(at) if text.is_char_boundary(at) && text[at..].starts_with(['+', '-']) => {
            format!("{}:{}", &text[..at + 3], &text[at + 3..]).parse().ok()
        }
        _ => text.parse().ok(),
    }
}

impl<R: BufRead> Source for Responses<R> {
    fn read(&mut self, scribe: &mut Scribe, rows: &mut VecDeque<Imported>) -> Option<Result<(), ReadError>> {
        let row = |response: Response| -> Result<(), ReadError> {
            let subject = response.subject(scribe.terms.port)?;
            let (outcome, reason) = response.outcome();
            let mut row = scribe.row(subject, response.time, Check::Sweep, outcome);
            row.reason = reason.map(str::to_owned);
            if let Some((addr, port)) = response.vantage {
                row.vantage = Endpoint::new(addr, port, subject.transport);
            }
            rows.push_back(row.into());
            Ok(())
        };
        Some(self.next()?.and_then(row))
    }
}

impl Response {
    fn transport(&self) -> Option<Transport> {
        match self.classification.as_deref() {
            Some("synack" | "rst") => Some(Transport::Tcp),
            Some("udp" | "icmp-unreach") => Some(Transport::Udp),
            Some("echoreply") => Some(Transport::Icmp),
            _ => None,
        }
    }

    /// The transport, where it is told or not.
    pub(crate) fn spoken(&self) -> Transport {
        self.transport().unwrap_or(Transport::Tcp)
    }

    fn subject(&self, assumed: Option<(u16, Transport)>) -> Result<Endpoint, Problem> {
        let transport =
            self.transport().or(assumed.map(|(_, transport)| transport)).unwrap_or(Transport::Tcp);
        if transport == Transport::Icmp {
            return Ok(Endpoint::new(self.saddr, 0, transport));
        }
        match self.sport.or(assumed.map(|(port, _)| port)) {
            Some(port @ 1..) => Ok(Endpoint::new(self.saddr, port, transport)),
            _ => {
                let hint = "say which port was scanned, with `--port`, or have ZMap write it with `--output-fields saddr,sport`";
                Err(self.place.problem("no port is stated for this response", hint))
            }
        }
    }

    fn outcome(&self) -> (Outcome, Option<&'static str>) {
        match (self.classification.as_deref(), self.icmp, self.success) {
            (Some("rst"), ..) => (Outcome::Refused, None),
            // The host itself says that nobody listens (RFC 792: type 3, code 3).
            (_, Some((3, 3, sender)), _) if sender.is_none_or(|sender| sender == self.saddr) => {
                (Outcome::Refused, None)
            }
            (_, Some(_), Some(false) | None) | (Some("icmp" | "icmp-unreach"), ..) => {
                (Outcome::Filtered, Some("icmp"))
            }
            (.., Some(false)) => (Outcome::Error, Some("unsuccessful")),
            _ => (Outcome::Answered, None),
        }
    }
}
