//! CSV attachments in the columns that network operators already parse.
//!
//! Each report kind has the columns of the Shadowserver report of the same name, in the same order
//! (facts, kept here as a list), followed by columns of ours: both endpoints and the time of the
//! decisive observation, and what the case and finding are.

use kenshin_observation::{Endpoint, FindingKind, NoticeId, words};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compose::NoticeCase;
use crate::escape;
use crate::findings::FindingRecord;

words!(
    /// Whose columns a row is written in.
    ReportKind, "report kind" {
        /// Telnet services.
        Telnet = "scan_telnet",
        /// SSH services.
        Ssh = "scan_ssh",
        /// HTTP services.
        Http = "scan_http",
        /// FTP services.
        Ftp = "scan_ftp",
        /// MQTT services.
        Mqtt = "scan_mqtt",
        /// Everything that is about the device as such.
        Device = "device_id",
    }
);

/// A file that goes with a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name, e.g. `scan_telnet.csv`.
    pub name: String,
    /// SHA-256 of its text, hexadecimal.
    pub sha256: String,
    /// Its text.
    pub text: String,
}

/// Columns of ours, after those of the report.
pub(crate) const OWN_COLUMNS: [&str; 14] = [
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "observed_at",
    "finding",
    "remedy",
    "confidence",
    "explanation",
    "case_id",
    "episode",
    "first_seen",
    "last_seen",
    "notice_id",
];

/// One line for each report kind: its name, then its columns.
const COLUMNS: &str = include_str!("columns.csv");

impl ReportKind {
    /// The columns of the report, in order.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        let line = COLUMNS.lines().find_map(|line| line.strip_prefix(self.as_str())?.strip_prefix(','));
        line.expect("every report kind has a line: a test reads them").split(',')
    }

    /// The report a finding belongs to: by its kind, else by the protocol that was decisive.
    pub fn of(record: &FindingRecord) -> Self {
        match record.finding.kind {
            FindingKind::TelnetOpen => Self::Telnet,
            FindingKind::AnonymousFtp => Self::Ftp,
            FindingKind::AnonymousMqtt => Self::Mqtt,
            _ => {
                let field = record.finding.evidence.first().map_or("", |evidence| evidence.field.as_str());
                match field.split('.').next() {
                    Some("telnet") => Self::Telnet,
                    Some("ssh") => Self::Ssh,
                    Some("http") => Self::Http,
                    Some("ftp") => Self::Ftp,
                    Some("mqtt") => Self::Mqtt,
                    _ => Self::Device,
                }
            }
        }
    }
}

/// The CSV files of a notice, by name. Every cell is escaped for spreadsheets.
pub(crate) fn attachments(
    cases: &[NoticeCase],
    explain: impl Fn(&FindingRecord) -> String,
    notice: NoticeId,
) -> Vec<Attachment> {
    let mut files = Vec::new();
    for kind in ReportKind::ALL {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let header: Vec<&str> = kind.columns().chain(OWN_COLUMNS).collect();
        writer.write_record(&header).expect("writing to memory succeeds");
        let mut rows = 0;
        for case in cases {
            for record in case.findings.iter().filter(|record| ReportKind::of(record) == *kind) {
                let explanation = explain(record);
                let cells = header
                    .iter()
                    .map(|column| escape::csv_cell(&cell(column, case, record, &explanation, notice)));
                writer.write_record(cells.collect::<Vec<_>>()).expect("writing to memory succeeds");
                rows += 1;
            }
        }
        if rows > 0 {
            let bytes = writer.into_inner().expect("writing to memory succeeds");
            let text = String::from_utf8(bytes).expect("cells are text");
            let sha256 = hex::encode(Sha256::digest(&text));
            files.push(Attachment { name: format!("{kind}.csv"), sha256, text });
        }
    }
    files
}

fn cell(
    column: &str,
    case: &NoticeCase,
    record: &FindingRecord,
    explanation: &str,
    notice: NoticeId,
) -> String {
    let finding = &record.finding;
    let evidence = |field: &str| {
        let found = finding.evidence.iter().find(|evidence| evidence.field == field);
        found.map(|evidence| evidence.value.clone()).unwrap_or_default()
    };
    let claim = |claim: &Option<kenshin_observation::Claim>| {
        claim.as_ref().map(|claim| claim.value.clone()).unwrap_or_default()
    };
    let endpoint =
        |endpoint: Option<Endpoint>, part: fn(Endpoint) -> String| endpoint.map(part).unwrap_or_default();
    match column {
        "timestamp" => finding.time.to_string().replace('T', " ").replace('Z', ""),
        "observed_at" => finding.time.to_string(),
        "severity" => finding.severity.to_string(),
        "ip" | "dst_ip" => finding.endpoint.addr.to_string(),
        "port" | "dst_port" => finding.endpoint.port.to_string(),
        "protocol" => finding.endpoint.transport.to_string(),
        "tag" => format!("{};{}", finding.kind, finding.remedy),
        "device_vendor" => claim(&record.identity.vendor),
        "device_type" => claim(&record.identity.device_type),
        "device_model" => claim(&record.identity.product),
        "device_version" => claim(&record.identity.version),
        "banner" => {
            let shown = ["telnet.text", "ftp.banner", "ssh.banner"].map(evidence);
            shown.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
        }
        "serverid_raw" => evidence("ssh.banner"),
        "server" => evidence("http.server"),
        "anonymous_access" => (finding.kind == FindingKind::AnonymousMqtt).to_string(),
        "src_ip" => endpoint(record.vantage, |vantage| vantage.addr.to_string()),
        "src_port" => endpoint(record.vantage, |vantage| vantage.port.to_string()),
        "finding" => finding.kind.to_string(),
        "remedy" => finding.remedy.to_string(),
        "confidence" => finding.confidence.to_string(),
        "explanation" => explanation.to_owned(),
        "case_id" => case.state.case_id.to_string(),
        "episode" => case.state.episode.to_string(),
        "first_seen" => record.first_seen.to_string(),
        "last_seen" => record.last_seen.to_string(),
        "notice_id" => notice.to_string(),
        // Known to the report, not measured here: hostname, asn, geo, sector and the like.
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_kind_has_its_columns() {
        for kind in ReportKind::ALL {
            let columns: Vec<&str> = kind.columns().collect();
            assert_eq!(columns[..5], ["timestamp", "severity", "ip", "protocol", "port"], "{kind}");
            let mut all: Vec<&str> = columns.iter().copied().chain(OWN_COLUMNS).collect();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{kind}: a column is named twice");
        }
    }
}
