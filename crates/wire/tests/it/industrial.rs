//! Controllers: Modbus, S7, BACnet.

use kenshin_wire::Answer;
use kenshin_wire::bacnet::{self, Property, Reply, Value};
use kenshin_wire::modbus::{self, Identified, Identity};
use kenshin_wire::s7;

use super::{other, transcript, whole};

#[test]
fn modbus_servers_say_who_made_them() {
    let answer = whole(&transcript("modbus-pymodbus-3.16"), modbus::answer);
    let expected = Identity {
        vendor: Some("Example Automation".to_owned()),
        product_code: Some("EA-100".to_owned()),
        revision: Some("V1.7.2".to_owned()),
    };
    assert_eq!(answer, Identified::Identity(expected));
    assert_eq!(modbus::read_identification(0), *b"KE\0\0\0\x05\0\x2b\x0e\x01\0");
    let exception = |code| [75, 69, 0, 0, 0, 3, 0, 0xab, code];
    assert_eq!(whole(&exception(1), modbus::answer), Identified::Exception(1));
    for bytes in [
        &b"KE\0\0\0\x03\0\x83\x02"[..], // an exception of another function
        b"KF\0\0\0\x03\0\xab\x01",      // another transaction
        b"KE\0\0\0\x02\0\xab",          // too short
        b"KE\0\0\0\xff",                // too long
        b"KE\0\0\0\x0a\0\x2b\x0e\x01\x83\0\0\x01\0\x09", // an object beyond the end
        b"HTTP/1.1 400 Bad Request\r\n",
    ] {
        other(bytes, modbus::answer);
    }
}

#[test]
fn s7_controllers_say_what_they_are() {
    assert_eq!(hex::encode(s7::connect(s7::DESTINATIONS[0])), "0300001611e00000000100c0010ac1020100c2020102");
    assert_eq!(hex::encode(s7::setup()), "0300001902f08032010000000100080000f0000001000101e0");
    assert_eq!(
        hex::encode(s7::read_list(s7::MODULE)),
        "0300002102f080320700000002000800080001120411440100ff09000400110000"
    );
    assert_eq!(whole(&transcript("s7-snap7-connect"), s7::connected), 22);
    assert_eq!(whole(&transcript("s7-snap7-setup"), s7::set_up), 27);
    let mut identity = s7::Identity::default();
    for name in ["s7-snap7-module", "s7-snap7-component"] {
        let bytes = transcript(name);
        let (list, len) = s7::list(&bytes).whole().unwrap();
        assert_eq!(len, bytes.len());
        identity.learn(&list.unwrap());
        for cut in 0..bytes.len() {
            assert_eq!(s7::list(&bytes[..cut]), Answer::More);
        }
    }
    let some = |text: &str| Some(text.to_owned());
    let expected = s7::Identity {
        module: some("6ES7 315-2EH14-0AB0"),
        version: some("3.2.6"),
        system_name: some("SNAP7-SERVER"),
        module_name: some("CPU 315-2 PN/DP"),
        plant: None,
        serial_number: some("S C-C2UR28922012"),
    };
    assert_eq!(identity, expected);
    assert_eq!(s7::list(&transcript("s7-snap7-refused")), Answer::Whole((None, 33)));
    other(&transcript("rdp-xrdp-0.9-tls"), s7::connected);
    other(&transcript("s7-snap7-setup"), s7::connected);
    other(&transcript("s7-snap7-connect"), s7::set_up);
    other(&transcript("s7-snap7-setup"), |bytes| s7::list(bytes).map(drop));
}

#[test]
fn bacnet_devices_name_their_maker() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (name, property, expected) in [
        ("instance", Property::ObjectIdentifier, Value::Instance(20_480)),
        ("object-name", Property::ObjectName, text("Air handler 3")),
        ("vendor", Property::VendorName, text("Example Controls")),
        ("vendor-id", Property::VendorIdentifier, Value::Unsigned(260)),
        ("model", Property::ModelName, text("AHU-3000")),
        ("firmware", Property::FirmwareRevision, text("2.4.1")),
    ] {
        let datagram = transcript(&format!("bacnet-bacpypes3-{name}"));
        assert_eq!(bacnet::reply(property, &datagram), Some(Reply::Value(expected)), "{name}");
        for asked in Property::ALL.into_iter().filter(|asked| *asked != property) {
            assert_eq!(bacnet::reply(asked, &datagram), None, "{name} does not answer {asked:?}");
        }
        for cut in 0..datagram.len() {
            assert_eq!(bacnet::reply(property, &datagram[..cut]), None);
        }
    }
}

#[test]
fn bacnet_is_asked_of_one_device_and_may_refuse() {
    let ours = bacnet::read_property(Property::VendorIdentifier);
    assert_eq!(hex::encode(&ours), "810a0011010400 05780c0c023fffff1978".replace(' ', ""));
    // Captured: an unknown object, in answer to the question with number 200.
    let mut unknown = transcript("bacnet-bacpypes3-unknown-object");
    assert_eq!(unknown[7], 200);
    unknown[7] = 70;
    assert_eq!(bacnet::reply(Property::ModelName, &unknown), Some(Reply::Error { class: 1, code: 31 }));
    let reject = [0x81, 0x0a, 0, 9, 1, 0, 0x60, 70, 9];
    assert_eq!(bacnet::reply(Property::ModelName, &reject), Some(Reply::Rejected(9)));
    // Behind a router: source network 2, address of one byte.
    let mut routed = transcript("bacnet-bacpypes3-model");
    routed[5] = 0x08;
    routed.splice(6..6, [0, 2, 1, 9]);
    routed[3] += 4;
    assert_eq!(
        bacnet::reply(Property::ModelName, &routed),
        Some(Reply::Value(Value::Text("AHU-3000".to_owned())))
    );
    // UCS-2.
    let ucs2 =
        b"\x81\x0a\0\x1b\x01\0\x30\x46\x0c\x0c\x02\0\x50\0\x19\x46\x3e\x75\x07\x04\x7a\x7a\x8a\xbf\0A\x3f";
    assert_eq!(bacnet::reply(Property::ModelName, ucs2), Some(Reply::Value(Value::Text("空調A".to_owned()))));
    assert_eq!(bacnet::reply(Property::ModelName, &ours), None, "our own question is no answer");
}
