//! `kenshin.toml`: one file, unknown keys refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use kenshin_lake::{Location, Store};
use serde::{Deserialize, Serialize};

use crate::error::ActError;
use crate::home::Home;
use crate::intelligence::IntelSource;
use crate::retention::Retention;

/// Version of the settings format.
const SCHEMA_VERSION: i64 = 1;

/// The effective settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Format version, 1.
    pub schema_version: i64,
    /// Name of the organisation that runs this observatory.
    pub organisation: String,
    /// `sqlite` for `kenshin.db` in the home, or a `postgres://` URL.
    #[serde(default = "default_database")]
    pub database: String,
    /// Folder (under the home) of the lake, or `s3://bucket/folder`.
    #[serde(default = "default_lake")]
    pub lake: String,
    /// How the store is reached whose bucket the lake is in.
    #[serde(default)]
    pub store: Store,
    /// Credential dictionary (TOML), when a mandate grants credential checks. None ships.
    #[serde(default)]
    pub dictionary: Option<PathBuf>,
    /// Recipes (TOML): where the pairs of the dictionary go on login pages and streams. None ships.
    #[serde(default)]
    pub recipes: Option<PathBuf>,
    /// Zone of ours in which name servers are asked for a new name each, to tell whether they look
    /// names up for anybody: `*.zone` should have an address, and its server should keep no log. Without
    /// one that is not asked.
    #[serde(default)]
    pub recursion_zone: Option<String>,
    /// Extra fingerprint packs in Recog's XML format: files or folders.
    #[serde(default)]
    pub fingerprints: Vec<PathBuf>,
    /// Where `kenshin intel update` fetches from, in place of the publishers' own addresses.
    #[serde(default)]
    pub intel: Vec<IntelSource>,
    /// How notices leave.
    #[serde(default)]
    pub mail: Mail,
    /// The web server.
    #[serde(default)]
    pub web: Web,
    /// SQL for programs, over Arrow Flight.
    #[serde(default)]
    pub flight: Flight,
    /// Who helps to answer SQL.
    #[serde(default)]
    pub cluster: Cluster,
    /// The current view.
    #[serde(default)]
    pub view: View,
    /// What this hub tells its sensors.
    #[serde(default)]
    pub sensors: Sensors,
    /// The hub that this home's sensor works for; without one, this home is the hub itself.
    #[serde(default)]
    pub hub: Option<HubAddress>,
    /// Address of the sensor's courtesy page, for those who are measured; `None` for no page.
    #[serde(default)]
    pub courtesy_listen: Option<SocketAddr>,
    /// For how long the lake keeps what; without it, for ever.
    #[serde(default)]
    pub retention: Retention,
}

/// SQL for programs, over Arrow Flight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    /// Address to listen on; `None` for none. Without a certificate it must be a loopback address.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

/// The current view, as `kenshin serve` holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// MiB of memory up to which SQL reads the view from columns in memory, and not from files; 0 for
    /// never. A quarter of the machine's when it is not said.
    #[serde(default)]
    pub columns_mib: Option<u64>,
}

/// Who helps to answer SQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Addresses of workers, `https://host:port`; without any, the hub answers by itself.
    #[serde(default)]
    pub workers: Vec<String>,
    /// File of the secret that the hub and its workers know, under the home; only their owner may read it.
    #[serde(default)]
    pub secret: Option<PathBuf>,
    /// Processors that each worker uses for one question.
    #[serde(default = "default_cores")]
    pub cores: u32,
    /// MiB of files that one worker should read at least: a question that reads no more is answered by the
    /// hub itself.
    #[serde(default = "default_least_mib")]
    pub least_mib: u32,
}

/// What a hub tells its sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensors {
    /// Address of the listener for sensors, with TLS; `None` for none.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Seconds for which a sensor holds a part of a survey without being heard. Longer than the
    /// freshness of revocation lists, so that a sensor that is cut off stops sending by its list
    /// before another one begins.
    #[serde(default = "default_lease_s")]
    pub lease_s: u32,
    /// Seconds until a part of a survey that failed is given out again.
    #[serde(default = "default_retry_s")]
    pub retry_s: u32,
}

/// Where a sensor's hub is, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubAddress {
    /// `https://host:port`.
    pub url: String,
    /// PEM file of the authority that signed the hub's certificate; `None` for those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// SHA-256 of the hub's certificate, hexadecimal; takes the place of any authority.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Milliseconds between two reports to the hub: how quickly a stop or a revocation arrives.
    #[serde(default = "default_pulse_ms")]
    pub pulse_ms: u32,
    /// Longest pause, in seconds, before a hub that did not answer is asked again.
    #[serde(default = "default_pause_max_s")]
    pub pause_max_s: u32,
}

/// How notices leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `maildir` (the outbox in the home) or `smtp`.
    #[serde(default = "default_transport")]
    pub transport: String,
    /// Sender, `Name <address>`.
    #[serde(default = "default_from")]
    pub from: String,
    /// Relay, `smtp://host:port` or `smtp+starttls://host:port`, for `smtp`.
    #[serde(default)]
    pub relay: Option<String>,
}

/// The web server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address to listen on.
    #[serde(default = "default_listen")]
    pub listen: String,
    /// How others reach it, for links in notices.
    #[serde(default = "default_base_url")]
    pub base_url: String,
}

fn default_database() -> String {
    "sqlite".into()
}
fn default_lake() -> String {
    "lake".into()
}
fn default_lease_s() -> u32 {
    1_200
}
fn default_retry_s() -> u32 {
    30
}
fn default_pulse_ms() -> u32 {
    1_000
}
fn default_pause_max_s() -> u32 {
    60
}
fn default_cores() -> u32 {
    2
}
fn default_least_mib() -> u32 {
    64
}
fn default_transport() -> String {
    "maildir".into()
}
fn default_from() -> String {
    "Kenshin <kenshin@localhost>".into()
}
fn default_listen() -> String {
    "127.0.0.1:8480".into()
}
fn default_base_url() -> String {
    "http://127.0.0.1:8480".into()
}

impl Default for Mail {
    fn default() -> Self {
        Self { transport: default_transport(), from: default_from(), relay: None }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: default_listen(), base_url: default_base_url() }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self { workers: Vec::new(), secret: None, cores: default_cores(), least_mib: default_least_mib() }
    }
}

impl Default for Sensors {
    fn default() -> Self {
        Self { listen: None, lease_s: default_lease_s(), retry_s: default_retry_s() }
    }
}

impl HubAddress {
    /// A hub by its address alone, recognised by the authorities of the system.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca: None,
            fingerprint: None,
            pulse_ms: default_pulse_ms(),
            pause_max_s: default_pause_max_s(),
        }
    }
}

impl Settings {
    /// Settings of a new home.
    pub fn new(organisation: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            organisation: organisation.to_owned(),
            database: default_database(),
            lake: default_lake(),
            store: Store::default(),
            dictionary: None,
            recipes: None,
            recursion_zone: None,
            fingerprints: Vec::new(),
            intel: Vec::new(),
            mail: Mail::default(),
            web: Web::default(),
            flight: Flight::default(),
            cluster: Cluster::default(),
            view: View::default(),
            sensors: Sensors::default(),
            hub: None,
            courtesy_listen: None,
            retention: Retention::default(),
        }
    }

    /// Reads the settings of a home.
    pub fn read(home: &Home) -> Result<Self, ActError> {
        let path = home.settings();
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ActError::input(format!("`{}` is not there", path.display()))
                .with_hint("run `kenshin init` to make a home, or name another with --home"),
            _ => ActError::io("read", &path, source),
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses a settings text; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, ActError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = &text[..at.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            ActError::input(format!("{file}:{line}:{column}: {}", error.message()))
                .with_hint("`kenshin doctor` prints every key with its effective value")
        })?;
        if settings.schema_version != SCHEMA_VERSION {
            return Err(ActError::input(format!(
                "{file}: schema_version {} is not known to this version of Kenshin",
                settings.schema_version
            ))
            .with_hint("use the version that wrote it, or set schema_version = 1"));
        }
        if settings.mail.transport == "smtp" && settings.mail.relay.is_none() {
            return Err(ActError::input(format!(
                "{file}: mail.transport is `smtp` and mail.relay is missing"
            ))
            .with_hint("add relay = \"smtp://relay.example:25\" under [mail]"));
        }
        if !["smtp", "maildir"].contains(&settings.mail.transport.as_str()) {
            return Err(ActError::input(format!(
                "{file}: mail.transport `{}` is not known",
                settings.mail.transport
            ))
            .with_hint("use `maildir` or `smtp`"));
        }
        settings.check_sensors(file)?;
        settings.check_cluster(file)?;
        settings.intel.iter().try_for_each(|source| source.check(file))?;
        Ok(settings)
    }

    fn check_sensors(&self, file: &str) -> Result<(), ActError> {
        let mut numbers = vec![
            ("sensors.lease_s", self.sensors.lease_s, 2, 7 * 86_400),
            ("sensors.retry_s", self.sensors.retry_s, 0, 86_400),
        ];
        if let Some(hub) = &self.hub {
            if !hub.url.starts_with("https://") {
                return Err(ActError::input(format!(
                    "{file}: hub.url `{}` is not an https:// address",
                    hub.url
                ))
                .with_hint("a sensor speaks to its hub through TLS only"));
            }
            numbers.push(("hub.pulse_ms", hub.pulse_ms, 50, 60_000));
            numbers.push(("hub.pause_max_s", hub.pause_max_s, 1, 3_600));
        }
        match numbers.into_iter().find(|(_, value, least, most)| value < least || value > most) {
            Some((key, value, least, most)) => {
                Err(ActError::input(format!("{file}: {key} is {value}, and must be from {least} to {most}")))
            }
            None => Ok(()),
        }
    }

    fn check_cluster(&self, file: &str) -> Result<(), ActError> {
        let Cluster { workers, secret, cores, .. } = &self.cluster;
        if !workers.is_empty() && secret.is_none() {
            return Err(ActError::input(format!(
                "{file}: cluster.workers are named, and cluster.secret is missing"
            ))
            .with_hint(
                "add secret = \"cluster.secret\" under [cluster], a file with 32 random bytes at least",
            ));
        }
        if !(1..=256).contains(cores) {
            return Err(ActError::input(format!(
                "{file}: cluster.cores is {cores}, and must be from 1 to 256"
            )));
        }
        Ok(())
    }

    /// The file that `kenshin sensor enrol` writes.
    pub fn sensor_template(organisation: &str, hub: &HubAddress) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let recognised = match (&hub.fingerprint, &hub.ca) {
            (Some(fingerprint), _) => format!("fingerprint = {}\n", quoted(fingerprint)),
            (None, Some(ca)) => format!("ca = {}\n", quoted(&ca.display().to_string())),
            (None, None) => String::new(),
        };
        format!(
            "# Settings of a sensor. Unknown keys are refused; `kenshin doctor` prints the effective result.\n\
             schema_version = 1\n\n\
             # Who runs the observatory that this sensor works for.\n\
             organisation = {}\n\n\
             # A page for those who are measured, on the address they see; it takes opt-outs.\n\
             # courtesy_listen = \"0.0.0.0:80\"\n\n\
             # Pairs of factory credentials to check, when a mandate with two signers grants it. None ships.\n\
             # dictionary = \"dictionary.toml\"\n\
             # Where they go on login pages and streams of the models you know.\n\
             # recipes = \"recipes.toml\"\n\n\
             [hub]\n\
             url = {}\n{recognised}",
            quoted(organisation),
            quoted(&hub.url),
        )
    }

    /// The commented file that `kenshin init` writes.
    pub fn template(organisation: &str) -> String {
        let quoted = toml::Value::String(organisation.to_owned());
        format!(
            "# Kenshin settings. Unknown keys are refused; `kenshin doctor` prints the effective result.\n\
             schema_version = 1\n\n\
             # Who runs this observatory; shown in notices.\n\
             organisation = {quoted}\n\n\
             # Decisions: \"sqlite\" keeps them in kenshin.db beside this file; or \"postgres://user@host/database\".\n\
             database = \"sqlite\"\n\n\
             # Observations: a folder under this one, or \"s3://bucket/folder\" in a store that speaks S3.\n\
             lake = \"lake\"\n\n\
             # Pairs of factory credentials to check, when a mandate with two signers grants it. None ships.\n\
             # dictionary = \"dictionary.toml\"\n\
             # Where they go on login pages and streams of the models you know.\n\
             # recipes = \"recipes.toml\"\n\n\
             # More fingerprints in Recog's XML format: files or folders.\n\
             fingerprints = []\n\n\
             [mail]\n\
             # \"maildir\" puts notices into outbox/ for you to look at; \"smtp\" hands them to your relay.\n\
             transport = \"maildir\"\n\
             from = \"Kenshin <kenshin@localhost>\"\n\
             # relay = \"smtp://relay.example:25\"\n\n\
             # Where `kenshin intel update` fetches a kind from, in place of its publisher's own address.\n\
             # [[intel]]\n\
             # kind = \"csaf\"\n\
             # url = \"https://psirt.vendor.example/csaf.tar.gz\"\n\
             # sha256 = \"https://psirt.vendor.example/SHA256SUMS\"\n\n\
             [web]\n\
             listen = \"127.0.0.1:8480\"\n\
             base_url = \"http://127.0.0.1:8480\"\n\n\
             [flight]\n\
             # Where programs ask in SQL over Arrow Flight (ADBC, JDBC): docs/sql.md. Beyond this machine it needs\n\
             # the certificate of `kenshin serve --tls-cert`.\n\
             # listen = \"127.0.0.1:8482\"\n\n\
             # Up to how much memory `kenshin serve` answers SQL about services from memory: a quarter of the\n\
             # machine's when it is not said, 0 for never.\n\
             # [view]\n\
             # columns_mib = 4096\n\n\
             # Other machines that help to answer SQL, each with `kenshin worker`: docs/cluster.md.\n\
             # [cluster]\n\
             # workers = [\"https://10.0.0.11:8490\", \"https://10.0.0.12:8490\"]\n\
             # secret = \"cluster.secret\"\n\n\
             [sensors]\n\
             # Where sensors apart from this machine report, through TLS: `kenshin sensor token` enrols one.\n\
             # listen = \"0.0.0.0:8481\"\n\
             # Seconds for which a sensor holds a part of a survey without being heard.\n\
             lease_s = 1200\n\n\
             # For how long the lake keeps what, after the month is over: N months, N years or forever. What is\n\
             # not named is kept for ever. `kenshin lake retain --dry-run` shows what would go.\n\
             # [retention]\n\
             # observations = \"24 months\"\n\
             # coverage = \"24 months\"\n\
             # [retention.blobs]\n\
             # banner = \"6 months\"\n\
             # page = \"6 months\"\n\
             # [retention.mandate.\"national-2026\"]\n\
             # observations = \"12 months\"\n"
        )
    }

    /// URL of the database.
    pub fn database_url(&self, home: &Home) -> String {
        match self.database.as_str() {
            "sqlite" => format!("sqlite://{}", home.database().display()),
            url => url.to_owned(),
        }
    }

    /// Location of the lake.
    pub fn lake_location(&self, home: &Home) -> Location {
        let lake = match self.lake.contains("://") {
            true => self.lake.clone(),
            false => home.resolve(self.lake.as_ref()).display().to_string(),
        };
        let resolved = |path: &Option<PathBuf>| path.as_ref().map(|path| home.resolve(path));
        let (credentials, ca) = (resolved(&self.store.credentials), resolved(&self.store.ca));
        Location { lake, store: Store { credentials, ca, ..self.store.clone() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_parses_to_the_defaults() {
        let text = Settings::template("検診 \"Example\"");
        assert_eq!(Settings::parse("kenshin.toml", &text).unwrap(), Settings::new("検診 \"Example\""));
    }

    #[test]
    fn a_sensors_settings_name_its_hub_and_how_it_is_known() {
        let mut hub = HubAddress::at("https://hub.example:8481");
        let settings = Settings::parse("kenshin.toml", &Settings::sensor_template("検診", &hub)).unwrap();
        assert_eq!(settings, Settings { hub: Some(hub.clone()), ..Settings::new("検診") });
        hub.ca = Some("hub \"ca\".pem".into());
        let settings = Settings::parse("kenshin.toml", &Settings::sensor_template("x", &hub)).unwrap();
        assert_eq!(settings.hub, Some(hub.clone()));
        let bad = |hub: &HubAddress| {
            Settings::parse("kenshin.toml", &Settings::sensor_template("x", hub)).unwrap_err().to_string()
        };
        assert!(bad(&HubAddress::at("http://hub.example")).contains("hub.url"));
        let text = Settings::sensor_template("x", &hub) + "pulse_ms = 1\n";
        assert!(
            Settings::parse("kenshin.toml", &text).unwrap_err().to_string().contains("hub.pulse_ms is 1")
        );
    }

    #[test]
    fn bad_settings_name_file_line_and_column() {
        let bad = |text: &str| Settings::parse("kenshin.toml", text).unwrap_err().to_string();
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\nspeed = 3\n")
                .starts_with("kenshin.toml:3:1: unknown field `speed`")
        );
        assert!(bad("schema_version = 1\norganisation = 3\n").starts_with("kenshin.toml:2:16:"));
        assert!(bad("schema_version = 2\norganisation = \"x\"\n").contains("schema_version 2"));
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\n[mail]\ntransport = \"smtp\"\n")
                .contains("mail.relay")
        );
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\n[mail]\ntransport = \"pigeon\"\n")
                .contains("pigeon")
        );
    }
}
