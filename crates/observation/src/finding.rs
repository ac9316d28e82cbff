//! Findings: a weakness or infection on an asset, with evidence and an explanation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{AssetId, Endpoint, Priority, SurveyId, TimeUs};

words!(
    /// What is wrong.
    FindingKind, "finding kind" {
        /// Telnet answers.
        TelnetOpen = "telnet-open",
        /// A factory password was accepted.
        DefaultCredentials = "default-credentials",
        /// The administration page or shell opens without asking who we are.
        AdminOpen = "admin-open",
        /// The version is one with a vulnerability known to be exploited.
        KnownExploited = "known-exploited",
        /// The version is no longer maintained.
        EndOfLife = "end-of-life",
        /// FTP lets anyone in.
        AnonymousFtp = "anonymous-ftp",
        /// MQTT lets anyone in.
        AnonymousMqtt = "anonymous-mqtt",
        /// TLS below 1.2, a key or signature too weak, or an expired certificate.
        BrokenTls = "broken-tls",
        /// A data store (Redis, MongoDB, memcached, Elasticsearch) lets anyone in.
        DatabaseOpen = "database-open",
        /// The Android Debug Bridge lets anyone in.
        AdbOpen = "adb-open",
        /// A screen (VNC) can be seen and used by anyone.
        ScreenOpen = "screen-open",
        /// SNMP answers to the community that everybody knows.
        SnmpPublic = "snmp-public",
        /// DNS resolves names for anyone.
        OpenResolver = "open-resolver",
        /// A datagram service answers much to little, to whoever the sender pretends to be.
        Amplifier = "amplifier",
        /// A controller of machines or buildings answers in a protocol without passwords.
        ControllerExposed = "controller-exposed",
        /// SMB 1 is still spoken.
        Smb1 = "smb1",
        /// The port by which a provider wakes its router (TR-069) answers to anyone.
        CwmpExposed = "cwmp-exposed",
        /// Remote Desktop shows its login before it knows who is there.
        RdpWithoutNla = "rdp-without-nla",
        /// SSH 1, nothing better than obsolete algorithms, or a host key too small.
        WeakSsh = "weak-ssh",
        /// The key of the service is not its own: devices of other owners, or everybody, have it.
        SharedKey = "shared-key",
        /// It is built on software that nobody maintains any more.
        UnmaintainedComponent = "unmaintained-component",
        /// A page is not as it is on every other device of the model and version.
        AlteredContent = "altered-content",
    }
);

words!(
    /// What the owner must do. Findings of one remedy on one asset make one case.
    Remedy, "remedy" {
        /// Set a password of one's own.
        ChangePassword = "change-password",
        /// Install the current firmware or renew what has expired.
        Update = "update",
        /// Replace the device: nobody mends it any more.
        Replace = "replace",
        /// Close the service to the outside.
        CloseService = "close-service",
        /// Remove the infection.
        Clean = "clean",
    }
);

words!(
    /// How urgent, from the stated reason, never a hidden score.
    Severity, "severity" {
        /// For information.
        Low = "low",
        /// Should be mended.
        Medium = "medium",
        /// Should be mended soon.
        High = "high",
        /// Is being used by attackers, or opens to anyone.
        Critical = "critical",
    }
);

/// A message code with its arguments. Prose is made at the edge in the reader's language: a third
/// language is a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Message code, e.g. `finding.telnet-open`.
    pub code: String,
    /// Arguments by name, unescaped.
    pub args: BTreeMap<String, String>,
}

/// A pointer to the bytes a finding stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Survey of the observation.
    pub survey_id: SurveyId,
    /// Endpoint observed.
    pub endpoint: Endpoint,
    /// When.
    pub time: TimeUs,
    /// Field that was decisive, e.g. `telnet.text`.
    pub field: String,
    /// Its value, cut to 200 bytes; unescaped; never a secret.
    pub value: String,
    /// Blob digests, hexadecimal.
    pub blobs: Vec<String>,
}

/// A weakness or infection on an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable key: the same weakness on the same asset has the same key in every round.
    pub key: String,
    /// The asset.
    pub asset_id: AssetId,
    /// What is wrong.
    pub kind: FindingKind,
    /// Where it shows.
    pub endpoint: Endpoint,
    /// How urgent.
    pub severity: Severity,
    /// What the owner must do.
    pub remedy: Remedy,
    /// When the decisive observation was made.
    pub time: TimeUs,
    /// Percent, 0 to 100.
    pub confidence: u8,
    /// Why, as code and arguments.
    pub explanation: Explanation,
    /// What it stands on; never empty.
    pub evidence: Vec<Evidence>,
    /// Intelligence snapshots it stands on, e.g. `kev@2025-08-21#sha256:…`.
    pub snapshots: Vec<String>,
    /// How soon something must be done; findings stored by earlier builds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}
