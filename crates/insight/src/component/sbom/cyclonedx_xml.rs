//! CycloneDX as XML.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::cyclonedx::{ended, is_software};
use super::{Bill, DEPTH_MAX, Lines, Listed, VALUE_MAX, day, no_bill};
use crate::component::Part;
use crate::intelligence::{ImportError, Importer};

/// Deepest nesting of elements.
const ELEMENTS_MAX: usize = 8 * DEPTH_MAX;

/// A component that is being read.
#[derive(Default)]
struct Open {
    listed: Listed,
    kind: Option<String>,
    scope: Option<String>,
    publisher: Option<String>,
    group: Option<String>,
    named: bool,
    /// How many elements are around it.
    depth: usize,
}

pub(super) fn read(importer: &mut Importer, file: &str, text: &str) -> Result<Option<Bill>, ImportError> {
    let mut reader = Reader::from_str(text);
    let mut lines = Lines::of(text);
    let mut bill = Bill::default();
    let mut path: Vec<String> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut words = String::new();
    let mut property: Option<String> = None;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
                importer.reject(file, lines.line_at(at), format!("not well-formed XML: {error}"));
                return Ok(None);
            }
        };
        let empty = matches!(event, Event::Empty(_));
        match event {
            // Without a document type no entity can be declared, so none can expand.
            Event::DocType(_) => return Err(no_bill(file, "a document type is not allowed")),
            Event::Start(start) | Event::Empty(start) => {
                let name = start.local_name().into_inner().to_owned();
                if path.is_empty() && name != "bom" {
                    return Err(no_bill(file, "its root element is not `bom`"));
                }
                if path.len() == ELEMENTS_MAX {
                    importer.reject(file, lines.line_at(at), "elements are nested too deeply");
                    return Ok(None);
                }
                let attribute = |wanted: &str| {
                    let found = start.try_get_attribute(wanted).ok().flatten()?;
                    Some(found.value.into_owned())
                };
                match name.as_str() {
                    "bom" => bill.document = attribute("serialNumber"),
                    "component" if is_component(&path) => open.push(Open {
                        listed: Listed { line: lines.line_at(at), ..Listed::default() },
                        kind: attribute("type"),
                        depth: path.len() + 1,
                        ..Open::default()
                    }),
                    "property" => property = attribute("name"),
                    _ => {}
                }
                words.clear();
                if empty {
                    if open.last().is_some_and(|one| one.depth == path.len() + 1) && name == "component" {
                        finish(importer, file, &mut bill, &mut open, &path);
                    }
                } else {
                    path.push(name);
                }
            }
            Event::Text(piece) if words.len() <= VALUE_MAX => {
                words.push_str(&piece);
            }
            Event::CData(piece) if words.len() <= VALUE_MAX => {
                words.push_str(&piece);
            }
            Event::GeneralRef(reference) if words.len() <= VALUE_MAX => match reference.resolve_char_ref() {
                Ok(Some(c)) => words.push(c),
                _ => {
                    words.push_str(
                        quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default(),
                    );
                }
            },
            Event::End(_) => {
                let Some(name) = path.pop() else { continue };
                if name == "component" && open.last().is_some_and(|one| one.depth == path.len() + 1) {
                    finish(importer, file, &mut bill, &mut open, &path);
                } else {
                    value(&mut bill, open.last_mut(), &path, &name, words.trim(), property.as_deref());
                }
                words.clear();
            }
            Event::Eof if path.is_empty() => return Ok(Some(bill)),
            Event::Eof => {
                importer.reject(
                    file,
                    lines.line_at(at),
                    format!("the document ends inside of `{}`", path.join("/")),
                );
                return Ok(None);
            }
            _ => {}
        }
    }
}

/// Components are in lists of components and in the metadata; `component` elsewhere is a reference.
fn is_component(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path.as_slice(),
        ["bom", "metadata"] | ["bom", "components"] | ["bom", .., "component", "components"]
    )
}

fn value(
    bill: &mut Bill,
    open: Option<&mut Open>,
    path: &[String],
    name: &str,
    text: &str,
    property: Option<&str>,
) {
    let parent = path.last().map_or("", String::as_str);
    let Some(open) = open else {
        if (parent, name) == ("metadata", "timestamp") {
            bill.created = day(text);
        }
        return;
    };
    let part = &mut open.listed.part;
    let text = || Some(text.to_owned()).filter(|text| !text.is_empty());
    // Only what is the component's own: licences and pedigrees have names as well.
    match path.len() - open.depth.min(path.len()) {
        0 => match name {
            "name" => {
                part.name = text().unwrap_or_default();
                open.named = true;
            }
            "version" => part.version = text(),
            "publisher" => open.publisher = text(),
            "group" => open.group = text(),
            "cpe" => part.cpe = text(),
            "purl" => part.purl = text(),
            "scope" => open.scope = text(),
            _ => {}
        },
        1 if matches!(parent, "supplier" | "manufacturer") && name == "name" => {
            part.vendor = part.vendor.take().or_else(text);
        }
        1 if parent == "properties" && name == "property" => {
            let support = property.and_then(|property| ended(property, &text().unwrap_or_default()));
            open.listed.support = open.listed.support.or(support);
        }
        _ => {}
    }
}

/// A component ends: it is what the document is about, or one of its parts.
fn finish(importer: &mut Importer, file: &str, bill: &mut Bill, open: &mut Vec<Open>, path: &[String]) {
    let Some(Open { mut listed, kind, scope, publisher, group, named, .. }) = open.pop() else { return };
    if !named {
        return importer.reject(file, listed.line, "the component has no `name`");
    }
    let by_cpe =
        |part: &Part| part.cpe.as_ref()?.parse::<crate::cpe::Cpe>().ok()?.vendor.text().map(str::to_owned);
    listed.part.vendor = listed.part.vendor.take().or(publisher).or_else(|| by_cpe(&listed.part)).or(group);
    listed.optional = scope.as_deref() == Some("optional");
    if path.last().is_some_and(|parent| parent == "metadata") {
        bill.product = Some(listed.part);
    } else if is_software(kind.as_deref(), scope.as_deref()) && open.len() < DEPTH_MAX {
        bill.parts.push(listed);
    }
}
