//! A house full of Debian's own daemons, configured as a careless and a careful owner would.

#![expect(clippy::disallowed_methods, reason = "daemons are programs")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::namespace::{Namespace, Process, until};

pub(crate) const SSH: u8 = 1;
pub(crate) const SSH_CLOSED: u8 = 2;
pub(crate) const DROPBEAR: u8 = 3;
pub(crate) const TELNET: u8 = 4;
pub(crate) const FTP_ANONYMOUS: u8 = 5;
pub(crate) const FTP: u8 = 6;
pub(crate) const HTTP_BASIC: u8 = 7;
pub(crate) const HTTP_DIGEST: u8 = 8;
pub(crate) const HTTPS_OLD: u8 = 9;
pub(crate) const NGINX: u8 = 10;
pub(crate) const NGINX_QUIET: u8 = 11;
pub(crate) const MQTT: u8 = 12;
pub(crate) const MQTT_CLOSED: u8 = 13;
pub(crate) const SMTP: u8 = 14;

/// Where every daemon listens.
pub(crate) const PORT: u16 = 4100;
/// The pair that opens what can be opened: the dictionary's second.
pub(crate) const USER: &str = "factory";
pub(crate) const PASSWORD: &str = "factory-2026";
/// crypt(3) of that password.
const CRYPT: &str =
    "$6$kenshintest$eRRiDJNAkiZWZ1KXaLpmKO0WCzeSk1S/KWK/3B19Pl/XSj0ACha2SsNBcqUjbKvRhD/qywSadbaMg3MMmE.LJ/";

/// Programs of the house; without one of them the test is skipped by name.
pub(crate) const PROGRAMS: [&str; 12] = [
    "sshd",
    "ssh-keygen",
    "dropbear",
    "dropbearkey",
    "inetutils-inetd",
    "telnetd",
    "vsftpd",
    "lighttpd",
    "nginx",
    "mosquitto",
    "exim4",
    "openssl",
];

pub(crate) fn addr(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 1, host)
}

/// Upstream's part of the version of a package: without epoch and Debian's revision.
pub(crate) fn upstream_version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    assert!(!version.is_empty(), "{package} is not installed");
    version.to_owned()
}

/// The daemons, and the folder in which they live.
pub(crate) struct House {
    folder: PathBuf,
    daemons: Vec<(u8, Process)>,
}

/// Which daemon lives at which host of a house, once its files are there.
pub(crate) type Daemons = fn(&House) -> Vec<(u8, Vec<String>)>;

/// Servers of every kind.
pub(crate) fn servers(house: &House) -> Vec<(u8, Vec<String>)> {
    vec![
        (SSH, house.sshd(SSH, "")),
        (SSH_CLOSED, house.sshd(SSH_CLOSED, "DenyUsers factory\n")),
        (DROPBEAR, house.dropbear()),
        (TELNET, house.telnetd(TELNET)),
        (FTP_ANONYMOUS, house.vsftpd(FTP_ANONYMOUS, "anonymous_enable=YES\nuserlist_enable=YES\n")),
        (FTP, house.vsftpd(FTP, "anonymous_enable=NO\n")),
        (HTTP_BASIC, house.lighttpd(HTTP_BASIC, &basic("factory:factory-2026\n", &house.folder))),
        (HTTP_DIGEST, house.lighttpd(HTTP_DIGEST, &digest(&house.folder))),
        (HTTPS_OLD, house.lighttpd(HTTPS_OLD, &house.old_tls())),
        (NGINX, house.nginx(NGINX, "")),
        (NGINX_QUIET, house.nginx(NGINX_QUIET, &house.tls())),
        (MQTT, house.mosquitto(MQTT, "allow_anonymous true\n")),
        (MQTT_CLOSED, house.mosquitto(MQTT_CLOSED, "allow_anonymous false\n")),
        (SMTP, house.exim()),
    ]
}

impl House {
    /// Starts every daemon and waits until all of them listen.
    pub(crate) fn open(namespace: &Namespace, folder: &Path, daemons: Daemons) -> Self {
        let folder = folder.join("house");
        std::fs::create_dir_all(folder.join("etc/pam.d")).unwrap();
        let mut house = Self { folder, daemons: Vec::new() };
        house.found();
        for (host, program) in daemons(&house) {
            let log = std::fs::File::create(house.path(&format!("said.{host}"))).unwrap();
            house.found_log(host);
            // Accounts, logs and run-time folders are the house's own: bound over the machine's inside
            // the mount namespace that `ip netns exec` makes.
            let binds = "mount -t tmpfs tmpfs /run && mkdir -p /run/sshd /run/vsftpd/empty /run/exim4 /run/faillock && \
                         for file in passwd shadow group; do mount --bind $0/etc/$file /etc/$file; done && \
                         if [ -e $0/etc/pam.d/login.$1 ]; then mount --bind $0/etc/pam.d/login.$1 /etc/pam.d/login; fi && \
                         mount --bind $0/log.$1 /var/log && shift && exec \"$@\"";
            let child = namespace
                .command("sh")
                .args(["-c", binds])
                .arg(&house.folder)
                .arg(host.to_string())
                .args(program)
                .current_dir(&house.folder)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            house.daemons.push((host, Process::of(child)));
        }
        until("every daemon to listen", || {
            let listening = namespace.run(&["ss", "-ltunH"]);
            let missing: Vec<usize> = (0..house.daemons.len())
                .filter(|index| !listening.contains(&format!(" {}:", addr(house.daemons[*index].0))))
                .collect();
            for index in &missing {
                let (host, daemon) = &mut house.daemons[*index];
                let (host, runs) = (*host, daemon.runs());
                assert!(runs, "daemon {host}: {}", house.said(host));
            }
            missing.is_empty().then_some(())
        });
        house
    }

    /// The folder of one daemon's logs. With these modes only `login` writes records of users; sshd keeps
    /// to its own log.
    fn found_log(&self, host: u8) {
        std::fs::create_dir_all(self.path(&format!("log.{host}"))).unwrap();
        for name in ["btmp", "wtmp", "lastlog", "faillog"] {
            self.write(&format!("log.{host}/{name}"), "");
        }
    }

    /// How many logins telnetd's `login` wrote down: one record of a user for each failure, and one for
    /// each success.
    pub(crate) fn logins(&self, host: u8) -> usize {
        ["btmp", "wtmp"]
            .iter()
            .map(|name| logins(&std::fs::read(self.path(&format!("log.{host}/{name}"))).unwrap_or_default()))
            .sum()
    }

    /// How many passwords the daemon's own log says were tried.
    pub(crate) fn attempts(&self, host: u8) -> usize {
        let count = |text: &str, words: &[&str]| {
            text.lines().filter(|line| words.iter().any(|word| line.contains(word))).count()
        };
        let log = |name: &str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        match host {
            SSH | SSH_CLOSED => count(&self.said(host), &["Failed password", "Accepted password"]),
            DROPBEAR => {
                count(&self.said(host), &["Login attempt for", "Bad password", "Password auth succeeded"])
            }
            TELNET => self.logins(host),
            FTP | FTP_ANONYMOUS => log(&format!("log.{host}/vsftpd.{host}"))
                .lines()
                .filter(|line| line.contains("] FAIL LOGIN") || line.contains("] OK LOGIN"))
                .filter(|line| !line.contains("[ftp]") && !line.contains("[anonymous]"))
                .count(),
            // The first request of a conversation has no user name.
            HTTP_BASIC | HTTP_DIGEST => log(&format!("access.{host}"))
                .lines()
                .filter(|line| line.split_whitespace().nth(1).is_some_and(|header| header != "-"))
                .count(),
            _ => panic!("host {host} takes no passwords"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a daemon said on its output.
    pub(crate) fn said(&self, host: u8) -> String {
        std::fs::read_to_string(self.path(&format!("said.{host}"))).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Accounts, keys and certificates.
    fn found(&self) {
        use std::os::unix::fs::PermissionsExt;
        // Where the daemons' own accounts can read.
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for folder in self.folder.ancestors().take(2) {
            open(folder, 0o755);
        }
        let etc = |name: &str| std::fs::read_to_string(Path::new("/etc").join(name)).unwrap();
        let home = self.folder.display();
        self.write("etc/passwd", &format!("{}factory:x:2999:2999::{home}:/bin/sh\n", etc("passwd")));
        self.write("etc/shadow", &format!("{}factory:{CRYPT}:20000:0:99999:7:::\n", etc("shadow")));
        self.write("etc/group", &format!("{}factory:x:2999:\n", etc("group")));
        open(&self.path("etc/shadow"), 0o640);
        // Exim gives its privileges up before it opens its log.
        std::fs::create_dir_all(self.path("exim")).unwrap();
        open(&self.path("exim"), 0o777);
        std::fs::create_dir_all(self.path("www")).unwrap();
        std::fs::create_dir_all(self.path("ftp")).unwrap();
        self.write("www/index.html", "<html><head><title>It works</title></head></html>\n");
        let made = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).current_dir(&self.folder).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        };
        for host in [SSH, SSH_CLOSED] {
            made("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &format!("ssh.{host}")]);
        }
        made("dropbearkey", &["-t", "ed25519", "-f", "dropbear.key"]);
        let certificate = |name: &str, key: &str, digest: &str, days: &str| {
            let words = "req -x509 -nodes -subj /CN=198.18.1.9 -newkey";
            let mut args: Vec<&str> = words.split(' ').collect();
            let (key_file, pem) = (format!("{name}.key"), format!("{name}.pem"));
            args.extend([key, digest, "-days", days, "-keyout", &key_file, "-out", &pem]);
            made("openssl", &args);
        };
        certificate("old", "rsa:1024", "-sha1", "30");
        certificate("new", "rsa:2048", "-sha256", "30");
        let both = ["old.key", "old.pem"].map(|name| std::fs::read_to_string(self.path(name)).unwrap());
        self.write("old.both", &both.concat());
    }

    fn sshd(&self, host: u8, more: &str) -> Vec<String> {
        let key = self.path(&format!("ssh.{host}"));
        let file = self.write(
            &format!("sshd.{host}"),
            &format!(
                "ListenAddress {}:{PORT}\nHostKey {}\nPidFile none\nUsePAM no\nPasswordAuthentication yes\n\
                 PermitRootLogin no\n{more}",
                addr(host),
                key.display()
            ),
        );
        words(&format!("/usr/sbin/sshd -D -e -f {file}"))
    }

    fn dropbear(&self) -> Vec<String> {
        let key = self.path("dropbear.key");
        words(&format!("dropbear -F -E -p {}:{PORT} -r {} -P none", addr(DROPBEAR), key.display()))
    }

    pub(crate) fn telnetd(&self, host: u8) -> Vec<String> {
        let line = format!("{}:{PORT} stream tcp nowait root /usr/sbin/telnetd telnetd\n", addr(host));
        words(&format!("inetutils-inetd -d {}", self.write(&format!("inetd.{host}"), &line)))
    }

    fn vsftpd(&self, host: u8, more: &str) -> Vec<String> {
        let users = self.write("ftp.denied", "factory\n");
        let file = self.write(
            &format!("vsftpd.{host}"),
            &format!(
                "listen=YES\nlisten_ipv6=NO\nlisten_address={}\nlisten_port={PORT}\nbackground=NO\nlocal_enable=YES\n\
                 secure_chroot_dir=/run/vsftpd/empty\npam_service_name=vsftpd\nxferlog_enable=YES\n\
                 vsftpd_log_file=/var/log/vsftpd.{host}\nanon_root={}\nuserlist_file={users}\nseccomp_sandbox=NO\n{more}",
                addr(host),
                self.path("ftp").display(),
            ),
        );
        vec!["vsftpd".to_owned(), file]
    }

    pub(crate) fn lighttpd(&self, host: u8, more: &str) -> Vec<String> {
        let (folder, at) = (self.folder.display(), addr(host));
        let file = self.write(
            &format!("lighttpd.{host}"),
            &format!(
                "server.modules = ( \"mod_accesslog\", \"mod_auth\", \"mod_authn_file\", \"mod_openssl\" )\n\
                 server.document-root = \"{folder}/www\"\nserver.bind = \"{at}\"\nserver.port = {PORT}\n\
                 index-file.names = ( \"index.html\" )\nmimetype.assign = ( \".html\" => \"text/html\" )\n\
                 accesslog.filename = \"{folder}/access.{host}\"\n\
                 accesslog.format = \"%s %{{Authorization}}i\"\n{more}"
            ),
        );
        words(&format!("lighttpd -D -f {file}"))
    }

    fn old_tls(&self) -> String {
        format!(
            "ssl.engine = \"enable\"\nssl.pemfile = \"{}\"\nssl.openssl.ssl-conf-cmd = ( \"MinProtocol\" => \"TLSv1\", \
             \"MaxProtocol\" => \"TLSv1\", \"CipherString\" => \"DEFAULT@SECLEVEL=0\" )\n",
            self.path("old.both").display()
        )
    }

    fn tls(&self) -> String {
        let folder = self.folder.display();
        format!("server_tokens off; ssl_certificate {folder}/new.pem; ssl_certificate_key {folder}/new.key;")
    }

    fn nginx(&self, host: u8, more: &str) -> Vec<String> {
        let (folder, at) = (self.folder.display(), addr(host));
        let ssl = if more.is_empty() { "" } else { " ssl" };
        let file = self.write(
            &format!("nginx.{host}"),
            &format!(
                "daemon off; pid {folder}/nginx.{host}.pid; error_log stderr; events {{}}\n\
                 http {{ access_log {folder}/access.{host}; types {{ text/html html; }} {more}\n\
                 server {{ listen {at}:{PORT}{ssl}; root {folder}/www; }} }}\n"
            ),
        );
        words(&format!("nginx -c {file}"))
    }

    fn mosquitto(&self, host: u8, more: &str) -> Vec<String> {
        let text = format!("listener {PORT} {}\n{more}", addr(host));
        words(&format!("mosquitto -c {}", self.write(&format!("mosquitto.{host}"), &text)))
    }

    fn exim(&self) -> Vec<String> {
        let (folder, at) = (self.folder.display(), addr(SMTP));
        let file = self.write(
            "exim.conf",
            &format!(
                "primary_hostname = mail.example.jp\nlocal_interfaces = {at}.{PORT}\ndaemon_smtp_ports = {PORT}\n\
                 log_file_path = {folder}/exim/%slog\nspool_directory = {folder}/exim\npid_file_path = {folder}/exim/pid\n\
                 acl_smtp_rcpt = deny_all\nbegin acl\ndeny_all:\n  deny\nbegin routers\nbegin transports\n"
            ),
        );
        words(&format!("exim4 -C {file} -bdf"))
    }
}

/// Basic authentication before everything.
fn basic(users: &str, folder: &Path) -> String {
    let path = folder.join("basic.users");
    std::fs::write(&path, users).unwrap();
    required("plain", "userfile", &path, "basic")
}

/// Digest authentication with an account that no dictionary has.
fn digest(folder: &Path) -> String {
    let path = folder.join("digest.users");
    // user:realm:MD5(user:realm:password) of an account that no dictionary has.
    std::fs::write(&path, "owner:device:5f4dcc3b5aa765d61d8327deb882cf99\n").unwrap();
    required("htdigest", "htdigest.userfile", &path, "digest")
}

fn required(backend: &str, key: &str, path: &Path, method: &str) -> String {
    let key = if key == "userfile" { "plain.userfile".to_owned() } else { key.to_owned() };
    format!(
        "auth.backend = \"{backend}\"\nauth.backend.{key} = \"{}\"\n\
         auth.require = ( \"/\" => ( \"method\" => \"{method}\", \"realm\" => \"device\", \"require\" => \"valid-user\" ) )\n",
        path.display()
    )
}

/// Records of users in a file of utmp(5): 384 bytes each on every 64-bit Linux, the type first.
fn logins(records: &[u8]) -> usize {
    const USER_PROCESS: u8 = 7;
    records.chunks_exact(384).filter(|record| record[0] == USER_PROCESS).count()
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
