//! Each transcript is recognised by what it says.

use kenshin_wire::{Recognised, recognise};

use super::transcript;

#[test]
fn transcripts_are_recognised() {
    for (name, expected) in [
        ("ftp-multiline-greeting", Recognised::Ftp),
        ("ftp-nas-shift-jis", Recognised::Ftp),
        ("ftp-vsftpd-3.0.3", Recognised::Ftp),
        ("http-camera-euc-jp-chunked", Recognised::Http),
        ("http-lighttpd-basic", Recognised::Http),
        ("http-nginx-plain-to-tls", Recognised::Http),
        ("mqtt-mosquitto-closed", Recognised::Mqtt),
        ("mqtt-mosquitto-open", Recognised::Mqtt),
        ("rtsp-camera-options", Recognised::Rtsp),
        ("smtp-postfix-ehlo", Recognised::Smtp),
        ("ssh-dropbear-2022.83", Recognised::Ssh),
        ("ssh-openssh-9.2", Recognised::Ssh),
        ("telnet-busybox-camera", Recognised::Telnet),
        ("telnet-inetutils", Recognised::Telnet),
        ("telnet-no-negotiation", Recognised::Telnet),
        ("telnet-recorder-shift-jis-password", Recognised::Telnet),
        ("telnet-root-shell", Recognised::Telnet),
        ("telnet-router-euc-jp", Recognised::Telnet),
        ("tls-alert-protocol-version", Recognised::Tls),
        ("tls-server-hello", Recognised::Tls),
        ("memcached-1.6-password", Recognised::Memcached),
        ("redis-7.0-password", Recognised::Redis),
        ("vnc-tigervnc-1.12-open", Recognised::Vnc),
    ] {
        assert_eq!(recognise(&transcript(name)), expected, "{name}");
    }
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for bytes in [
        &b""[..],
        b"\x00\x00\x00\x00",
        b"+OK POP3 ready\r\n",
        b"* OK IMAP4rev1 ready\r\n",
        b"-ERR authentication failed\r\n",
        b"ERROR\r\n",
        b"RFB 3.8\n",
        b"J\x00\x00\x00\x0a5.7.21\x00",
        b"AMQP\x00\x00\x09\x01",
        b"Welcome to the weather station\r\n",
        b"Zmodem console v1>\r\n",
        b"password changed three times since yesterday\r\n",
        b"200 hello\r\n",
        b"2200 a\r\n",
        b"\x15\x03\x09\x00\x02\x02\x28",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\nHost: echo\r\n\r\n",
    ] {
        assert_eq!(recognise(bytes), Recognised::Unknown, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_numbered_greeting_that_names_nothing_has_to_be_asked() {
    assert_eq!(recognise(b"220 ready\r\n"), Recognised::Greeting);
    assert_eq!(recognise(b"220 ProFTPD Mail archive\r\n"), Recognised::Greeting);
}

#[test]
fn errors_of_stores_that_were_asked_as_http() {
    assert_eq!(recognise(b"ERROR\r\nERROR\r\nERROR\r\n"), Recognised::Memcached);
    assert_eq!(recognise(b"-ERR wrong number of arguments for 'get' command\r\n"), Recognised::Redis);
    assert_eq!(
        recognise(b"-ERR unknown command 'OPTIONS', with args beginning with: '*'"),
        Recognised::Redis
    );
    assert_eq!(recognise(b"-DENIED Redis is running in protected mode\r\n"), Recognised::Redis);
}

#[test]
fn a_remote_desktop_that_was_asked_as_http() {
    // Said by xrdp 0.9.21.
    assert_eq!(recognise(b"\x03\0\0\x09\x02\xf0\x80\x21\x80"), Recognised::Rdp);
    assert_eq!(recognise(b"\x03\0\0\x09\x02\xf0\x80\x32\x01"), Recognised::Unknown);
}
