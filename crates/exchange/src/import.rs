//! Results of other scanners as observations.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_observation::protocol::{Records, text};
use kenshin_observation::{
    Blob, Check, Direction, Endpoint, Observation, OrgId, Outcome, SensorId, SurveyId, TimeUs, Tlp, Transport,
};

use crate::format::{Format, Tool};
use crate::origin::{METHOD_VERSION, Origin};
use crate::problem::ReadError;
use crate::{masscan, nmap, zgrab2, zmap};

/// Longest certificate kept, in bytes, as for our own probes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// What a file does not say.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Owner of the rows.
    pub org_id: OrgId,
    /// Who may see them.
    pub tlp: Tlp,
    /// Time of rows for which the file states none.
    pub time: TimeUs,
    /// Port of rows for which the file states none, as ZMap's usually do not.
    pub port: Option<(u16, Transport)>,
    /// Addresses of hosts that the file calls by name alone. Names are never resolved.
    pub names: BTreeMap<String, IpAddr>,
    /// How what strangers said is looked at.
    pub look: Look,
}

/// How what strangers said is looked at: the same way as in our own probes. `kenshin-wire` knows
/// it, and the act that imports hands it in, because this room does not depend on that one.
#[derive(Clone, Copy)]
pub struct Look {
    /// Takes cookies, tokens and the like out of a text.
    pub redact: fn(&[u8]) -> Vec<u8>,
    /// The title of a page.
    pub title: fn(&str) -> Option<String>,
    /// Whether a page asks for a password.
    pub password_form: fn(&str) -> bool,
    /// What a text stops at: a prompt for a user name, for a password, of a shell.
    pub prompt: fn(&[u8]) -> [bool; 3],
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// A row with the bodies it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The row.
    pub observation: Observation,
    /// Certificates.
    pub blobs: Vec<Blob>,
}

/// Reads a file of results, row by row, in bounded memory. A record that cannot be used is an
/// [`ReadError::Malformed`] among the rows; only the failing medium ends them.
pub struct Import<'a> {
    source: Box<dyn Source + Send + 'a>,
    scribe: Scribe,
    rows: VecDeque<Imported>,
}

/// A file that is read record by record.
pub(crate) trait Source {
    /// Reads one record and appends its rows; `None` at the end.
    fn read(&mut self, scribe: &mut Scribe, rows: &mut VecDeque<Imported>) -> Option<Result<(), ReadError>>;
}

impl<'a> Import<'a> {
    /// Reads `from` as `format`. `file` names it in messages; `origin` marks its rows.
    pub fn new(
        format: Format,
        file: &str,
        from: impl BufRead + Send + 'a,
        origin: Origin,
        terms: Terms,
    ) -> Self {
        let source: Box<dyn Source + Send + 'a> = match format {
            Format::ZmapCsv => Box::new(zmap::Responses::csv(file, from)),
            Format::ZmapJson => Box::new(zmap::Responses::json(file, from)),
            Format::Zgrab2 => Box::new(zgrab2::Grabs::new(file, from)),
            Format::MasscanJson => Box::new(masscan::Statuses::json(file, from)),
            Format::MasscanList => Box::new(masscan::Statuses::list(file, from)),
            Format::NmapXml => Box::new(nmap::Entries::new(file, from)),
        };
        let scribe = Scribe::new(origin, terms);
        Self { source, scribe, rows: VecDeque::new() }
    }

    /// Where the rows come from; with the tool's version once that was read.
    pub fn origin(&self) -> &Origin {
        &self.scribe.origin
    }
}

impl Iterator for Import<'_> {
    type Item = Result<Imported, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Some(Ok(row));
            }
            if let Err(error) = self.source.read(&mut self.scribe, &mut self.rows)? {
                return Some(Err(error));
            }
        }
    }
}

/// Writes rows that say whose they are.
pub(crate) struct Scribe {
    origin: Origin,
    mandate_id: String,
    sensor_id: SensorId,
    survey_id: SurveyId,
    pub(crate) terms: Terms,
}

impl Scribe {
    fn new(origin: Origin, terms: Terms) -> Self {
        Self {
            mandate_id: origin.to_string(),
            sensor_id: origin.sensor_id(terms.org_id),
            survey_id: origin.survey_id(terms.org_id),
            origin,
            terms,
        }
    }

    /// Takes what the file states of its writer.
    pub(crate) fn state(&mut self, tool: Tool, version: Option<&str>) {
        self.origin.state(tool, version);
        self.mandate_id = self.origin.to_string();
    }

    /// A row that says how an exchange ended.
    pub(crate) fn row(
        &self,
        subject: Endpoint,
        time: Option<TimeUs>,
        check: Check,
        outcome: Outcome,
    ) -> Observation {
        let anywhere: IpAddr = match subject.addr {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Observation {
            org_id: self.terms.org_id,
            mandate_id: self.mandate_id.clone(),
            survey_id: self.survey_id,
            sensor_id: self.sensor_id,
            tlp: self.terms.tlp,
            time: time.unwrap_or(self.terms.time),
            clock_error_us: None,
            subject,
            vantage: Endpoint::new(anywhere, 0, subject.transport),
            direction: Direction::Probed,
            check,
            method_version: METHOD_VERSION,
            attempt: 1,
            outcome,
            reason: None,
            protocol: None,
            records: Records::default(),
            blobs: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// What a stranger said, as a record keeps it: redacted and cut.
    pub(crate) fn said(&self, bytes: &[u8]) -> String {
        // More than is kept is looked at, so that a secret at the cut goes too.
        const MARGIN: usize = 1024;
        let looked_at = &bytes[..bytes.len().min(kenshin_observation::protocol::TEXT_MAX + MARGIN)];
        text(&(self.terms.look.redact)(looked_at))
    }
}

impl From<Observation> for Imported {
    fn from(observation: Observation) -> Self {
        Self { observation, blobs: Vec::new() }
    }
}

impl Imported {
    /// A row that shows a certificate; one too long to keep is left out.
    pub(crate) fn with_certificate(mut observation: Observation, der: Option<Vec<u8>>) -> Self {
        let blob = der
            .filter(|der| der.len() <= CERTIFICATE_BYTES_MAX)
            .map(|bytes| Blob { class: kenshin_observation::BlobClass::Certificate, bytes });
        observation.blobs.extend(blob.as_ref().map(Blob::sha256));
        Self { observation, blobs: blob.into_iter().collect() }
    }
}
