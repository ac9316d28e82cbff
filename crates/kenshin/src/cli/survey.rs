//! Surveys, and the formats of other scanners.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kenshin_observation::Tlp;

#[derive(Debug, Args)]
pub(crate) struct SurveySpec {
    /// Id of the mandate.
    #[arg(long)]
    pub(crate) mandate: String,
    /// To whom what is found may be shown, by the Traffic Light Protocol: amber, green or clear. Green (to
    /// communities) and clear (to anybody) want the mandate's legal basis to share or to release.
    #[arg(long, value_name = "LABEL", default_value = "amber", value_parser = label)]
    pub(crate) tlp: Tlp,
    /// Narrow to these prefixes (inside the mandate's targets).
    #[arg(long, value_name = "PREFIX")]
    pub(crate) target: Vec<kenshin_observation::Prefix>,
    /// Narrow to the targets of this file: addresses, prefixes, ranges, address:port; or the file of
    /// another scanner.
    #[arg(long, value_name = "FILE")]
    pub(crate) targets_file: Option<PathBuf>,
    /// Format of that file: list, zmap-list, masscan, zmap-csv, nmap-xml. Default: told by the file.
    #[arg(long, value_name = "FORMAT", requires = "targets_file")]
    pub(crate) targets_format: Option<kenshin_exchange::TargetFormat>,
    /// Narrow to these ports.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) port: Vec<u16>,
    /// Narrow to these checks.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(crate) check: Vec<kenshin_observation::Check>,
    /// Most conversations at once.
    #[arg(long, default_value_t = 2000)]
    pub(crate) concurrency: u32,
    /// Seed of the order; default: drawn.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The targets are on this machine or in the same room: short waits.
    #[arg(long)]
    pub(crate) near: bool,
    /// Most attempts of the dictionary at one device, ever (at most 10).
    #[arg(long, value_name = "N")]
    pub(crate) credential_attempts: Option<u32>,
    /// UDP ports too. Without raw packets each is asked by a conversation.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) udp_port: Vec<u16>,
    /// An echo request to each address too; needs raw packets.
    #[arg(long)]
    pub(crate) echo: bool,
    /// For millions of targets: large slices, and silent targets are told by coverage instead of a row
    /// each.
    #[arg(long, conflicts_with = "near")]
    pub(crate) scale: bool,
    /// A host inside the mandate that is known to be up, as address:port; asked again and again, it tells
    /// what the network loses.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) canary: Vec<SocketAddr>,
}

/// How packets leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Raw packets where this process may send them, else connections.
    Auto,
    /// Ordinary connections: no privilege needed.
    Connect,
    /// Raw packets, by whatever a self-test finds fastest.
    Raw,
    /// Raw packets through AF_PACKET.
    AfPacket,
    /// Raw packets through AF_XDP.
    AfXdp,
}

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// How packets leave this machine. Raw packets need CAP_NET_RAW and CAP_NET_ADMIN, which are given
    /// up as soon as the sockets are open.
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub(crate) engine: Engine,
    /// Send raw packets from this address; default: those that mandates of the home name and this machine
    /// has.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Vec<std::net::IpAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct SurveyRun {
    #[command(flatten)]
    pub(crate) spec: SurveySpec,
    #[command(flatten)]
    pub(crate) sweep: Sweep,
    /// In how many parts; each is given to one sensor of the mandate at a time.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) shards: u32,
    /// Hand it to the sensors and end, instead of working on it here.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Survey {
    /// Say what a survey would do; sends nothing.
    Plan(SurveySpec),
    /// Run a survey, assess it, open cases. Stop with Ctrl-C or `survey stop`; resume later.
    Run(SurveyRun),
    /// Go on with a survey that was stopped or interrupted.
    Resume {
        /// Its id.
        id: kenshin_observation::SurveyId,
        #[command(flatten)]
        sweep: Sweep,
    },
    /// Stop a running survey within a second; it can be resumed.
    Stop {
        /// Its id.
        id: kenshin_observation::SurveyId,
    },
    /// Judge what surveys saw by today's fingerprints and intelligence, without a new survey: new findings
    /// join their cases, and those that knowledge no longer supports are withdrawn.
    Reassess {
        /// Their ids; default: every survey in which some device was seen last.
        id: Vec<kenshin_observation::SurveyId>,
        /// Only surveys planned at this time or later, such as 2026-11-25T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<kenshin_observation::TimeUs>,
    },
    /// List surveys.
    List,
    /// Show one survey.
    Show {
        /// Its id.
        id: kenshin_observation::SurveyId,
    },
    /// Write what a survey saw in the format of another scanner.
    Export(SurveyExport),
    /// Take results of another scanner into the lake, marked as theirs; the same file twice counts once.
    Import(SurveyImport),
}

#[derive(Debug, Args)]
pub(crate) struct SurveyExport {
    /// Its id; that of an import too.
    pub(crate) id: kenshin_observation::SurveyId,
    /// Format: zmap-csv, zmap-json, zgrab2, masscan-json, masscan-list, nmap-xml.
    #[arg(id = "as", long = "as", value_name = "FORMAT")]
    pub(crate) format: kenshin_exchange::Format,
    /// File to write instead of standard output; complete or not there.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Fields of ZMap's formats, such as saddr,sport,classification; `*` for all.
    #[arg(long, value_name = "FIELDS", default_value = "saddr")]
    pub(crate) fields: kenshin_exchange::Fields,
    /// Refusals and ICMP messages too in ZMap's formats, not only successes.
    #[arg(long)]
    pub(crate) failures: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SurveyImport {
    /// Format: zmap-csv, zmap-json, zgrab2, masscan-json, masscan-list, nmap-xml.
    #[arg(id = "as", long = "as", value_name = "FORMAT")]
    pub(crate) format: kenshin_exchange::Format,
    /// Port that was scanned, such as 80 or 53/udp, where the files state none.
    #[arg(long, value_name = "PORT", value_parser = scanned_port)]
    pub(crate) port: Option<(u16, kenshin_observation::Transport)>,
    /// Address of a host that the files call by name alone; names are never resolved.
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = named_host)]
    pub(crate) host: Vec<(String, std::net::IpAddr)>,
    /// Files, also gzip.
    #[arg(required = true)]
    pub(crate) file: Vec<PathBuf>,
}

/// What may be shown to clients at least: a stricter survey would take from them what an earlier one found.
fn label(text: &str) -> Result<Tlp, String> {
    let word = text.to_uppercase();
    let word = if word.starts_with("TLP:") { word } else { format!("TLP:{word}") };
    let known = word.parse().ok().filter(|tlp: &Tlp| tlp.is_for_clients());
    known.ok_or_else(|| "a survey is amber, green or clear".to_owned())
}

fn scanned_port(text: &str) -> Result<(u16, kenshin_observation::Transport), String> {
    let (port, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = transport.parse().map_err(|error: kenshin_observation::UnknownWord| error.to_string())?;
    match port.parse() {
        Ok(port @ 1..) => Ok((port, transport)),
        _ => Err(format!("`{port}` is not a port from 1 to 65535")),
    }
}

fn named_host(text: &str) -> Result<(String, std::net::IpAddr), String> {
    let parts = text.split_once('=').and_then(|(name, addr)| Some((name.to_owned(), addr.parse().ok()?)));
    parts.ok_or_else(|| "write NAME=ADDRESS, such as router=192.0.2.1".to_owned())
}
