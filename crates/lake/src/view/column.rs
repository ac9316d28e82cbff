//! Columns in memory: numbers as they are, texts as codes into a dictionary.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType};

/// Stands for null among longs.
pub(super) const ABSENT_LONG: i64 = i64::MIN;
/// Stands for null among ints.
pub(super) const ABSENT_INT: i32 = i32::MIN;

/// A column of one segment.
pub(super) enum Column {
    Long(Vec<i64>),
    Int(Vec<i32>),
    Text(Texts),
}

/// Texts by code; code 0 is null.
pub(super) struct Texts {
    pub(super) codes: Vec<u32>,
    pub(super) dictionary: Dictionary,
}

impl Texts {
    /// The text of a row, if it has one.
    pub(super) fn at(&self, row: usize) -> Option<&str> {
        match self.codes[row] {
            0 => None,
            code => Some(self.dictionary.text(code as usize)),
        }
    }
}

/// Distinct texts, one behind the other.
pub(super) struct Dictionary {
    bytes: String,
    /// Where each text ends; the first is that of null, 0.
    ends: Vec<usize>,
    /// The same in lower case, made when it is first asked for.
    folded: OnceLock<(String, Vec<usize>)>,
}

impl Dictionary {
    /// Number of codes, null included.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a code; that of null is empty.
    pub(super) fn text(&self, code: usize) -> &str {
        if code == 0 { "" } else { &self.bytes[self.ends[code - 1]..self.ends[code]] }
    }

    /// Which codes satisfy `test`; null never does.
    pub(super) fn accepted(&self, test: impl Fn(&str) -> bool) -> Vec<bool> {
        (0..self.len()).map(|code| code != 0 && test(self.text(code))).collect()
    }

    /// Which codes contain `needle`, in lower case, without regard to case: one pass over all
    /// texts.
    pub(super) fn containing(&self, needle: &str) -> Vec<bool> {
        let (folded, ends) = self.folded.get_or_init(|| self.fold());
        let mut accepted = vec![false; self.len()];
        let finder = memchr::memmem::Finder::new(needle);
        let mut at = 0;
        while let Some(found) = finder.find(&folded.as_bytes()[at..]) {
            let begins = at + found;
            let code = ends.partition_point(|end| *end <= begins);
            if begins + needle.len() <= ends[code] {
                accepted[code] = true;
                at = ends[code];
            } else {
                // It reaches into the next text: no text contains it there.
                at = begins + 1;
            }
        }
        accepted
    }

    fn fold(&self) -> (String, Vec<usize>) {
        if self.bytes.is_ascii() {
            return (self.bytes.to_ascii_lowercase(), self.ends.clone());
        }
        let mut folded = String::with_capacity(self.bytes.len());
        let mut ends = Vec::with_capacity(self.ends.len());
        for code in 0..self.len() {
            folded.push_str(&self.text(code).to_lowercase());
            ends.push(folded.len());
        }
        (folded, ends)
    }
}

/// Makes a dictionary, text by text.
pub(super) struct DictionaryBuilder {
    codes: HashMap<Box<str>, u32>,
    bytes: String,
    ends: Vec<usize>,
}

impl DictionaryBuilder {
    pub(super) fn new() -> Self {
        Self { codes: HashMap::new(), bytes: String::new(), ends: vec![0] }
    }

    /// The code of a text.
    pub(super) fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let code = u32::try_from(self.ends.len()).expect("a segment has fewer than 2^32 rows");
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        self.codes.insert(text.into(), code);
        code
    }

    pub(super) fn finish(self) -> Dictionary {
        Dictionary { bytes: self.bytes, ends: self.ends, folded: OnceLock::new() }
    }
}

impl Column {
    /// The column in `parts`, one behind the other; where there is none, `rows` nulls of a type.
    pub(super) fn read(data_type: &DataType, parts: &[ArrayRef], rows: usize) -> Result<Self, ArrowError> {
        let absent = parts.is_empty();
        match data_type {
            DataType::Int64 if absent => Ok(Self::Long(vec![ABSENT_LONG; rows])),
            DataType::Int32 if absent => Ok(Self::Int(vec![ABSENT_INT; rows])),
            DataType::Int64 => {
                let mut values = Vec::with_capacity(rows);
                for part in parts {
                    let part = part.as_primitive::<Int64Type>();
                    match part.null_count() {
                        0 => values.extend_from_slice(part.values()),
                        _ => values.extend(part.iter().map(|value| value.unwrap_or(ABSENT_LONG))),
                    }
                }
                Ok(Self::Long(values))
            }
            DataType::Int32 => {
                let mut values = Vec::with_capacity(rows);
                for part in parts {
                    let part = part.as_primitive::<Int32Type>();
                    match part.null_count() {
                        0 => values.extend_from_slice(part.values()),
                        _ => values.extend(part.iter().map(|value| value.unwrap_or(ABSENT_INT))),
                    }
                }
                Ok(Self::Int(values))
            }
            _ if absent => {
                Ok(Self::Text(Texts { codes: vec![0; rows], dictionary: DictionaryBuilder::new().finish() }))
            }
            _ => Ok(Self::Text(texts(parts, rows)?)),
        }
    }

    pub(super) fn longs(&self) -> &[i64] {
        match self {
            Self::Long(values) => values,
            _ => unreachable!("the column is of longs by the schema"),
        }
    }

    pub(super) fn ints(&self) -> &[i32] {
        match self {
            Self::Int(values) => values,
            _ => unreachable!("the column is of ints by the schema"),
        }
    }

    pub(super) fn texts(&self) -> &Texts {
        match self {
            Self::Text(texts) => texts,
            _ => unreachable!("the column is of texts by the schema"),
        }
    }
}

/// Joins parts that each have a dictionary of their own.
fn texts(parts: &[ArrayRef], rows: usize) -> Result<Texts, ArrowError> {
    let mut builder = DictionaryBuilder::new();
    let mut codes = Vec::with_capacity(rows);
    let mut known: Option<(ArrayRef, Vec<u32>)> = None;
    for part in parts {
        let coded = arrow_cast::cast(part, &dictionary_of_texts())?;
        let coded = coded.as_dictionary::<Int32Type>();
        // Parts of one row group share their dictionary.
        let same = |(before, _): &(ArrayRef, Vec<u32>)| before.to_data().ptr_eq(&coded.values().to_data());
        if !known.as_ref().is_some_and(same) {
            let values = coded.values().as_string::<i32>();
            let map = values.iter().map(|text| text.map_or(0, |text| builder.code(text))).collect();
            known = Some((coded.values().clone(), map));
        }
        let map = known.as_ref().map_or(&[][..], |(_, map)| map);
        let code_of = |key: Option<i32>| key.and_then(|key| map.get(usize::try_from(key).ok()?)).copied();
        codes.extend(coded.keys().iter().map(|key| code_of(key).unwrap_or(0)));
    }
    Ok(Texts { codes, dictionary: builder.finish() })
}

/// The Arrow type that texts are read as.
pub(super) fn dictionary_of_texts() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_inside_of_one_text_only() {
        let mut builder = DictionaryBuilder::new();
        for text in ["Login: ", "ogin", "log", "in", "検診LOGIN", "İstanbul login"] {
            builder.code(text);
        }
        let dictionary = builder.finish();
        let found = |needle: &str| -> Vec<usize> {
            let accepted = dictionary.containing(needle);
            (0..accepted.len()).filter(|code| accepted[*code]).collect()
        };
        assert_eq!(found("login"), [1, 5, 6], "`log` and `in` lie side by side and do not contain it");
        assert_eq!(found("検"), [5]);
        assert_eq!(found("zzz"), [0usize; 0]);
        assert_eq!(dictionary.text(5), "検診LOGIN");
    }
}
