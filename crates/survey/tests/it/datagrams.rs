//! Probes over UDP against Debian's daemons, in a network namespace that the test makes itself. What
//! is not installed is skipped by name.

#![expect(clippy::disallowed_methods, reason = "daemons and namespaces are made by programs")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kenshin_observation::protocol::Records;
use kenshin_observation::{Check, Endpoint, Outcome, Transport};
use kenshin_survey::probe::datagram::{Channel, Datagrams, probe};
use kenshin_survey::probe::{Connect, ConnectError, Introduction, Limits, ProbeResult, ProbeSettings};
use kenshin_wire::dns::Name;
use tokio::net::{TcpStream, UdpSocket};

/// Address of the one host in the namespace.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Runs `test` on a thread of its own in a namespace of its own, which is gone when the thread is.
fn in_namespace<T: Future<Output = ()>>(name: &'static str, test: impl FnOnce() -> T + Send + 'static) {
    let done = std::thread::spawn(move || {
        // SAFETY: it takes no pointers, and this thread alone is moved to the new namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 || !ip(&["link", "set", "lo", "up"]) {
            skipped(name, "needs root and `ip`");
            return;
        }
        // Daemons want an interface that is not loopback; what is sent to its address stays here.
        assert!(ip(&["link", "add", "kenshin0", "type", "veth", "peer", "name", "kenshin1"]));
        assert!(ip(&["addr", "add", &format!("{HOST}/24"), "dev", "kenshin0"]));
        assert!(ip(&["link", "set", "kenshin0", "up"]) && ip(&["link", "set", "kenshin1", "up"]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Says by name what cannot be tested here, and counts it under `target/skipped`.
fn skipped(name: &str, why: &str) {
    eprintln!("SKIPPED {name}: {why}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped");
    let _ = std::fs::create_dir_all(&list);
    let _ = std::fs::write(list.join(format!("probe-of-{name}")), "");
}

/// A daemon, killed with all it started when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, arguments: &[&str], dir: &Path) -> Option<Self> {
        use std::os::unix::process::CommandExt;
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).env("SNMP_PERSISTENT_DIR", dir);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                skipped(program, &error.to_string());
                None
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).expect("process ids are small");
        // SAFETY: it takes no pointers; the group is the child's own, which was not waited for yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

/// Sockets without a gate: everything stays in the namespace.
#[derive(Default)]
struct Local {
    exchanges: AtomicU64,
}

impl Datagrams for Local {
    async fn open(&self, endpoint: Endpoint, _: Check) -> Result<Channel, ConnectError> {
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst);
        let socket = UdpSocket::bind("0.0.0.0:0").await.map_err(ConnectError::Failed)?;
        socket.connect((endpoint.addr, endpoint.port)).await.map_err(ConnectError::Failed)?;
        Ok(Channel::new(socket, 0x5eed_0000_1234_0000 + number, 8))
    }
}

impl Connect for Local {
    async fn connect(&self, endpoint: Endpoint, _: Check) -> Result<TcpStream, ConnectError> {
        TcpStream::connect((endpoint.addr, endpoint.port)).await.map_err(ConnectError::Failed)
    }
}

fn settings() -> ProbeSettings {
    ProbeSettings {
        limits: Limits::LOCAL,
        introduction: Introduction {
            user_agent: "Kenshin/0.1 (+mailto:kenshin@example.jp)".to_owned(),
            contact: "kenshin@example.jp".to_owned(),
            name: "kenshin.example.jp".to_owned(),
        },
        granted: [Check::Handshake, Check::AnonymousLogin, Check::Reflector].into(),
        listen_only: false,
        blob_bytes_max: 512,
        orders: std::sync::Arc::default(),
        recursion_zone: Name::from_text("probe.example"),
    }
}

/// What the probe learns at the port, asked until there are so many results and the last of them is
/// as it should be: daemons take a while to begin, and answer one check before they answer the next.
async fn learned(port: u16, results: usize, ready: impl Fn(&Records) -> bool) -> Vec<ProbeResult> {
    let local = Local::default();
    let endpoint = Endpoint::new(IpAddr::V4(HOST), port, Transport::Udp);
    let began = Instant::now();
    loop {
        let found = probe(endpoint, &local, &local, &settings()).await;
        let answered = |result: &ProbeResult| {
            result.outcome == Outcome::Answered && result.records != Records::default()
        };
        if found.len() == results && found.iter().all(answered) && ready(&found[results - 1].records) {
            let ours = found[0].vantage.map(|vantage| vantage.ip());
            assert_eq!(ours, Some(IpAddr::V4(HOST)));
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{found:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn snmpd() {
    in_namespace("snmpd", async || {
        let dir = tempfile::tempdir().unwrap();
        let text = "agentaddress udp:161\nrocommunity public\nsysDescr A gateway\nsysName gateway.example\n";
        let path = write(dir.path(), "snmpd.conf", text);
        let Some(_daemon) = Daemon::start("snmpd", &["-f", "-C", "-c", &path, "-Lo"], dir.path()) else {
            return;
        };
        let found =
            learned(161, 2, |records| records.snmp.as_ref().is_some_and(|snmp| snmp.sys_descr.is_some()))
                .await;
        let engine = found[0].records.snmp.as_ref().unwrap();
        assert_eq!((engine.version.as_str(), engine.engine_enterprise), ("3", Some(8072)));
        let agent = found[1].records.snmp.as_ref().unwrap();
        assert_eq!((agent.version.as_str(), agent.community_accepted), ("2c", Some(true)));
        assert_eq!(
            (agent.sys_descr.as_deref(), agent.sys_name.as_deref()),
            (Some("A gateway"), Some("gateway.example"))
        );
    });
}

#[test]
fn a_resolver_open_to_all() {
    in_namespace("a_resolver_open_to_all", async || {
        let dir = tempfile::tempdir().unwrap();
        let ours =
            ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="];
        let zone = ["--port=5300", "--address=/probe.example/192.0.2.53"];
        let Some(_zone) = Daemon::start("dnsmasq", &[&ours[..], &zone].concat(), dir.path()) else { return };
        let at = dir.path().display();
        let text = format!(
            "options {{ directory \"{at}\"; listen-on {{ {HOST}; }}; listen-on-v6 {{ none; }}; recursion yes;\n\
             allow-recursion {{ any; }}; forward only; forwarders {{ 127.0.0.1 port 5300; }}; dnssec-validation no;\n\
             pid-file none; session-keyfile \"{at}/key\"; }};\ncontrols {{ }};\n"
        );
        let path = write(dir.path(), "named.conf", &text);
        let Some(_daemon) = Daemon::start("named", &["-g", "-c", &path], dir.path()) else { return };
        let found = learned(53, 2, |records| {
            records.dns.as_ref().is_some_and(|dns| dns.recursion_open == Some(true))
        })
        .await;
        assert_eq!(found[0].protocol.as_deref(), Some("dns"));
        let dns = found[1].records.dns.as_ref().unwrap();
        assert!(dns.version_bind.as_deref().is_some_and(|version| version.starts_with("9.")), "{dns:?}");
        assert_eq!((dns.recursion_open, dns.authoritative, dns.rcode), (Some(true), Some(false), Some(0)));
        assert!(found[1].records.reflector.as_ref().is_some_and(|measured| measured.factor_milli > 1000));
    });
}

#[test]
fn ntpd() {
    in_namespace("ntpd", async || {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "ntp.conf", &format!("restrict default\nrestrict {HOST} nomodify\n"));
        let Some(_daemon) = Daemon::start("ntpd", &["-n", "-g", "-c", &path], dir.path()) else { return };
        let found =
            learned(123, 2, |records| records.ntp.as_ref().is_some_and(|ntp| ntp.control_version.is_some()))
                .await;
        assert_eq!(found[0].records.ntp.as_ref().unwrap().reference_id.as_deref(), Some("INIT"));
        let ntp = found[1].records.ntp.as_ref().unwrap();
        assert!(ntp.control_version.as_deref().is_some_and(|version| version.contains("ntp")), "{ntp:?}");
        // NTPsec has no mode 7.
        assert_eq!(ntp.private_answers, Some(false));
        assert!(found[1].records.reflector.as_ref().is_some_and(|measured| measured.factor_milli > 20_000));
    });
}

#[test]
fn coap_server() {
    in_namespace("coap_server", async || {
        let dir = tempfile::tempdir().unwrap();
        let host = HOST.to_string();
        let Some(_daemon) = Daemon::start("coap-server-notls", &["-A", &host], dir.path()) else { return };
        let found = learned(5683, 1, |records| records.coap.is_some()).await;
        let coap = found[0].records.coap.as_ref().unwrap();
        assert_eq!(coap.code, "2.05");
        assert!(coap.resources.iter().any(|path| path == "/time"), "{coap:?}");
    });
}

#[test]
fn kamailio() {
    in_namespace("kamailio", async || {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "#!KAMAILIO\nlisten=udp:{HOST}:5060\nlog_stderror=yes\nchildren=1\nauto_aliases=no\ndns=no\nrev_dns=no\n\
             use_dns_cache=no\nloadmodule \"sl.so\"\nrequest_route {{ sl_send_reply(\"200\", \"OK\"); }}\n"
        );
        let path = write(dir.path(), "kamailio.cfg", &text);
        let at = dir.path().to_str().unwrap();
        let arguments = ["-DD", "-E", "-f", &path, "-Y", at, "-m", "32", "-M", "8"];
        let Some(_daemon) = Daemon::start("kamailio", &arguments, dir.path()) else { return };
        let found = learned(5060, 1, |records| records.sip.is_some()).await;
        let sip = found[0].records.sip.as_ref().unwrap();
        assert_eq!(sip.status, 200);
        assert!(sip.server.as_deref().is_some_and(|server| server.starts_with("kamailio")), "{sip:?}");
    });
}

#[test]
fn miniupnpd_and_its_description() {
    in_namespace("miniupnpd_and_its_description", async || {
        let dir = tempfile::tempdir().unwrap();
        let text = "ext_ifname=kenshin1\nlistening_ip=kenshin0\nenable_natpmp=no\nenable_upnp=yes\n\
                    uuid=3f36fb36-0000-4000-8000-000000000001\nfriendly_name=Hall router\nmodel_name=EX-1200\n";
        let path = write(dir.path(), "miniupnpd.conf", text);
        let pid = dir.path().join("pid").display().to_string();
        let arguments = ["-d", "-f", &path, "-P", &pid];
        let Some(_daemon) = Daemon::start("miniupnpd", &arguments, dir.path()) else { return };
        let found = learned(1900, 2, |records| records.ssdp.is_some()).await;
        let ssdp = found[0].records.ssdp.as_ref().unwrap();
        assert!(ssdp.server.as_deref().is_some_and(|server| server.contains("MiniUPnPd")), "{ssdp:?}");
        // The description was fetched from the port that the answer named.
        let upnp = found[0].records.upnp.as_ref().unwrap();
        assert_eq!(
            (upnp.friendly_name.as_deref(), upnp.model_name.as_deref()),
            (Some("Hall router"), Some("EX-1200"))
        );
        let measured = found[1].records.reflector.as_ref().unwrap();
        assert!(measured.answer_packets > 5 && measured.factor_milli > 10_000, "{measured:?}");
    });
}

#[test]
fn wsdd2() {
    in_namespace("wsdd2", async || {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["-4", "-w", "-N", "NAS01", "-G", "OFFICE", "-H", "nas01"];
        let Some(_daemon) = Daemon::start("wsdd2", &arguments, dir.path()) else { return };
        let found = learned(3702, 1, |records| records.wsd.is_some()).await;
        let wsd = found[0].records.wsd.as_ref().unwrap();
        assert_eq!(wsd.types, ["wsdp:Device", "pub:Computer"]);
        assert!(wsd.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("urn:uuid:")), "{wsd:?}");
    });
}

/// Everything else at the host is shut, and says so.
#[test]
fn a_shut_port() {
    in_namespace("a_shut_port", async || {
        let local = Local::default();
        let endpoint = Endpoint::new(IpAddr::V4(HOST), 4000, Transport::Udp);
        let found = probe(endpoint, &local, &local, &settings()).await;
        assert_eq!(found[0].outcome, Outcome::Refused);
        assert_eq!(local.exchanges.load(Ordering::SeqCst), 1);
    });
}
