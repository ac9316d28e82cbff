//! Hostile XML, so far as device descriptions and SOAP answers need it: elements by their local
//! names, in order. Attributes are passed over; a document type is refused, so no entity expands.

use quick_xml::errors::Error;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;

use crate::charset;
use crate::malformed::Malformed;

/// Longest document.
const BYTES_MAX: usize = 128 * 1024;

/// How deep elements may lie in each other.
const DEPTH_MAX: usize = 24;

/// Most elements of a document.
const ELEMENTS_MAX: u32 = 4096;

/// Longest name kept, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Longest text of one element kept, in bytes; what is longer is cut.
pub(crate) const TEXT_BYTES_MAX: usize = 8 * 1024;

/// An element begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Its children follow.
    Open,
    /// It is over; its own text, white space at the ends removed.
    Close(&'a str),
}

struct Element {
    name: String,
    text: String,
}

/// Goes through the elements of a document. `visit` gets the local names from the root down to the
/// element. A document that breaks off is read so far as it goes: devices send what is not quite
/// XML, and what they said before that counts.
pub(crate) fn walk(bytes: &[u8], mut visit: impl FnMut(&[&str], Step<'_>)) -> Result<(), Malformed> {
    if bytes.len() > BYTES_MAX {
        return Err(Malformed::Limit("bytes of a document"));
    }
    let document = charset::decode(bytes, declared(bytes).as_deref());
    if !document.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']).starts_with('<') {
        return Err(Malformed::Not("an XML document"));
    }
    let mut reader = Reader::from_str(&document);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.check_end_names = false;
    config.expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut elements_left = ELEMENTS_MAX;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(Error::Syntax(_) | Error::IllFormed(_)) => return Ok(()),
            Err(_) => return Err(Malformed::Not("an XML document")),
        };
        match event {
            Event::Start(start) => {
                if open.len() == DEPTH_MAX {
                    return Err(Malformed::Limit("depth of a document"));
                }
                elements_left =
                    elements_left.checked_sub(1).ok_or(Malformed::Limit("elements of a document"))?;
                let name: String = start.local_name().as_ref().chars().take(NAME_BYTES_MAX).collect();
                open.push(Element { name, text: String::new() });
                visit(&path(&open), Step::Open);
            }
            Event::End(_) => {
                let Some(Element { text, .. }) = open.last_mut() else { return Ok(()) };
                let text = std::mem::take(text);
                visit(&path(&open), Step::Close(text.trim()));
                open.pop();
                if open.is_empty() {
                    return Ok(());
                }
            }
            Event::Text(text) => put(&mut open, &text.xml10_content()),
            Event::CData(text) => put(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => put(&mut open, &resolved(&reference)),
            Event::DocType(_) => return Err(Malformed::Not("a document without a document type")),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn path(open: &[Element]) -> Vec<&str> {
    open.iter().map(|element| element.name.as_str()).collect()
}

fn put(open: &mut [Element], more: &str) {
    let Some(Element { text, .. }) = open.last_mut() else { return };
    let mut room = TEXT_BYTES_MAX.saturating_sub(text.len()).min(more.len());
    while !more.is_char_boundary(room) {
        room -= 1;
    }
    text.push_str(&more[..room]);
}

/// The character that a reference stands for; one that is not known stays as it is.
fn resolved(reference: &BytesRef<'_>) -> String {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => character.to_string(),
        _ => {
            resolve_predefined_entity(reference).map_or_else(|| format!("&{};", &**reference), str::to_owned)
        }
    }
}

/// The `encoding` of the XML declaration.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(128)];
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let head = String::from_utf8_lossy(&head[..end]).into_owned();
    let value = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(document: &[u8]) -> Result<String, Malformed> {
        let mut out = String::new();
        walk(document, |path, step| {
            if let Step::Close(text) = step
                && !text.is_empty()
            {
                out.push_str(&format!("{}={text}\n", path.join("/")));
            }
        })
        .map(|()| out)
    }

    #[test]
    fn documents_as_devices_send_them() {
        let check = |document: &str, expected: &str| {
            assert_eq!(leaves(document.as_bytes()).unwrap(), expected, "{document}");
        };
        check("<a xmlns:n='u'><n:b x='1'> one </n:b><b/></a>", "a/b=one\n");
        check(
            "\u{feff}<?xml version='1.0'?>\r\n<a>&lt;&#x30;&#65;&unknown; & more</a>",
            "a=<0A&unknown; & more\n",
        );
        check("<a><![CDATA[<b>]]></a>", "a=<b>\n");
        check("<a><b>one</b><c>cut", "a/b=one\n");
        check("<a><b>one</b><c x=<", "a/b=one\n");
        check("<a><b>one</B></a><z>after</z>", "a/b=one\n");
        check("<a>x&#x0;y</a>", "a=x&#x0;y\n");
    }

    #[test]
    fn the_declared_encoding_is_followed() {
        let mut document = b"<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><a>".to_vec();
        document.extend_from_slice(&encoding_rs::SHIFT_JIS.encode("録画装置").0);
        document.extend_from_slice(b"</a>");
        assert_eq!(leaves(&document).unwrap(), "a=録画装置\n");
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\">]><a>&b;</a>";
        assert_eq!(leaves(bomb.as_bytes()), Err(Malformed::Not("a document without a document type")));
        assert_eq!(leaves("<a>".repeat(1000).as_bytes()), Err(Malformed::Limit("depth of a document")));
        let wide = format!("<a>{}</a>", "<b/>".repeat(10_000));
        assert_eq!(leaves(wide.as_bytes()), Err(Malformed::Limit("elements of a document")));
        assert_eq!(leaves(&vec![b' '; BYTES_MAX + 1]), Err(Malformed::Limit("bytes of a document")));
        let long = format!("<a>{}</a>", "検".repeat(10_000));
        assert!(leaves(long.as_bytes()).unwrap().len() <= TEXT_BYTES_MAX + 4);
        assert_eq!(leaves(b"HTTP/1.1 200 OK"), Err(Malformed::Not("an XML document")));
    }
}
