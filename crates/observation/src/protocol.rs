//! What a bounded conversation learned, per protocol. Every text here came from a stranger: it is
//! decoded lossily, cut to [`TEXT_MAX`] bytes, stripped of nothing, and must be escaped for the
//! place where it is shown. Numbers are signed because Delta tables know no unsigned ones.
//!
//! An [`crate::Observation`] carries its [`Records`]: as a rule one application record, [`Tls`] when
//! the conversation ran inside TLS, and what belongs to the same exchange ([`Upnp`] beside [`Ssdp`],
//! [`Reflector`] beside the protocol that answered).

use serde::{Deserialize, Serialize};

mod computer;
mod database;
mod discovery;
mod industrial;
mod network;

pub use computer::{Adb, Rdp, Smb, Vnc};
pub use database::{Elasticsearch, Memcached, Mongodb, Redis};
pub use discovery::{Coap, Mdns, Ssdp, Upnp, Wsd};
pub use industrial::{Bacnet, Modbus, S7};
pub use network::{Cwmp, Dns, Ntp, Reflector, Sip, Snmp};

/// Longest text kept in a record, in bytes of UTF-8; longer ones are cut at a character.
pub const TEXT_MAX: usize = 512;

/// Longest list kept in a record; further entries are dropped.
pub const LIST_MAX: usize = 64;

/// Decodes bytes from a stranger as UTF-8, replacing what is not, and cuts to [`TEXT_MAX`].
pub fn text(bytes: &[u8]) -> String {
    let decoded = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_MAX)]);
    let mut cut = decoded.len().min(TEXT_MAX);
    while !decoded.is_char_boundary(cut) {
        cut -= 1;
    }
    decoded[..cut].to_owned()
}

/// [`text`] of each item, up to [`LIST_MAX`].
pub fn texts<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().take(LIST_MAX).map(|item| text(item.as_ref())).collect()
}

macro_rules! records {
    ($($(#[$told:meta])* $name:ident: $record:ident,)+) => {
        /// The records of one observation. Boxed, because most observations are of silence and carry none.
        /// What version 1 did not know is left out of JSON when it is none, here and inside of the records:
        /// the leaves of old batches depend on it.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Records {
            $($(#[$told])* pub $name: Option<Box<$record>>,)+
        }

        impl Records {
            /// Their names.
            pub const NAMES: &[&'static str] = &[$(stringify!($name),)+];

            /// Which are there, by their places among [`Self::NAMES`].
            pub fn there(&self) -> impl Iterator<Item = usize> {
                let all = [$(self.$name.is_some(),)+];
                all.into_iter().enumerate().filter_map(|(at, is_there)| is_there.then_some(at))
            }
        }
    };
}

records! {
    /// HTTP record.
    http: Http,
    /// TLS session it ran in.
    tls: Tls,
    /// SSH record.
    ssh: Ssh,
    /// Telnet record.
    telnet: Telnet,
    /// FTP record.
    ftp: Ftp,
    /// SMTP record.
    smtp: Smtp,
    /// MQTT record.
    mqtt: Mqtt,
    /// RTSP record.
    rtsp: Rtsp,
    /// Unrecognised service.
    unknown: Unknown,
    /// Credential check.
    credential: Credential,
    /// SNMP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    snmp: Snmp,
    /// SSDP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssdp: Ssdp,
    /// UPnP device description.
    #[serde(skip_serializing_if = "Option::is_none")]
    upnp: Upnp,
    /// WS-Discovery record.
    #[serde(skip_serializing_if = "Option::is_none")]
    wsd: Wsd,
    /// Multicast DNS record.
    #[serde(skip_serializing_if = "Option::is_none")]
    mdns: Mdns,
    /// DNS record.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Dns,
    /// NTP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    ntp: Ntp,
    /// CoAP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    coap: Coap,
    /// SIP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Sip,
    /// RDP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    rdp: Rdp,
    /// VNC record.
    #[serde(skip_serializing_if = "Option::is_none")]
    vnc: Vnc,
    /// SMB record.
    #[serde(skip_serializing_if = "Option::is_none")]
    smb: Smb,
    /// Android Debug Bridge record.
    #[serde(skip_serializing_if = "Option::is_none")]
    adb: Adb,
    /// Redis record.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Redis,
    /// memcached record.
    #[serde(skip_serializing_if = "Option::is_none")]
    memcached: Memcached,
    /// MongoDB record.
    #[serde(skip_serializing_if = "Option::is_none")]
    mongodb: Mongodb,
    /// Elasticsearch record.
    #[serde(skip_serializing_if = "Option::is_none")]
    elasticsearch: Elasticsearch,
    /// Modbus record.
    #[serde(skip_serializing_if = "Option::is_none")]
    modbus: Modbus,
    /// S7 record.
    #[serde(skip_serializing_if = "Option::is_none")]
    s7: S7,
    /// BACnet record.
    #[serde(skip_serializing_if = "Option::is_none")]
    bacnet: Bacnet,
    /// CWMP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    cwmp: Cwmp,
    /// Amplification measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    reflector: Reflector,
}

/// HTTP/1.x answer to `GET /` (RFC 9112).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// Status code.
    pub status: i32,
    /// `Server` header.
    pub server: Option<String>,
    /// `<title>` of the page, white space folded.
    pub title: Option<String>,
    /// Scheme and realm of `WWW-Authenticate`, first one offered, as sent.
    pub www_authenticate: Option<String>,
    /// `X-Powered-By` header.
    pub powered_by: Option<String>,
    /// `Location` header as sent; never followed without a permit of its own.
    pub location: Option<String>,
    /// `Content-Type` header.
    pub content_type: Option<String>,
    /// Names of cookies set; values are never kept.
    pub cookie_names: Vec<String>,
    /// The page holds a form with a password field.
    pub password_form: bool,
    /// Bytes of body read before the limit.
    pub body_bytes: i64,
    /// SHA-256 of the body bytes read, hexadecimal.
    pub body_sha256: Option<String>,
    /// MurmurHash3 (x86, 32 bits) of the icon in base64 with line ends, as search engines index it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favicon_mmh3: Option<i32>,
    /// SHA-256 of the icon, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favicon_sha256: Option<String>,
    /// Path at the same address that the record is of, when `/` redirected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirected_to: Option<String>,
}

/// A TLS session and the leaf certificate it showed (RFC 8446, RFC 5280).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Version negotiated: `TLSv1`, `TLSv1.1`, `TLSv1.2`, `TLSv1.3`.
    pub version: String,
    /// Cipher suite, OpenSSL's name.
    pub cipher: String,
    /// SHA-256 of the leaf certificate (DER), hexadecimal.
    pub certificate_sha256: Option<String>,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal: the key that may identify a device.
    pub public_key_sha256: Option<String>,
    /// Subject, RFC 4514 text.
    pub subject: Option<String>,
    /// Issuer, RFC 4514 text.
    pub issuer: Option<String>,
    /// Serial number, hexadecimal.
    pub serial: Option<String>,
    /// DNS names and addresses of the subject alternative name.
    pub alternative_names: Vec<String>,
    /// Start of validity, µs since the epoch.
    pub not_before_us: Option<i64>,
    /// End of validity, µs since the epoch.
    pub not_after_us: Option<i64>,
    /// `rsa`, `ec`, `ed25519`, `dsa` or the OpenSSL name.
    pub key_algorithm: Option<String>,
    /// Size of the public key in bits.
    pub key_bits: Option<i32>,
    /// Signature algorithm of the certificate, OpenSSL's long name (`sha1WithRSAEncryption`).
    pub signature_algorithm: Option<String>,
    /// Issuer equals subject and the signature verifies with its own key.
    pub self_signed: Option<bool>,
    /// Fingerprint of the ServerHello (JA3S), MD5, hexadecimal. It depends on what was offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_fingerprint: Option<String>,
    /// Group of the key exchange, IANA's name (`X25519MLKEM768`) or number (`0x1a2b`); null when the
    /// server's key was used instead, and in rows before version 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Size of the prime of a Diffie-Hellman key exchange in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<i32>,
    /// A post-quantum hybrid group was among those we offered. Without it, that none was chosen tells
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hybrid_offered: Option<bool>,
}

/// SSH identification, KEXINIT and host key (RFC 4253).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssh {
    /// Identification line without line end, e.g. `SSH-2.0-dropbear_2019.78`.
    pub banner: String,
    /// Key exchange methods in the server's order.
    pub kex: Vec<String>,
    /// Host key algorithms.
    pub host_key_algorithms: Vec<String>,
    /// Ciphers, client to server.
    pub ciphers_client_to_server: Vec<String>,
    /// Ciphers, server to client.
    pub ciphers_server_to_client: Vec<String>,
    /// MACs, client to server.
    pub macs_client_to_server: Vec<String>,
    /// MACs, server to client.
    pub macs_server_to_client: Vec<String>,
    /// Compression, client to server.
    pub compression_client_to_server: Vec<String>,
    /// Compression, server to client.
    pub compression_server_to_client: Vec<String>,
    /// Algorithm of the host key shown.
    pub host_key_algorithm: Option<String>,
    /// SHA-256 of the host key blob, hexadecimal: the key that may identify a device.
    pub host_key_sha256: Option<String>,
    /// Size of the host key in bits.
    pub host_key_bits: Option<i32>,
    /// Fingerprint of the server's algorithm lists (HASSH), MD5, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hassh_server: Option<String>,
}

/// Telnet (RFC 854).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telnet {
    /// Options in the order negotiated, e.g. `DO 24`, `WILL 1`.
    pub options: Vec<String>,
    /// Text shown before any input, negotiation removed.
    pub text: String,
    /// It asks for a user name.
    pub login_prompt: bool,
    /// It asks for a password.
    pub password_prompt: bool,
    /// It shows a command prompt without asking who we are.
    pub shell_prompt: bool,
}

/// FTP (RFC 959).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ftp {
    /// Greeting, reply code included.
    pub banner: String,
    /// Anonymous login: `accepted`, `rejected`, or null when not tried.
    pub anonymous: Option<String>,
}

/// SMTP (RFC 5321).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smtp {
    /// Greeting, reply code included.
    pub banner: String,
    /// Lines of the EHLO answer, code removed.
    pub ehlo: Vec<String>,
}

/// MQTT 3.1.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mqtt {
    /// Return code of CONNACK: 0 accepted, 4 bad credentials, 5 not authorised.
    pub connack_code: Option<i32>,
    /// CONNECT without user name: `accepted`, `rejected`, or null when not tried.
    pub anonymous: Option<String>,
}

/// RTSP 1.0 answer to OPTIONS (RFC 2326).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtsp {
    /// Status code.
    pub status: i32,
    /// `Server` header.
    pub server: Option<String>,
    /// Methods of the `Public` header.
    pub methods: Vec<String>,
    /// `WWW-Authenticate`, as sent.
    pub www_authenticate: Option<String>,
}

/// Something that spoke and was not recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Its first bytes as text.
    pub banner: String,
    /// The same bytes, hexadecimal, at most 64.
    pub first_bytes: String,
    /// How many bytes it sent before we stopped.
    pub bytes: i64,
}

/// What a credential check learned. No password is ever kept: an entry is named by its number
/// (from 1) in the dictionary with this digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// `ssh`, `telnet`, `ftp`, `http-basic`, `http-digest`, `http-form`, `rtsp` or `snmp`.
    pub method: String,
    /// `accepted`, `rejected`, `locked-out`, `capped` or `interrupted`.
    pub result: String,
    /// SHA-256 of the dictionary, hexadecimal.
    pub dictionary_sha256: String,
    /// Number of the accepted entry, from 1.
    pub entry: Option<i32>,
    /// Attempts made by this survey.
    pub attempts: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        let long = "検".repeat(400);
        let cut = text(long.as_bytes());
        assert!(cut.len() <= TEXT_MAX);
        assert!(cut.starts_with('検'));
        assert!(text(&[0xff; 2000]).len() <= TEXT_MAX);
    }

    #[test]
    fn lists_and_their_texts_are_cut() {
        let cut = texts(vec!["検".repeat(400); LIST_MAX + 1]);
        assert_eq!(cut.len(), LIST_MAX);
        assert!(cut.iter().all(|text| text.len() <= TEXT_MAX));
    }
}
