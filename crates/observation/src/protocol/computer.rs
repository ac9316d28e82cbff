//! Screens, files and debuggers of computers and telephones.

use serde::{Deserialize, Serialize};

/// RDP connection confirm (MS-RDPBCGR §2.2.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rdp {
    /// Protocol selected: 0 standard RDP security, 1 TLS, 2 CredSSP, 4 RDSTLS, 8 CredSSP with
    /// early user authorisation; null when it negotiates nothing.
    pub selected_protocol: Option<i64>,
    /// Flags of the negotiation response.
    pub flags: Option<i32>,
    /// Code of the negotiation failure.
    pub failure: Option<i64>,
}

/// VNC, the remote framebuffer protocol (RFC 6143).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnc {
    /// Version as sent, e.g. `003.008`.
    pub version: String,
    /// Security types offered, by name or number.
    pub security_types: Vec<String>,
    /// It offers no way in without authentication; null when it could not be told.
    pub authentication_required: Option<bool>,
}

/// SMB NEGOTIATE (MS-SMB2 §2.2.4, MS-CIFS §2.2.4.52).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smb {
    /// Dialect selected, e.g. `3.1.1`.
    pub dialect: Option<String>,
    /// It demands signatures.
    pub signing_required: Option<bool>,
    /// GUID of the server.
    pub server_guid: Option<String>,
    /// Capability bits.
    pub capabilities: Option<i64>,
    /// It still speaks SMB 1; null when it was not asked.
    pub smb1: Option<bool>,
}

/// Android Debug Bridge (AOSP `protocol.txt`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adb {
    /// Banner of CNXN, e.g. `device::ro.product.name=…`.
    pub banner: Option<String>,
    /// It asks for a key; null when it could not be told.
    pub authentication_required: Option<bool>,
    /// `ro.product.name`.
    pub product: Option<String>,
    /// `ro.product.model`.
    pub model: Option<String>,
    /// `ro.product.device`.
    pub device: Option<String>,
}
