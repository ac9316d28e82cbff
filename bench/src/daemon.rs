//! Real daemons on the far side, each at one port of every address there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use crate::{Cable, Side};
use inetd::Inetd;

mod inetd;

/// Longest until a daemon listens.
const START_MAX: Duration = Duration::from_secs(20);

/// What listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// OpenSSH's `sshd`.
    Openssh,
    /// Dropbear, one for every caller: by itself it takes five callers of one address.
    Dropbear,
    /// `telnetd` of GNU inetutils, one for every caller.
    Telnetd,
    /// nginx.
    Nginx,
    /// nginx behind TLS.
    NginxTls,
    /// lighttpd.
    Lighttpd,
    /// vsftpd.
    Vsftpd,
    /// aiosmtpd, a server of SMTP.
    Aiosmtpd,
    /// Mosquitto, a broker of MQTT.
    Mosquitto,
    /// Redis without a password.
    Redis,
    /// memcached.
    Memcached,
    /// xrdp.
    Xrdp,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Openssh,
        Self::Dropbear,
        Self::Telnetd,
        Self::Nginx,
        Self::NginxTls,
        Self::Lighttpd,
        Self::Vsftpd,
        Self::Aiosmtpd,
        Self::Mosquitto,
        Self::Redis,
        Self::Memcached,
        Self::Xrdp,
    ];

    /// Its protocol, as Kenshin calls it and as the name that nmap has for it begins.
    pub const fn protocol(self) -> (&'static str, &'static str) {
        match self {
            Self::Openssh | Self::Dropbear => ("ssh", "ssh"),
            Self::Telnetd => ("telnet", "telnet"),
            Self::Nginx | Self::NginxTls | Self::Lighttpd => ("http", "http"),
            Self::Vsftpd => ("ftp", "ftp"),
            Self::Aiosmtpd => ("smtp", "smtp"),
            // The version is a part of that name.
            Self::Mosquitto => ("mqtt", "mosquitto"),
            Self::Redis => ("redis", "redis"),
            Self::Memcached => ("memcached", "memcached"),
            Self::Xrdp => ("rdp", "ms-wbt-server"),
        }
    }

    /// What the name of its product has in it, in small letters.
    pub const fn product(self) -> &'static str {
        match self {
            Self::Openssh => "openssh",
            Self::Dropbear => "dropbear",
            Self::Telnetd => "telnetd",
            Self::Nginx | Self::NginxTls => "nginx",
            Self::Lighttpd => "lighttpd",
            Self::Vsftpd => "vsftpd",
            Self::Aiosmtpd => "aiosmtpd",
            Self::Mosquitto => "mosquitto",
            Self::Redis => "redis",
            Self::Memcached => "memcached",
            Self::Xrdp => "xrdp",
        }
    }

    /// Its program and arguments, to listen at `port`, with what it needs written to `dir`.
    fn words(self, dir: &Path, port: u16) -> Result<String> {
        let folder = dir.display();
        let write =
            |name: &str, text: &str| fs::write(dir.join(name), text).context("failed to configure a daemon");
        Ok(match self {
            Self::Openssh => {
                make(&format!("ssh-keygen -q -t ed25519 -f {folder}/key -N ''"))?;
                // Its limit for strangers is for one machine, not for a thousand behind one daemon.
                write(
                    "conf",
                    &format!("Port {port}\nHostKey {folder}/key\nPidFile none\nMaxStartups 5000\n"),
                )?;
                fs::create_dir_all("/run/sshd")?;
                format!("/usr/sbin/sshd -D -e -f {folder}/conf")
            }
            Self::Dropbear => {
                make(&format!("dropbearkey -t ed25519 -f {folder}/key"))?;
                format!("dropbear -i -r {folder}/key")
            }
            Self::Telnetd => "telnetd -h".to_owned(),
            Self::Nginx | Self::NginxTls => {
                let tls = self == Self::NginxTls;
                if tls {
                    certify(dir)?;
                }
                let (ssl, keys) = match tls {
                    true => {
                        (" ssl", format!("ssl_certificate {folder}/cert; ssl_certificate_key {folder}/key;"))
                    }
                    false => ("", String::new()),
                };
                write(
                    "index.html",
                    "<html><head><title>Welcome</title></head><body>A page.</body></html>\n",
                )?;
                write(
                    "conf",
                    &format!(
                        "daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null crit;\n\
                         events {{ worker_connections 16384; }} worker_rlimit_nofile 32768;\n\
                         http {{ access_log off; server {{ listen {port}{ssl}; listen [::]:{port}{ssl}; {keys}\n\
                         root {folder}; }} }}\n"
                    ),
                )?;
                format!("nginx -p {folder} -c {folder}/conf")
            }
            Self::Lighttpd => {
                write(
                    "index.html",
                    "<html><head><title>Welcome</title></head><body>A page.</body></html>\n",
                )?;
                write(
                    "conf",
                    &format!(
                        "server.document-root = \"{folder}\"\nserver.port = {port}\nserver.max-fds = 16384\n\
                         index-file.names = (\"index.html\")\n$SERVER[\"socket\"] == \"[::]:{port}\" {{ }}\n"
                    ),
                )?;
                format!("lighttpd -D -f {folder}/conf")
            }
            Self::Vsftpd => {
                write(
                    "conf",
                    &format!(
                        "listen=NO\nlisten_ipv6=YES\nlisten_port={port}\nbackground=NO\nanonymous_enable=NO\n\
                         local_enable=YES\nsecure_chroot_dir={folder}\nmax_clients=0\nmax_per_ip=0\n"
                    ),
                )?;
                format!("vsftpd {folder}/conf")
            }
            Self::Aiosmtpd => format!("/usr/bin/python3 -m aiosmtpd -n -l 0.0.0.0:{port}"),
            Self::Mosquitto => {
                write("conf", &format!("listener {port}\nallow_anonymous true\nlog_dest none\n"))?;
                format!("mosquitto -c {folder}/conf")
            }
            Self::Redis => {
                write(
                    "conf",
                    &format!("port {port}\nbind * -::*\nprotected-mode no\nsave \"\"\ndir {folder}\n"),
                )?;
                format!("redis-server {folder}/conf")
            }
            Self::Memcached => format!("memcached -u nobody -U 0 -c 8192 -p {port}"),
            // With TLS, as Debian's package sets it up.
            Self::Xrdp => {
                certify(dir)?;
                write(
                    "xrdp.ini",
                    &format!(
                        "[Globals]\nini_version=1\nfork=true\nport={port}\nsecurity_layer=negotiate\n\
                         crypt_level=high\nssl_protocols=TLSv1.2\ncertificate={folder}/cert\nkey_file={folder}/key\n\
                         [Logging]\nLogFile={folder}/log\nLogLevel=ERROR\nEnableSyslog=false\n"
                    ),
                )?;
                format!("xrdp --nodaemon --config {folder}/xrdp.ini")
            }
        })
    }
}

fn certify(dir: &Path) -> Result<()> {
    let folder = dir.display();
    make(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout {folder}/key -out {folder}/cert -days 30 -subj /CN=www.example.jp"
    ))
}

/// Makes a key.
#[expect(clippy::disallowed_methods, reason = "daemons come with their programs")]
fn make(words: &str) -> Result<()> {
    let words: Vec<&str> = words.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    match output.with_context(|| format!("failed to run `{}`", words[0]))? {
        output if output.status.success() => Ok(()),
        output => bail!("{}: {}", words[0], String::from_utf8_lossy(&output.stderr).trim()),
    }
}

/// What runs: the daemon itself, or what starts one for every caller.
#[derive(Debug)]
enum Running {
    Program(Child),
    #[expect(dead_code, reason = "it is kept to be dropped")]
    Inetd(Inetd),
}

/// One that listens; ended when dropped.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
    _dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts it at `port` of the far side and waits until it listens.
    pub fn start(cable: &Cable, kind: Kind, port: u16) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // Some give up privilege before they read.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let words = kind.words(dir.path(), port)?;
        let running = match kind {
            Kind::Dropbear | Kind::Telnetd => Running::Inetd(Inetd::start(cable, port, &words)?),
            _ => {
                let words: Vec<&str> = words.split(' ').collect();
                let mut command = cable.command(Side::Far, words[0]);
                Running::Program(command.args(&words[1..]).current_dir(dir.path()).spawn()?)
            }
        };
        let mut daemon = Self { running, _dir: dir };
        let began = Instant::now();
        while cable.inside(Side::Far, || Ok(std::net::TcpStream::connect(("127.0.0.1", port))?)).is_err() {
            let ended = match &mut daemon.running {
                Running::Program(child) => child.try_wait()?.is_some(),
                Running::Inetd(_) => false,
            };
            if ended || began.elapsed() > START_MAX {
                bail!("`{words}` does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Running::Program(child) = &mut self.running else { return };
        // Asked first: some have children to end.
        if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let began = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
