//! Probes against real daemons on loopback, at ports that say nothing about them. A daemon that is not
//! installed is skipped by name.

#![expect(clippy::disallowed_methods, reason = "daemons are programs")]

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_survey::probe::{Connect, ConnectError, Introduction, Limits, ProbeResult, ProbeSettings, probe};
use tokio::net::TcpStream;

use crate::world::{addr, network, until};

/// Connects to whatever is asked for; the addresses are ours.
struct Direct;

impl Connect for Direct {
    async fn connect(&self, endpoint: Endpoint, _: Check) -> Result<TcpStream, ConnectError> {
        TcpStream::connect((endpoint.addr, endpoint.port)).await.map_err(ConnectError::Failed)
    }
}

/// A daemon that listens at `at`; ended when dropped.
struct Daemon {
    child: Child,
    at: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `program` with what `arguments` says for its folder and address, and waits until it listens;
/// `None`, said by name, where it is not installed.
async fn start(program: &str, arguments: impl Fn(&Path, SocketAddr) -> Vec<String>) -> Option<Daemon> {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = network();
    let at = SocketAddr::new(addr(base, 1), 4100);
    let mut command = Command::new(program);
    command.args(arguments(dir.path(), at)).current_dir(dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        eprintln!("SKIPPED: `{program}` is not installed");
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped");
        let _ = std::fs::create_dir_all(&list);
        let _ = std::fs::write(list.join(format!("probe-of-{program}")), "");
        return None;
    };
    let daemon = Daemon { child, at, _dir: dir };
    until(Duration::from_secs(20), &format!("{program} listens at {at}"), || {
        std::net::TcpStream::connect_timeout(&at, Duration::from_millis(200)).is_ok()
    })
    .await;
    Some(daemon)
}

/// Probes what listens at `at` with every grant but that of credentials.
async fn probed(at: SocketAddr) -> Vec<ProbeResult> {
    let checks = [Check::Banner, Check::Handshake, Check::AnonymousLogin, Check::IcsIdentity];
    let settings = ProbeSettings {
        limits: Limits::LOCAL,
        introduction: Introduction {
            user_agent: "Kenshin/0.1 (+mailto:kenshin@example.jp)".to_owned(),
            contact: "kenshin@example.jp".to_owned(),
            name: "kenshin.example.jp".to_owned(),
        },
        granted: BTreeSet::from(checks),
        listen_only: false,
        blob_bytes_max: 512,
        orders: Arc::default(),
        recursion_zone: None,
    };
    let results = probe(Endpoint::tcp(at.ip(), at.port()), None, &Direct, &settings).await;
    assert!(results.iter().all(|result| result.connections <= settings.limits.connections_max));
    results
}

/// The result of `check`, which speaks `protocol`.
fn found<'a>(results: &'a [ProbeResult], check: Check, protocol: &str) -> &'a ProbeResult {
    let result = results.iter().find(|result| result.check == check);
    let result = result.unwrap_or_else(|| panic!("no row of {check}: {results:?}"));
    let answered = (result.outcome, result.protocol.as_deref());
    assert_eq!(answered, (Outcome::Answered, Some(protocol)), "{results:?}");
    result
}

fn words(text: String) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn redis(password: &str) -> impl Fn(&Path, SocketAddr) -> Vec<String> {
    move |_, at| {
        let mut arguments =
            words(format!("--bind {} --port {} --protected-mode no --daemonize no", at.ip(), at.port()));
        arguments.extend(["--save".to_owned(), String::new()]);
        arguments.extend(words(password.to_owned()));
        arguments
    }
}

#[tokio::test]
async fn redis_open_and_with_a_password() {
    let Some(daemon) = start("redis-server", redis("")).await else { return };
    let results = probed(daemon.at).await;
    let record = found(&results, Check::AnonymousLogin, "redis").records.redis.as_ref().unwrap();
    assert_eq!(record.authentication_required, Some(false));
    assert_eq!(record.mode.as_deref(), Some("standalone"));
    assert!(record.version.as_ref().is_some_and(|version| version.contains('.')), "{record:?}");
    found(&results, Check::Handshake, "redis");

    let Some(daemon) = start("redis-server", redis("--requirepass invented-for-the-test")).await else {
        return;
    };
    let results = probed(daemon.at).await;
    let record = found(&results, Check::AnonymousLogin, "redis").records.redis.as_ref().unwrap();
    assert_eq!((record.authentication_required, record.version.as_deref()), (Some(true), None));
}

#[tokio::test]
async fn memcached_at_its_port() {
    let (base, _) = network();
    let at = SocketAddr::new(addr(base, 1), 11_211);
    let listen = move |_: &Path, ours: SocketAddr| {
        // One listener where memcached is usual, one where `start` waits for it.
        words(format!("-u nobody -U 0 -l {}:{},{}:{}", at.ip(), at.port(), ours.ip(), ours.port()))
    };
    let Some(_daemon) = start("memcached", listen).await else { return };
    let results = probed(at).await;
    let record = found(&results, Check::AnonymousLogin, "memcached").records.memcached.as_ref().unwrap();
    assert!(record.version.as_ref().is_some_and(|version| version.starts_with("1.")), "{record:?}");
}

#[tokio::test]
async fn vnc_with_and_without_a_password() {
    for (types, offered, required) in [("None", "none", false), ("VncAuth", "vnc", true)] {
        let listen = |dir: &Path, at: SocketAddr| {
            let password = dir.join("password");
            std::fs::write(&password, [0x5a; 8]).unwrap();
            let display = std::process::id() % 20_000 + 100 + u32::from(required);
            words(format!(
                ":{display} -rfbport {} -interface {} -SecurityTypes {types} -PasswordFile {} -nolisten tcp",
                at.port(),
                at.ip(),
                password.display()
            ))
        };
        let Some(daemon) = start("Xtigervnc", listen).await else { return };
        let results = probed(daemon.at).await;
        let vnc = found(&results, Check::Handshake, "vnc").records.vnc.as_ref().unwrap();
        assert_eq!(
            (vnc.version.as_str(), vnc.security_types.as_slice()),
            ("003.008", &[offered.to_owned()][..])
        );
        assert_eq!(vnc.authentication_required, Some(required));
    }
}

#[tokio::test]
async fn a_share_where_shares_are() {
    let (base, _) = network();
    let share: IpAddr = addr(base, 1);
    let configure = move |dir: &Path, at: SocketAddr| {
        let folder = dir.display();
        let configuration = format!(
            "[global]\nserver min protocol = NT1\nsmb ports = 445 {}\ninterfaces = {share}/24 {}/24\nbind interfaces only = yes\n\
             private dir = {folder}\nlock directory = {folder}\nstate directory = {folder}\ncache directory = {folder}\n\
             pid directory = {folder}\nncalrpc dir = {folder}/rpc\nlog file = {folder}/log\ndisable netbios = yes\n",
            at.port(),
            at.ip()
        );
        let path = dir.join("smb.conf");
        std::fs::write(&path, configuration).unwrap();
        words(format!("--foreground --no-process-group --configfile={}", path.display()))
    };
    let Some(_daemon) = start("smbd", configure).await else { return };
    let results = probed(SocketAddr::new(share, 445)).await;
    let smb = found(&results, Check::Handshake, "smb").records.smb.as_ref().unwrap();
    assert_eq!((smb.dialect.as_deref(), smb.smb1), (Some("3.1.1"), Some(true)));
    assert_eq!(smb.signing_required, Some(false));
}

#[tokio::test]
async fn a_remote_desktop_where_nobody_expects_one() {
    let configure = |dir: &Path, at: SocketAddr| {
        let path = dir.join("xrdp.ini");
        let configuration = format!(
            "[Globals]\nini_version=1\nfork=true\nport=tcp://{at}\nsecurity_layer=negotiate\ncrypt_level=high\nssl_protocols=TLSv1.2\n\
             [Logging]\nLogFile={}/log\nLogLevel=ERROR\nEnableSyslog=false\n",
            dir.display()
        );
        std::fs::write(&path, configuration).unwrap();
        words(format!("--nodaemon --config {}", path.display()))
    };
    let Some(daemon) = start("xrdp", configure).await else { return };
    let results = probed(daemon.at).await;
    let rdp = found(&results, Check::Handshake, "rdp").records.rdp.as_ref().unwrap();
    assert!(rdp.selected_protocol.is_some() && rdp.failure.is_none(), "{rdp:?}");
}
