//! What we write, held as text; and what the format's own rules say of it.

use std::path::Path;
use std::process::Command;

use kenshin_exchange::Format;
use kenshin_observation::protocol::{Http, Records, Ssh, Tls, Unknown};
use kenshin_observation::{Check, Endpoint, Observation, Outcome, Transport};

use crate::world::{row, tcp, write};

const HOSTILE: &str = "=cmd|'/c calc'!A1\r\n\0\x1b[2J\u{202e}<b> \"q\" & ]]> \\x41 検";

/// A survey of two hosts, one of which tries to break out of every format.
fn survey() -> Vec<Observation> {
    let (one, two) = ("192.0.2.10", "2001:db8::10");
    let said = |subject, protocol: &str, records| Observation {
        protocol: Some(protocol.to_owned()),
        records,
        ..row(subject, Check::Handshake, Outcome::Answered)
    };
    let http = Http {
        status: 401,
        server: Some("lighttpd/1.4.35 (OpenWrt)".to_owned()),
        title: Some(HOSTILE.to_owned()),
        www_authenticate: Some("Basic realm=\"router\"".to_owned()),
        cookie_names: vec!["sid".to_owned()],
        ..Http::default()
    };
    let tls = Tls {
        version: "TLSv1".to_owned(),
        cipher: "AES128-SHA".to_owned(),
        subject: Some("CN=router,O=Example\\, Inc.".to_owned()),
        serial: Some("0a".to_owned()),
        ..Tls::default()
    };
    let ssh = Ssh { banner: "SSH-2.0-dropbear_2019.78".to_owned(), ..Ssh::default() };
    let unknown = Unknown { banner: HOSTILE.to_owned(), first_bytes: String::new(), bytes: 99 };
    let web = Records { http: Some(http.into()), tls: Some(tls.into()), ..Records::default() };
    let mut secret = row(tcp(one, 22), Check::CredentialCheck, Outcome::Answered);
    secret.protocol = Some("credential-of-somebody".to_owned());
    vec![
        row(tcp(one, 22), Check::Sweep, Outcome::Answered),
        said(tcp(one, 22), "ssh", Records { ssh: Some(ssh.into()), ..Records::default() }),
        secret,
        row(tcp(one, 23), Check::Sweep, Outcome::Refused),
        row(tcp(one, 24), Check::Sweep, Outcome::SilentHostAlive),
        row(tcp(one, 443), Check::Sweep, Outcome::Answered),
        said(tcp(one, 443), "http", web),
        row(Endpoint::new(two.parse().unwrap(), 53, Transport::Udp), Check::Sweep, Outcome::Refused),
        row(tcp(two, 7777), Check::Sweep, Outcome::Answered),
        said(tcp(two, 7777), "unknown", Records { unknown: Some(unknown.into()), ..Records::default() }),
        row(tcp("192.0.2.99", 22), Check::Sweep, Outcome::Dark),
    ]
}

fn check(format: Format, fields: &str, expected: &str) {
    assert_eq!(write(format, &survey(), fields), expected);
}

#[test]
fn zmap() {
    check(Format::ZmapCsv, "saddr", "192.0.2.10\n192.0.2.10\n192.0.2.10\n2001:db8::10\n2001:db8::10\n");
    check(
        Format::ZmapCsv,
        "saddr,sport,classification,success,timestamp-str",
        "saddr,sport,classification,success,timestamp_str\n\
         192.0.2.10,22,synack,1,2023-11-14T22:13:20.000+0000\n\
         192.0.2.10,23,rst,0,2023-11-14T22:13:20.000+0000\n\
         192.0.2.10,443,synack,1,2023-11-14T22:13:20.000+0000\n\
         2001:db8::10,53,icmp-unreach,0,2023-11-14T22:13:20.000+0000\n\
         2001:db8::10,7777,synack,1,2023-11-14T22:13:20.000+0000\n",
    );
    let json = write(Format::ZmapJson, &survey(), "*");
    assert_eq!(
        json.lines().next().unwrap(),
        "{ \"saddr\": \"192.0.2.10\", \"saddr_raw\": 167903424, \"daddr\": \"198.51.100.1\", \"daddr_raw\": 23344070, \
         \"sport\": 22, \"dport\": 40000, \"classification\": \"synack\", \"success\": 1, \"icmp_responder\": null, \
         \"icmp_type\": null, \"icmp_code\": null, \"repeat\": 0, \"timestamp_str\": \"2023-11-14T22:13:20.000+0000\", \
         \"timestamp_ts\": 1700000000, \"timestamp_us\": 0 }"
    );
    let error = "saddr,ttl".parse::<kenshin_exchange::Fields>().unwrap_err().to_string();
    assert!(error.starts_with("unknown field `ttl`; one of: saddr, "), "{error}");
}

#[test]
fn zmap_writes_the_names_of_columns_even_when_nobody_answered() {
    assert_eq!(write(Format::ZmapCsv, &[], "saddr,sport"), "saddr,sport\n");
    assert_eq!(write(Format::ZmapCsv, &[], "saddr"), "");
    assert_eq!(write(Format::MasscanJson, &[], "*"), "[\n]\n");
    assert_eq!(write(Format::MasscanList, &[], "*"), "#masscan\n# end\n");
    assert_eq!(write(Format::Zgrab2, &[], "*"), "");
}

#[test]
fn masscan_list() {
    check(
        Format::MasscanList,
        "*",
        "#masscan\n\
         open tcp 22 192.0.2.10 1700000000\n\
         banner tcp 22 192.0.2.10 1700000000 ssh SSH-2.0-dropbear_2019.78\n\
         closed tcp 23 192.0.2.10 1700000000\n\
         open tcp 443 192.0.2.10 1700000000\n\
         banner tcp 443 192.0.2.10 1700000000 http HTTP/1.1 401\\x0d\\x0aServer: lighttpd/1.4.35 (OpenWrt)\\x0d\\x0a\
         WWW-Authenticate: Basic realm=\\x22router\\x22\\x0d\\x0aSet-Cookie: sid=*\\x0d\\x0a\\x0d\\x0a\n\
         closed udp 53 2001:db8::10 1700000000\n\
         open tcp 7777 2001:db8::10 1700000000\n\
         banner tcp 7777 2001:db8::10 1700000000 unknown =cmd|\\x27/c calc\\x27!A1\\x0d\\x0a\\x00\\x1b[2J\\xe2\\x80\\xae\
         \\x3cb\\x3e \\x22q\\x22 \\x26 ]]\\x3e \\x5cx41 \\xe6\\xa4\\x9c\n\
         # end\n",
    );
}

#[test]
fn masscan_json() {
    let text = write(Format::MasscanJson, &survey(), "*");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        r#"{   "ip": "192.0.2.10",   "timestamp": "1700000000", "ports": [ {"port": 22, "proto": "tcp", "status": "open", "reason": "syn-ack"} ] }"#
    );
    assert_eq!((lines[0], lines[2], lines[lines.len() - 1]), ("[", ",", "]"));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.as_array().unwrap().len(), 8);
    assert!(text.is_ascii() && !text.contains("<b>"));
}

#[test]
fn zgrab2() {
    let text = write(Format::Zgrab2, &survey(), "*");
    let hosts: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(hosts.len(), 2);
    let data = &hosts[0]["data"];
    assert_eq!(data.as_object().unwrap().keys().collect::<Vec<_>>(), ["http", "ssh"]);
    let result = &data["http"]["result"]["response"];
    assert_eq!(result["headers"]["server"][0], "lighttpd/1.4.35 (OpenWrt)");
    assert_eq!(result["headers"]["set_cookie"][0], "sid=*");
    assert_eq!(result["request"]["url"]["scheme"], "https");
    let log = &result["request"]["tls_log"]["handshake_log"];
    assert_eq!(log["server_hello"]["version"]["name"], "TLSv1.0");
    assert_eq!(log["server_hello"]["cipher_suite"]["name"], "TLS_RSA_WITH_AES_128_CBC_SHA");
    let parsed = &log["server_certificates"]["certificate"]["parsed"];
    assert_eq!(
        (&parsed["subject_dn"], &parsed["serial_number"]),
        (&"O=Example, Inc., CN=router".into(), &"10".into())
    );
    assert_eq!(hosts[1]["data"]["banner"]["result"]["banner"], HOSTILE);
}

#[test]
fn plain_modules_have_the_names_of_zgrab2() {
    let record = |protocol: &str, json: &str| Observation {
        protocol: Some(protocol.to_owned()),
        records: serde_json::from_str(&format!("{{\"{protocol}\":{json}}}")).unwrap(),
        ..row(tcp("192.0.2.1", 1), Check::Handshake, Outcome::Answered)
    };
    for (protocol, json, expected) in [
        (
            "redis",
            r#"{"version":"7.0","mode":"cluster","authentication_required":true}"#,
            r#"{"kenshin":{"redis":{"authentication_required":true,"mode":"cluster","version":"7.0"}},"mode":"cluster","version":"7.0"}"#,
        ),
        ("memcached", r#"{"version":"1.6.0"}"#, r#"{"version":"1.6.0"}"#),
        (
            "mongodb",
            r#"{"version":"4.4","wire_version":9}"#,
            r#"{"build_info":{"version":"4.4"},"is_master":{"max_wire_version":9},"kenshin":{"mongodb":{"authentication_required":null,"version":"4.4","wire_version":9}}}"#,
        ),
        (
            "modbus",
            r#"{"vendor":"V","exception":1}"#,
            r#"{"exception_response":{"exception_type":1},"kenshin":{"modbus":{"exception":1,"product_code":null,"revision":null,"vendor":"V"}},"mei_response":{"objects":{"vendor":"V"}}}"#,
        ),
        (
            "bacnet",
            r#"{"vendor_id":5}"#,
            r#"{"is_bacnet":true,"kenshin":{"bacnet":{"firmware":null,"instance":null,"model":null,"object_name":null,"vendor":null,"vendor_id":5}},"vendor_id":5}"#,
        ),
    ] {
        let text = write(Format::Zgrab2, &[record(protocol, json)], "*");
        let host: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(host["data"][protocol]["result"].to_string(), expected);
    }
    let s7 = write(Format::Zgrab2, &[record("s7", r#"{"module":"6ES7"}"#)], "*");
    assert!(s7.contains(r#""data":{"siemens":"#) && s7.contains(r#""module_id":"6ES7""#), "{s7}");
}

#[test]
fn two_services_of_a_kind_stand_in_one_host() {
    let two = [22, 2222].map(|port| {
        let ssh = Ssh { banner: "SSH-2.0-x".to_owned(), ..Ssh::default() };
        Observation {
            protocol: Some("ssh".to_owned()),
            records: Records { ssh: Some(ssh.into()), ..Records::default() },
            ..row(tcp("192.0.2.1", port), Check::Handshake, Outcome::Answered)
        }
    });
    let text = write(Format::Zgrab2, &two, "*");
    let host: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&host["data"]["ssh"]["port"], &host["data"]["ssh-2222"]["port"]), (&22.into(), &2222.into()));
    assert_eq!(host["data"]["ssh-2222"]["protocol"], "ssh");
}

#[test]
fn nmap() {
    check(
        Format::NmapXml,
        "*",
        &r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="kenshin survey export --as nmap-xml" version="kenshin VERSION" xmloutputversion="1.05">
<verbose level="0"/>
<debugging level="0"/>
<host starttime="1700000000" endtime="1700000000"><status state="up" reason="syn-ack" reason_ttl="0"/>
<address addr="192.0.2.10" addrtype="ipv4"/>
<hostnames>
</hostnames>
<ports>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="ssh" product="dropbear" version="2019.78" extrainfo="protocol 2.0" method="probed" conf="10"/><script id="banner" output="SSH-2.0-dropbear_2019.78"/></port>
<port protocol="tcp" portid="23"><state state="closed" reason="conn-refused" reason_ttl="0"/></port>
<port protocol="tcp" portid="24"><state state="filtered" reason="no-response" reason_ttl="0"/></port>
<port protocol="tcp" portid="443"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="http" product="lighttpd" version="1.4.35" extrainfo="(OpenWrt)" tunnel="ssl" method="probed" conf="10"/><script id="banner" output="HTTP/1.1 401\x0d\x0aServer: lighttpd/1.4.35 (OpenWrt)\x0d\x0aWWW-Authenticate: Basic realm=\x22router\x22\x0d\x0aSet-Cookie: sid=*\x0d\x0a\x0d\x0a"/><script id="http-server-header" output="lighttpd/1.4.35 (OpenWrt)"/><script id="http-title" output="=cmd|&apos;/c calc&apos;!A1����[2J�&lt;b&gt; &quot;q&quot; &amp; ]]&gt; \x41 検"/></port>
</ports>
</host>
<host starttime="1700000000" endtime="1700000000"><status state="up" reason="conn-refused" reason_ttl="0"/>
<address addr="2001:db8::10" addrtype="ipv6"/>
<hostnames>
</hostnames>
<ports>
<port protocol="tcp" portid="7777"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="unknown" method="probed" conf="10"/><script id="banner" output="=cmd|\x27/c calc\x27!A1\x0d\x0a\x00\x1b[2J\xe2\x80\xae\x3cb\x3e \x22q\x22 \x26 ]]\x3e \x5cx41 \xe6\xa4\x9c"/></port>
<port protocol="udp" portid="53"><state state="closed" reason="port-unreach" reason_ttl="0"/></port>
</ports>
</host>
<host starttime="1700000000" endtime="1700000000"><status state="down" reason="no-response" reason_ttl="0"/>
<address addr="192.0.2.99" addrtype="ipv4"/>
<hostnames>
</hostnames>
<ports>
<port protocol="tcp" portid="22"><state state="filtered" reason="no-response" reason_ttl="0"/></port>
</ports>
</host>
<runstats><finished time="1700000000" timestr="2023-11-14T22:13:20Z" elapsed="0.00" exit="success"/><hosts up="2" down="1" total="3"/>
</runstats>
</nmaprun>
"#
        .replace("VERSION", env!("CARGO_PKG_VERSION")),
    );
}

/// By nmap's own rules, where nmap and libxml2's checker are installed.
#[test]
fn nmap_dtd_holds_what_we_write_valid() {
    let rules = Path::new("/usr/share/nmap/nmap.dtd");
    if !rules.exists() {
        eprintln!("skipped: nmap_dtd_holds_what_we_write_valid (nmap is not installed)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in [("survey.xml", survey()), ("empty.xml", Vec::new())] {
        let file = folder.path().join(name);
        std::fs::write(&file, write(Format::NmapXml, &rows, "*")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test is about this very program")]
        let checked = Command::new("xmllint").arg("--noout").arg("--dtdvalid").arg(rules).arg(&file).output();
        let Ok(checked) = checked else {
            eprintln!("skipped: nmap_dtd_holds_what_we_write_valid (xmllint is not installed)");
            return;
        };
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn credential_checks_are_never_written() {
    for format in Format::ALL {
        assert!(!write(*format, &survey(), "*").contains("credential"), "{format}");
    }
}
