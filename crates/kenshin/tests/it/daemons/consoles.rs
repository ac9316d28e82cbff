//! Daemons that ask in odd ways: consoles behind BusyBox's and inetutils' telnetd, a form behind lighttpd's
//! CGI, GStreamer's RTSP server, snmpd.
//!
//! Daemons are Debian's. What they run is the test's own where a device has something of its own: the
//! console's login, the page of the form, the program around GStreamer's server.

use super::house::{House, PASSWORD, PORT, USER, addr, words};

pub(crate) const ODD_WORDS: u8 = 1;
pub(crate) const PASSWORD_ONLY: u8 = 2;
pub(crate) const ISSUE: u8 = 3;
pub(crate) const FAILLOCK: u8 = 4;
pub(crate) const FORM: u8 = 5;
pub(crate) const FORM_LIMITED: u8 = 6;
pub(crate) const STREAM_DIGEST: u8 = 7;
pub(crate) const STREAM_BASIC: u8 = 8;
pub(crate) const SNMP: u8 = 9;

/// Where streams are: elsewhere GStreamer's server answers as the HTTP that carries them through proxies.
pub(crate) const STREAM_PORT: u16 = 8554;
/// Where SNMP is.
pub(crate) const SNMP_PORT: u16 = 161;
/// The community that the agent knows.
pub(crate) const COMMUNITY: &str = "kura-2026";

/// Programs of the house; without one of them the test is skipped by name.
pub(crate) const PROGRAMS: [&str; 8] =
    ["busybox", "inetutils-inetd", "telnetd", "lighttpd", "python3", "snmpd", "sha256sum", "faillock"];

/// How the invented camera's page is filled in, and where its stream is.
pub(crate) const RECIPES: &str = r#"
[[forms]]
name = "hoshi-cam-7"
says = ["Hoshi CAM-7"]
page = "/login.cgi"
hidden = ["csrf"]
take = [{ name = "nonce", after = "nonce=\"", until = "\"" }]
make = [{ name = "proof", from = "{nonce}{password}", by = ["sha256"] }]
path = "/login.cgi"
fields = [{ name = "user", value = "{user}" }, { name = "proof", value = "{proof}" }]
success = [{ status = [302], location = "/main.html", cookie = "session" }]
failure = [{ status = [200], body = "wrong name or password" }]
logout = { path = "/logout.cgi" }

[[streams]]
says = ["GStreamer"]
path = "/live"
"#;

/// A console in words that no list has. It writes down each pair and each command.
const ODD_CONSOLE: &str = r#"#!/bin/sh
printf 'Hlid 4 \033[1mvelkominn\033[0m\n'
while :; do
    printf 'Nafn? '
    IFS= read -r name || exit
    stty -echo
    printf 'Leynd? '
    IFS= read -r word || exit
    stty echo
    echo tried >> {folder}/console.{host}
    sleep 1
    if [ "$name:$word" = "{user}:{password}" ]; then
        printf '\nKominn inn\n'
        while printf 'hlid> '; do
            IFS= read -r line || exit
            echo "$line" >> {folder}/commands
        done
    fi
    printf '\nNei.\n'
done
"#;

/// A router's console: a password alone, in Shift_JIS.
const PASSWORD_CONSOLE: &str = r#"#!/bin/sh
while :; do
    stty -echo
    printf '\n\203p\203X\203\217\201[\203h: '
    IFS= read -r word || exit
    echo tried >> {folder}/console.{host}
    sleep 1
    if [ "$word" = "{password}" ]; then
        printf '\nTSR-107 Rev.9.00.31\n'
        stty echo
        while printf '> '; do
            IFS= read -r line || exit
            echo "$line" >> {folder}/commands
        done
    fi
    printf '\n\203p\203X\203\217\201[\203h\202\252\210\341\202\242\202\334\202\267\n'
done
"#;

/// A page whose form wants a token back, and a digest over a nonce and the password. After `{limit}` pairs it
/// takes none.
const PAGE: &str = r#"#!/bin/sh
cd {folder}/www.{host}
case "$REQUEST_METHOD" in
GET)
    nonce=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    touch "nonce.$nonce"
    printf 'Content-Type: text/html\r\nSet-Cookie: visit=%s; Path=/; HttpOnly\r\n\r\n' "$nonce"
    printf '<html><head><title>Hoshi CAM-7</title><script>var nonce="%s";</script></head><body>' "$nonce"
    printf '<form method="post"><input type="hidden" name="csrf" value="t%s">' "$nonce"
    printf '<input name="user"><input type="password" name="pw"></form></body></html>'
    ;;
POST)
    body=$(head -c "$CONTENT_LENGTH")
    echo "$body" >> {folder}/pairs.{host}
    nonce=${HTTP_COOKIE#visit=}
    proof=$(printf '%s%s' "$nonce" '{password}' | sha256sum | cut -d' ' -f1)
    if [ "$(wc -l < {folder}/pairs.{host})" -gt {limit} ]; then
        printf 'Status: 429 Too Many Requests\r\n\r\n'
    elif rm "nonce.$nonce" && [ "$body" = "user={user}&proof=$proof&csrf=t$nonce" ]; then
        printf 'Status: 302 Found\r\nLocation: /main.html\r\nSet-Cookie: session=s%s\r\n\r\n' "$nonce"
    else
        printf 'Content-Type: text/html\r\n\r\n<p>wrong name or password</p>'
    fi
    ;;
esac
"#;

const LOGOUT: &str = r#"#!/bin/sh
echo "$HTTP_COOKIE" >> {folder}/logouts
printf 'Content-Type: text/plain\r\n\r\nbye'
"#;

/// GStreamer's RTSP server before a tone, for one account.
const STREAM: &str = r#"
import sys, gi
for name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
Gst.init(None)
host, port, method, user, password = sys.argv[1:]
server = GstRtspServer.RTSPServer(address=host, service=port)
auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "owner")
auth.set_supported_methods(getattr(GstRtsp.RTSPAuthMethod, method))
if method == "DIGEST":
    auth.add_digest(user, password, token)
else:
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
server.set_auth(auth)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( audiotestsrc ! audio/x-raw,rate=8000,channels=1 ! rtpL16pay name=pay0 pt=96 )")
permissions = GstRtspServer.RTSPPermissions()
for right in ("access", "construct"):
    permissions.add_permission_for_role("owner", "media.factory." + right, True)
factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
GLib.MainLoop().run()
"#;

/// Two failures lock the account for ten minutes.
const PAM_FAILLOCK: &str = "\
auth required pam_faillock.so preauth deny=2 unlock_time=600 dir=/run/faillock
auth [success=1 default=ignore] pam_unix.so nodelay
auth [default=die] pam_faillock.so authfail deny=2 unlock_time=600 dir=/run/faillock
account required pam_permit.so
session required pam_permit.so
";

/// A greeting before the prompt, in front of what the machine has.
const PAM_ISSUE: &str = "auth required pam_issue.so noesc issue={folder}/issue\n";

/// In EUC-JP and reversed, and it speaks of logins and passwords.
const ISSUE_TEXT: &[u8] =
    b"\x1b[7m\xa5\xed\xa5\xb0\xa5\xa4\xa5\xf3\xb2\xe8\xcc\xcc\x1b[0m\nYour password is yours: no login without it.\n\n";

/// Everything in the house.
pub(crate) fn daemons(house: &House) -> Vec<(u8, Vec<String>)> {
    std::fs::write(house.path("issue"), ISSUE_TEXT).unwrap();
    let usual = std::fs::read_to_string("/etc/pam.d/login").unwrap();
    house.write(&format!("etc/pam.d/login.{ISSUE}"), &(fill(house, PAM_ISSUE, ISSUE) + &usual));
    house.write(&format!("etc/pam.d/login.{FAILLOCK}"), PAM_FAILLOCK);
    vec![
        (ODD_WORDS, console(house, ODD_WORDS, ODD_CONSOLE)),
        (PASSWORD_ONLY, console(house, PASSWORD_ONLY, PASSWORD_CONSOLE)),
        (ISSUE, house.telnetd(ISSUE)),
        (FAILLOCK, house.telnetd(FAILLOCK)),
        (FORM, form(house, FORM, 1_000)),
        (FORM_LIMITED, form(house, FORM_LIMITED, 2)),
        (STREAM_DIGEST, stream(house, STREAM_DIGEST, "DIGEST")),
        (STREAM_BASIC, stream(house, STREAM_BASIC, "BASIC")),
        (SNMP, agent(house)),
    ]
}

/// How many attempts the daemon's own log says were made.
pub(crate) fn counted(house: &House, host: u8) -> usize {
    let read = |name: String| std::fs::read_to_string(house.path(&name)).unwrap_or_default();
    let lines = |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
    match host {
        ODD_WORDS | PASSWORD_ONLY => lines(&read(format!("console.{host}")), "tried"),
        ISSUE | FAILLOCK => house.logins(host),
        FORM | FORM_LIMITED => lines(&read(format!("pairs.{host}")), "proof="),
        STREAM_DIGEST | STREAM_BASIC => {
            ["check Digest auth", "check Basic auth"].map(|word| lines(&house.said(host), word)).iter().sum()
        }
        // A community is looked up, twice where it is known; who asks for an engine has none.
        SNMP => {
            let said = house.said(host);
            said.split("Connection from UDP").filter(|datagram| datagram.contains("resolve <")).count()
        }
        _ => panic!("host {host} takes no passwords"),
    }
}

/// What was said to consoles behind their login.
pub(crate) fn commands(house: &House) -> String {
    std::fs::read_to_string(house.path("commands")).unwrap_or_default()
}

/// How often the page was left by its logout, with the session that had opened it.
pub(crate) fn logouts(house: &House) -> usize {
    let text = std::fs::read_to_string(house.path("logouts")).unwrap_or_default();
    text.lines().filter(|line| line.contains("session=s")).count()
}

fn fill(house: &House, text: &str, host: u8) -> String {
    text.replace("{folder}", &house.path("").display().to_string())
        .replace("{host}", &host.to_string())
        .replace("{user}", USER)
        .replace("{password}", PASSWORD)
}

/// A program of the test's own, with what it must know filled in.
fn script(house: &House, name: &str, text: &str, host: u8) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = house.write(name, &fill(house, text, host));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A console behind BusyBox's telnetd.
fn console(house: &House, host: u8, text: &str) -> Vec<String> {
    let login = script(house, &format!("login.{host}"), text, host);
    let issue = house.write(&format!("issue.{host}"), "");
    words(&format!("busybox telnetd -F -b {}:{PORT} -l {login} -f {issue}", addr(host)))
}

fn form(house: &House, host: u8, limit: u32) -> Vec<String> {
    let folder = format!("www.{host}");
    std::fs::create_dir_all(house.path(&folder)).unwrap();
    script(house, &format!("{folder}/login.cgi"), &PAGE.replace("{limit}", &limit.to_string()), host);
    script(house, &format!("{folder}/logout.cgi"), LOGOUT, host);
    house.write(&format!("pairs.{host}"), "");
    house.lighttpd(
        host,
        &format!(
            "server.modules += ( \"mod_cgi\" )\ncgi.assign = ( \".cgi\" => \"/bin/sh\" )\n\
             server.document-root := \"{}\"\nindex-file.names := ( \"login.cgi\" )\n",
            house.path(&folder).display()
        ),
    )
}

fn stream(house: &House, host: u8, method: &str) -> Vec<String> {
    let program = house.write("stream.py", STREAM);
    words(&format!(
        "env GST_DEBUG=rtspauth:5 GST_DEBUG_NO_COLOR=1 /usr/bin/python3 {program} {} {STREAM_PORT} {method} {USER} {PASSWORD}",
        addr(host)
    ))
}

fn agent(house: &House) -> Vec<String> {
    let file = house.write("snmpd.conf", &format!("rocommunity {COMMUNITY}\nsysDescr Kura NAS 4\n"));
    let state = house.path("snmp");
    std::fs::create_dir_all(&state).unwrap();
    words(&format!(
        "env MIBS= SNMP_PERSISTENT_DIR={} snmpd -f -Lo -a -Dnetsnmp_udp_getSecName -C -c {file} udp:{}:{SNMP_PORT}",
        state.display(),
        addr(SNMP)
    ))
}
