//! SSH identification, lists and host keys.

use kenshin_wire::ssh::{
    HostKeyExchange, KexInit, SshError, Step, decode_packet, encode_packet, host_key, identification,
};

use super::exercise::reads;
use super::transcript;

/// Plays what a server sent; panics unless the exchange completes.
fn play(bytes: &[u8], cuts: u64) -> HostKeyExchange {
    let mut exchange = HostKeyExchange::new("Kenshin_0.1", "kenshin.example.jp");
    for read in reads(bytes, cuts) {
        if let Step::Done(_) = exchange.push(read).unwrap() {
            return exchange;
        }
    }
    panic!("the exchange did not complete");
}

#[test]
fn captured_exchanges_show_the_host_key() {
    for (name, banner, kex, algorithm, bits, sha256) in [
        (
            "ssh-openssh-9.2",
            "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10",
            "sntrup761x25519-sha512",
            "ssh-ed25519",
            256,
            "709a0294093e7328d19ba4099df0a46174b7c2979f00496b68abe485d2f1ba47",
        ),
        (
            "ssh-dropbear-2022.83",
            "SSH-2.0-dropbear_2022.83",
            "curve25519-sha256",
            "ssh-rsa",
            2048,
            "b4c1aefd7b2c915c21115e410ad5f702eeb6d7568cc2df052ff13a35af95cfb9",
        ),
    ] {
        for cuts in [0, 1, 2, 12, 96, 1000] {
            let learned = play(&transcript(name), cuts).into_learned();
            assert_eq!(learned.identification.as_deref(), Some(banner.as_bytes()), "{name}");
            let lists = learned.lists.unwrap();
            assert_eq!(lists.kex[0], kex, "{name}");
            assert!(
                !lists.macs_server_to_client.is_empty()
                    && lists.compression_client_to_server.contains(&"none".to_owned())
            );
            let key = learned.host_key.unwrap();
            assert_eq!(
                (key.algorithm.as_str(), key.bits, key.sha256.as_str()),
                (algorithm, Some(bits), sha256),
                "{name}"
            );
        }
    }
}

#[test]
fn our_side_is_well_formed() {
    let mut exchange = HostKeyExchange::new("Kenshin-0.1\r\n", "kenshin.example.jp \u{1b}検診");
    let Step::Continue(out) = exchange.push(b"hello\r\nSSH-2.0-test\r\n").unwrap() else { panic!() };
    let found = identification(&out).unwrap().unwrap();
    assert_eq!(found.line, b"SSH-2.0-Kenshin_0.1 kenshin.example.jp ");
    let packet = decode_packet(&out[found.consumed..]).unwrap().unwrap();
    let lists = KexInit::decode(packet.payload).unwrap();
    assert!(lists.kex.contains(&"diffie-hellman-group1-sha1".to_owned()));
    assert_eq!(found.consumed + packet.consumed, out.len());

    // A server that offers nothing but a group exchange is asked for a group, then for its key.
    let theirs =
        KexInit { kex: vec!["diffie-hellman-group-exchange-sha256".to_owned()], ..KexInit::default() };
    let Step::Continue(out) = exchange.push(&encode_packet(&theirs.encode([7; 16]))).unwrap() else {
        panic!()
    };
    assert_eq!(decode_packet(&out).unwrap().unwrap().payload, [34, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 32, 0]);
    let Step::Continue(out) = exchange.push(&encode_packet(&[31, 0, 0, 0, 1, 5, 0, 0, 0, 1, 2])).unwrap()
    else {
        panic!()
    };
    let public = decode_packet(&out).unwrap().unwrap().payload;
    // 3^600 has 951 bits.
    assert_eq!((public[0], public.len()), (32, 1 + 4 + 119));
    assert!(public[5] < 0x80);
}

#[test]
fn a_wrong_guess_of_the_server_is_dropped() {
    let mut exchange = HostKeyExchange::new("K", "");
    exchange.push(b"SSH-2.0-x\n").unwrap();
    let lists = KexInit {
        kex: vec!["ecdh-sha2-nistp256".to_owned()],
        first_kex_packet_follows: true,
        ..KexInit::default()
    };
    exchange.push(&encode_packet(&lists.encode([0; 16]))).unwrap();
    let mut key = vec![0, 0, 0, 11];
    key.extend_from_slice(b"ssh-ed25519");
    let mut reply = vec![31];
    reply.extend_from_slice(&(key.len() as u32).to_be_bytes());
    reply.extend_from_slice(&key);
    assert!(matches!(exchange.push(&encode_packet(&[31, 9, 9])).unwrap(), Step::Continue(_)));
    assert!(matches!(exchange.push(&encode_packet(&reply)).unwrap(), Step::Done(_)));
    assert_eq!(exchange.learned().host_key.as_ref().unwrap().algorithm, "ssh-ed25519");
}

#[test]
fn servers_that_misbehave_are_told_apart() {
    let after = |packets: &[&[u8]]| {
        let mut exchange = HostKeyExchange::new("K", "");
        exchange.push(b"SSH-2.0-x\r\n").unwrap();
        packets.iter().map(|packet| exchange.push(packet)).find_map(Result::err)
    };
    let lists = |kex: &str| {
        encode_packet(&KexInit { kex: vec![kex.to_owned()], ..KexInit::default() }.encode([0; 16]))
    };
    assert_eq!(after(&[&lists("sntrup761")]), Some(SshError::NoCommonMethod));
    assert_eq!(after(&[&encode_packet(&[1, 0, 0, 0, 11])]), Some(SshError::Disconnected));
    assert_eq!(after(&[&encode_packet(&[20, 1])]), Some(SshError::KexInit));
    assert_eq!(after(&[&encode_packet(&[99])]), Some(SshError::Unexpected(99)));
    assert_eq!(after(&[&[0xff; 16]]), Some(SshError::Packet));
    assert_eq!(after(&[&[0, 0, 0, 8, 9, 0, 0, 0, 0, 0, 0, 0]]), Some(SshError::Packet));
    assert_eq!(after(&[&lists("curve25519-sha256"), &encode_packet(&[31, 0xff])]), Some(SshError::Reply));
    let ignored = encode_packet(&[2]);
    assert_eq!(after(&vec![ignored.as_slice(); 40]), Some(SshError::Packet));
    assert_eq!(HostKeyExchange::new("K", "").push(&[b'a'; 20_000]), Err(SshError::Identification));
    assert_eq!(HostKeyExchange::new("K", "").push(&b"x\n".repeat(100)), Err(SshError::Identification));
    // Version 1 servers are named and left.
    assert!(
        matches!(HostKeyExchange::new("K", "").push(b"SSH-1.5-old\n"), Ok(Step::Done(out)) if out.is_empty())
    );
}

#[test]
fn key_sizes() {
    let blob = |parts: &[&[u8]]| {
        let mut out = Vec::new();
        for part in parts {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    };
    let bits = |parts: &[&[u8]]| host_key(&blob(parts)).unwrap().bits;
    let mut modulus = vec![0];
    modulus.extend([0xff; 128]);
    assert_eq!(bits(&[b"ssh-rsa", &[1, 0, 1], &modulus]), Some(1024));
    modulus[1] = 0x7f;
    assert_eq!(bits(&[b"ssh-rsa", &[1, 0, 1], &modulus]), Some(1023));
    assert_eq!(bits(&[b"ssh-rsa", &[], &[]]), Some(0));
    assert_eq!(bits(&[b"ssh-rsa"]), None);
    assert_eq!(bits(&[b"ecdsa-sha2-nistp521"]), Some(521));
    assert_eq!(bits(&[b"ssh-new"]), None);
    assert_eq!(host_key(b"\0\0\0\xff"), Err(SshError::Reply));
}
