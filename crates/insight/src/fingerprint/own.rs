//! The pack shipped with the program.

use std::sync::{Arc, LazyLock};

use super::Pack;

/// Its files: name and text.
pub const OWN: &[(&str, &str)] = &[
    ("ftp_banner.xml", include_str!("../../pack/ftp_banner.xml")),
    ("html_title.xml", include_str!("../../pack/html_title.xml")),
    ("http_authenticate.xml", include_str!("../../pack/http_authenticate.xml")),
    ("http_cookie.xml", include_str!("../../pack/http_cookie.xml")),
    ("http_powered_by.xml", include_str!("../../pack/http_powered_by.xml")),
    ("http_server.xml", include_str!("../../pack/http_server.xml")),
    ("rdp_negotiation.xml", include_str!("../../pack/rdp_negotiation.xml")),
    ("rtsp_authenticate.xml", include_str!("../../pack/rtsp_authenticate.xml")),
    ("rtsp_server.xml", include_str!("../../pack/rtsp_server.xml")),
    ("smtp_banner.xml", include_str!("../../pack/smtp_banner.xml")),
    ("snmp_sys_description.xml", include_str!("../../pack/snmp_sys_description.xml")),
    ("snmp_sys_object_id.xml", include_str!("../../pack/snmp_sys_object_id.xml")),
    ("ssh_banner.xml", include_str!("../../pack/ssh_banner.xml")),
    ("telnet_banner.xml", include_str!("../../pack/telnet_banner.xml")),
    ("telnet_options.xml", include_str!("../../pack/telnet_options.xml")),
    ("x509_subject.xml", include_str!("../../pack/x509_subject.xml")),
];

static PACK: LazyLock<Arc<Pack>> = LazyLock::new(|| {
    Arc::new(Pack::parse("own", OWN.iter().copied()).expect("the shipped pack parses; a test says so"))
});

pub(super) fn pack() -> Arc<Pack> {
    Arc::clone(&PACK)
}
