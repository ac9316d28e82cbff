//! Every decoder, fed with arbitrary bytes. Shared with the fuzz targets in `fuzz/`.
//!
//! `cuts` chooses where a stream of bytes is cut into reads: a decoder must not care.

use kenshin_wire::http::challenge::challenges;
use kenshin_wire::http::digest::{Digest, Proof};
use kenshin_wire::http::reference::{Base, Target, resolve};
use kenshin_wire::http::{Limits, Progress, Response, ResponseDecoder, favicon, form, page};
use kenshin_wire::packet::{Checksums, Seen, see};
use kenshin_wire::reply::ReplyDecoder;
use kenshin_wire::ssh::{HostKeyExchange, KexInit, Step, decode_packet, hassh_server, host_key};
use kenshin_wire::telnet::{self, Ending, Login, Outcome, TelnetDecoder, prompt};
use kenshin_wire::{
    Answer, adb, bacnet, charset, cwmp, elasticsearch, memcached, modbus, mongodb, mqtt, rdp, recognise,
    redaction, redis, rtsp, s7, smb, tls, vnc,
};

/// Cuts `bytes` into reads whose sizes `cuts` chooses.
pub(crate) fn reads(bytes: &[u8], mut cuts: u64) -> Vec<&[u8]> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let len = 1 + (cuts % 97) as usize * (cuts % 13) as usize;
        cuts = cuts
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
            .rotate_left(17);
        let (read, more) = rest.split_at(len.min(rest.len()));
        out.push(read);
        rest = more;
    }
    out
}

const SMALL: Limits = Limits { head_bytes_max: 2048, headers_max: 32, body_bytes_max: 4096 };

/// The response in `bytes`, read in pieces; `None` when it is none.
pub(crate) fn response(bytes: &[u8], cuts: u64) -> Option<Response> {
    let mut decoder = ResponseDecoder::new(SMALL);
    for read in reads(bytes, cuts) {
        match decoder.push(read) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break,
            Err(_) => return None,
        }
    }
    decoder.end().ok()
}

pub(crate) fn http(bytes: &[u8], cuts: u64) {
    let Some(response) = response(bytes, cuts) else { return };
    assert!(response.body.len() <= SMALL.body_bytes_max);
    assert!(response.head.headers.iter().count() <= SMALL.headers_max);
    let text = response.text();
    assert!(page::title(&text).is_none_or(|title| title.len() <= 512));
    page::has_password_form(&text);
    if let Some(icon) = page::icon(&text) {
        reference(icon);
    }
    let mut cookies = form::Cookies::default();
    cookies.take(&response.head.headers);
    assert!(cookies.header().len() <= 16 * (4096 + 2));
    for name in response.head.headers.cookie_names() {
        form::field(&text, &name);
        form::between(&text, &name, "'");
    }
    rtsp::methods(&response.head);
    elasticsearch::recognise(&response);
    cwmp::recognise(&response);
    assert_eq!(favicon::digests(&response.body).is_none(), response.body.is_empty());
    favicon::is_picture(&response.body);
    if let Some(location) = response.head.headers.get("location") {
        reference(location);
    }
    for challenge in challenges(&response.head.headers) {
        challenge.shown();
        if let Some(digest) = Digest::from_challenge(&challenge) {
            let proof = Proof { user: "a", password: "b", method: "GET", target: "/", cnonce: "c", count: 1 };
            assert!(digest.answer(&proof).starts_with("Digest "));
        }
    }
}

fn reference(location: &str) {
    let addr = std::net::Ipv4Addr::new(192, 0, 2, 1).into();
    let base = Base { tls: false, addr, port: 80, path: "/a/b?c" };
    if let Target::Here { path, .. } = resolve(location, &base) {
        assert!(path.starts_with('/') && path.len() <= 1024, "{path:?}");
        let (steps, _query) = path.split_at(path.find('?').unwrap_or(path.len()));
        assert!(!path.contains(char::is_control) && !steps.split('/').any(|step| step == ".."), "{path:?}");
    }
}

pub(crate) fn ssh(bytes: &[u8], cuts: u64) {
    let mut exchange = HostKeyExchange::new("Kenshin", "test");
    for read in reads(bytes, cuts) {
        match exchange.push(read) {
            Ok(Step::Continue(out)) => assert!(out.len() < 8192),
            Ok(Step::Done(_)) | Err(_) => break,
        }
    }
    let _ = decode_packet(bytes);
    let _ = KexInit::decode(bytes);
    let _ = host_key(bytes);
    let _ = hassh_server(bytes);
}

pub(crate) fn telnet(bytes: &[u8], cuts: u64) {
    let mut decoder = TelnetDecoder::new(1024);
    let mut answered = 0;
    for read in reads(bytes, cuts) {
        answered += decoder.push(read).len();
        assert!(decoder.text().len() <= 1024);
    }
    // Each of 256 options is refused once as DO and once as WILL.
    assert!(answered <= 2 * 256 * 3);
    assert!(decoder.options().len() <= 64);
    prompt(decoder.text());
    login(bytes, cuts);
}

/// A device whose turns are `bytes`, cut where a byte says so: the login ends, and says little.
pub(crate) fn login(bytes: &[u8], cuts: u64) {
    let mut login = Login::default();
    let mut said = 0;
    for turn in bytes.split(|byte| *byte == b'~').chain([&b""[..]; 8]) {
        for read in reads(turn, cuts) {
            assert!(login.push(read).len() <= 2 * 256 * 3);
        }
        login.seems_to_wait();
        let ending = [Ending::Silent, Ending::Silent, Ending::Silent, Ending::Closed, Ending::TooLong];
        match login.turn(ending[(cuts % 5) as usize]) {
            telnet::Step::Press(keys) => said += keys.len(),
            telnet::Step::Asks => said += login.line("name").len(),
            telnet::Step::Decided(outcome) => {
                let again = login.again();
                assert!(!again || outcome != Outcome::Accepted, "it asks again, and let us in");
                break;
            }
        }
    }
    assert!(said <= 32);
}

pub(crate) fn replies(bytes: &[u8], cuts: u64) {
    let mut decoder = ReplyDecoder::default();
    for read in reads(bytes, cuts) {
        if decoder.push(read).is_err() {
            return;
        }
        while let Ok(Some(reply)) = decoder.next_reply() {
            assert!(reply.code <= 999);
            reply.shown();
        }
    }
}

pub(crate) fn packet(bytes: &[u8]) {
    let trusted = see(bytes, Checksums::Trust);
    if let Ok(seen) = see(bytes, Checksums::Verify) {
        assert_eq!(trusted, Ok(seen));
    }
    match trusted {
        Ok(Seen::SynAck(syn_ack)) => assert!(syn_ack.options.len() <= 40),
        Ok(Seen::Datagram(datagram)) => assert!(datagram.payload.len() < bytes.len()),
        Ok(Seen::EchoReply(echo)) => assert!(echo.data.len() < bytes.len()),
        Ok(Seen::ArpRequest(arp) | Seen::ArpReply(arp)) => assert!(arp.sender_mac.is_unicast()),
        Ok(Seen::Advertisement(advertisement)) => {
            assert!(advertisement.mac.is_none_or(|mac| mac.is_unicast()))
        }
        Ok(Seen::IcmpError(_) | Seen::Reset(_) | Seen::Solicitation(_)) | Err(_) => {}
    }
}

pub(crate) fn rest(bytes: &[u8]) {
    recognise(bytes);
    tls::recognise(bytes);
    if let Some(hello) = tls::server_hello(bytes) {
        assert_eq!(hello.ja3s().len(), 32);
    }
    mqtt::connack(bytes);
    charset::decode(bytes, charset::declared(bytes).as_deref());
    assert_eq!(redaction::text(bytes).len(), bytes.len());
    assert_eq!(redaction::head(bytes).len(), bytes.len());
}

/// Reads `bytes` as they arrive. What is whole stays as it is, and what is something else stays that.
fn settles<T: std::fmt::Debug + PartialEq>(bytes: &[u8], read: impl Fn(&[u8]) -> Answer<T>) {
    let end = read(bytes);
    for cut in [bytes.len() / 4, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let early = read(&bytes[..cut]);
        assert!(early == Answer::More || early == end, "{early:?} after {cut} bytes, then {end:?}");
    }
}

pub(crate) fn remote(bytes: &[u8]) {
    settles(bytes, rdp::answer);
    settles(bytes, smb::answer);
    settles(bytes, adb::answer);
    settles(bytes, vnc::version);
    for minor in [3, 8] {
        settles(bytes, |bytes| vnc::security(vnc::Version { major: 3, minor }, bytes));
    }
}

pub(crate) fn stores(bytes: &[u8]) {
    settles(bytes, redis::ping);
    settles(bytes, redis::info);
    settles(bytes, memcached::answer);
    settles(bytes, |bytes| {
        mongodb::reply(bytes).map(|(document, len)| {
            assert!(len <= bytes.len());
            let known = (mongodb::wire_version(document), mongodb::version(document));
            (known, mongodb::authentication_required(document), len)
        })
    });
}

pub(crate) fn industrial(bytes: &[u8]) {
    settles(bytes, modbus::answer);
    settles(bytes, s7::connected);
    settles(bytes, s7::set_up);
    settles(bytes, |bytes| {
        s7::list(bytes).map(|(list, len)| {
            let mut identity = s7::Identity::default();
            if let Some(list) = list {
                identity.learn(&list);
                assert!(list.records().count() <= 64);
            }
            (identity, len)
        })
    });
    for property in bacnet::Property::ALL {
        bacnet::reply(property, bytes);
    }
}

pub(crate) fn everything(bytes: &[u8], cuts: u64) {
    http(bytes, cuts);
    ssh(bytes, cuts);
    telnet(bytes, cuts);
    replies(bytes, cuts);
    packet(bytes);
    rest(bytes);
    remote(bytes);
    stores(bytes);
    industrial(bytes);
}
