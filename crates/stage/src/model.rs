//! Device models: what a product says, read from `devices/*.toml`.

use std::collections::BTreeMap;

use kenshin_observation::DeviceType;
use serde::Deserialize;

/// Whether devices of a model can be told apart by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPolicy {
    /// Every device made its own key.
    Unique,
    /// Every device of the model carries the key of the firmware image.
    Shared,
    /// No service shows a key.
    None,
}

/// What is known about a firmware version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareState {
    /// Maintained, nothing exploited known.
    Current,
    /// Has a vulnerability known to be exploited.
    Exploited,
    /// No longer maintained.
    EndOfLife,
    /// Both.
    ExploitedEndOfLife,
}

impl FirmwareState {
    /// Has a vulnerability known to be exploited.
    pub const fn exploited(self) -> bool {
        matches!(self, Self::Exploited | Self::ExploitedEndOfLife)
    }

    /// No longer maintained.
    pub const fn end_of_life(self) -> bool {
        matches!(self, Self::EndOfLife | Self::ExploitedEndOfLife)
    }
}

/// One firmware version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Version as the transcripts show it.
    pub version: String,
    /// What is known about it.
    pub state: FirmwareState,
    /// Share of the model's devices, relative.
    pub weight: u32,
    /// Invented CVE id, for exploited versions.
    pub cve: Option<String>,
    /// SSH profile that comes with this version, where a service says `{ssh}`.
    pub ssh: Option<String>,
}

/// Credentials set at the factory: invented, and the fraction of owners who never changed them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factory {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Fraction of devices that still accept it, 0 to 1.
    pub left: f64,
}

/// TLS of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsModel {
    /// Subject of the certificate, `TYPE=value` parts separated by commas.
    pub subject: String,
    /// Relative weights of `modern`, `expired`, `tls10`, `rsa1024`, `sha1`.
    pub states: BTreeMap<crate::TlsState, u32>,
}

/// How a web page protects itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpAuth {
    /// HTTP Basic.
    Basic,
    /// HTTP Digest, MD5 with `qop="auth"`.
    Digest,
    /// A form on the page.
    Form,
}

/// What a service says, by protocol. Texts are transcripts with `{version}`, `{nonce}`,
/// `{length}` and `{cseq}` put in when played.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServiceKind {
    /// HTTP/1.x.
    Http {
        /// Protection.
        auth: HttpAuth,
        /// Answer to one who has not identified himself.
        page: String,
        /// Answer after the login, or to everybody where the administration is open.
        inside: Option<String>,
    },
    /// SSH 2.
    Ssh {
        /// Name of the profile in `devices/ssh/`, or `{ssh}` for the firmware's.
        profile: String,
    },
    /// Telnet.
    Telnet {
        /// Negotiation sent at once, hexadecimal.
        options: String,
        /// Text before the prompt.
        text: String,
        /// Prompt for a user name; absent where only a password is asked for.
        login: Option<String>,
        /// Prompt for a password.
        password: Option<String>,
        /// Answer to wrong credentials.
        #[serde(default)]
        fail: String,
        /// What a successful login, or everybody where the administration is open, sees.
        shell: Option<String>,
        /// Failures after which it hangs up.
        #[serde(default = "three")]
        tries: u32,
        /// Failures, counted over all visitors, after which it lets nobody try for a while.
        locks: Option<u32>,
    },
    /// FTP.
    Ftp {
        /// Greeting with reply code.
        banner: String,
        /// Fraction of devices that let `anonymous` in.
        anonymous: f64,
    },
    /// SMTP.
    Smtp {
        /// Greeting with reply code.
        banner: String,
        /// Lines of the EHLO answer.
        ehlo: Vec<String>,
    },
    /// MQTT 3.1.1.
    Mqtt {
        /// Fraction of devices that let anyone in.
        anonymous: f64,
    },
    /// RTSP.
    Rtsp {
        /// Answer to OPTIONS.
        options: String,
    },
    /// Speaks first, in bytes of its own.
    Raw {
        /// What it says, hexadecimal.
        says: String,
    },
    /// A raw print port: silent, and prints whatever it is sent.
    Print,
}

impl ServiceKind {
    /// It asks who we are in a way that a credential check understands.
    const fn takes_credentials(&self) -> bool {
        match self {
            Self::Http { auth, .. } => matches!(auth, HttpAuth::Basic | HttpAuth::Digest),
            Self::Ssh { .. } | Self::Ftp { .. } => true,
            Self::Telnet { login, .. } => login.is_some(),
            _ => false,
        }
    }
}

const fn three() -> u32 {
    3
}

/// One service of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Service {
    /// Port the product uses.
    pub port: u16,
    /// Fraction of devices that show it to the outside.
    #[serde(default = "always")]
    pub present: f64,
    /// Inside TLS.
    #[serde(default)]
    pub tls: bool,
    /// What it tells about the device: `vendor`, `product`, `version`, `type`.
    pub shows: Vec<Attribute>,
    /// The factory credentials open it.
    #[serde(default)]
    pub login_opens: bool,
    /// What it says.
    #[serde(flatten)]
    pub kind: ServiceKind,
}

const fn always() -> f64 {
    1.0
}

/// An attribute of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// Maker.
    Vendor,
    /// Model or software product.
    Product,
    /// Version.
    Version,
    /// Device type.
    Type,
}

/// A kind of device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name of the model in this crate.
    pub kind: String,
    /// Maker, where it can be told.
    pub vendor: Option<String>,
    /// Product, where it can be told.
    pub product: Option<String>,
    /// What it is, in truth.
    pub device_type: DeviceType,
    /// Whether the own fingerprint pack is meant to know it.
    pub in_pack: bool,
    /// Whether devices can be told apart.
    pub keys: KeyPolicy,
    /// CPE without version.
    pub cpe: Option<String>,
    /// Share of the town's devices, relative.
    pub weight: u32,
    /// Fraction of devices whose administration was never closed.
    #[serde(default)]
    pub open_admin: f64,
    /// Factory credentials.
    pub factory: Option<Factory>,
    /// TLS of its services.
    pub tls: Option<TlsModel>,
    /// Versions, at least one.
    pub firmware: Vec<Firmware>,
    /// Services, at least one.
    pub service: Vec<Service>,
}

/// A model file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not TOML of the expected shape.
    #[error("failed to read the device model `{file}`")]
    Syntax {
        /// File.
        file: &'static str,
        /// Cause.
        #[source]
        source: toml::de::Error,
    },
    /// Read, but contradictory.
    #[error("the device model `{file}` {problem}")]
    Meaning {
        /// File.
        file: &'static str,
        /// What is wrong.
        problem: String,
    },
}

macro_rules! shipped {
    ($($name:literal,)+) => {
        &[$(($name, include_str!(concat!("../devices/", $name, ".toml"))),)+]
    };
}

/// The files that ship, by name: `include_str!` wants literals, so a test compares the list with
/// the folder.
pub(crate) const SHIPPED: &[(&str, &str)] = shipped![
    "allied-telesis-x510",
    "apc-ups",
    "armadillo-iot",
    "asus-rt",
    "axis-p1346",
    "brother-mfc",
    "buffalo-airstation",
    "buffalo-linkstation",
    "canon-lbp",
    "canon-vb",
    "cisco-ios",
    "dahua-ipc",
    "digi-transport",
    "dlink-dcs",
    "dlink-dir",
    "elecom-wab",
    "grandstream-gxp",
    "hikvision-ds2cd",
    "hikvision-dvr",
    "hp-laserjet",
    "huawei-hg",
    "iodata-landisk",
    "ipro-wv",
    "kyocera-ecosys",
    "mikrotik-routeros",
    "moxa-nport",
    "nec-aterm",
    "netgear-prosafe",
    "netgear-r7000",
    "netgear-readynas",
    "openwrt-luci",
    "qnap-ts",
    "ricoh-mp",
    "synology-dsm",
    "teltonika-rut",
    "tplink-wr841n",
    "ubiquiti-airos",
    "unbranded-box-a",
    "unbranded-box-b",
    "unbranded-box-c",
    "unbranded-box-d",
    "unbranded-box-e",
    "unbranded-box-f",
    "yamaha-rtx",
    "yealink-sip",
    "zyxel-vmg",
];

impl Model {
    /// The models that ship, in a fixed order.
    pub fn builtin() -> Result<Vec<Self>, ModelError> {
        SHIPPED.iter().map(|(file, text)| Self::parse(file, text)).collect()
    }

    fn parse(file: &'static str, text: &str) -> Result<Self, ModelError> {
        let model: Self = toml::from_str(text).map_err(|source| ModelError::Syntax { file, source })?;
        match model.contradiction() {
            None if model.kind == file => Ok(model),
            None => Err(ModelError::Meaning { file, problem: format!("calls itself `{}`", model.kind) }),
            Some(problem) => Err(ModelError::Meaning { file, problem }),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let shows_key = |s: &Service| s.tls || matches!(s.kind, ServiceKind::Ssh { .. });
        let carries = self.service.iter().any(|s| shows_key(s) && s.present >= 1.0);
        if self.firmware.is_empty() || self.service.is_empty() {
            return Some("has no firmware or no service".into());
        }
        if self.firmware[0].state != FirmwareState::Current {
            return Some("does not begin with its current firmware".into());
        }
        match self.keys {
            KeyPolicy::None if self.service.iter().any(shows_key) => {
                return Some("shows keys but says it has none".into());
            }
            KeyPolicy::Unique | KeyPolicy::Shared if !carries => {
                return Some("has no service that always shows its key".into());
            }
            _ => {}
        }
        if self.service.iter().any(|s| s.tls) != self.tls.is_some() {
            return Some("must describe its certificate exactly when a service uses TLS".into());
        }
        if self.service.iter().any(|s| s.login_opens) != self.factory.is_some() {
            return Some("must name factory credentials exactly when they open a service".into());
        }
        if self.factory.is_some() && self.service.iter().any(|s| s.kind.takes_credentials() && !s.login_opens)
        {
            return Some("has one password for all its logins, so the factory's must open each".into());
        }
        let shown: Vec<Attribute> = self.service.iter().flat_map(|s| s.shows.iter().copied()).collect();
        if !self.in_pack && !shown.is_empty() {
            return Some("is not in the pack but shows what it is".into());
        }
        let always: Vec<Attribute> =
            self.service.iter().filter(|s| s.present >= 1.0).flat_map(|s| s.shows.iter().copied()).collect();
        if self.in_pack && !always.contains(&Attribute::Vendor) {
            return Some("is in the pack but does not always show its vendor".into());
        }
        if self.firmware.iter().any(|f| f.state.exploited() != f.cve.is_some()) {
            return Some("must name a CVE exactly for exploited firmware".into());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_model_reads_and_every_file_ships() {
        let models = Model::builtin().unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/devices"))
            .unwrap()
            .filter_map(|f| {
                f.unwrap().file_name().into_string().unwrap().strip_suffix(".toml").map(str::to_owned)
            })
            .collect();
        files.sort();
        let kinds: Vec<&str> = models.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, files);
        assert!(kinds.len() >= 28);
    }

    #[test]
    fn contradictions_are_refused() {
        let text = SHIPPED.iter().find(|(n, _)| *n == "axis-p1346").unwrap().1;
        let error = Model::parse("axis-p1346", &text.replace("\"unique\"", "\"none\"")).unwrap_err();
        assert!(error.to_string().contains("shows keys"), "{error}");
        assert!(Model::parse("other", text).unwrap_err().to_string().contains("calls itself"));
        assert!(matches!(Model::parse("x", "kind = 1"), Err(ModelError::Syntax { .. })));
    }
}
