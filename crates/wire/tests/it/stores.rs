//! Data stores: Redis, memcached, MongoDB, Elasticsearch.

use kenshin_wire::Answer;
use kenshin_wire::elasticsearch::{self, Engine};
use kenshin_wire::memcached::{self, Versioned};
use kenshin_wire::mongodb::{self, Document, Value};
use kenshin_wire::redis::{self, Access, Info};

use super::exercise::response;
use super::{other, transcript, whole};

// Encoded by pymongo 4.
const HELLO: &str = "440000000100000000000000d40700000000000061646d696e2e24636d640000000000ffffffff1d0000001069734d617374657200010000000868656c6c6f4f6b000100";
const BUILD_INFO: &str = "380000000100000000000000dd070000000000000023000000106275696c64496e666f000100000002246462000600000061646d696e0000";
const PARAMETER: &str = "460000000100000000000000dd07000000000000003100000010676574506172616d657465720001000000107175696574000100000002246462000600000061646d696e0000";
const BUILD_INFO_OLD: &str = "3b0000000100000000000000d40700000000000061646d696e2e24636d640000000000ffffffff14000000106275696c64496e666f000100000000";

/// Encoded by pymongo 4, from a dictionary with a value of every type.
const EVERY_TYPE: &str = "1101000001646f75626c6500000000000000f83f02746578740004000000e6a49c0003646f63000c000000107800010000000004617272617900130000001030000100000010310002000000000562696e617279000300000000616263076f69640065f0c0ffee65f0c0ffee65f00874727565000109646174650000a8da769b0100000a6e756c6c000b726567657800610069000d636f6465000200000078000f73636f706500160000000200000078000c000000107900010000000010696e7400fbffffff117374616d70000200000001000000126c6f6e6700000000000001000013646563696d616c000f000000000000000000000000003e30ff6d696e007f6d617800106c617374000700000000";

#[test]
fn redis_open_and_closed() {
    let open = transcript("redis-7.0-open");
    let Answer::Whole((access, len)) = redis::ping(&open) else { panic!("an answer") };
    assert_eq!((access, len), (Access::Open, 7));
    let info = whole(&open[len..open.len() - 2], redis::info).unwrap();
    let expected = Info {
        name: "redis".to_owned(),
        version: "7.0.15".to_owned(),
        mode: Some("standalone".to_owned()),
        system: Some("Linux 6.1.0-18-amd64 x86_64".to_owned()),
    };
    assert_eq!(info, expected);
    let closed = transcript("redis-7.0-password");
    let Answer::Whole((access, len)) = redis::ping(&closed) else { panic!("an answer") };
    assert_eq!(access, Access::PasswordRequired);
    assert_eq!(redis::info(&closed[len..]), Answer::Whole(None));
}

#[test]
fn redis_by_its_errors_and_relatives() {
    for (line, access) in [
        (
            &b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"[..],
            Access::Protected,
        ),
        (b"-ERR operation not permitted\r\n", Access::PasswordRequired),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Access::Open),
    ] {
        assert_eq!(whole(line, redis::ping).0, access);
    }
    for bytes in
        [&b"-ERR unknown command\r\n"[..], b"+OK POP3 ready\r\n", b"+PONG!\r\n", b"HTTP/1.1 400 Bad\r\n"]
    {
        other(bytes, redis::ping);
    }
    other(&[b'-'; 2000], redis::ping);
    // Line ends of one byte: found by fuzzing.
    assert_eq!(redis::ping(b"+PONG\n"), Answer::Whole((Access::Open, 6)));
    assert_eq!(redis::info(b"$9\n"), Answer::More);
    let valkey = b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nserver_mode:cluster\r\n";
    let bulk = [format!("${}\r\n", valkey.len()).as_bytes(), valkey].concat();
    let info = whole(&bulk, redis::info).unwrap();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("valkey", "8.0.1"));
    assert_eq!(info.mode.as_deref(), Some("cluster"));
    for bytes in
        [&b"$-1\r\n"[..], b"$99999999\r\n", b"$5\r\nhello", b"+OK\r\n", b"$111111111111111111111\r\n"]
    {
        other(bytes, redis::info);
    }
}

#[test]
fn memcached_versions() {
    let version = whole(&transcript("memcached-1.6"), memcached::answer);
    assert_eq!(version, Versioned::Version("1.6.18".to_owned()));
    let closed = whole(&transcript("memcached-1.6-password"), memcached::answer);
    assert_eq!(closed, Versioned::AuthenticationRequired);
    for bytes in [&b"ERROR\r\n"[..], b"VERSION \r\n", b"CLIENT_ERROR unauthenticated!\r\n"] {
        other(bytes, memcached::answer);
    }
    other(&[&b"VERSION "[..], &[b'1'; 500]].concat(), memcached::answer);
}

#[test]
fn mongodb_is_asked_as_a_driver_asks() {
    for (ours, theirs) in [
        (mongodb::hello(), HELLO),
        (mongodb::build_info(21), BUILD_INFO),
        (mongodb::parameter(21), PARAMETER),
        (mongodb::build_info(5), BUILD_INFO_OLD),
    ] {
        assert_eq!(hex::encode(ours), theirs);
    }
}

#[test]
fn mongodb_answers() {
    let read = |name: &str| {
        let bytes = transcript(name);
        let len = whole(&bytes, |bytes| mongodb::reply(bytes).map(|(_, len)| len));
        assert_eq!(len, bytes.len());
        bytes
    };
    fn document(bytes: &[u8]) -> Document<'_> {
        mongodb::reply(bytes).whole().unwrap().0
    }
    let hello = read("mongodb-hello");
    assert_eq!(mongodb::wire_version(document(&hello)), Some(21));
    for name in ["mongodb-build-info", "mongodb-build-info-op-reply"] {
        let build_info = read(name);
        assert_eq!(mongodb::version(document(&build_info)).as_deref(), Some("7.0.5"));
        assert_eq!(mongodb::wire_version(document(&build_info)), None);
    }
    let closed = read("mongodb-parameter-auth");
    assert_eq!(mongodb::authentication_required(document(&closed)), Some(true));
    let open = read("mongodb-parameter-open");
    assert_eq!(mongodb::authentication_required(document(&open)), Some(false));
    let mut other_question = hello;
    other_question[8] = 2;
    other(&other_question, |bytes| mongodb::reply(bytes).map(drop));
    other(b"HTTP/1.0 200 OK\r\nConnection: close\r\n", |bytes| mongodb::reply(bytes).map(drop));
}

#[test]
fn bson_of_every_type() {
    let bytes = hex::decode(EVERY_TYPE).unwrap();
    let document = Document::read(&bytes).unwrap();
    assert_eq!(document.get("double"), Some(Value::Double(1.5)));
    assert_eq!(document.get("text").and_then(Value::text).as_deref(), Some("検"));
    assert!(
        matches!(document.get("doc"), Some(Value::Document(inner)) if inner.get("x") == Some(Value::Integer(1)))
    );
    assert!(
        matches!(document.get("array"), Some(Value::Document(inner)) if inner.get("1") == Some(Value::Integer(2)))
    );
    assert_eq!(document.get("true"), Some(Value::Boolean(true)));
    assert_eq!(document.get("int"), Some(Value::Integer(-5)));
    assert_eq!(document.get("long"), Some(Value::Integer(1 << 40)));
    for name in ["binary", "oid", "date", "null", "regex", "code", "scope", "stamp", "decimal", "min", "max"]
    {
        assert_eq!(document.get(name), Some(Value::Other), "{name}");
    }
    // Reached only when everything before it was measured right.
    assert_eq!(document.get("last"), Some(Value::Integer(7)));
    assert_eq!(document.get("absent"), None);
    for cut in 0..bytes.len() {
        assert_eq!(Document::read(&bytes[..cut]), None);
    }
}

#[test]
fn bson_nested_to_any_depth_is_only_a_slice() {
    let mut bytes = b"\x05\0\0\0\0".to_vec();
    for _ in 0..5_000 {
        let mut outer = ((bytes.len() + 8) as u32).to_le_bytes().to_vec();
        outer.extend_from_slice(b"\x03a\0");
        outer.extend_from_slice(&bytes);
        outer.push(0);
        bytes = outer;
    }
    let mut document = Document::read(&bytes).unwrap();
    let mut depth = 0;
    while let Some(Value::Document(inner)) = document.get("a") {
        document = inner;
        depth += 1;
    }
    assert_eq!(depth, 5_000);
}

#[test]
fn search_engines_open_and_closed() {
    let check = |name: &str, distribution, version: Option<&str>, cluster: Option<&str>| {
        let engine = elasticsearch::recognise(&response(&transcript(name), 0).unwrap());
        let expected = Engine {
            distribution,
            version: version.map(str::to_owned),
            cluster_name: cluster.map(str::to_owned),
            authentication_required: version.is_none(),
        };
        assert_eq!(engine, Some(expected), "{name}");
    };
    check("http-elasticsearch-7.17", "elasticsearch", Some("7.17.9"), Some("logs"));
    check("http-elasticsearch-1.4", "elasticsearch", Some("1.4.2"), Some("elasticsearch"));
    check("http-elasticsearch-8-password", "elasticsearch", None, None);
    check("http-opensearch-2.11", "opensearch", Some("2.11.0"), Some("opensearch"));
    check("http-opensearch-password", "opensearch", None, None);
    for name in ["http-lighttpd-basic", "http-router-shift-jis", "http-cwmp-gateway"] {
        assert_eq!(elasticsearch::recognise(&response(&transcript(name), 0).unwrap()), None, "{name}");
    }
    let deep = format!("HTTP/1.1 200 OK\r\n\r\n{}", "[".repeat(4000));
    assert_eq!(elasticsearch::recognise(&response(deep.as_bytes(), 0).unwrap()), None);
}
