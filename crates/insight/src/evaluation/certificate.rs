//! Names of a certificate, from its text or its bytes (RFC 5280 §4.1, X.690).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Object identifiers of attribute types and their short names (RFC 4514 §3, RFC 2985), as bytes.
const TYPES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

/// Subject, and issuer where it is known. Text is taken as the subject, unless it labels both.
pub(super) fn names(banner: &[u8]) -> (String, Option<String>) {
    let text = String::from_utf8_lossy(banner);
    let der = match text.split_once("-----BEGIN CERTIFICATE-----") {
        Some((_, rest)) => {
            let letters = rest.split("-----").next().unwrap_or_default();
            STANDARD.decode(letters.split_ascii_whitespace().collect::<String>()).unwrap_or_default()
        }
        None => banner.to_vec(),
    };
    if let Some((subject, issuer)) = of_der(&der) {
        return (subject, Some(issuer));
    }
    let labelled = |label: &str| {
        text.lines().find_map(|line| {
            let line = line.trim();
            let rest = line.get(..label.len()).filter(|start| start.eq_ignore_ascii_case(label))?;
            let value = line[rest.len()..].trim_start();
            Some(value.strip_prefix([':', '='])?.trim().to_owned())
        })
    };
    match labelled("subject") {
        Some(subject) => (subject, labelled("issuer")),
        None => (text.trim().to_owned(), None),
    }
}

/// One element of DER: its tag, what it holds, what follows. Lengths above four bytes are refused.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

fn sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, content, after) = element(bytes)?;
    (tag == 0x30).then_some((content, after))
}

/// Certificate, in it TBSCertificate: version, serial number, signature, issuer, validity, subject.
fn of_der(der: &[u8]) -> Option<(String, String)> {
    let (certificate, _) = sequence(der)?;
    let (body, _) = sequence(certificate)?;
    let (tag, _, after) = element(body)?;
    let rest = if tag == 0xa0 { element(after)?.2 } else { after };
    let (_, rest) = sequence(rest)?;
    let (issuer, rest) = sequence(rest)?;
    let (_, rest) = sequence(rest)?;
    let (subject, _) = sequence(rest)?;
    Some((name(subject), name(issuer)))
}

/// Relative names in the order of the certificate.
fn name(mut rest: &[u8]) -> String {
    let mut parts = Vec::new();
    while let Some((_, set, after)) = element(rest) {
        rest = after;
        let Some((pair, _)) = sequence(set) else { continue };
        let Some((6, kind, value)) = element(pair) else { continue };
        let Some((tag, text, _)) = element(value) else { continue };
        let text = match tag {
            // BMPString: two bytes a character.
            0x1e => {
                let units: Vec<u16> =
                    text.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
                String::from_utf16_lossy(&units)
            }
            _ => String::from_utf8_lossy(text).into_owned(),
        };
        if let Some((_, short)) = TYPES.iter().find(|(oid, _)| *oid == kind) {
            parts.push(format!("{short}={}", text.replace(',', "\\,")));
        }
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -x509 -newkey ed25519 -nodes -subj "/C=JP/O=Example, Inc./CN=camera-7"`.
    const PEM: &str = include_str!("../../../../testdata/insight/camera.pem");

    #[test]
    fn names_are_read_from_every_form() {
        let (subject, issuer) = names(PEM.as_bytes());
        assert_eq!(subject, "C=JP,O=Example\\, Inc.,CN=camera-7");
        assert_eq!(issuer.as_deref(), Some(subject.as_str()));
        assert_eq!(names(b"CN=x, O=y"), ("CN=x, O=y".into(), None));
        assert_eq!(names(b"subject=CN = x\nissuer=CN = y"), ("CN = x".into(), Some("CN = y".into())));
    }

    #[test]
    fn damage_is_survived() {
        let letters: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(letters).unwrap();
        assert!(of_der(&der).is_some());
        for cut in 0..der.len() {
            of_der(&der[..cut]);
            let mut broken = der.clone();
            broken[cut] ^= 0xff;
            of_der(&broken);
        }
        assert_eq!(of_der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
