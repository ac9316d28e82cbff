//! The commands and their arguments. `-h` is short, `--help` complete; both are these files.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod asset;
mod case;
mod intel;
mod mandate;
mod report;
mod retention;
mod search;
mod sensor;
mod survey;
mod town;
mod user;

pub(crate) use asset::{AdvisoryForm, Asset, Component, Finding};
pub(crate) use case::{Case, Provider};
pub(crate) use intel::{Insight, Intel, IntelKind, WhichPack};
pub(crate) use mandate::{Mandate, OptOut};
pub(crate) use report::{CryptoBy, Report};
pub(crate) use retention::{AddHold, Hold, Retain};
pub(crate) use search::{Lake, SaveSearch, SavedSearches, Search, SearchCommand};
pub(crate) use sensor::{Enrol, Sensor, SensorCommand, SensorRun};
pub(crate) use survey::{Engine, Survey, SurveyExport, SurveyImport, SurveySpec, Sweep};
pub(crate) use town::{Demo, Town, TownSpec};
pub(crate) use user::User;

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
        Put the query into single quotes. `kenshin search --fields` lists what can be asked about. \
        `save` keeps a query and tells when its answer changes; the words save and saved alone are looked for in quotes: '\"save\"'.",
        args_conflicts_with_subcommands = true,
        disable_help_subcommand = true
    )]
    Search(Search),
    /// Keep the lake: whole, in few files, and for no longer than it may be.
    #[command(subcommand)]
    Lake(Lake),
    /// Ask the lake in SQL (read-only).
    #[command(
        after_help = "Example: kenshin sql \"SELECT subject_addr, subject_port, protocol FROM observations \
        WHERE outcome = 'answered' AND in_cidr(subject_addr, '203.0.113.0/24') LIMIT 20\"\n\
        Tables: services (the current view), observations, findings, coverage, batches, blobs, salts, erasures. `DESCRIBE findings` shows the columns; docs/sql.md has examples."
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
        /// Most memory, in MiB: of the work, and of the answer.
        #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
        memory: u64,
    },
    /// Help a hub to answer SQL: read files of its lake and count, as a process of its own.
    #[command(
        after_help = "Example: kenshin worker --listen 10.0.0.11:8490 --lake /srv/kenshin/lake --secret cluster.secret\n\
        The hub names its workers under [cluster] in kenshin.toml. Workers and hub know one secret, a file with 32 \
        random bytes at least: `(umask 077; openssl rand -hex 32 > cluster.secret)`. Every connection is TLS, and \
        whoever does not prove to know the secret is refused."
    )]
    Worker(Worker),
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
    /// Make, limit, lock and list the accounts that people sign in with.
    #[command(subcommand)]
    User(User),
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
    /// Address to serve Arrow Flight SQL on (ADBC, JDBC) instead of that in the settings; without either it
    /// is off. Beyond loopback it needs --tls-cert.
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight: Option<SocketAddr>,
    /// Certificate (PEM) with which people, programs and sensors are served through TLS. Without one, people
    /// and programs are served without TLS and sensors with a certificate that is made for them.
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Address to listen on, which the hub and the other workers reach.
    #[arg(long, default_value = "127.0.0.1:8490", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The lake: the folder or URL that the hub has it at. Default: that of kenshin.toml.
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) lake: Option<String>,
    /// File of the secret of the cluster, readable by its owner alone. Default: that of kenshin.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret: Option<PathBuf>,
    /// MiB that all questions together may take; one that needs more is answered by the hub.
    #[arg(long, default_value_t = 1_024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..=16_777_216))]
    pub(crate) memory: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
