//! What a host said, field by field.

use std::collections::BTreeSet;

use kenshin_observation::Observation;
use kenshin_observation::protocol::Records;

use super::hardware;

/// A field of an observation that fingerprints look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `Server` header.
    HttpServer,
    /// Title of the page.
    HttpTitle,
    /// `WWW-Authenticate` header.
    HttpAuthenticate,
    /// `X-Powered-By` header.
    HttpPoweredBy,
    /// Name of a cookie that is set.
    HttpCookie,
    /// Identification line.
    SshBanner,
    /// Text before any input.
    TelnetText,
    /// Options of Telnet in the order in which they were brought up, as `WILL 1,DO 24`.
    TelnetOptions,
    /// Greeting.
    FtpBanner,
    /// Greeting.
    SmtpBanner,
    /// `Server` header of RTSP.
    RtspServer,
    /// `WWW-Authenticate` header of RTSP.
    RtspAuthenticate,
    /// Subject of the certificate.
    TlsSubject,
    /// Issuer of the certificate.
    TlsIssuer,
    /// SNMP `sysDescr`.
    SnmpDescription,
    /// SNMP `sysObjectID`, dotted; of an engine id the maker's node alone.
    SnmpObjectId,
    /// `SERVER` of an SSDP answer.
    SsdpServer,
    /// `Server` of SIP.
    SipServer,
    /// `User-Agent` of SIP.
    SipUserAgent,
    /// `version.bind`.
    DnsVersion,
    /// Variables of NTP's mode 6, as `version="…", processor="…", system="…"`.
    NtpVariables,
    /// `manufacturer` of a UPnP device description, or what its maker is called elsewhere.
    Manufacturer,
    /// Model in a description or on a name plate: UPnP, ONVIF, ADB, Modbus, S7, BACnet.
    Model,
    /// How RDP is negotiated, as `protocol 1, flags 1`.
    RdpNegotiation,
    /// Firmware version on a name plate.
    Firmware,
    /// UPnP device type or WS-Discovery type.
    Role,
    /// First bytes of a service not recognised.
    UnknownBanner,
    /// Hardware address of an interface.
    HardwareAddress,
}

/// One text that a host showed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    /// Which field.
    pub field: Field,
    /// Port of the service.
    pub port: u16,
    /// The text as sent; at most what an observation keeps.
    pub text: Vec<u8>,
}

impl Field {
    /// Every field.
    pub const ALL: &'static [Self] = &[
        Self::HttpServer,
        Self::HttpTitle,
        Self::HttpAuthenticate,
        Self::HttpPoweredBy,
        Self::HttpCookie,
        Self::SshBanner,
        Self::TelnetText,
        Self::TelnetOptions,
        Self::FtpBanner,
        Self::SmtpBanner,
        Self::RtspServer,
        Self::RtspAuthenticate,
        Self::TlsSubject,
        Self::TlsIssuer,
        Self::SnmpDescription,
        Self::SnmpObjectId,
        Self::SsdpServer,
        Self::SipServer,
        Self::SipUserAgent,
        Self::DnsVersion,
        Self::NtpVariables,
        Self::RdpNegotiation,
        Self::Manufacturer,
        Self::Model,
        Self::Firmware,
        Self::Role,
        Self::UnknownBanner,
        Self::HardwareAddress,
    ];

    /// Name in reasons and evidence, e.g. `http.server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpServer => "http.server",
            Self::HttpTitle => "http.title",
            Self::HttpAuthenticate => "http.www_authenticate",
            Self::HttpPoweredBy => "http.powered_by",
            Self::HttpCookie => "http.cookie_names",
            Self::SshBanner => "ssh.banner",
            Self::TelnetText => "telnet.text",
            Self::TelnetOptions => "telnet.options",
            Self::FtpBanner => "ftp.banner",
            Self::SmtpBanner => "smtp.banner",
            Self::RtspServer => "rtsp.server",
            Self::RtspAuthenticate => "rtsp.www_authenticate",
            Self::TlsSubject => "tls.subject",
            Self::TlsIssuer => "tls.issuer",
            Self::SnmpDescription => "snmp.sys_descr",
            Self::SnmpObjectId => "snmp.sys_object_id",
            Self::SsdpServer => "ssdp.server",
            Self::SipServer => "sip.server",
            Self::SipUserAgent => "sip.user_agent",
            Self::DnsVersion => "dns.version_bind",
            Self::NtpVariables => "ntp.control",
            Self::RdpNegotiation => "rdp.negotiation",
            Self::Manufacturer => "manufacturer",
            Self::Model => "model",
            Self::Firmware => "firmware",
            Self::Role => "role",
            Self::UnknownBanner => "unknown.banner",
            Self::HardwareAddress => "hardware_address",
        }
    }

    /// Keys of the databases that look at it, the most fitting first.
    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::HttpServer => &["http_header.server"],
            Self::HttpTitle => &["html_title"],
            Self::HttpAuthenticate => &["http_header.wwwauth"],
            Self::HttpPoweredBy => &["http_header.x-powered-by"],
            Self::HttpCookie => &["http_header.cookie"],
            Self::SshBanner => &["ssh.banner"],
            // Recog's file states no key, so its name is the key.
            Self::TelnetText => &["telnet.banner", "telnet_banners"],
            Self::TelnetOptions => &["telnet.options"],
            Self::RdpNegotiation => &["rdp.negotiation"],
            Self::FtpBanner => &["ftp.banner"],
            Self::SmtpBanner => &["smtp.banner"],
            Self::RtspServer => &["rtsp_header.server"],
            Self::RtspAuthenticate => &["rtsp_header.wwwauth", "http_header.wwwauth"],
            Self::TlsSubject => &["x509.subject"],
            Self::TlsIssuer => &["x509.issuer"],
            Self::SnmpDescription => &["snmp.sys_description"],
            Self::SnmpObjectId => &["snmp.sys_object_id"],
            Self::SsdpServer => &["ssdp_header.server", "http_header.server"],
            Self::SipServer => &["sip_header.server"],
            Self::SipUserAgent => &["sip_header.user_agent"],
            Self::DnsVersion => &["dns.versionbind"],
            Self::NtpVariables => &["ntp.readvar"],
            // What is stated plainly needs no pattern; see `plain` and `hardware`.
            Self::Manufacturer | Self::Model | Self::Firmware | Self::Role | Self::HardwareAddress => &[],
            Self::UnknownBanner => &["unknown.banner"],
        }
    }

    /// How far a match in this field is to be believed, percent: what a person edits freely (a
    /// page's title, a certificate's name) less than what the maker compiled in.
    pub(crate) const fn trust(self) -> u8 {
        match self {
            Self::SshBanner | Self::FtpBanner | Self::TelnetText | Self::SnmpDescription => 92,
            Self::HttpServer | Self::RtspServer | Self::HttpPoweredBy | Self::SsdpServer => 90,
            Self::SipServer | Self::SipUserAgent | Self::DnsVersion | Self::NtpVariables => 90,
            Self::HttpTitle | Self::HttpAuthenticate | Self::RtspAuthenticate | Self::SmtpBanner => 86,
            Self::Manufacturer | Self::Model | Self::Firmware | Self::Role => 85,
            Self::SnmpObjectId => 82,
            // How a program negotiates is in its source, and whoever copies the source negotiates so.
            Self::TelnetOptions | Self::RdpNegotiation => 80,
            Self::TlsSubject | Self::UnknownBanner => 80,
            Self::HttpCookie | Self::TlsIssuer => 70,
            // Of the interface surely, of the device often.
            Self::HardwareAddress => 62,
        }
    }
}

impl Sighting {
    /// A sighting from its parts.
    pub fn new(field: Field, port: u16, text: impl AsRef<[u8]>) -> Self {
        Self { field, port, text: text.as_ref().to_vec() }
    }

    /// The forms of the text that databases were written for, the most complete first.
    pub(super) fn forms(&self) -> Vec<Vec<u8>> {
        match self.field {
            Field::SshBanner => vec![without_protocol_version(trim_end(&self.text)).to_vec()],
            Field::FtpBanner | Field::SmtpBanner => greeting_forms(&self.text),
            Field::HttpCookie => vec![[self.text.as_slice(), b"="].concat()],
            Field::TelnetText => telnet_forms(&self.text),
            Field::TlsSubject | Field::TlsIssuer => {
                let tight = name_without_spaces(&self.text);
                let reversed = name_reversed(&tight);
                vec![tight, reversed]
            }
            Field::HttpTitle => vec![fold(&self.text)],
            _ => vec![self.text.trim_ascii().to_vec()],
        }
    }
}

/// All texts of `observations` that fingerprints look at, each (field, port, text) once.
pub fn sightings(observations: &[&Observation]) -> Vec<Sighting> {
    let mut seen = BTreeSet::new();
    for observation in observations {
        let mut add = |field, text: Option<&str>| {
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                seen.insert(Sighting::new(field, observation.subject.port, text));
            }
        };
        let records = &observation.records;
        if let Some(http) = &records.http {
            add(Field::HttpServer, http.server.as_deref());
            add(Field::HttpTitle, http.title.as_deref());
            add(Field::HttpAuthenticate, http.www_authenticate.as_deref());
            add(Field::HttpPoweredBy, http.powered_by.as_deref());
            for name in &http.cookie_names {
                add(Field::HttpCookie, Some(name));
            }
        }
        if let Some(tls) = &records.tls {
            add(Field::TlsSubject, tls.subject.as_deref());
            // The issuer of a self-signed certificate says the same a second time.
            add(Field::TlsIssuer, tls.issuer.as_deref().filter(|_| tls.issuer != tls.subject));
        }
        add(Field::SshBanner, records.ssh.as_ref().map(|ssh| ssh.banner.as_str()));
        add(Field::TelnetText, records.telnet.as_ref().map(|telnet| telnet.text.as_str()));
        add(Field::TelnetOptions, records.telnet.as_ref().map(|telnet| telnet.options.join(",")).as_deref());
        let negotiated = records.rdp.as_ref().and_then(|rdp| {
            Some(format!("protocol {}, flags {}", rdp.selected_protocol?, rdp.flags.unwrap_or_default()))
        });
        add(Field::RdpNegotiation, negotiated.as_deref());
        add(Field::FtpBanner, records.ftp.as_ref().map(|ftp| ftp.banner.as_str()));
        add(Field::SmtpBanner, records.smtp.as_ref().map(|smtp| smtp.banner.as_str()));
        if let Some(rtsp) = &records.rtsp {
            add(Field::RtspServer, rtsp.server.as_deref());
            add(Field::RtspAuthenticate, rtsp.www_authenticate.as_deref());
        }
        add(Field::UnknownBanner, records.unknown.as_ref().map(|unknown| unknown.banner.as_str()));
        described(records, &mut add);
        name_plates(records, &mut add);
        for address in hardware::addresses(observation) {
            add(Field::HardwareAddress, Some(&address));
        }
    }
    seen.into_iter().collect()
}

/// What datagram services say of themselves.
fn described(records: &Records, add: &mut impl FnMut(Field, Option<&str>)) {
    if let Some(snmp) = &records.snmp {
        add(Field::SnmpDescription, snmp.sys_descr.as_deref());
        add(Field::SnmpObjectId, snmp.sys_object_id.as_deref());
        let node = snmp.engine_enterprise.map(|number| format!("1.3.6.1.4.1.{number}"));
        add(Field::SnmpObjectId, node.as_deref());
    }
    add(Field::SsdpServer, records.ssdp.as_ref().and_then(|ssdp| ssdp.server.as_deref()));
    if let Some(upnp) = &records.upnp {
        add(Field::Manufacturer, upnp.manufacturer.as_deref());
        add(Field::Model, upnp.model_name.as_deref().or(upnp.model_number.as_deref()));
        add(Field::Role, upnp.device_type.as_deref());
    }
    if let Some(wsd) = &records.wsd {
        add(Field::Model, wsd.hardware.as_deref());
        for kind in &wsd.types {
            add(Field::Role, Some(kind));
        }
    }
    if let Some(sip) = &records.sip {
        add(Field::SipServer, sip.server.as_deref());
        add(Field::SipUserAgent, sip.user_agent.as_deref());
    }
    add(Field::DnsVersion, records.dns.as_ref().and_then(|dns| dns.version_bind.as_deref()));
    if let Some(ntp) = &records.ntp {
        let said = [
            ("version", &ntp.control_version),
            ("processor", &ntp.control_processor),
            ("system", &ntp.control_system),
        ];
        let said: Vec<String> = said
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value.as_deref()?)))
            .collect();
        add(Field::NtpVariables, Some(&said.join(", ")));
    }
}

/// What controllers and bridges carry on their name plates.
fn name_plates(records: &Records, add: &mut impl FnMut(Field, Option<&str>)) {
    if let Some(adb) = &records.adb {
        add(Field::Model, adb.model.as_deref().or(adb.product.as_deref()));
    }
    if let Some(modbus) = &records.modbus {
        add(Field::Manufacturer, modbus.vendor.as_deref());
        add(Field::Model, modbus.product_code.as_deref());
        add(Field::Firmware, modbus.revision.as_deref());
    }
    if let Some(s7) = &records.s7 {
        // Order numbers of Siemens begin so; others speak the protocol too.
        let siemens = s7.module.as_deref().is_some_and(|module| module.trim().starts_with("6ES7"));
        add(Field::Manufacturer, siemens.then_some("Siemens"));
        add(Field::Model, s7.module.as_deref());
        add(Field::Firmware, s7.version.as_deref());
        add(Field::Role, Some("s7"));
    }
    if let Some(bacnet) = &records.bacnet {
        add(Field::Manufacturer, bacnet.vendor.as_deref());
        add(Field::Model, bacnet.model.as_deref());
        add(Field::Firmware, bacnet.firmware.as_deref());
        add(Field::Role, Some("bacnet"));
    }
}

fn trim_end(text: &[u8]) -> &[u8] {
    text.trim_ascii_end()
}

/// RFC 4253 §4.2: `SSH-protoversion-softwareversion SP comments`; what follows the protocol
/// version is what databases look at.
fn without_protocol_version(banner: &[u8]) -> &[u8] {
    let Some(rest) = banner.strip_prefix(b"SSH-") else { return banner };
    let dash = rest.iter().position(|byte| *byte == b'-');
    dash.map_or(banner, |dash| &rest[dash + 1..])
}

/// A greeting without its reply codes: all lines, then each line alone.
fn greeting_forms(banner: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> =
        banner.split(|byte| *byte == b'\n').map(without_reply_code).filter(|line| !line.is_empty()).collect();
    let mut forms = vec![lines.join(&b"\r\n"[..])];
    if lines.len() > 1 {
        forms.extend(lines.iter().map(|line| line.to_vec()));
    }
    forms
}

/// RFC 959 §4.2: three digits, then a space or, inside a reply of several lines, a dash.
fn without_reply_code(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    match line {
        [a, b, c, b' ' | b'-', rest @ ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => {
            rest.trim_ascii()
        }
        _ => line,
    }
}

/// The text as sent, then without the white space around it.
fn telnet_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let trimmed = text.trim_ascii();
    if trimmed.len() == text.len() { vec![text.to_vec()] } else { vec![text.to_vec(), trimmed.to_vec()] }
}

fn fold(text: &[u8]) -> Vec<u8> {
    let words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// RFC 4514 allows, and some writers put, spaces after the commas.
fn name_without_spaces(name: &[u8]) -> Vec<u8> {
    relative_names(name).join(&b","[..])
}

/// The same name from the other end: writers disagree about the order.
fn name_reversed(name: &[u8]) -> Vec<u8> {
    let mut parts = relative_names(name);
    parts.reverse();
    parts.join(&b","[..])
}

/// Splits at commas that are not escaped by a backslash.
fn relative_names(name: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, byte) in name.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(name[start..index].trim_ascii());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(name[start..].trim_ascii());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(field: Field, text: &str) -> Vec<String> {
        let forms = Sighting::new(field, 1, text).forms();
        forms.into_iter().map(|form| String::from_utf8(form).unwrap()).collect()
    }

    #[test]
    fn protocol_dress_is_taken_off() {
        assert_eq!(forms(Field::SshBanner, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), ["OpenSSH_9.2p1 Debian-2"]);
        assert_eq!(forms(Field::SshBanner, "SSH-"), ["SSH-"]);
        assert_eq!(forms(Field::FtpBanner, "220 (vsFTPd 3.0.3)\r\n"), ["(vsFTPd 3.0.3)"]);
        assert_eq!(
            forms(Field::FtpBanner, "220-Hello\r\n220 there\r\n"),
            ["Hello\r\nthere", "Hello", "there"]
        );
        assert_eq!(forms(Field::HttpTitle, " a\r\n  b "), ["a b"]);
        assert_eq!(forms(Field::HttpCookie, "SID"), ["SID="]);
        assert_eq!(
            forms(Field::TlsSubject, r"C=US, O=Cisco Systems\, Inc., CN=x"),
            [r"C=US,O=Cisco Systems\, Inc.,CN=x", r"CN=x,O=Cisco Systems\, Inc.,C=US"]
        );
    }
}
