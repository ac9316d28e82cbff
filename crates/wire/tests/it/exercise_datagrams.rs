//! Every decoder of what comes over UDP, and of the documents to which such answers refer, fed with
//! arbitrary bytes. Shared with the fuzz targets in `fuzz/`.

use std::net::IpAddr;

use kenshin_wire::datagram::{self, Answer};
use kenshin_wire::ntp::{self, control, private};
use kenshin_wire::referral::referral;
use kenshin_wire::{coap, dns, mdns, sip, snmp, ssdp, upnp, wsd};

/// DNS and mDNS.
pub(crate) fn names(bytes: &[u8]) {
    let Ok(message) = dns::Message::decode(bytes) else { return };
    assert!(message.answers.len() + message.authorities.len() + message.additionals.len() <= 256);
    for record in message.answers.iter().chain(&message.authorities).chain(&message.additionals) {
        assert!(record.name.labels().map(|label| label.len() + 1).sum::<usize>() < 255);
        record.name.to_string();
        let _ = record.name.parent();
    }
    message.recursion_open();
    message.version_bind();
    mdns::answers(&message, 1);
    let mut discovered = mdns::Discovered::default();
    discovered.add(&message);
    assert!(discovered.texts.len() <= 64 && discovered.instances.len() <= 64);
    // Written without compression, it is read as the same.
    assert_eq!(dns::Message::decode(&message.encode()), Ok(message));
}

/// Formats of numbers: SNMP, NTP, CoAP.
pub(crate) fn numbers(bytes: &[u8]) {
    match snmp::parse(bytes) {
        Ok(snmp::Answer::Response(response)) => {
            assert!(response.sys_object_id.is_none_or(|oid| oid.to_string().len() <= 128 * 11));
        }
        Ok(snmp::Answer::Report(report)) => {
            report.engine.enterprise();
            report.engine.form();
        }
        Err(_) => {}
    }
    if let Ok(answer) = ntp::parse(bytes) {
        assert!(answer.reference().to_string().len() <= 15);
    }
    let _ = private::parse(bytes);
    let mut assembly = control::Assembly::default();
    for datagram in bytes.chunks(60) {
        if let Ok(fragment) = control::parse(datagram) {
            assert!(fragment.data.len() <= datagram.len());
            assembly.push(fragment);
        }
    }
    let (text, _) = assembly.text();
    assert!(text.len() <= bytes.len());
    control::variables(&text);
    control::variables(bytes);
    if let Ok(message) = coap::parse(bytes) {
        assert!(message.token.len() <= 8 && message.payload.len() < bytes.len());
        message.code_text();
    }
    assert!(coap::links(bytes).len() <= 64);
}

/// Formats of words: SSDP, UPnP, WS-Discovery, SIP, and where they refer to.
pub(crate) fn words(bytes: &[u8]) {
    let asked: IpAddr = "192.0.2.1".parse().unwrap();
    let mut urls = vec![String::from_utf8_lossy(bytes).into_owned()];
    if let Ok(answer) = ssdp::parse(bytes) {
        urls.extend(answer.location);
    }
    if let Ok(found) = upnp::parse(bytes) {
        assert!(found.friendly_name.is_none_or(|name| name.len() <= 8 * 1024));
    }
    if let Ok(answer) = wsd::parse(bytes) {
        assert!(answer.matches.len() <= 16);
        for found in answer.matches {
            assert!(found.types.len() <= 64 && found.scopes.len() <= 64 && found.xaddrs.len() <= 64);
            for text in [found.name(), found.hardware()].into_iter().flatten() {
                assert!(text.len() <= 8 * 1024 * 3);
            }
            found.location();
            urls.extend(found.xaddrs);
        }
    }
    if let Ok(answer) = sip::parse(bytes) {
        assert!((100..700).contains(&answer.status) && answer.methods.len() <= 32);
    }
    for url in urls {
        if let Some(referral) = referral(&url, asked) {
            assert!(referral.path.starts_with('/') && referral.path.bytes().all(|b| b.is_ascii_graphic()));
            assert!(url.contains("192.0.2.1") || url.contains(':'));
        }
    }
}

pub(crate) fn everything(bytes: &[u8]) {
    names(bytes);
    numbers(bytes);
    words(bytes);
    // What is recognised was read by the codec of that protocol alone.
    match datagram::read(bytes) {
        Some(Answer::Sip(answer)) => assert_eq!(sip::parse(bytes), Ok(answer)),
        Some(Answer::Coap(message)) => assert_eq!(coap::parse(bytes), Ok(message)),
        Some(Answer::Dns(message)) => assert!(message.response),
        _ => {}
    }
}
