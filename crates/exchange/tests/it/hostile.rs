//! Files that were damaged, or made to harm: what is wrong is said with its place, the rest is read,
//! and nothing costs more than its limit.

use kenshin_exchange::Format;
use kenshin_observation::Outcome;

use crate::world::{read, show, shown};

fn check(format: Format, text: &str, rows: &[&str], problems: &[&str]) {
    let read = read(format, "f", text.as_bytes());
    assert_eq!(shown(&read.rows), rows, "{format}");
    assert_eq!(read.problems, problems, "{format}");
}

#[test]
fn zmap() {
    check(
        Format::ZmapCsv,
        "saddr,sport,success\n192.0.2.1,80,1\nx,80,1\n192.0.2.2,99999,1\n\n192.0.2.3,80\n192.0.2.4,\"8\"\"0,1\n192.0.2.5,80,0\n,80,1\n192.0.2.6,80,1\n",
        &["192.0.2.1:80/tcp answered -", "192.0.2.5:80/tcp error -", "192.0.2.6:80/tcp answered -"],
        &[
            "f:3:1: saddr `x` is not an address",
            "f:4:11: sport `99999` is not a number from 0 to 65535",
            "f:6:1: 2 values where there are 3 columns",
            "f:7:11: a quotation mark stands in the middle of a value",
            "f:9:1: there is no `saddr`",
        ],
    );
    check(
        Format::ZmapJson,
        "{\"saddr\": \"192.0.2.1\", \"sport\": 80}\n{\"saddr\": [1], \"sport\": 80}\n{\"sport\": 80}\nx\n{\"saddr\": \"192.0.2.2\", \"sport\": 0}\n[]{}{\"saddr\":\"2001:db8::1\",\"sport\":80",
        &["192.0.2.1:80/tcp answered -"],
        &[
            "f:2:1: saddr `[1]` is not an address",
            "f:3:1: there is no `saddr`",
            "f:4:1: this is not a JSON object",
            "f:5:1: no port is stated for this response",
            "f:6:3: there is no `saddr`",
            "f:6:5: the object has no end",
        ],
    );
}

#[test]
fn masscan() {
    check(
        Format::MasscanList,
        "#masscan\nopen tcp 80 192.0.2.1 1\nopen tcp 80\nfiltered tcp 80 192.0.2.2 1\nopen sctp 80 192.0.2.2 1\nopen tcp 0 192.0.2.2 1\nbanner tcp 80 192.0.2.1 1\nbanner tcp 80 192.0.2.1 1 http\nopen icmp 0 2001:db8::1 x\n# end\n",
        &["192.0.2.1:80/tcp answered -", "192.0.2.1:80/tcp answered http", "[2001:db8::1]:0/icmp answered -"],
        &[
            "f:3:12: the line ends before its address",
            "f:4:1: `filtered` is not `open`, `closed` or `banner`",
            "f:5:11: `sctp` is not a transport that Kenshin knows",
            "f:6:10: there is no port from 1 to 65535",
            "f:7:26: the line ends before its service",
        ],
    );
    check(
        Format::MasscanJson,
        "[\n{\"ip\":\"192.0.2.1\",\"timestamp\":\"1\",\"ports\":[{\"port\":80,\"proto\":\"tcp\",\"status\":\"open\"},{\"port\":81,\"proto\":\"tcp\",\"status\":\"odd\"}]},\n{\"ip\":\"x\",\"ports\":[]},\n{\"ip\":\"192.0.2.1\"},\n{\"ip\":\"192.0.2.1\",\"ports\":[{\"port\":70000,\"proto\":\"tcp\"}]}\n{finished: 1}\n]\n{stray: 1}",
        &["192.0.2.1:80/tcp answered -", "192.0.2.1:81/tcp error -"],
        &[
            "f:3:1: ip `x` is not an address",
            "f:4:1: there are no `ports`",
            "f:5:1: there is no port from 1 to 65535",
            "f:8:2: not JSON: key must be a string",
        ],
    );
}

#[test]
fn zgrab2() {
    check(
        Format::Zgrab2,
        concat!(
            "{\"ip\":\"192.0.2.1\",\"data\":{\"ssh\":{\"status\":\"success\",\"protocol\":\"ssh\",\"result\":{}},\"odd\":{\"status\":\"success\"}}}\n",
            "{\"ip\":\"192.0.2.1\",\"data\":{\"odd\":{\"status\":\"success\",\"port\":1,\"result\":null}}}\n",
            "{\"ip\":\"192.0.2.1\",\"data\":[]}\n",
            "{\"ip\":\"\",\"domain\":\"nobody.example\",\"data\":{}}\n",
            "{\"domain\":\"target\",\"data\":{\"http\":{\"status\":\"success\",\"result\":{\"response\":{\"status_code\":99999999999,\"headers\":{\"server\":{}},\"request\":{\"url\":{\"host\":\"[::1]:8080\"}}}}}}}\n",
            "{\"data\":{}}\n",
            "{\"ip\":\"192.0.2.2\",\"data\":{\"ssh\":\n",
            "{\"ip\":\"2001:db8::2\",\"data\":{\"mine\":{\"status\":\"connection-refused\",\"protocol\":\"telnet\",\"port\":2323,\"error\":\"dial tcp: refused\"}}}\n",
        ),
        &[
            "192.0.2.1:1/tcp answered odd",
            "192.0.2.1:22/tcp answered ssh",
            "198.51.100.7:8080/tcp answered http",
            "[2001:db8::2]:2323/tcp refused -",
        ],
        &[
            "f:1:1: module `odd` has no usual port, and none is stated",
            "f:3:1: there is no `data`",
            "f:4:1: only a name is stated, `nobody.example`",
            "f:6:1: neither `ip` nor `domain` is stated",
            "f:7:1: the object has no end",
        ],
    );
}

#[test]
fn zgrab2_says_how_a_grab_ended() {
    let of = |status: &str, rest: &str| {
        let line = format!("{{\"ip\":\"192.0.2.1\",\"data\":{{\"ftp\":{{\"status\":\"{status}\"{rest}}}}}}}");
        let row = read(Format::Zgrab2, "f", line.as_bytes()).rows.remove(0);
        (row.outcome, row.reason.unwrap_or_default(), row.protocol.is_some())
    };
    let result = ",\"result\":{\"banner\":\"220 x\"}";
    assert_eq!(of("success", result), (Outcome::Answered, String::new(), true));
    assert_eq!(of("connection-refused", ""), (Outcome::Refused, String::new(), false));
    assert_eq!(of("connection-timeout", ""), (Outcome::Dark, String::new(), false));
    assert_eq!(of("io-timeout", ""), (Outcome::Limited, "time".to_owned(), false));
    assert_eq!(of("io-timeout", result), (Outcome::Answered, "io-timeout".to_owned(), true));
    assert_eq!(of("protocol-error", ""), (Outcome::Limited, "protocol-error".to_owned(), false));
    assert_eq!(
        of("unknown-error", ",\"error\":\"filtered: icmp\""),
        (Outcome::Filtered, "icmp".to_owned(), false)
    );
    assert_eq!(
        of("unknown-error", ",\"error\":\"read: what\""),
        (Outcome::Error, "unknown-error".to_owned(), false)
    );
}

#[test]
fn nmap() {
    let host = |inside: &str| {
        format!(
            "<nmaprun scanner=\"nmap\" version=\"7\">\n<host><status state=\"up\" reason=\"syn-ack\"/>\n{inside}\n</host>\n<host><address addr=\"192.0.2.9\"/><ports><port protocol=\"tcp\" portid=\"9\"><state state=\"open\"/></port></ports></host></nmaprun>"
        )
    };
    let address = "<address addr=\"192.0.2.1\"/>";
    check(
        Format::NmapXml,
        &host(&format!(
            "{address}<ports><port protocol=\"tcp\" portid=\"x\"><state state=\"open\"/></port><port protocol=\"sctp\" portid=\"1\"/>\n<port protocol=\"tcp\" portid=\"2\" x=\"&bomb;\"><state state=\"open\"/></port><port protocol=\"tcp\" portid=\"3\"><state state=\"odd\"/></port>\n<extraports state=\"closed\"><extrareasons reason=\"reset\" ports=\"5,4\"/><extrareasons reason=\"reset\" ports=\"7-8\"/></extraports></ports>"
        )),
        &[
            "192.0.2.1:3/tcp error -",
            "192.0.2.1:7/tcp refused -",
            "192.0.2.1:8/tcp refused -",
            "192.0.2.9:9/tcp answered -",
        ],
        &[
            "f:3:35: `x` is not a port",
            "f:3:95: `sctp` is not a transport that Kenshin knows",
            "f:4:1: not well-formed XML: at 1..5: unrecognized entity `bomb`",
            "f:5:28: `4` is not a run of ports in ascending order",
        ],
    );
    check(
        Format::NmapXml,
        &host(
            "<address addr=\"nowhere\"/><ports><port protocol=\"tcp\" portid=\"1\"><state state=\"open\"/></port></ports>",
        ),
        &["192.0.2.9:9/tcp answered -"],
        &["f:3:1: `nowhere` is not an address"],
    );
    // Cut off: what stood before is used.
    let text =
        host(&format!("{address}<ports><port protocol=\"tcp\" portid=\"1\"><state state=\"open\"/></port>"));
    let cut = &text[..text.find("</host>").unwrap()];
    check(Format::NmapXml, cut, &["192.0.2.1:1/tcp answered -"], &["f:4:1: the file ends inside an element"]);
    check(Format::NmapXml, "", &[], &["f:1:1: this is not nmap's XML: it does not begin with <nmaprun>"]);
    check(
        Format::NmapXml,
        "<html/>",
        &[],
        &["f:1:1: this is not nmap's XML: it does not begin with <nmaprun>"],
    );
}

#[test]
fn bombs_cost_their_limit() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE nmaprun [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><nmaprun args=\"&b;\"/>";
    check(Format::NmapXml, bomb, &[], &["f:1:22: the document type declares entities or elements"]);
    let deep = format!("<nmaprun>{}", "<table>".repeat(1_000_000));
    check(Format::NmapXml, &deep, &[], &["f:1:227: more than 32 elements inside each other"]);
    let long = format!("<nmaprun args=\"{}\"/>", "x".repeat(8 << 20));
    assert_eq!(read(Format::NmapXml, "f", long.as_bytes()).problems.len(), 1);
    let line = format!("saddr,sport\n{}\n192.0.2.1,80\n", "9".repeat(8 << 20));
    check(
        Format::ZmapCsv,
        &line,
        &["192.0.2.1:80/tcp answered -"],
        &["f:2:1: the line is longer than 262144 bytes"],
    );
    let columns = "a,".repeat(100_000);
    assert_eq!(read(Format::ZmapCsv, "f", columns.as_bytes()).rows.len(), 0);
    let object = format!(
        "{{\"ip\":\"{}\"}}\n{{\"ip\":\"192.0.2.1\",\"data\":{{\"ssh\":{{\"status\":\"success\"}}}}}}",
        "x".repeat(8 << 20)
    );
    check(
        Format::Zgrab2,
        &object,
        &["192.0.2.1:22/tcp answered ssh"],
        &["f:1:1: the object is longer than 4 MiB"],
    );
}

#[test]
fn secrets_stay_out() {
    let said = "token=hunter2&sid=hunter2";
    let files = [
        (
            Format::Zgrab2,
            format!(
                "{{\"ip\":\"192.0.2.1\",\"data\":{{\"http\":{{\"status\":\"success\",\"result\":{{\"response\":{{\"status_code\":302,\"headers\":{{\"location\":[\"/?{said}\"],\"set_cookie\":[\"sid=hunter2; path=/\"],\"server\":[\"x\"]}},\"body\":\"<title>password: hunter2</title>\"}}}}}}}}}}"
            ),
        ),
        (
            Format::MasscanJson,
            format!(
                "{{\"ip\":\"192.0.2.1\",\"ports\":[{{\"port\":80,\"proto\":\"tcp\",\"service\":{{\"name\":\"http\",\"banner\":\"HTTP/1.0 302 x\\u000d\\u000aSet-Cookie: sid=hunter2\\u000d\\u000aLocation: /?{said}\\u000d\\u000a\"}}}}]}}"
            ),
        ),
        (
            Format::NmapXml,
            format!(
                "<nmaprun><host><address addr=\"192.0.2.1\"/><ports><port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/><service name=\"http\" method=\"probed\"/><script id=\"banner\" output=\"HTTP/1.0 302 x\\x0aSet-Cookie: sid=hunter2\\x0aLocation: /?{}\"/></port></ports></host></nmaprun>",
                said.replace('&', "&amp;")
            ),
        ),
    ];
    for (format, text) in files {
        let read = read(format, "f", text.as_bytes());
        let row = read
            .rows
            .iter()
            .find(|row| row.records.http.is_some())
            .unwrap_or_else(|| panic!("{format}: {read:?}"));
        let http = row.records.http.as_ref().unwrap();
        assert_eq!(
            (http.status, http.cookie_names.as_slice()),
            (302, ["sid".to_owned()].as_slice()),
            "{}",
            show(row)
        );
        assert!(http.location.is_some());
        let kept = serde_json::to_string(&read.rows).unwrap();
        assert!(!kept.contains("hunter2"), "{format}: {kept}");
    }
}
