//! Lists of targets.

use kenshin_exchange::{Target, TargetFormat, Targets};

use crate::world::sample;

fn show(target: &Target) -> String {
    let port = target.port.map_or(String::new(), |(port, transport)| format!(" {port}/{transport}"));
    if target.first == target.last {
        format!("{}{port}", target.first)
    } else {
        format!("{}..{}{port}", target.first, target.last)
    }
}

fn read(format: TargetFormat, bytes: &[u8]) -> Vec<String> {
    let targets = Targets::new(format, "f", bytes);
    targets
        .map(|target| match target {
            Ok(target) => show(&target),
            Err(error) => error.to_string().replace("\nhint: ", "; "),
        })
        .collect()
}

#[test]
fn a_list_holds_one_or_more_targets_a_line() {
    let text = "\u{feff}# ours\n192.0.2.1, 192.0.2.4/30\t192.0.2.9-11 # and so on\r\n\n  [2001:db8::1]:443\n192.0.2.1:53/udp#dns\n; no\n// no\n192.0.2.8 - 192.0.2.9\n192.0.2.1/24";
    assert_eq!(
        read(TargetFormat::List, text.as_bytes()),
        [
            "192.0.2.1",
            "192.0.2.4..192.0.2.7",
            "192.0.2.9..192.0.2.11",
            "2001:db8::1 443/tcp",
            "192.0.2.1 53/udp",
            "192.0.2.8",
            "f:8:11: `` is not an address; write an address, a prefix (192.0.2.0/24), a range (192.0.2.1-192.0.2.9), or an address with a port (192.0.2.1:80, [2001:db8::1]:80)",
            "192.0.2.9",
            "f:9:1: `192.0.2.1/24` has host bits set; write 192.0.2.0/24, or 192.0.2.1 alone"
        ]
    );
}

#[test]
fn lists_of_other_tools() {
    let blocklist =
        "# From IANA\n0.0.0.0/8           # RFC1122: \"This\" network\n10.1.2.3/8 # RFC1918\n2001:db8::/32\n";
    assert_eq!(
        read(TargetFormat::ZmapList, blocklist.as_bytes()),
        [
            "0.0.0.0..0.255.255.255",
            "10.0.0.0..10.255.255.255",
            "2001:db8::..2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        ]
    );
    let list = sample("masscan-ports.list");
    assert_eq!(
        read(TargetFormat::Masscan, &list),
        ["192.0.2.10 22/tcp", "192.0.2.10 80/tcp"],
        "what is closed is none"
    );
    assert_eq!(
        read(TargetFormat::Masscan, b"10.0.0.1-10.0.0.9,192.0.2.1\n"),
        ["10.0.0.1..10.0.0.9", "192.0.2.1"]
    );
    assert_eq!(read(TargetFormat::ZmapCsv, &sample("zmap-closed.csv"))[0], "192.0.2.10 81/tcp");
    assert_eq!(read(TargetFormat::ZmapCsv, &sample("zmap-default.csv"))[0], "192.0.2.11");
    assert_eq!(
        read(TargetFormat::NmapXml, &sample("nmap-ipv6.xml")),
        ["2001:db8::10 22/tcp", "2001:db8::10 80/tcp"],
        "open ports alone"
    );
    assert_eq!(
        read(TargetFormat::NmapXml, &sample("nmap-ping.xml")),
        ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(
        read(TargetFormat::Masscan, b"open tcp 80 nowhere 1\nopen tcp 80\n"),
        [
            "f:1:13: `nowhere` is not an address; this line is passed over; give the file as masscan wrote it, with `-oL`",
            "f:2:12: the line ends before its address; this line is passed over; give the file as masscan wrote it, with `-oL`"
        ]
    );
    assert_eq!(
        read(TargetFormat::ZmapCsv, b"saddr,sport\n192.0.2.1,x\n192.0.2.2\n192.0.2.3,80\n\"192.0.2.4,1\n"),
        [
            "f:2:11: sport `x` is not a number from 0 to 65535; this response is passed over",
            "f:3:1: 1 values where there are 2 columns; the line was cut, or joined with another",
            "192.0.2.3 80/tcp",
            "f:5:1: a quotation mark stands in the middle of a value; give the file as ZMap wrote it"
        ]
    );
    assert_eq!(
        read(TargetFormat::ZmapCsv, b"ip,port\n192.0.2.1,80\n")[0],
        "f:1:1: there is no column `saddr`; the first line names the columns; run ZMap with `--output-fields saddr,sport,...`"
    );
    assert_eq!(
        read(TargetFormat::NmapXml, b"192.0.2.1\n")[0].split(':').take(3).collect::<Vec<_>>(),
        ["f", "2", "1"]
    );
}

#[test]
fn formats_are_told_by_their_beginning() {
    for (name, format) in [
        ("zmap-tcp.csv", TargetFormat::ZmapCsv),
        ("masscan-banners.list", TargetFormat::Masscan),
        ("nmap-ping.xml", TargetFormat::NmapXml),
        ("masscan-ports.xml", TargetFormat::NmapXml),
        ("zmap-default.csv", TargetFormat::List),
    ] {
        assert_eq!(TargetFormat::of(&sample(name)), format, "{name}");
    }
    assert_eq!(TargetFormat::of(b"# saddr\n10.0.0.0/8\n"), TargetFormat::List);
    assert_eq!(TargetFormat::of(b""), TargetFormat::List);
}
