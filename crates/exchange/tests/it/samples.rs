//! Files that ZMap 2.1, masscan 1.3 and nmap 7.93 wrote of hosts of our own, in network namespaces.

use kenshin_exchange::origin::METHOD_VERSION;
use kenshin_exchange::{Format, Origin, Tool};
use kenshin_observation::{Check, Outcome, TimeUs, Transport};

use crate::world::{Read, read, read_with, sample, shown, terms};

fn of(format: Format, name: &str) -> Read {
    let read = read(format, name, &sample(name));
    assert_eq!(read.problems, Vec::<String>::new(), "{name}");
    read
}

#[test]
fn zmap_states_who_answered_and_when() {
    let read = of(Format::ZmapCsv, "zmap-tcp.csv");
    assert_eq!(
        shown(&read.rows),
        ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"]
            .map(|addr| format!("{addr}:80/tcp answered -"))
    );
    let first = &read.rows[0];
    assert_eq!(first.subject.to_string(), "192.0.2.13:80/tcp");
    assert_eq!(first.time, TimeUs::from_micros(1_795_660_335_864_247));
    assert_eq!(first.vantage.to_string(), "192.0.2.1:54282/tcp");
    assert_eq!((first.check, first.clock_error_us, first.attempt), (Check::Sweep, None, 1));
    let json = of(Format::ZmapJson, "zmap-tcp.json");
    assert_eq!(shown(&json.rows), shown(&read.rows));
    assert_eq!(json.rows[0].time, TimeUs::from_micros(1_795_660_340_361_702));
}

#[test]
fn zmap_states_refusals() {
    for (format, name) in [(Format::ZmapCsv, "zmap-closed.csv"), (Format::ZmapJson, "zmap-closed.json")] {
        let read = of(format, name);
        assert_eq!(
            shown(&read.rows),
            ["192.0.2.10", "192.0.2.12", "192.0.2.13"].map(|addr| format!("{addr}:81/tcp refused -"))
        );
        assert!(read.rows.iter().all(|row| row.time.to_string().starts_with("2026-11-26T02:32:")), "{name}");
    }
    let echo = of(Format::ZmapCsv, "zmap-echo.csv");
    assert_eq!(echo.rows.len(), 4);
    assert!(echo.rows.iter().all(|row| row.subject.transport == Transport::Icmp && row.subject.port == 0));
}

#[test]
fn a_port_that_zmap_does_not_state_is_asked_for() {
    for (name, count) in [("zmap-default.csv", 4), ("zmap-udp.csv", 4)] {
        let without = read(Format::ZmapCsv, name, &sample(name));
        assert_eq!((without.rows.len(), without.problems.len()), (0, count), "{name}");
        assert!(without.problems[0].contains("no port is stated"), "{}", without.problems[0]);
    }
    let with = |name: &str, port| {
        read_with(
            Format::ZmapCsv,
            name,
            &sample(name),
            kenshin_exchange::Terms { port: Some(port), ..terms() },
        )
    };
    let default = with("zmap-default.csv", (80, Transport::Tcp));
    assert_eq!(shown(&default.rows)[0], "192.0.2.10:80/tcp answered -");
    assert_eq!(default.rows[0].time, terms().time, "the caller's time stands for that of the file");
    let udp = with("zmap-udp.csv", (53, Transport::Udp));
    assert_eq!(shown(&udp.rows)[0], "192.0.2.10:53/udp refused -", "the host itself says so");
}

#[test]
fn masscan_states_ports_and_banners() {
    let ports = of(Format::MasscanJson, "masscan-ports.json");
    assert_eq!(ports.rows.len(), 5);
    assert!(shown(&ports.rows).contains(&"192.0.2.10:81/tcp refused -".to_owned()));
    let list = of(Format::MasscanList, "masscan-ports.list");
    assert_eq!(
        shown(&list.rows),
        ["192.0.2.10:22/tcp answered -", "192.0.2.10:80/tcp answered -", "192.0.2.10:81/tcp refused -"]
    );
    assert_eq!(list.rows[0].time, TimeUs::from_secs(1_795_660_309));
    for (format, name) in
        [(Format::MasscanJson, "masscan-banners.json"), (Format::MasscanList, "masscan-banners.list")]
    {
        let read = of(format, name);
        let spoken = |port: u16| {
            let mut rows =
                read.rows.iter().filter(move |row| row.subject.port == port && row.check == Check::Handshake);
            move || rows.next()
        };
        let ssh = spoken(22)().unwrap_or_else(|| panic!("{name} has a banner of SSH"));
        assert_eq!(ssh.records.ssh.as_ref().unwrap().banner, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
        let ftp = spoken(21)().unwrap();
        assert_eq!(ftp.records.ftp.as_ref().unwrap().banner, "220 (vsFTPd 3.0.3)");
        let telnet = spoken(23)().unwrap();
        let unknown = telnet.records.unknown.as_ref().unwrap();
        assert!(
            unknown.first_bytes.starts_with("fffd18fffb01"),
            "bytes, not characters: {}",
            unknown.first_bytes
        );
        let mut http = spoken(80);
        let rows: Vec<_> = std::iter::from_fn(&mut http).collect();
        let said = |find: fn(&kenshin_observation::protocol::Http) -> Option<String>| {
            rows.iter().find_map(|row| find(row.records.http.as_ref().unwrap()))
        };
        assert_eq!(said(|http| http.server.clone()).as_deref(), Some("nginx/1.22.1"));
        assert_eq!(said(|http| http.title.clone()).as_deref(), Some("Router &amp; \"login\" =1+1"));
        assert_eq!(said(|http| http.powered_by.clone()).as_deref(), Some("PHP/7.4.3"));
        assert!(rows.iter().any(|row| row.records.http.as_ref().unwrap().status == 200));
        assert!(spoken(443)().unwrap().records.tls.is_some());
    }
}

#[test]
fn masscan_writes_the_xml_of_nmap() {
    let read = of(Format::NmapXml, "masscan-ports.xml");
    assert_eq!(
        shown(&read.rows),
        ["192.0.2.10:22/tcp answered -", "192.0.2.10:80/tcp answered -", "192.0.2.10:81/tcp refused -"]
    );
    let origin = Origin::of(&read.rows[0]).unwrap();
    assert_eq!((origin.tool(), origin.version()), (Tool::Masscan, Some("1.0-BETA")));
}

#[test]
fn nmap_states_ports_and_what_its_scripts_saw() {
    let read = of(Format::NmapXml, "nmap-services.xml");
    assert_eq!(
        shown(&read.rows),
        [
            "192.0.2.10:21/tcp answered -",
            "192.0.2.10:21/tcp answered ftp",
            "192.0.2.10:22/tcp answered -",
            "192.0.2.10:22/tcp answered ssh",
            "192.0.2.10:23/tcp answered -",
            "192.0.2.10:23/tcp answered telnet",
            "192.0.2.10:25/tcp answered -",
            "192.0.2.10:25/tcp answered smtp",
            "192.0.2.10:443/tcp answered -",
            "192.0.2.10:443/tcp answered http",
            "192.0.2.10:7777/tcp answered -",
            "192.0.2.10:7777/tcp answered unknown",
            "192.0.2.10:80/tcp answered -",
            "192.0.2.10:80/tcp answered http",
            "192.0.2.10:81/tcp refused -",
            "192.0.2.10:82/tcp refused -",
        ]
    );
    let spoken = |port: u16| {
        read.rows.iter().find(|row| row.subject.port == port && row.check == Check::Handshake).unwrap()
    };
    assert_eq!(spoken(22).records.ssh.as_ref().unwrap().banner, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
    let telnet = spoken(23).records.telnet.as_ref().unwrap();
    assert!(telnet.login_prompt && telnet.text.ends_with("BusyBox v1.19 login:"), "{telnet:?}");
    let web = spoken(443);
    assert!(web.records.tls.is_some() && spoken(80).records.tls.is_none());
    assert_eq!(web.records.http.as_ref().unwrap().server.as_deref(), Some("nginx/1.22.1"));
    let origin = Origin::of(web).unwrap();
    assert_eq!((origin.tool(), origin.version()), (Tool::Nmap, Some("7.93")));
    assert_eq!(web.time, TimeUs::from_secs(1_795_660_414), "when the scan of the host ended");
}

#[test]
fn nmap_sums_ports_up_and_names_them() {
    let read = of(Format::NmapXml, "nmap-connect.xml");
    let count = |outcome| read.rows.iter().filter(|row| row.outcome == outcome).count();
    assert_eq!((count(Outcome::Answered), count(Outcome::Refused)), (6, 94));
    assert!(
        read.rows.iter().all(|row| row.check == Check::Sweep),
        "names looked up by number are no observation"
    );
    let filtered = of(Format::NmapXml, "nmap-filtered.xml");
    assert_eq!(
        shown(&filtered.rows),
        [
            "192.0.2.11:22/tcp refused -",
            "192.0.2.11:81/tcp silent-host-alive -",
            "192.0.2.11:82/tcp filtered -"
        ]
    );
    assert_eq!(filtered.rows[2].reason.as_deref(), Some("admin-prohibited"));
    assert_eq!(
        shown(&of(Format::NmapXml, "nmap-udp.xml").rows),
        ["192.0.2.11:161/udp refused -", "192.0.2.11:53/udp refused -"]
    );
    assert_eq!(
        shown(&of(Format::NmapXml, "nmap-ipv6.xml").rows),
        [
            "[2001:db8::10]:22/tcp answered -",
            "[2001:db8::10]:80/tcp answered -",
            "[2001:db8::10]:81/tcp refused -"
        ]
    );
    assert_eq!(
        shown(&of(Format::NmapXml, "nmap-ping.xml").rows),
        Vec::<String>::new(),
        "alive by ARP: no echo seen"
    );
}

#[test]
fn every_row_says_whose_it_is() {
    for (format, name) in [
        (Format::ZmapCsv, "zmap-tcp.csv"),
        (Format::MasscanJson, "masscan-banners.json"),
        (Format::NmapXml, "nmap-services.xml"),
    ] {
        let bytes = sample(name);
        let (one, two) = (read(format, name, &bytes), read(format, "elsewhere", &bytes));
        assert_eq!(one.rows, two.rows, "the same file gives the same rows");
        for row in &one.rows {
            let origin = Origin::of(row).unwrap();
            assert_eq!(origin.tool(), format.tool());
            assert_eq!(row.method_version, METHOD_VERSION);
            const { assert!(METHOD_VERSION < 0, "ours are positive") };
            assert!(row.sensor_id.to_string().starts_with("0000000000"));
            assert!(row.survey_id.to_string().starts_with("0000000000"));
        }
        let mut changed = bytes.clone();
        changed.push(b'\n');
        assert_ne!(read(format, name, &changed).rows[0].sensor_id, one.rows[0].sensor_id);
    }
}
