//! What identifies a server beside its banner: HASSH, JA3S, icons, references, names of CWMP servers.

use std::net::IpAddr;

use kenshin_wire::http::reference::{Base, Target, resolve};
use kenshin_wire::http::{favicon, page};
use kenshin_wire::ssh::{HostKeyExchange, hassh_server};
use kenshin_wire::{cwmp, tls};

use super::exercise::response;
use super::transcript;

#[test]
fn hassh_of_captured_servers() {
    for (name, expected) in [
        ("ssh-openssh-9.2", "425d29fe50d8e4f5e37efb6e24bcf660"),
        ("ssh-dropbear-2022.83", "e1a0b5f8d334ec70fe937b2d5ff8d0b6"),
    ] {
        let mut exchange = HostKeyExchange::new("Kenshin", "test");
        exchange.push(&transcript(name)).unwrap();
        assert_eq!(exchange.learned().hassh_server.as_deref(), Some(expected), "{name}");
    }
    // No list at all is a list as well.
    let empty = [&[20][..], &[0; 16], &[0; 32]].concat();
    assert_eq!(hassh_server(&empty).unwrap(), "95420f9d932ddd22833f17b96a80bedb");
    assert!(hassh_server(&empty[..40]).is_err());
}

#[test]
fn ja3s_of_captured_servers() {
    for (name, cipher, group, expected) in [
        ("tls-openssl-3.0-1.3-server-hello", 4866, Some("x25519"), "15af977ce25de452b96affa2addb1036"),
        ("tls-openssl-3.0-1.2-server-hello", 49_200, None, "ec74a5c51106f0419184d0dd08fb05bc"),
    ] {
        let bytes = transcript(name);
        let hello = tls::server_hello(&bytes).unwrap();
        assert_eq!((hello.version, hello.cipher, hello.ja3s().as_str()), (771, cipher, expected), "{name}");
        assert_eq!(hello.group.map(tls::group_name).as_deref(), group, "{name}");
        let record = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        for cut in 0..record {
            assert_eq!(tls::server_hello(&bytes[..cut]), None, "{name} at {cut}");
        }
        // The same message in records of seven bytes.
        let mut cut = Vec::new();
        for part in bytes[5..record].chunks(7) {
            cut.extend_from_slice(&[22, 3, 3, 0, part.len() as u8]);
            cut.extend_from_slice(part);
        }
        assert_eq!(tls::server_hello(&cut), Some(hello));
    }
    assert_eq!(tls::server_hello(&transcript("tls-alert-protocol-version")), None);
    // SSL 3.0 knows no extensions.
    let old = [&[22, 3, 0, 0, 42, 2, 0, 0, 38, 3, 0][..], &[7; 32], &[0, 0, 47, 0]].concat();
    let hello = tls::server_hello(&old).unwrap();
    assert_eq!((hello.version, hello.cipher, hello.extensions.len()), (768, 47, 0));
    assert_eq!(hello.group, None);
    assert_eq!([0x11ec, 0x1a2b].map(tls::group_name), ["X25519MLKEM768", "0x1a2b"]);
}

#[test]
fn icons_as_search_engines_hash_them() {
    let icon: Vec<u8> = [0, 0, 1, 0].into_iter().chain(0..200).collect();
    let picture = [&b"\x89PNG\r\n\x1a\n"[..], &[b'x'; 49]].concat();
    // Computed by the mmh3 and base64 modules of Python.
    for (bytes, mmh3, sha256) in [
        (&icon[..], -1_874_974_550, "6a962ff879b09621f9e0a58fb43bdd15ce41e92f2c3886da8781f187c0d294a3"),
        (&picture, -249_856_400, "7807d98b0304c826a104de0fa44fbd24d59bcf2e63ed117a8377a46446cd4c66"),
        (b"GIF89a", -851_503_336, "610f5ae4d76e332636a17bd357fd6ce99029316a99d320280d4d77a746bf29e8"),
    ] {
        assert!(favicon::is_picture(bytes));
        let digests = favicon::digests(bytes).unwrap();
        assert_eq!((digests.mmh3, digests.sha256.as_str()), (mmh3, sha256));
    }
    assert_eq!(favicon::digests(b""), None);
    assert!(favicon::is_picture(b"\n<svg xmlns=\"http://www.w3.org/2000/svg\">"));
    assert!(!favicon::is_picture(b"<!doctype html><title>404</title>"));
}

#[test]
fn pages_say_where_their_icon_is() {
    for (text, expected) in [
        ("<link rel=\"icon\" href=\"/img/F.png\">", Some("/img/F.png")),
        ("<LINK REL='shortcut icon' HREF='fav.ico'>", Some("fav.ico")),
        ("<link rel=stylesheet href=a.css><link href=x.ico rel=icon>", Some("x.ico")),
        ("<link rel=apple-touch-icon href=a.png>", None),
        ("<!-- <link rel=icon href=x.ico> -->", None),
        ("<link rel=icon>", None),
        ("<link rel=icon href=img/f.gif>", Some("img/f.gif")),
        ("<link rel=icon href=img/f.gif/>", Some("img/f.gif")),
    ] {
        assert_eq!(page::icon(text), expected, "{text}");
    }
}

#[test]
fn references_lead_here_or_elsewhere() {
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let check = |tls, port, path, reference: &str, expected: Option<(bool, u16, &str)>| {
        let expected = match expected {
            Some((tls, port, path)) => Target::Here { tls, port, path: path.to_owned() },
            None => Target::Elsewhere,
        };
        assert_eq!(resolve(reference, &Base { tls, addr: v4, port, path }), expected, "{reference:?}");
    };
    let plain = |reference: &str, expected| check(false, 8080, "/", reference, expected);
    plain("/login.html", Some((false, 8080, "/login.html")));
    plain("login.html?next=/x", Some((false, 8080, "/login.html?next=/x")));
    plain("  /a/./b/../c/..#top", Some((false, 8080, "/a/")));
    plain("../../../etc", Some((false, 8080, "/etc")));
    plain("", Some((false, 8080, "/")));
    plain("?a=../b", Some((false, 8080, "/?a=../b")));
    plain("http://192.0.2.1/x", Some((false, 80, "/x")));
    plain("HTTPS://192.0.2.1", Some((true, 443, "/")));
    plain("https://192.0.2.1:8443?x", Some((true, 8443, "/?x")));
    plain("http://192.0.2.1:/x", Some((false, 80, "/x")));
    plain("//192.0.2.1:81/x", Some((false, 81, "/x")));
    plain("http://[::ffff:192.0.2.1]/x", Some((false, 80, "/x")));
    check(true, 443, "/cgi/index.cgi?s=1", "login", Some((true, 443, "/cgi/login")));
    check(true, 443, "/cgi/index.cgi?s=1", "?t=2", Some((true, 443, "/cgi/index.cgi?t=2")));
    check(true, 443, "/", "//192.0.2.1", Some((true, 443, "/")));
    for elsewhere in [
        "http://192.0.2.2/",
        "http://router.example/",
        "//router.example/",
        "http://admin@192.0.2.1/",
        "http://192.0.2.1:99999/",
        "http://192.0.2.1:0/",
        "http://192.0.2.1:8o/",
        "http://3221225985/",
        "http://0300.0.2.1/",
        "http://[2001:db8::1]/",
        "ftp://192.0.2.1/",
        "javascript:alert(1)",
        "http:login.html",
        "/a\r\nX: y",
        "\\\\192.0.2.2\\x",
    ] {
        plain(elsewhere, None);
    }
    plain(&format!("/{}", "a".repeat(2000)), None);
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let base = Base { tls: false, addr: v6, port: 80, path: "/" };
    let here = Target::Here { tls: false, port: 80, path: "/x".to_owned() };
    assert_eq!(resolve("http://[2001:db8:0::1]/x", &base), here);
}

#[test]
fn connection_request_servers_by_what_they_call_themselves() {
    let found = cwmp::recognise(&response(&transcript("http-cwmp-gateway"), 0).unwrap()).unwrap();
    assert_eq!(found.server.as_deref(), Some("tr069 http server"));
    assert_eq!(found.realm.as_deref(), Some("HomeGateway"));
    for head in [
        "Server: Cisco-CcspCwmpTcpCR/1.0",
        "WWW-Authenticate: Basic realm=\"Cisco_CCSP_CWMP_TCPCR\"",
        "WWW-Authenticate: Digest realm=\"HuaweiHomeGateway\", nonce=\"x\"",
        "Server: TR-069 Connection Request",
    ] {
        let bytes = format!("HTTP/1.1 401 Unauthorized\r\n{head}\r\n\r\n");
        assert!(cwmp::recognise(&response(bytes.as_bytes(), 0).unwrap()).is_some(), "{head}");
    }
    for name in ["http-lighttpd-basic", "http-router-shift-jis", "http-elasticsearch-7.17"] {
        assert_eq!(cwmp::recognise(&response(&transcript(name), 0).unwrap()), None, "{name}");
    }
}
