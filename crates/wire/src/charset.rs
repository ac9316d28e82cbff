//! Text in the encodings that devices really use: UTF-8, Shift_JIS, EUC-JP, ISO-2022-JP, and
//! Windows-1252 for what is left. Decoding never fails; what fits no encoding becomes U+FFFD.

use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};

/// How far into a page a `charset=` is looked for.
const DECLARATION_BYTES_MAX: usize = 2048;

/// Decodes `bytes`. A byte order mark wins; then UTF-8 when the bytes are valid UTF-8, because
/// devices declare what they do not send; then `declared` (a label such as `Shift_JIS`); then the
/// Japanese encoding that fits best.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0.into_owned();
    }
    // ISO-2022-JP is plain ASCII to a UTF-8 decoder, so it is looked for first.
    if bytes.windows(2).any(|pair| pair == b"\x1b$") {
        let (text, _, broken) = ISO_2022_JP.decode(bytes);
        if !broken {
            return text.into_owned();
        }
    }
    if is_utf8(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(encoding) = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes())) {
        let text = encoding.decode(bytes).0;
        if encoding != UTF_8 && damage(&text) * 16 <= bytes.len() {
            return text.into_owned();
        }
    }
    let candidates = [SHIFT_JIS, EUC_JP].map(|encoding| encoding.decode(bytes).0);
    let best =
        candidates.iter().min_by_key(|text| damage(text)).filter(|text| damage(text) * 16 <= bytes.len());
    match best {
        Some(text) => text.clone().into_owned(),
        None => WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

/// Longest field decoded, in bytes.
const FIELD_BYTES_MAX: usize = 1024;

/// Text of a field of fixed or stated width: what comes before the first zero byte, white space
/// around it removed, cut at 1 KiB.
pub(crate) fn field(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    decode(bytes[..end.min(FIELD_BYTES_MAX)].trim_ascii(), None)
}

/// The label after `charset=` in a page's beginning or in a `Content-Type` value.
pub fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    let lower = head.to_ascii_lowercase();
    let at = lower.windows(8).position(|window| window == b"charset=")? + 8;
    let label: String = lower[at..]
        .iter()
        .skip_while(|byte| matches!(byte, b'"' | b'\'' | b' '))
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        .take(32)
        .map(|&byte| char::from(byte))
        .collect();
    (!label.is_empty()).then_some(label)
}

/// Valid UTF-8, apart from a last character that was cut.
fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && bytes.len() - error.valid_up_to() < 4,
    }
}

/// How little a decoded text looks like Japanese: replacement characters weigh most, then
/// private-use and half-width characters, into which the wrong encoding falls.
fn damage(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '\u{fffd}' => 8,
            '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' => 8,
            '\u{ff61}'..='\u{ff9f}' => 1,
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_encodings_are_told_apart() {
        for text in
            ["無線ルータ 設定画面", "ネットワークカメラ", "ログイン名：", "パスワードを入力してください"]
        {
            for encoding in [SHIFT_JIS, EUC_JP, ISO_2022_JP, UTF_8] {
                let bytes = encoding.encode(text).0;
                assert_eq!(decode(&bytes, None), text, "{}", encoding.name());
                assert_eq!(decode(&bytes, Some("no-such-charset")), text, "{}", encoding.name());
            }
        }
    }

    #[test]
    fn a_wrong_declaration_does_not_spoil_the_text() {
        assert_eq!(decode("設定".as_bytes(), Some("Shift_JIS")), "設定");
        assert_eq!(decode(&SHIFT_JIS.encode("設定画面").0, Some("utf-8")), "設定画面");
    }

    #[test]
    fn western_bytes_stay_readable() {
        assert_eq!(decode(b"Caf\xe9 r\xe9seau", Some("iso-8859-1")), "Café réseau");
    }

    #[test]
    fn declarations_are_found() {
        assert_eq!(declared(b"text/html; charset=\"EUC-JP\"").as_deref(), Some("euc-jp"));
        assert_eq!(declared(b"<meta charset=shift_jis>").as_deref(), Some("shift_jis"));
        assert_eq!(declared(b"text/html; charset="), None);
    }
}
