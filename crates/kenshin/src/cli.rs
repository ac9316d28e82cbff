//! The commands and their arguments. `-h` is short, `--help` complete; both are this file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Kenshin (検診): look at connected devices with authority, tell owners what is wrong, check that
/// it got better, and be able to prove every step.
#[derive(Debug, Parser)]
#[command(
    name = "kenshin",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start with `kenshin demo`: the whole circle on a simulated town, no root, no configuration.\n\
                  Exit codes: 0 done; 1 done, and the answer is no; 2 usage, configuration or bad input; 3 trouble outside."
)]
pub(crate) struct Cli {
    /// Folder that holds settings, database, lake, mandates, outbox and spool.
    #[arg(long, global = true, env = "KENSHIN_HOME", default_value = "kenshin-home", value_name = "DIR")]
    pub(crate) home: PathBuf,

    /// How rows are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Language of explanations: `en`, `ja`, or that of a catalogue you added. Default: from LANG.
    #[arg(long, global = true, value_name = "TAG")]
    pub(crate) lang: Option<String>,

    /// No progress on standard error.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// More detail on standard error; twice for debugging. KENSHIN_LOG takes tracing filters.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    Table,
    /// JSON.
    Json,
    /// Comma-separated values.
    Csv,
    /// JSON, one object a line.
    Jsonl,
    /// A Parquet file (`search` and `sql` alone).
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole circle on a simulated town, then open the dashboard.
    #[command(long_about = "Run the whole circle on a simulated town, then open the dashboard.\n\n\
        A town of invented providers and devices starts on 127.0.0.0/8. A mandate is signed with throw-away keys, \
        the town is surveyed, findings are assessed, notices go into the outbox, two simulated weeks pass in which \
        some owners mend their devices, the cases are checked again, and the run scores itself against the town's \
        answer key. No root, no network, nothing outside of this machine.")]
    Demo(Demo),
    /// Make a home: settings, database, sensor key, first user.
    Init(Init),
    /// Check settings, rooms and privileges, and print the effective settings.
    Doctor,
    /// Serve the dashboard and the API, and work off jobs.
    Serve(Serve),
    /// Work as a sensor: for the hub of this machine, or apart from it through HTTPS.
    #[command(
        long_about = "Work as a sensor: for the hub of this machine, or apart from it through HTTPS.\n\n\
        Without a command it works: for the hub that kenshin.toml names under [hub], or else on the jobs of this home. \
        On the hub, `token` makes what a new sensor needs; on the sensor's own machine, `enrol` spends it."
    )]
    Sensor(Sensor),
    /// Requests of people who want to be left alone: list and decide.
    #[command(subcommand)]
    OptOut(OptOut),
    /// Write, sign, check, list and revoke mandates.
    #[command(subcommand)]
    Mandate(Mandate),
    /// Plan, run, resume, stop and list surveys.
    #[command(subcommand)]
    Survey(Survey),
    /// Bring in what is known: vulnerabilities, advisories, ends of support, what products contain, makers,
    /// addresses.
    #[command(subcommand)]
    Intel(Intel),
    /// Measure how well devices are told apart.
    #[command(subcommand)]
    Insight(Insight),
    /// Search services: how they were when they were last asked.
    #[command(
        after_help = "Example: kenshin search 'port:23 country:JP vendor:buffalo version:<1.99 seen:7d'\n\
        Side by side means and; OR; -x or NOT x; (parentheses); \"free text\" over banners, titles and certificates. \
        Put the query into single quotes. `kenshin search --fields` lists what can be asked about."
    )]
    Search(Search),
    /// Keep the lake: make the current view anew.
    #[command(subcommand)]
    Lake(Lake),
    /// Ask the lake in SQL (read-only).
    #[command(
        after_help = "Example: kenshin sql \"SELECT subject_addr, subject_port, protocol FROM observations \
        WHERE outcome = 'answered' AND in_cidr(subject_addr, '203.0.113.0/24') LIMIT 20\"\n\
        Tables: services (the current view), observations, coverage, batches, blobs, salts. `SELECT * FROM observations LIMIT 1` shows the columns."
    )]
    Sql {
        /// The query.
        query: String,
        /// Most rows; one more is an error, never a silent cut.
        #[arg(long, default_value_t = 100_000)]
        rows: usize,
        /// Longest time, in seconds.
        #[arg(long, default_value_t = 300)]
        seconds: u64,
    },
    /// List and show assets: which device is where, what it was taken for, and why.
    #[command(subcommand)]
    Asset(Asset),
    /// Which components devices carry, who carries one, and who has its weakness.
    #[command(subcommand)]
    Component(Component),
    /// List, show and explain findings.
    #[command(subcommand)]
    Finding(Finding),
    /// List and show cases, send notices, acknowledge, re-check and close.
    #[command(subcommand)]
    Case(Case),
    /// Import and list the provider directory.
    #[command(subcommand)]
    Provider(Provider),
    /// Figures of a survey, or the health of everything over rounds.
    #[command(subcommand)]
    Report(Report),
    /// Run the simulated town by itself, or print its answer key.
    #[command(subcommand)]
    Town(Town),
    /// Print the manual page (roff) on standard output.
    #[command(hide = true)]
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The query; several words are put together with blanks between.
    pub(crate) query: Vec<String>,
    /// List the fields that queries can name.
    #[arg(long)]
    pub(crate) fields: bool,
    /// Only say how much is found.
    #[arg(long)]
    pub(crate) count: bool,
    /// Count what is found by a field, its most frequent values; may be repeated.
    #[arg(long, value_name = "FIELD[:N]")]
    pub(crate) facet: Vec<String>,
    /// Sort by a field, with `-` before it for the greatest first. Default: by address.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub(crate) sort: Option<kenshin_lake::view::Sort>,
    /// Most rows.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on behind this mark, which the page before told.
    #[arg(long, value_name = "MARK")]
    pub(crate) after: Option<kenshin_lake::view::Mark>,
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC). Reads all
    /// observations.
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// Also services as they were before something changed. Reads all observations.
    #[arg(long)]
    pub(crate) history: bool,
    /// Say when, and by which sensor, an address was asked, whether it answered or not.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["query", "facet", "count", "at", "history"])]
    pub(crate) probed: Option<std::net::IpAddr>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Make the current view anew from all observations.
    Rebuild,
    /// Merge the runs of the current view into one.
    Compact,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the figures, without the dashboard.
    #[arg(long)]
    pub(crate) no_serve: bool,
    /// Seed of the town and of every draw; the same seed gives the same answer.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address of the dashboard.
    #[arg(long, default_value = "127.0.0.1:8480")]
    pub(crate) listen: SocketAddr,
    /// Prefix the town lives in; a /16 inside 127.0.0.0/8.
    #[arg(long, default_value = "127.42.0.0/16")]
    pub(crate) net: kenshin_observation::Prefix,
    /// Number of devices.
    #[arg(long, default_value_t = 420)]
    pub(crate) devices: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of the organisation that runs this observatory.
    #[arg(long)]
    pub(crate) organisation: String,
    /// Account name of the first administrator.
    #[arg(long, default_value = "admin")]
    pub(crate) admin: String,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on instead of that in the settings.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Only serve; leave jobs to sensors.
    #[arg(long)]
    pub(crate) no_jobs: bool,
    /// Address of the listener for sensors instead of that in the settings.
    #[arg(long, value_name = "ADDR")]
    pub(crate) sensors_listen: Option<SocketAddr>,
    /// Certificate (PEM) with which people and sensors are served through TLS. Without one, people are
    /// served without TLS and sensors with a certificate that is made for them.
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sensor {
    #[command(subcommand)]
    pub(crate) command: Option<SensorCommand>,
    #[command(flatten)]
    pub(crate) run: SensorRun,
}

impl Sensor {
    /// How it sweeps, when it works at all.
    pub(crate) fn sweep(&self) -> Option<&Sweep> {
        match &self.command {
            None => Some(&self.run.sweep),
            Some(SensorCommand::Run(run)) => Some(&run.sweep),
            Some(_) => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SensorRun {
    #[command(flatten)]
    pub(crate) sweep: Sweep,
    /// End when no job is left, instead of waiting for the next.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SensorCommand {
    /// Work off jobs; the same as `kenshin sensor` alone.
    Run(SensorRun),
    /// On the hub: make a token with which one sensor can enrol within a day.
    Token {
        /// What the sensor will be called.
        #[arg(long)]
        name: String,
        /// Certificate (PEM) that `serve --tls-cert` shows, when it is not the hub's own.
        #[arg(long, value_name = "FILE")]
        tls_cert: Option<PathBuf>,
    },
    /// On the sensor's machine: make its key, and make it known to the hub.
    Enrol(Enrol),
    /// On the hub: list sensors.
    List,
    /// On the hub: from now on a sensor's key does not count.
    Retire {
        /// Its id.
        id: kenshin_observation::SensorId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Enrol {
    /// Address of the hub, `https://host:port`.
    #[arg(long, value_name = "URL")]
    pub(crate) hub: String,
    /// Token from `kenshin sensor token` on the hub; better than on the command line: KENSHIN_TOKEN.
    #[arg(long, env = "KENSHIN_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
    /// PEM file of the authority that signed the hub's certificate; default: those of the system.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// SHA-256 of the hub's certificate, as `kenshin sensor token` prints it.
    #[arg(long, value_name = "SHA256")]
    pub(crate) fingerprint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OptOut {
    /// List requests about prefixes that wait for a decision.
    List {
        /// Also those that are decided.
        #[arg(long)]
        all: bool,
    },
    /// The requester has shown that the prefix is theirs: leave it alone from now on.
    Accept {
        /// Id of the request.
        id: String,
        /// Reference to what was shown.
        #[arg(long)]
        proof: String,
    },
    /// The requester has not shown that the prefix is theirs.
    Decline {
        /// Id of the request.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mandate {
    /// Write a commented mandate to fill in.
    New {
        /// File to write; it must not exist.
        file: PathBuf,
        /// Id of the mandate.
        #[arg(long)]
        id: Option<String>,
    },
    /// Sign a mandate with an OpenSSH private key; the same as `ssh-keygen -Y sign -n kenshin-mandate`.
    Sign {
        /// The mandate.
        file: PathBuf,
        /// OpenSSH private key.
        #[arg(long, short)]
        key: PathBuf,
    },
    /// Say in plain words what a mandate allows, or why it is refused.
    Check {
        /// The mandate; its signatures lie beside it.
        file: PathBuf,
        /// Trust roots instead of those of the home.
        #[arg(long, value_name = "ALLOWED_SIGNERS")]
        roots: Option<PathBuf>,
    },
    /// Take a checked mandate into the home, so that surveys can run under it.
    Add {
        /// The mandate.
        file: PathBuf,
    },
    /// List the mandates of the home.
    List,
    /// Revoke a mandate here and now; acts within a second on running surveys.
    Revoke {
        /// Id of the mandate.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Issue the next revocation list, signed: nothing is sent on a stale one.
    Renew {
        /// Principal that issues it: the `authority` of the mandates it is for.
        #[arg(long)]
        authority: String,
        /// OpenSSH private key of the authority; its passphrase from KENSHIN_PASSPHRASE.
        #[arg(long, short)]
        key: PathBuf,
        /// Revoke this mandate too.
        #[arg(long, value_name = "ID")]
        revoke: Vec<String>,
        /// Why it is revoked.
        #[arg(long, default_value = "revoked by its authority")]
        reason: String,
        /// The list; default: mandates/revocations.toml in the home.
        #[arg(long)]
        list: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SurveySpec {
    /// Id of the mandate.
    #[arg(long)]
    pub(crate) mandate: String,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntelKind {
    /// CISA's known exploited vulnerabilities, JSON or CSV.
    Kev,
    /// CVE records v5 and NVD's API 2.0, JSON or JSON lines; give both in one import.
    #[value(alias = "cve")]
    Cve5,
    /// Product cycles of endoflife.date: product files, or the JSON of its API.
    Endoflife,
    /// FIRST's exploit prediction scores, CSV.
    Epss,
    /// Bills of materials: CycloneDX (JSON, XML) and SPDX (JSON, tag-value, 3.0). Each import adds to
    /// those before; what they said of the same product and version is replaced.
    Sbom,
    /// What product families contain and what nobody maintains, by hand: TOML or CSV.
    ComponentList,
    /// Pages as they should be on a product and version, TOML.
    KnownGood,
    /// Keys that everybody can have: ssh-host-key or tls-public-key, SHA-256, label; one a line.
    Keys,
    /// Advisories and VEX statements, CSAF 2.0; a maker's "not affected" is honoured.
    Csaf,
    /// Vulnerabilities of packages, OSV JSON.
    Osv,
    /// JVN iPedia, RDF feeds or detailed lists: Japanese titles beside the CVE.
    Jvn,
    /// IEEE's registry of hardware addresses (oui.csv): makers by MAC address.
    Oui,
    /// Autonomous systems of addresses: CSV, ip2asn TSV, or MaxMind DB.
    Asn,
    /// Countries of addresses: CSV, ip2asn TSV, or MaxMind DB.
    Country,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Intel {
    /// Import files; a malformed record is reported by file and position and does not stop the rest.
    #[command(
        after_help = "Files may be packed with gzip, tar or zip. One import is one snapshot and takes the place of \
        the one before of its kind: name all files of a kind at once. Findings name the snapshot they stand on.\n\n\
        Example: kenshin intel import cve5 cvelistV5-main.tar.gz nvdcve-2.0-2026.json.gz"
    )]
    Import {
        /// What the files are.
        #[arg(value_enum)]
        kind: IntelKind,
        /// Files or folders.
        #[arg(required = true)]
        file: Vec<PathBuf>,
        /// Of bills of materials: the product they are of, whatever they say of themselves. A product
        /// that ends in * is a family.
        #[arg(long, value_name = "VENDOR:PRODUCT[:VERSIONS]")]
        product: Option<kenshin_insight::component::Family>,
    },
    /// Fetch what changed from the publishers and import it.
    #[command(
        after_help = "What has not changed is not fetched again, and a transfer that broke off goes on where it \
        stopped. What fails is told with its address, its snapshot stays in use, and the others go on; the exit code is 3 \
        then.\n\n\
        Addresses, mirrors and checksums are in kenshin.toml; named ones take the place of the publishers' own:\n  \
        [[intel]]\n  kind = \"csaf\"\n  url = \"https://psirt.vendor.example/csaf.tar.gz\"\n  \
        mirror = \"https://mirror.example/csaf.tar.gz\"\n  sha256 = \"https://psirt.vendor.example/SHA256SUMS\"\n\n\
        Example: kenshin intel update kev epss"
    )]
    Update {
        /// Kinds to fetch; default: every kind that has an address.
        #[arg(value_enum)]
        kind: Vec<IntelKind>,
    },
    /// What is known of each kind, how old it is, and what is stale.
    Status,
    /// Ask what is known of one version of one product, and who says it.
    #[command(
        after_help = "A maker's statement that the version is not affected or fixed (VEX) ends the match and is \
        named; where two contradict each other the status is unknown.\n\n\
        Example: kenshin intel match Siemens ModelSim V2024.2"
    )]
    Match {
        /// Vendor, as records name it.
        vendor: String,
        /// Product.
        product: String,
        /// Version.
        #[arg(id = "of_version", value_name = "VERSION")]
        version: String,
    },
}

/// Which fingerprints are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichPack {
    /// The shipped pack.
    Own,
    /// Recog's, as imported by the operator.
    Recog,
    /// The shipped pack, then Recog's.
    Both,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Insight {
    /// Identify labelled banners, and say how often that was right.
    #[command(long_about = "Identify labelled banners, and say how often that was right.\n\n\
        One JSON object a line: {\"service\":\"ftp|http|ssh|telnet|snmp|upnp|rtsp|smtp|tls\",\"banner\":\"...\" or \
        \"banner_base64\":\"...\",\"truth\":{\"vendor\":...,\"product\":...,\"type\":...,\"version\":...}}. What the truth \
        leaves out is not judged; of a list any item is right. Names are compared after the normalisation that \
        docs/insight.md states.")]
    Eval {
        /// The labelled banners (JSON lines).
        file: PathBuf,
        /// Which fingerprints are asked; default: both where Recog's are found, else the shipped pack.
        #[arg(long, value_enum)]
        pack: Option<WhichPack>,
        /// Folder with Recog's XML files; default: what kenshin.toml names under `fingerprints`, else
        /// intel/recog in the home, else ../shared/data/recog.
        #[arg(long, env = "KENSHIN_RECOG", value_name = "DIR")]
        recog: Option<PathBuf>,
        /// List the wrong answers too.
        #[arg(long)]
        wrong: bool,
        /// Draw how sure the answers were against how often they were right, as SVG, into this file.
        #[arg(long, value_name = "FILE.svg")]
        plot: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Asset {
    /// List assets as they were last seen.
    List {
        /// Only those at this address or in this prefix.
        #[arg(long, value_name = "PREFIX")]
        at: Option<kenshin_observation::Prefix>,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one asset: what it was taken for, how sure that is, and which fingerprint read it from what.
    Show {
        /// Its id.
        id: kenshin_observation::AssetId,
    },
}

/// How an advisory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdvisoryForm {
    /// CSAF 2.0, JSON.
    Csaf,
    /// A page, Markdown.
    Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Component {
    /// List every component that assets carry, and whether somebody maintains it.
    List,
    /// Show which assets carry a component, how sure that is and on what evidence, and of how many it is
    /// not known.
    Show {
        /// The component, as NAME or NAME:VERSIONS, such as `boa`, `gsoap:<2.8.48`, `openssl:1.0.2k`.
        #[arg(value_name = "NAME[:VERSIONS]")]
        query: kenshin_insight::component::Query,
        /// Most rows; all are counted.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Draft an advisory against a component that nobody maintains, in the language asked for.
    Advisory {
        /// The component, as NAME or NAME:VERSIONS.
        #[arg(value_name = "NAME[:VERSIONS]")]
        query: kenshin_insight::component::Query,
        /// CSAF 2.0 (JSON) for machines, or a page (Markdown) for people.
        #[arg(id = "as", long = "as", value_enum, default_value_t = AdvisoryForm::Page)]
        form: AdvisoryForm,
    },
    /// Show which assets have a vulnerability, by what they show or by what their product is known to
    /// contain.
    Affected {
        /// The vulnerability.
        cve: kenshin_insight::intelligence::CveId,
        /// Most rows; all are counted.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Finding {
    /// List findings.
    List {
        /// Only this kind.
        #[arg(long)]
        kind: Option<kenshin_observation::FindingKind>,
        /// In which order: key or priority, the most urgent first.
        #[arg(long, default_value = "key", value_name = "ORDER")]
        sort: kenshin_casework::Order,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one finding with its evidence.
    Show {
        /// Its key, or the beginning of it.
        key: String,
    },
    /// Explain one finding from bytes to conclusion.
    Explain {
        /// Its key, or the beginning of it.
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// List cases.
    List {
        /// Only this stage.
        #[arg(long)]
        stage: Option<String>,
        /// Only this condition.
        #[arg(long)]
        condition: Option<kenshin_observation::Condition>,
        /// In which order: key (newest first) or priority, the most urgent first.
        #[arg(long, default_value = "key", value_name = "ORDER")]
        sort: kenshin_casework::Order,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one case with its trail.
    Show {
        /// Its id.
        id: kenshin_observation::CaseId,
    },
    /// Send notices: one mail per provider for the newest round.
    Notify,
    /// Acknowledge: somebody works on it.
    Ack {
        /// Its id.
        id: kenshin_observation::CaseId,
        /// What was said.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Survey the open cases and their providers' pools again, and judge what became of each.
    Recheck {
        #[command(flatten)]
        spec: SurveySpec,
        /// Only these cases; default: every case that is not closed.
        id: Vec<kenshin_observation::CaseId>,
    },
    /// Close with a reason: remedied, exposure-ended, false-positive, withdrawn, accepted-risk, retired, no-addressee.
    Close {
        /// Its id.
        id: kenshin_observation::CaseId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// What was said.
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// Import the directory: CSV with prefix_or_asn,name,mail,language,encryption and, if wanted, pps.
    Import {
        /// The CSV file.
        file: PathBuf,
    },
    /// List providers.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Figures of one survey.
    Survey {
        /// Its id; default: the newest.
        id: Option<kenshin_observation::SurveyId>,
    },
    /// Health over rounds: open, notified, remedied, exposure ended, each with its denominator.
    Health,
    /// Cryptography: old protocols, weak algorithms, small and shared keys, dates, and readiness for
    /// post-quantum key exchange; of each how many, of how many judged, and of how many it is not known.
    Crypto {
        /// Put together by this alone; default: by provider and year.
        #[arg(long, value_enum)]
        by: Option<CryptoBy>,
    },
}

/// By what figures of cryptography are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CryptoBy {
    /// By provider, each endpoint as it was last seen.
    Provider,
    /// By year of the observations.
    Year,
}

#[derive(Debug, Args)]
pub(crate) struct TownSpec {
    /// Seed of the town.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prefix the town lives in; a /16 inside 127.0.0.0/8.
    #[arg(long, default_value = "127.42.0.0/16")]
    pub(crate) net: kenshin_observation::Prefix,
    /// Number of devices.
    #[arg(long, default_value_t = 420)]
    pub(crate) devices: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Town {
    /// Serve the town until Ctrl-C. A line on standard input moves it to the next round.
    Run(TownSpec),
    /// Print the answer key: what each device is, what is knowable, what a re-check must say.
    Truth {
        #[command(flatten)]
        town: TownSpec,
        /// Rounds to unfold.
        #[arg(long, default_value_t = 2)]
        rounds: u32,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
