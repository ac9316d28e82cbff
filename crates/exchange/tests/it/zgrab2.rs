//! Files that zgrab2 wrote of real servers: every one is read, and what we write has their shape.
//! They lie beside the repository; without them these tests say so and pass.

use std::path::PathBuf;

use kenshin_exchange::Format;
use kenshin_observation::{Check, Outcome};
use serde_json::Value;

use crate::world::{Read, read, show, write};

/// Names and bytes of the files; `None` with a word about the skipped test.
fn files(test: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let base = std::env::var_os("KENSHIN_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(folder) = std::fs::read_dir(base.join("zgrab2")) else {
        eprintln!("skipped: {test} (no shared data)");
        return None;
    };
    let mut files: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    Some(files)
}

fn one(files: &[(String, Vec<u8>)], name: &str) -> Read {
    let (_, bytes) = files.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}"));
    read(Format::Zgrab2, name, bytes)
}

#[test]
fn every_file_is_read() {
    let Some(files) = files("every_file_is_read") else { return };
    assert!(files.len() >= 58, "{}", files.len());
    for (name, bytes) in &files {
        let read = read(Format::Zgrab2, name, bytes);
        assert_eq!(read.problems, Vec::<String>::new(), "{name}");
        assert_eq!(read.rows.len(), 1, "{name}");
        let row = &read.rows[0];
        let module = name.split('-').next().unwrap().split('.').next().unwrap();
        assert_eq!(row.protocol.as_deref(), Some(module), "{name}");
        let check = match module {
            "redis" => Check::AnonymousLogin,
            "ntp" if name.contains("REQ_MON") || name.contains("monlist") => Check::Reflector,
            _ => Check::Handshake,
        };
        assert_eq!((row.outcome, row.check), (Outcome::Answered, check), "{name}");
        let kept = serde_json::to_string(row).unwrap();
        for secret in ["master_secret", "key_material", "password!"] {
            assert!(!kept.contains(secret), "{name} keeps {secret}");
        }
    }
}

#[test]
fn what_servers_said_is_in_the_records() {
    let Some(files) = files("what_servers_said_is_in_the_records") else { return };
    let http = one(&files, "http-https.json");
    let row = &http.rows[0];
    assert_eq!(show(row), "172.17.0.3:443/tcp answered http");
    assert_eq!(row.time.to_string(), "2018-04-06T19:38:11Z");
    let record = row.records.http.as_ref().unwrap();
    assert_eq!((record.status, record.server.as_deref()), (200, Some("lighttpd/1.4.35")));
    assert_eq!(record.body_bytes, 37);
    assert_eq!(
        record.body_sha256.as_deref(),
        Some("47fee80facae2c7f4fa8e040d54882ca12011dd5111defd1d93f8289689998af")
    );
    let tls = row.records.tls.as_ref().unwrap();
    assert_eq!((tls.version.as_str(), tls.cipher.as_str()), ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"));
    assert_eq!(
        tls.certificate_sha256.as_deref(),
        Some("fe01d8aaa47e75e281f404ab5e60c3e73da4747b02e558c238cc77cf023586fd")
    );
    assert_eq!(
        tls.public_key_sha256.as_deref(),
        Some("98e8d28229dced7a034aa112a6e7b49671da5c0ac7a10bd74d92d3a98ac2ea35")
    );
    assert_eq!(
        (tls.subject.as_deref(), tls.serial.as_deref()),
        (Some("CN=target"), Some("d359b8b41668919f"))
    );
    assert_eq!(
        (tls.key_algorithm.as_deref(), tls.key_bits, tls.self_signed),
        (Some("rsa"), Some(2048), Some(true))
    );
    assert_eq!(tls.signature_algorithm.as_deref(), Some("sha256WithRSAEncryption"));
    // The certificate itself is kept, by its digest.
    assert_eq!(row.blobs, [http.blobs[0].sha256()]);
    assert_eq!(Some(&row.blobs[0]), tls.certificate_sha256.as_ref());

    let ssh = one(&files, "ssh-ssh.json").rows.remove(0).records.ssh.unwrap();
    assert_eq!(ssh.banner, "SSH-2.0-OpenSSH_7.2p2 Ubuntu-4ubuntu2.4");
    assert_eq!((ssh.kex.len(), ssh.macs_server_to_client.len()), (6, 10));
    assert_eq!(ssh.host_key_algorithm.as_deref(), Some("ecdsa-sha2-nistp256"));
    assert_eq!(
        ssh.host_key_sha256.as_deref(),
        Some("691e8c65d86720d072fc5610f8976df184af64a91aea986a2de55a1abc0179dc")
    );
    assert_eq!(ssh.host_key_bits, Some(256));

    let telnet = one(&files, "telnet-telnet.json").rows.remove(0).records.telnet.unwrap();
    assert!(telnet.login_prompt && telnet.text.starts_with("Ubuntu 16.04.3 LTS"));
    assert_eq!(telnet.options[..3], ["WILL 3", "WILL 5", "WILL 3"]);
    assert!(telnet.options.contains(&"DO 24".to_owned()));

    let smtp = one(&files, "smtp-ehlo.quit.05.json").rows.remove(0).records.smtp.unwrap();
    assert_eq!(smtp.ehlo, ["ba06a6536f7e Hi Unknown [172.17.0.4]", "PIPELINING", "8BITMIME"]);
    let refused = one(&files, "smtp-ehlo.03.json").rows.remove(0).records.smtp.unwrap();
    assert_eq!(refused.ehlo, Vec::<String>::new(), "501 lists no extension");
    let ftp = one(&files, "ftp-authtls.json").rows.remove(0);
    assert_eq!(ftp.records.ftp.unwrap().banner, "220 (vsFTPd 3.0.3)");
    assert!(ftp.records.tls.is_some(), "AUTH TLS");
    let redis = one(&files, "redis-default-normal.json").rows.remove(0).records.redis.unwrap();
    assert_eq!((redis.version.as_deref(), redis.mode.as_deref()), (Some("5.0.4"), Some("standalone")));
    assert_eq!(redis.authentication_required, Some(false));
    let closed = one(&files, "redis-password-normal.json").rows.remove(0).records.redis.unwrap();
    assert_eq!((closed.version, closed.authentication_required), (None, Some(true)));
    let memcached = one(&files, "memcached-1.6.38.json").rows.remove(0).records.memcached.unwrap();
    assert_eq!(memcached.version.as_deref(), Some("1.6.38"));
    let ntp = one(&files, "ntp-4.2.6_normal.json").rows.remove(0);
    assert_eq!(show(&ntp), "172.17.0.4:123/udp answered ntp");
    let ntp = ntp.records.ntp.unwrap();
    assert_eq!((ntp.version, ntp.stratum, ntp.reference_id.as_deref()), (Some(3), Some(0), Some("INIT")));
    let monlist = one(&files, "ntp-4.2.6_monlist.json").rows.remove(0).records.ntp.unwrap();
    assert_eq!(monlist.private_answers, Some(true));
    let mysql = one(&files, "mysql-5.5.json").rows.remove(0);
    assert_eq!(show(&mysql), "172.17.0.3:3306/tcp answered mysql");
    assert!(mysql.records.unknown.unwrap().banner.contains("5.5.58"));
}

/// Every path of a value with the kind of what stands there; elements of a list are alike.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| paths(value, &format!("{at}.{key}"), out))
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{at}[]"), out)),
        Value::String(_) => out.push(format!("{at} text")),
        Value::Number(_) => out.push(format!("{at} number")),
        Value::Bool(_) => out.push(format!("{at} bool")),
        Value::Null => out.push(format!("{at} null")),
    }
}

#[test]
fn what_we_write_has_the_shape_of_what_zgrab2_writes() {
    let Some(files) = files("what_we_write_has_the_shape_of_what_zgrab2_writes") else { return };
    // Keys of zgrab2 that these files, made in 2018, are too old or too plain to hold.
    let newer = [".port number", ".body_length number"];
    for name in [
        "memcached-1.6.38.json",
        "http-http.json",
        "http-https.json",
        "ssh-ssh.json",
        "telnet-telnet.json",
        "ftp-default.json",
        "ftp-authtls.json",
        "smtp-00.json",
        "smtp-ehlo.quit.05.json",
    ] {
        let (_, bytes) = files.iter().find(|(file, _)| file == name).unwrap();
        let theirs: Value = serde_json::from_slice(bytes).unwrap();
        let rows = read(Format::Zgrab2, name, bytes).rows;
        let ours: Value = serde_json::from_str(&write(Format::Zgrab2, &rows, "*")).unwrap();
        let (mut real, mut made) = (Vec::new(), Vec::new());
        paths(&theirs, "", &mut real);
        paths(&ours, "", &mut made);
        for path in &made {
            let known = real.contains(path) || newer.iter().any(|newer| path.ends_with(newer));
            assert!(known, "{name}: zgrab2 has no {path}");
        }
        // What both hold is the same, host and scheme of the request apart: there the name was known.
        let same =
            |pointer: &str| assert_eq!(ours.pointer(pointer), theirs.pointer(pointer), "{name} {pointer}");
        let module = name.split('-').next().unwrap();
        for key in ["status", "protocol", "timestamp"] {
            same(&format!("/data/{module}/{key}"));
        }
        if module == "http" {
            same("/data/http/result/response/headers/server");
            same("/data/http/result/response/body_sha256");
        }
        if name == "http-https.json" {
            let parsed = "/data/http/result/response/request/tls_log/handshake_log/server_certificates/certificate/parsed";
            for key in [
                "serial_number",
                "subject",
                "subject_dn",
                "issuer",
                "validity",
                "signature_algorithm",
                "fingerprint_sha256",
            ] {
                same(&format!("{parsed}/{key}"));
            }
            same("/data/http/result/response/request/tls_log/handshake_log/server_hello/cipher_suite");
            same("/data/http/result/response/request/tls_log/handshake_log/server_hello/version");
        }
        if module == "ssh" {
            for key in [
                "server_id",
                "server_key_exchange/kex_algorithms",
                "server_key_exchange/client_to_server_macs",
            ] {
                same(&format!("/data/ssh/result/{key}"));
            }
            same("/data/ssh/result/key_exchange/server_host_key/fingerprint_sha256");
        }
    }
}
