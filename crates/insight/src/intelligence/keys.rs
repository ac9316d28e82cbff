//! Keys that everybody can have, because they came out of firmware or were published: a list of one
//! key a line, made by the operator. Kenshin ships none.
//!
//! `KIND DIGEST LABEL`: kind is `ssh-host-key` (digest of the key blob, as `ssh-keygen -l` prints it)
//! or `tls-public-key` (digest of the SubjectPublicKeyInfo); the digest is SHA-256 in hexadecimal or as
//! `SHA256:` with base64; the label says whose key it is. Lines that begin with `#` are comments.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kenshin_observation::{DeviceKey, DeviceKeyKind};

use super::importer::{io, read_line};
use super::{ImportError, Importer, IntelligenceKind, KnownKey};

const LINE_MAX: usize = 4 << 10;
const LABEL_MAX: usize = 160;

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let mut line = Vec::new();
    let (mut number, mut used) = (0, 0);
    let mut first = None;
    while let Some(whole) = read_line(&mut from, LINE_MAX, &mut line).map_err(io(file))? {
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        first.get_or_insert_with(|| text.chars().take(60).collect::<String>());
        match record(text) {
            _ if !whole => importer.reject(file, number, "the line is too long"),
            Ok(key) => {
                used += 1;
                importer.keys.push(key);
            }
            Err(reason) => importer.reject(file, number, reason),
        }
    }
    match first {
        Some(first) if used == 0 => Err(ImportError::Kind {
            file: file.to_owned(),
            kind: IntelligenceKind::Keys,
            problem: format!("its first line is `{first}`"),
            hint: "one key a line: ssh-host-key or tls-public-key, SHA-256 digest, label",
        }),
        _ => Ok(()),
    }
}

fn record(line: &str) -> Result<KnownKey, String> {
    let mut parts = line.splitn(3, char::is_whitespace).map(str::trim);
    let (kind, digest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kind = match kind.parse() {
        Ok(kind @ (DeviceKeyKind::SshHostKey | DeviceKeyKind::TlsPublicKey)) => kind,
        _ => return Err(format!("`{kind}` is neither ssh-host-key nor tls-public-key")),
    };
    let bytes = match digest.strip_prefix("SHA256:") {
        Some(coded) => STANDARD_NO_PAD.decode(coded.trim_end_matches('=')).ok(),
        None => hex::decode(digest).ok(),
    };
    let bytes = bytes.filter(|bytes| bytes.len() == 32);
    let bytes = bytes.ok_or_else(|| format!("`{digest}` is not a SHA-256 digest"))?;
    Ok(KnownKey {
        key: DeviceKey { kind, value: hex::encode(bytes) },
        label: parts.next().unwrap_or_default().chars().take(LABEL_MAX).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_in_both_forms() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let plain = record(&format!("ssh-host-key {hex} Router X, all of them")).unwrap();
        assert_eq!((plain.key.value.as_str(), plain.label.as_str()), (hex, "Router X, all of them"));
        let coded = record("tls-public-key\tSHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU").unwrap();
        assert_eq!((coded.key.kind, coded.key.value.as_str()), (DeviceKeyKind::TlsPublicKey, hex));
        for bad in ["", "mac-address 00", "ssh-host-key abcd x", "ssh-host-key SHA256:AAAA x", "x y z"] {
            assert!(record(bad).is_err(), "{bad}");
        }
    }
}
