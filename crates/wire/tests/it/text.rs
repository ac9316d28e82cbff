//! Telnet, numbered replies, MQTT and TLS records.

use kenshin_wire::mqtt::{self, Connack};
use kenshin_wire::reply::{Reply, ReplyDecoder, ReplyError};
use kenshin_wire::telnet::{Prompt, TelnetDecoder, last_line, prompt};
use kenshin_wire::tls::{self, Record};

use super::exercise::reads;
use super::transcript;

fn telnet(name: &str) -> (TelnetDecoder, Vec<u8>) {
    let mut decoder = TelnetDecoder::new(4096);
    let answer = decoder.push(&transcript(name));
    (decoder, answer)
}

#[test]
fn captured_telnet() {
    let (decoder, answer) = telnet("telnet-inetutils");
    assert_eq!(prompt(decoder.text()), Some(Prompt::Login));
    assert_eq!(decoder.options()[..3], ["WILL 37", "WILL 38", "DO 24"]);
    assert_eq!(last_line(decoder.text()).as_deref(), Some("gateway login:"));
    // Every WILL is answered DONT and every DO is answered WONT, each once.
    assert_eq!(answer[..9], [255, 254, 37, 255, 254, 38, 255, 252, 24]);
    let distinct: std::collections::BTreeSet<_> = decoder.options().iter().collect();
    assert_eq!(answer.len(), distinct.len() * 3);
}

#[test]
fn prompts_in_transcripts() {
    for (name, expected) in [
        ("telnet-busybox-camera", Prompt::Login),
        ("telnet-no-negotiation", Prompt::Login),
        ("telnet-recorder-shift-jis-password", Prompt::Password),
        ("telnet-root-shell", Prompt::Shell),
        ("telnet-router-euc-jp", Prompt::Login),
    ] {
        let (decoder, _) = telnet(name);
        assert_eq!(prompt(decoder.text()), Some(expected), "{name}");
    }
}

#[test]
fn prompts() {
    let check =
        |text: &str, expected: Option<Prompt>| assert_eq!(prompt(text.as_bytes()), expected, "{text:?}");
    let (login, password, shell) = (Some(Prompt::Login), Some(Prompt::Password), Some(Prompt::Shell));
    for text in [
        "login: ",
        "Login:",
        "(none) login: ",
        "DVR-4 login: ",
        "Username: ",
        "User Name :",
        "username>",
        "User:",
        "Please enter your user ID: ",
        "Account:",
        "Welcome\r\nlogin: ",
        "\x1b[1mlogin:\x1b[0m ",
        "Login:\r\n",
        "ログイン:",
        "ユーザー名：",
        "ユーザID を入力してください ＞",
        "アカウント名 ",
        "利用者名：",
        "Name: ",
        "Operator ID: ",
        "Who are you? ",
        "Kennung: ",
        "имя пользователя: ",
    ] {
        check(text, login);
    }
    for text in [
        "Password: ",
        "password:",
        "Enter password for admin: ",
        "Passcode?",
        "PIN: ",
        "パスワード：",
        "暗証番号> ",
    ] {
        check(text, password);
    }
    for text in [
        "# ",
        "$ ",
        "~ # ",
        "root@cam:~# ",
        "user@name:~$ ",
        "user@junction> ",
        "user name # ",
        "/ $ ",
        "router> ",
        "RT-58>",
        "BusyBox\r\n/ # ",
        "[admin@MikroTik] > ",
        "  (3) Serial settings\r\n  (q) Quit\r\n\r\nKey in your selection: ",
        "Enter choice: ",
    ] {
        check(text, shell);
    }
    for text in [
        "",
        "\r\n",
        "Welcome\r\n",
        "your login was recorded\r\n",
        "Loading...",
        "### banner ###\r\n",
        "<html>",
        "a <b>",
        "Last login: Mon Jan  1 from somewhere\r\nready",
        "the quick brown fox jumps over it #",
        "It is entirely your choice whether you stay here or leave: ",
    ] {
        check(text, None);
    }
}

#[test]
fn telnet_takes_streams_apart_wherever_they_are_cut() {
    let mut bytes = transcript("telnet-inetutils");
    bytes.extend_from_slice(b"\xff\xfa\x18\x01ignored\xff\xff\xff\xf0after\xff\xff\xff\xf9\r\0end");
    let whole = {
        let mut decoder = TelnetDecoder::new(4096);
        let answer = decoder.push(&bytes);
        (decoder.text().to_vec(), decoder.options().to_vec(), answer)
    };
    assert!(whole.0.ends_with(b"gateway login: after\xff\rend"));
    for cuts in 0..100 {
        let mut decoder = TelnetDecoder::new(4096);
        let answer: Vec<u8> = reads(&bytes, cuts).into_iter().flat_map(|read| decoder.push(read)).collect();
        assert_eq!((decoder.text().to_vec(), decoder.options().to_vec(), answer), whole);
    }
}

fn replies(bytes: &[u8], cuts: u64) -> Result<Vec<Reply>, ReplyError> {
    let mut decoder = ReplyDecoder::default();
    let mut out = Vec::new();
    for read in reads(bytes, cuts) {
        decoder.push(read)?;
        while let Some(reply) = decoder.next_reply()? {
            out.push(reply);
        }
    }
    Ok(out)
}

#[test]
fn numbered_replies() {
    for cuts in [0, 1, 50, 96] {
        let smtp = replies(&transcript("smtp-postfix-ehlo"), cuts).unwrap();
        assert_eq!(smtp.iter().map(|reply| reply.code).collect::<Vec<_>>(), [220, 250, 221]);
        assert_eq!(smtp[0].shown(), "220 mail.example.jp ESMTP Postfix (Debian/GNU)");
        assert_eq!(smtp[1].lines.len(), 11);
        assert_eq!(smtp[1].lines[5], "STARTTLS");

        let ftp = replies(&transcript("ftp-multiline-greeting"), cuts).unwrap();
        assert_eq!((ftp.len(), ftp[0].code, ftp[0].lines.len()), (1, 220, 5));
        assert_eq!(ftp[0].lines[2], "  220 is not the end when it is indented");

        let nas = replies(&transcript("ftp-nas-shift-jis"), cuts).unwrap();
        assert_eq!(nas[0].shown(), "220 ファイルサーバー FTP Server ready.");
    }
    assert_eq!(replies(b"hello\r\n", 0), Err(ReplyError::Code));
    assert_eq!(replies(b"220x\r\n", 0), Err(ReplyError::Code));
    assert_eq!(replies(b"220\r\n", 0).unwrap()[0].lines, [""]);
    assert_eq!(replies(&[b'2'; 5000], 0), Err(ReplyError::TooLong));
    assert_eq!(replies(&b"220-more\r\n".repeat(100), 0), Err(ReplyError::TooLong));
}

#[test]
fn mqtt_answers() {
    assert_eq!(mqtt::connack(&transcript("mqtt-mosquitto-open")), Connack::Code(0));
    assert_eq!(mqtt::connack(&transcript("mqtt-mosquitto-closed")), Connack::Code(5));
    assert_eq!(mqtt::connack(b""), Connack::More);
    assert_eq!(mqtt::connack(b"\x20\x02\x00"), Connack::More);
    for other in [&b"HTTP"[..], b"\x20\x00\x00\x00", b"\x20\x02\x07\x00", b"\x30"] {
        assert_eq!(mqtt::connack(other), Connack::Other, "{other:?}");
    }
    let connect = mqtt::connect("kenshin.example.jp/with a very long name indeed");
    assert_eq!(connect[..14], [0x10, 35, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 23]);
    assert_eq!(connect.len(), 37);
    assert!(connect[14..].iter().all(u8::is_ascii_alphanumeric));
}

#[test]
fn tls_records() {
    let check = |bytes: &[u8], expected| assert_eq!(tls::recognise(bytes), expected, "{bytes:?}");
    check(&transcript("tls-alert-protocol-version"), Some(Record::Alert { level: 2, description: 70 }));
    check(&transcript("tls-server-hello"), Some(Record::Handshake(2)));
    check(b"\x15\x03\x00\x00\x02\x02\x28", Some(Record::Alert { level: 2, description: 40 }));
    for bytes in [
        &b""[..],
        b"\x15\x03\x01",
        b"\x15\x02\x01\x00\x02\x02\x28",
        b"\x15\x03\x01\x00\x03\x02\x28\x00",
        b"\x16\x03\x01\x00\x10\x63",
        b"\x16\x03\x01\xff\xff\x02",
        b"\x17\x03\x03\x00\x10\x02",
    ] {
        check(bytes, None);
    }
}
