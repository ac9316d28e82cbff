//! Remote desktops, shares and debug bridges: RDP, VNC, SMB, ADB.

use kenshin_wire::Answer;
use kenshin_wire::adb::{self, Connected};
use kenshin_wire::rdp::{self, Negotiation};
use kenshin_wire::smb::{self, Agreement, Negotiated};
use kenshin_wire::vnc::{self, Security, Version};

use super::{other, transcript, whole};

#[test]
fn rdp_servers_choose_a_security_protocol() {
    let check = |bytes: &[u8], expected| assert_eq!(whole(bytes, rdp::answer), expected);
    let tls = Negotiation::Selected { protocol: 1, flags: 1 };
    check(&transcript("rdp-xrdp-0.9-tls"), tls);
    check(&transcript("rdp-xrdp-0.9-no-request"), Negotiation::Absent);
    // MS-RDPBCGR §4.1.2, a server that selects CredSSP with every flag.
    let windows = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";
    check(windows, Negotiation::Selected { protocol: 2, flags: 0x1f });
    let refused = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x05\0\0\0";
    check(refused, Negotiation::Failed { code: 5 });
    assert_eq!((rdp::protocol_name(2), rdp::failure_name(5)), (Some("credssp"), Some("credssp-required")));
    assert_eq!((rdp::protocol_name(3), rdp::failure_name(0)), (None, None));
    for bytes in [
        // A controller confirms the same request, and echoes it.
        &b"\x03\0\0\x13\x0e\xd0\0\0\0\x01\0\x01\0\x08\0\x0b\0\0\0"[..],
        b"\x03\0\0\x16\x11\xd0\0\x01\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
        b"\x03\0\0\x07\x02\xf0\x80",
        b"\x03\0\0\x04",
        b"\x03\0\0\0\0",
        b"\x03\0\0\x0b\xff\xd0\0\0\x12\x34\0",
        b"HTTP/1.1 400 Bad Request\r\n",
    ] {
        other(bytes, rdp::answer);
    }
}

#[test]
fn vnc_servers_list_how_they_would_authenticate() {
    for (name, version, types, required) in [
        ("vnc-tigervnc-1.12-password", Version { major: 3, minor: 8 }, &[19, 2][..], true),
        ("vnc-tigervnc-1.12-open", Version { major: 3, minor: 8 }, &[1], false),
    ] {
        let bytes = transcript(name);
        assert_eq!(whole(&bytes[..12], vnc::version), version);
        let security = whole(&bytes[12..], |bytes| vnc::security(version, bytes));
        assert_eq!(security, Security { types: types.to_vec(), refusal: None }, "{name}");
        assert_eq!(security.authentication_required(), Some(required));
    }
    let old = Version { major: 3, minor: 3 };
    let bytes = transcript("vnc-tigervnc-1.12-rfb-3.3");
    let security = whole(&bytes[12..], |bytes| vnc::security(old, bytes));
    assert_eq!((security.types.as_slice(), security.authentication_required()), (&[1][..], Some(false)));
}

#[test]
fn vnc_versions_and_refusals() {
    for (line, expected, reply) in [
        (b"RFB 003.003\n", "3.3", b"RFB 003.003\n"),
        (b"RFB 003.005\n", "3.5", b"RFB 003.003\n"),
        (b"RFB 003.007\n", "3.7", b"RFB 003.007\n"),
        (b"RFB 003.889\n", "3.889", b"RFB 003.008\n"),
        (b"RFB 005.000\n", "5.0", b"RFB 003.008\n"),
    ] {
        let version = whole(line, vnc::version);
        assert_eq!((version.to_string().as_str(), version.reply()), (expected, reply));
    }
    for bytes in [&b"RFC 003.008\n"[..], b"RFB 003x008\n", b"RFB 003.008\r", b"RFB 0+3.008\n"] {
        other(bytes, vnc::version);
    }
    let new = Version { major: 3, minor: 8 };
    let refused = whole(b"\0\0\0\0\x09Too many.", |bytes| vnc::security(new, bytes));
    assert_eq!((refused.refusal.as_deref(), refused.authentication_required()), (Some("Too many."), None));
    other(b"\0\xff\xff\xff\xff", |bytes| vnc::security(new, bytes));
    other(b"\0\0\x01\0", |bytes| vnc::security(Version { major: 3, minor: 3 }, bytes));
    assert_eq!((vnc::security_name(30), vnc::security_name(99)), (Some("apple-diffie-hellman"), None));
}

#[test]
fn smb_is_asked_as_captured() {
    assert_eq!(
        hex::encode(smb::negotiate()),
        "000000aefe534d4240000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000024000500010000007f0000006b656e7368696e2d70726f62652d303170000000020000000202100200030203110300000100260000000000010020000100000000000000000000000000000000000000000000000000000000000000000000000200060000000000020002000100"
    );
    assert_eq!(
        hex::encode(smb::negotiate_1()),
        "0000002fff534d4272000000001801c8000000000000000000000000ffff010000000000000c00024e54204c4d20302e313200"
    );
}

#[test]
fn smb_servers_agree_or_refuse() {
    let agreed = |name: &str| match whole(&transcript(name), smb::answer) {
        Negotiated::Two(agreement) | Negotiated::One(agreement) => agreement,
        refused => panic!("{name}: {refused:?}"),
    };
    let guid = b"nas\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let expected = Agreement {
        dialect: 0x0311,
        signing_enabled: true,
        signing_required: false,
        server_guid: *guid,
        capabilities: 15,
    };
    assert_eq!(agreed("smb2-samba-4.17"), expected);
    let strict = agreed("smb2-samba-4.17-signing-required");
    assert_eq!(strict, Agreement { signing_required: true, ..expected });
    let old = agreed("smb1-samba-4.17");
    assert_eq!((old.dialect, old.signing_enabled, old.server_guid), (smb::DIALECT_1, false, *guid));
    assert_eq!(old.capabilities, 0x8080_f3fd);
    let refused = whole(&transcript("smb1-samba-4.17-refused"), smb::answer);
    assert_eq!(refused, Negotiated::Refused { status: 0 });
    assert_eq!((smb::dialect_name(0x0311), smb::dialect_name(0x02ff)), (Some("3.1.1"), None));
    let bytes: [u8; 16] = std::array::from_fn(|at| at as u8);
    assert_eq!(smb::guid_text(&bytes), "03020100-0504-0706-0809-0a0b0c0d0e0f");
}

#[test]
fn smb_damaged() {
    let good = transcript("smb2-samba-4.17");
    for (at, byte) in [(0, 0x85), (1, 1), (4, 0xfd), (16, 1), (68, 66)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        other(&bytes, smb::answer);
    }
    let mut status = good.clone();
    status[12..16].copy_from_slice(&0xc000_00bb_u32.to_le_bytes());
    assert_eq!(whole(&status, smb::answer), Negotiated::Refused { status: 0xc000_00bb });
    // A length that promises more than the message holds.
    let mut short = good[..4 + 64].to_vec();
    short[2..4].copy_from_slice(&64_u16.to_be_bytes());
    other(&short, smb::answer);
}

#[test]
fn adb_devices_let_in_or_ask_for_a_key() {
    let Connected::Open(banner) = whole(&transcript("adb-television-open"), adb::answer) else {
        panic!("it is open")
    };
    assert_eq!((banner.state.as_str(), banner.product.as_deref()), ("device", Some("tvbox_s905")));
    assert_eq!((banner.model.as_deref(), banner.device.as_deref()), (Some("TV BOX X96"), Some("p212")));
    assert!(banner.text.ends_with("features=cmd,shell_v2"), "{}", banner.text);
    let auth = transcript("adb-telephone-authentication");
    assert_eq!(adb::answer(&auth), Answer::Whole(Connected::KeyRequired));
    assert_eq!(whole(&transcript("adb-tls"), adb::answer), Connected::TlsRequired);
    // What we say has the form of what we read, checksum included.
    let ours = adb::connect();
    assert!(matches!(whole(&ours, adb::answer), Connected::Open(banner) if banner.state == "host"));
    assert_eq!(ours[16..20], 562_u32.to_le_bytes());
    let mut wrong = auth.clone();
    wrong[20] ^= 1;
    other(&wrong, adb::answer);
    let mut long = transcript("adb-television-open");
    long[14] = 1;
    other(&long, adb::answer);
}
