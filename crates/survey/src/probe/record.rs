//! From what was heard to what is kept.

use kenshin_observation::protocol::{self, text, texts};
use kenshin_observation::{Blob, BlobClass};
use kenshin_wire::http::{Head, Response, challenge, page};
use kenshin_wire::ssh::Exchanged;
use kenshin_wire::{redaction, rtsp};
use sha2::{Digest, Sha256};

/// Redaction looks at more than is kept, so that a secret at the cut goes too.
const REDACTION_MARGIN: usize = 1024;

/// The first `max` bytes, redacted.
pub(super) fn redacted(bytes: &[u8], max: usize) -> Vec<u8> {
    let mut kept = redaction::text(&bytes[..bytes.len().min(max + REDACTION_MARGIN)]);
    kept.truncate(max);
    kept
}

/// A banner blob; `None` when there is nothing to keep.
pub(super) fn banner(bytes: &[u8], max: usize) -> Option<Blob> {
    let bytes = redacted(bytes, max);
    (!bytes.is_empty()).then_some(Blob { class: BlobClass::Banner, bytes })
}

/// Text of a stranger, redacted and cut.
pub(super) fn shown(bytes: &[u8]) -> String {
    text(&redacted(bytes, protocol::TEXT_MAX))
}

pub(super) fn unknown(bytes: &[u8]) -> protocol::Unknown {
    let kept = redacted(bytes, protocol::TEXT_MAX);
    protocol::Unknown {
        banner: text(&kept),
        first_bytes: hex::encode(&kept[..kept.len().min(64)]),
        bytes: bytes.len() as i64,
    }
}

pub(super) fn http(response: &Response) -> protocol::Http {
    let headers = &response.head.headers;
    let header = |name: &str| headers.get(name).map(|value| text(value.as_bytes()));
    let page = response.text();
    protocol::Http {
        status: i32::from(response.head.status),
        server: header("server"),
        title: page::title(&page).map(|title| shown(title.as_bytes())),
        www_authenticate: authenticate(&response.head),
        powered_by: header("x-powered-by"),
        location: headers.get("location").map(|value| shown(value.as_bytes())),
        content_type: header("content-type"),
        cookie_names: texts(headers.cookie_names()),
        password_form: page::has_password_form(&page),
        body_bytes: response.body.len() as i64,
        body_sha256: (!response.body.is_empty()).then(|| hex::encode(Sha256::digest(&response.body))),
        ..protocol::Http::default()
    }
}

/// Scheme and realm of the first challenge.
fn authenticate(head: &Head) -> Option<String> {
    challenge::challenges(&head.headers).first().map(|challenge| text(challenge.shown().as_bytes()))
}

/// Head and page of a response as blobs. `Date` is left out: it would make every blob a new one.
pub(super) fn http_blobs(response: &Response, max: usize) -> Vec<Blob> {
    let head = &response.head;
    let mut section = format!("{} {}\r\n", head.status, head.reason);
    for (name, value) in head.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date")) {
        section.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut section = redaction::head(section.as_bytes());
    section.truncate(max);
    let mut blobs = vec![Blob { class: BlobClass::Banner, bytes: section }];
    let body = redacted(&response.body, max);
    if !body.is_empty() {
        blobs.push(Blob { class: BlobClass::Page, bytes: body });
    }
    blobs
}

pub(super) fn rtsp(head: &Head) -> protocol::Rtsp {
    protocol::Rtsp {
        status: i32::from(head.status),
        server: head.headers.get("server").map(|value| text(value.as_bytes())),
        methods: texts(rtsp::methods(head)),
        www_authenticate: authenticate(head),
    }
}

pub(super) fn ssh(learned: Exchanged) -> protocol::Ssh {
    let lists = learned.lists.unwrap_or_default();
    let key = learned.host_key;
    protocol::Ssh {
        banner: text(&learned.identification.unwrap_or_default()),
        kex: lists.kex,
        host_key_algorithms: lists.host_key,
        ciphers_client_to_server: lists.ciphers_client_to_server,
        ciphers_server_to_client: lists.ciphers_server_to_client,
        macs_client_to_server: lists.macs_client_to_server,
        macs_server_to_client: lists.macs_server_to_client,
        compression_client_to_server: lists.compression_client_to_server,
        compression_server_to_client: lists.compression_server_to_client,
        host_key_algorithm: key.as_ref().map(|key| key.algorithm.clone()),
        host_key_sha256: key.as_ref().map(|key| key.sha256.clone()),
        hassh_server: learned.hassh_server,
        host_key_bits: key.and_then(|key| key.bits).and_then(|bits| i32::try_from(bits).ok()),
    }
}
