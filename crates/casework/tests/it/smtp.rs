//! SMTP: a real server, and one that dies at every stage.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use kenshin_casework::{Notice, NoticeState, Smtp, Stage, Tls, Transport};
use mail_parser::MessageParser;

use crate::notices::{all, queue};
use crate::world::{Place, T0, World, clock, telnet};

pub(crate) fn relay(port: u16) -> Smtp {
    Smtp { host: "127.0.0.1".into(), port, tls: Tls::None, credentials: None, hello: "csirt.example".into() }
}

/// What the scripted server says to each command; where an answer is missing, it hangs up.
#[derive(Clone, Copy)]
struct Script {
    name: &'static str,
    answers: &'static [(&'static str, &'static str)],
    /// What it answers to the body; `None`: it reads it and hangs up.
    body: Option<&'static str>,
    expected: NoticeState,
}

const HELLO: (&str, &str) = ("EHLO", "250 hello");
const MAIL: (&str, &str) = ("MAIL", "250 ok");
const RCPT: (&str, &str) = ("RCPT", "250 ok");
const DATA: (&str, &str) = ("DATA", "354 go on");

#[test]
fn a_server_that_dies_at_any_stage_leaves_no_doubt_where_there_is_none() {
    let scripts = [
        Script { name: "greeting", answers: &[], body: None, expected: NoticeState::Failed },
        Script { name: "hello", answers: &[("", "220 scripted")], body: None, expected: NoticeState::Failed },
        Script {
            name: "sender",
            answers: &[("", "220 scripted"), HELLO],
            body: None,
            expected: NoticeState::Failed,
        },
        Script {
            name: "recipient",
            answers: &[("", "220 scripted"), HELLO, MAIL],
            body: None,
            expected: NoticeState::Failed,
        },
        Script {
            name: "data",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT],
            body: None,
            expected: NoticeState::Failed,
        },
        Script {
            name: "recipient refused",
            answers: &[("", "220 scripted"), HELLO, MAIL, ("RCPT", "550 no such user")],
            body: None,
            expected: NoticeState::Failed,
        },
        Script {
            name: "after the body",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT, DATA],
            body: None,
            expected: NoticeState::DeliveryUncertain,
        },
        Script {
            name: "body refused",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT, DATA],
            body: Some("554 not here"),
            expected: NoticeState::Failed,
        },
        Script {
            name: "body refused for now",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT, DATA],
            body: Some("451 later"),
            expected: NoticeState::Failed,
        },
        Script {
            name: "garbage after the body",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT, DATA],
            body: Some("\u{7f}\u{7f}"),
            expected: NoticeState::DeliveryUncertain,
        },
        Script {
            name: "taken, no farewell",
            answers: &[("", "220 scripted"), HELLO, MAIL, RCPT, DATA],
            body: Some("250 taken"),
            expected: NoticeState::Sent,
        },
    ];
    for script in scripts {
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = bodies.clone();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            play(stream, script, &kept);
        });
        let notice = deliver_one(Transport::Smtp(relay(port)));
        server.join().unwrap();
        assert_eq!(notice.state, script.expected, "{}", script.name);
        let expected = usize::from(script.body.is_some() || script.name == "after the body");
        assert_eq!(bodies.lock().unwrap().len(), expected, "{}", script.name);
    }
}

fn play(stream: TcpStream, script: Script, bodies: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    if script.answers.is_empty() {
        // Hangs up before it says a word: the client waits for the greeting.
        return;
    }
    for (command, answer) in script.answers {
        if !command.is_empty() {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(command), "{}: {line}", script.name);
        }
        writer.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
    }
    if !script.answers.contains(&DATA) {
        // Reads what comes and hangs up, or says goodbye to whoever does.
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        return;
    }
    let mut body = String::new();
    while !body.ends_with("\r\n.\r\n") {
        assert_ne!(reader.read_line(&mut body).unwrap(), 0, "{}", script.name);
    }
    bodies.lock().unwrap().push(body);
    if let Some(answer) = script.body {
        let _ = writer.write_all(format!("{answer}\r\n").as_bytes());
    }
}

/// Queues one notice, delivers, and gives how it ended. A second run must send nothing.
fn deliver_one(transport: Transport) -> Notice {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { url: format!("sqlite://{}/k.db", folder.path().display()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(&place).await;
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        world.casework.deliver_notices(world.org, &transport, &clock(T0)).await.unwrap();
        let nobody = Transport::Smtp(relay(1));
        let again = world.casework.deliver_notices(world.org, &nobody, &clock(T0)).await.unwrap();
        assert_eq!((again.sent, again.failed, again.uncertain), (0, 0, 0), "nothing is sent again by itself");
        let notice = all(&world).await.remove(0);
        let told = world.cases().await[0].stage == Stage::Notified;
        assert_eq!(told, notice.state == NoticeState::Sent);
        notice
    })
}

#[test]
fn a_password_is_never_sent_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        writer.write_all(b"220 scripted\r\n").unwrap();
        let mut said = String::new();
        reader.read_line(&mut said).unwrap();
        writer.write_all(b"250-hello\r\n250 AUTH PLAIN LOGIN\r\n").unwrap();
        while reader.read_line(&mut said).is_ok_and(|bytes| bytes > 0) {}
        said
    });
    let credentials =
        kenshin_casework::Credentials { user: "kenshin".into(), password: "hunter2hunter2".into() };
    let smtp = Smtp { credentials: Some(credentials), ..relay(port) };
    assert!(!format!("{smtp:?}").contains("hunter2"));
    assert_eq!(deliver_one(Transport::Smtp(smtp)).state, NoticeState::Failed);
    assert!(!server.join().unwrap().contains("AUTH"));
}

#[test]
fn a_relay_without_tls_is_refused_where_tls_is_required() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        play(
            stream,
            Script {
                name: "no tls",
                answers: &[("", "220 scripted"), HELLO],
                body: None,
                expected: NoticeState::Failed,
            },
            &Mutex::default(),
        );
    });
    let smtp = Smtp { tls: Tls::StartTls { trusted: None }, ..relay(port) };
    assert_eq!(deliver_one(Transport::Smtp(smtp)).state, NoticeState::Failed);
    server.join().unwrap();
}

/// A real server: aiosmtpd, which keeps what it takes in a maildir.
#[expect(clippy::disallowed_methods, reason = "the test starts the server it needs")]
mod real {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Server {
        child: Child,
        port: u16,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn python() -> Option<&'static str> {
        ["/usr/bin/python3", "python3"].into_iter().find(|python| {
            let probe = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
            probe.is_ok_and(|status| status.success())
        })
    }

    fn start(test: &str, maildir: &Path, more: &[&str]) -> Option<Server> {
        let Some(python) = python() else {
            eprintln!("{test}: SKIPPED: aiosmtpd is not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(python)
            .args([
                "-m",
                "aiosmtpd",
                "-n",
                "-l",
                &format!("127.0.0.1:{port}"),
                "-c",
                "aiosmtpd.handlers.Mailbox",
            ])
            .args(more)
            .arg(maildir)
            .spawn()
            .unwrap();
        let mut server = Server { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "the server did not start");
            thread::yield_now();
        }
        Some(server)
    }

    fn taken(maildir: &Path) -> Vec<String> {
        std::fs::read_dir(maildir.join("new"))
            .unwrap()
            .map(|entry| String::from_utf8(std::fs::read(entry.unwrap().path()).unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_real_server_takes_the_mail() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = folder.path().join("mail");
        let Some(server) = start("a_real_server_takes_the_mail", &maildir, &[]) else { return };
        let notice = deliver_one(Transport::Smtp(relay(server.port)));
        assert_eq!(notice.state, NoticeState::Sent);
        let mails = taken(&maildir);
        assert_eq!(mails.len(), 1);
        let mail = MessageParser::default().parse(mails[0].as_bytes()).unwrap();
        assert_eq!(format!("<{}>", mail.message_id().unwrap()), notice.message_id);
        assert!(mail.body_text(0).unwrap().contains(&notice.digest), "{}", mails[0]);
    }

    #[test]
    fn a_real_server_takes_the_mail_over_starttls() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (certificate, secret) = (path("cert.pem"), path("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .args(["-keyout", &secret, "-out", &certificate])
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("a_real_server_takes_the_mail_over_starttls: SKIPPED: openssl is not installed");
            return;
        }
        let maildir = folder.path().join("mail");
        let more = ["--tlscert", &certificate, "--tlskey", &secret];
        let Some(server) = start("a_real_server_takes_the_mail_over_starttls", &maildir, &more) else {
            return;
        };
        let untrusted =
            Smtp { host: "localhost".into(), tls: Tls::StartTls { trusted: None }, ..relay(server.port) };
        assert_eq!(
            deliver_one(Transport::Smtp(untrusted.clone())).state,
            NoticeState::Failed,
            "not trusted, not sent"
        );
        let pem = std::fs::read_to_string(&certificate).unwrap();
        let trusted = Smtp { tls: Tls::StartTls { trusted: Some(pem) }, ..untrusted };
        assert_eq!(deliver_one(Transport::Smtp(trusted)).state, NoticeState::Sent);
        assert_eq!(taken(&maildir).len(), 1);
    }
}
