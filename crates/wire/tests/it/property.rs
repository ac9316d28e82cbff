//! Properties over arbitrary input.

use kenshin_wire::http::{Limits, ResponseDecoder};
use kenshin_wire::ssh::{KexInit, decode_packet, encode_packet};
use kenshin_wire::{charset, redaction};
use proptest::prelude::*;

use super::{exercise, exercise_datagrams};

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z0-9@.-]{1,40}", 0..12)
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cuts: u64) {
        exercise::everything(&bytes, cuts);
        exercise_datagrams::everything(&bytes);
    }

    #[test]
    fn packets_round_trip(payload in proptest::collection::vec(any::<u8>(), 1..3000), tail in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = encode_packet(&payload);
        prop_assert_eq!(bytes.len() % 8, 0);
        let len = bytes.len();
        prop_assert_eq!(decode_packet(&bytes[..len - 1]).unwrap(), None);
        bytes.extend(tail);
        let packet = decode_packet(&bytes).unwrap().unwrap();
        prop_assert_eq!((packet.payload, packet.consumed), (payload.as_slice(), len));
    }

    #[test]
    fn algorithm_lists_round_trip(kex in names(), host_key in names(), ciphers in names(), macs in names(), cookie: [u8; 16], first_kex_packet_follows: bool) {
        let lists = KexInit {
            kex, host_key,
            ciphers_client_to_server: ciphers.clone(), ciphers_server_to_client: ciphers,
            macs_client_to_server: macs.clone(), macs_server_to_client: macs,
            compression_client_to_server: vec!["none".to_owned()], compression_server_to_client: Vec::new(),
            first_kex_packet_follows,
        };
        prop_assert_eq!(KexInit::decode(&lists.encode(cookie)).unwrap(), lists);
    }

    #[test]
    fn where_a_response_is_cut_does_not_matter(
        headers in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,40}"), 0..8),
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..6),
        cuts: u64,
    ) {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n".to_vec();
        for (name, value) in &headers {
            bytes.extend_from_slice(format!("X-{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        for chunk in &chunks {
            bytes.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let mut whole = ResponseDecoder::new(Limits::default());
        whole.push(&bytes).unwrap();
        let whole = whole.end().unwrap();
        prop_assert_eq!(&whole.body, &chunks.concat());
        prop_assert!(whole.complete);
        let mut decoder = ResponseDecoder::new(Limits::default());
        for read in exercise::reads(&bytes, cuts) {
            decoder.push(read).unwrap();
        }
        prop_assert_eq!(decoder.end().unwrap(), whole);
    }

    #[test]
    fn utf8_is_decoded_as_it_is(text in "[ -~あ-んア-ン一-龠]{0,80}") {
        prop_assert_eq!(charset::decode(text.as_bytes(), Some("Shift_JIS")), text);
    }

    #[test]
    fn a_cookie_value_never_survives(value in "[A-Za-z0-9]{8,40}", before in "[a-z ]{0,20}", name in "(session|PHPSESSID|auth_token|csrf)") {
        for text in [
            format!("{before}\r\nSet-Cookie: {name}={value}; path=/\r\n"),
            format!("{before} {name}={value}&x=1"),
            format!("{before}<input type=hidden name=\"{name}\" value=\"{value}\">"),
            format!("{before}{{\"{name}\": \"{value}\"}}"),
        ] {
            for redacted in [redaction::head(text.as_bytes()), redaction::text(text.as_bytes())] {
                let redacted = String::from_utf8(redacted).unwrap();
                prop_assert!(!redacted.contains(&value), "{redacted}");
            }
        }
    }
}
