//! What a service is made of: the device, and the software that shows at its port. A query that
//! names a product and a version asks about one thing that has both.

use std::sync::Arc;

use datafusion::arrow::buffer::ScalarBuffer;
use kenshin_observation::schema::Software;

use super::column::{Dictionary, DictionaryBuilder};
use super::condition::Condition;
use super::segment::Loaded;
use crate::search::Field;

/// Columns that [`Things`] are made of.
pub(super) const COLUMNS: [&str; 5] = ["vendor", "product", "version", "cpe", "software"];

/// Devices and software of a segment, with one dictionary for each attribute.
pub(super) struct Things {
    attributes: [Attribute; 4],
    /// Code of each row's list of software.
    lists: ScalarBuffer<u32>,
    /// The lists: of each software the codes of its attributes.
    software: Vec<Vec<[u32; 4]>>,
}

struct Attribute {
    dictionary: Dictionary,
    /// Code of each row's device.
    device: Vec<u32>,
}

/// One attribute of things that is tested, and which of its codes pass.
pub(super) struct Tested {
    attribute: usize,
    accepted: Vec<bool>,
}

/// What is asked of one thing.
pub(super) enum Asked {
    One(Tested),
    All(Vec<Asked>),
    Any(Vec<Asked>),
}

impl Asked {
    /// Does it hold for the thing whose attributes have these codes?
    fn holds(&self, code: &impl Fn(usize) -> u32) -> bool {
        match self {
            Self::One(test) => test.accepted[code(test.attribute) as usize],
            Self::All(parts) => parts.iter().all(|part| part.holds(code)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(code)),
        }
    }
}

/// Position of a field among the attributes.
fn position(field: Field) -> usize {
    match field {
        Field::Vendor => 0,
        Field::Product => 1,
        Field::Version => 2,
        _ => 3,
    }
}

impl Things {
    pub(super) fn of(loaded: &Loaded<'_>) -> Self {
        let mut builders: [DictionaryBuilder; 4] = std::array::from_fn(|_| DictionaryBuilder::new());
        let mut devices: [Vec<u32>; 4] = std::array::from_fn(|_| Vec::new());
        for (attribute, name) in COLUMNS[..4].iter().enumerate() {
            let texts = loaded.column(name).texts();
            let builder = &mut builders[attribute];
            let map: Vec<u32> = (0..texts.dictionary.len())
                .map(|code| if code == 0 { 0 } else { builder.code(texts.dictionary.text(code)) })
                .collect();
            devices[attribute] = texts.codes.iter().map(|code| map[*code as usize]).collect();
        }
        let lists = loaded.column(COLUMNS[4]).texts();
        let software = (0..lists.dictionary.len())
            .map(|code| {
                // A list that cannot be read is as none: the row's other columns still count.
                let list: Vec<Software> =
                    serde_json::from_str(lists.dictionary.text(code)).unwrap_or_default();
                let one = |software: Software| {
                    let Software { vendor, product, version, cpe } = software;
                    let texts = [vendor, Some(product), version, cpe];
                    let mut codes = [0; 4];
                    for ((code, builder), text) in codes.iter_mut().zip(&mut builders).zip(texts) {
                        *code = text.map_or(0, |text| builder.code(&text));
                    }
                    codes
                };
                list.into_iter().map(one).collect()
            })
            .collect();
        let attributes = builders.into_iter().zip(devices);
        let attributes: Vec<Attribute> =
            attributes.map(|(builder, device)| Attribute { dictionary: builder.finish(), device }).collect();
        let attributes = attributes.try_into().unwrap_or_else(|_| unreachable!("four builders make four"));
        Self { attributes, lists: lists.codes.clone(), software }
    }

    /// Tests one attribute.
    pub(super) fn tested(&self, field: Field, test: impl Fn(&str) -> bool) -> Tested {
        let attribute = position(field);
        Tested { attribute, accepted: self.attributes[attribute].dictionary.accepted(test) }
    }

    /// The row has one thing for which all of `asked` holds.
    pub(super) fn one_passes(&self, asked: &[Arc<Asked>]) -> Condition<'_> {
        let software = |codes: &[u32; 4]| asked.iter().all(|asked| asked.holds(&|at: usize| codes[at]));
        let lists = self.software.iter().map(|list| list.iter().any(software)).collect();
        let device = Condition::all(asked.iter().map(|asked| self.of_devices(asked)));
        Condition::any([device, Condition::codes(&self.lists, lists)])
    }

    /// It holds for the row's device.
    fn of_devices(&self, asked: &Asked) -> Condition<'_> {
        match asked {
            Asked::One(test) => {
                Condition::codes(&self.attributes[test.attribute].device, test.accepted.clone())
            }
            Asked::All(parts) => Condition::all(parts.iter().map(|part| self.of_devices(part))),
            Asked::Any(parts) => Condition::any(parts.iter().map(|part| self.of_devices(part))),
        }
    }

    /// Counts each value of an attribute once a row: its code and how many rows have it.
    pub(super) fn counts(&self, field: Field, rows: impl Iterator<Item = usize>) -> Vec<u64> {
        let position = position(field);
        let attribute = &self.attributes[position];
        let mut counts = vec![0; attribute.dictionary.len()];
        for row in rows {
            let device = attribute.device[row];
            counts[device as usize] += 1;
            let list = &self.software[self.lists[row] as usize];
            for (nth, software) in list.iter().enumerate() {
                let code = software[position];
                let counted = code == device || list[..nth].iter().any(|before| before[position] == code);
                if !counted {
                    counts[code as usize] += 1;
                }
            }
        }
        counts
    }

    /// The text of a code of an attribute.
    pub(super) fn text(&self, field: Field, code: usize) -> &str {
        self.attributes[position(field)].dictionary.text(code)
    }

    /// The row's own value: the device's, else that of the first software that has one.
    pub(super) fn value(&self, field: Field, row: usize) -> &str {
        let position = position(field);
        let device = self.attributes[position].device[row];
        let code = if device != 0 {
            device
        } else {
            let list = &self.software[self.lists[row] as usize];
            list.iter().map(|software| software[position]).find(|code| *code != 0).unwrap_or(0)
        };
        self.attributes[position].dictionary.text(code as usize)
    }
}
