//! How devices make themselves known to their neighbours, and sometimes to everybody.

use serde::{Deserialize, Serialize};

/// SSDP answer to M-SEARCH (UPnP Device Architecture 1.1 §1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssdp {
    /// `SERVER` header.
    pub server: Option<String>,
    /// `LOCATION` of the description as sent; never followed without a permit of its own.
    pub location: Option<String>,
    /// `USN`: unique service name.
    pub usn: Option<String>,
    /// `ST` of each answer.
    pub search_targets: Vec<String>,
}

/// UPnP device description (UPnP Device Architecture 1.1 §2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upnp {
    /// `friendlyName`.
    pub friendly_name: Option<String>,
    /// `manufacturer`.
    pub manufacturer: Option<String>,
    /// `modelName`.
    pub model_name: Option<String>,
    /// `modelNumber`.
    pub model_number: Option<String>,
    /// `modelDescription`.
    pub model_description: Option<String>,
    /// `deviceType`.
    pub device_type: Option<String>,
    /// `UDN`: unique device name.
    pub udn: Option<String>,
    /// `serialNumber`.
    pub serial_number: Option<String>,
}

/// WS-Discovery ProbeMatches (OASIS WS-Discovery 1.1), with the scopes of ONVIF.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wsd {
    /// Types offered.
    pub types: Vec<String>,
    /// Scopes as sent.
    pub scopes: Vec<String>,
    /// Addresses of the services as sent; never followed without a permit of their own.
    pub xaddrs: Vec<String>,
    /// Address of the endpoint reference, often `urn:uuid:`.
    pub endpoint: Option<String>,
    /// Name in the ONVIF scopes, decoded.
    pub name: Option<String>,
    /// Hardware in the ONVIF scopes, decoded.
    pub hardware: Option<String>,
}

/// Multicast DNS asked directly (RFC 6762, RFC 6763).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mdns {
    /// Service types, e.g. `_ipp._tcp.local`.
    pub services: Vec<String>,
    /// Names of instances and hosts.
    pub names: Vec<String>,
    /// `key=value` texts of TXT records.
    pub texts: Vec<String>,
}

/// CoAP answer to `GET /.well-known/core` (RFC 7252, RFC 6690).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coap {
    /// Response code, e.g. `2.05`.
    pub code: String,
    /// Paths of the resources named.
    pub resources: Vec<String>,
}
