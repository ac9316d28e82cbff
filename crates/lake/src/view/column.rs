//! Columns in memory: numbers as they are, texts as codes into a dictionary.

use std::hash::BuildHasher;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, LargeStringArray, PrimitiveArray, StringViewArray, UInt32Array};
use arrow_schema::{ArrowError, DataType};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::take;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Stands for null among longs.
pub(super) const ABSENT_LONG: i64 = i64::MIN;
/// Stands for null among ints.
pub(super) const ABSENT_INT: i32 = i32::MIN;

/// A column of one segment.
pub(super) enum Column {
    Long(Numbers<Int64Type>),
    Int(Numbers<Int32Type>),
    Text(Texts),
}

/// Numbers row by row; where there is none, a value that stands for that.
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: ScalarBuffer<T::Native>,
    nulls: Option<NullBuffer>,
}

/// Texts by code; code 0 is null.
pub(super) struct Texts {
    pub(super) codes: ScalarBuffer<u32>,
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

/// Distinct texts by code. The first is null.
pub(super) struct Dictionary {
    texts: LargeStringArray,
    /// The same in lower case, one behind the other, and where each ends; made when it is first asked for.
    folded: OnceLock<(String, Vec<usize>)>,
    /// The same as Arrow's views, made when they are first asked for.
    viewed: OnceLock<Arc<StringViewArray>>,
}

impl Dictionary {
    /// Number of codes, null included.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The text of a code; that of null is empty.
    pub(super) fn text(&self, code: usize) -> &str {
        self.texts.value(code)
    }

    /// All texts, by code.
    pub(super) fn viewed(&self) -> &Arc<StringViewArray> {
        self.viewed.get_or_init(|| Arc::new(StringViewArray::from(&self.texts)))
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
        let mut folded = String::with_capacity(self.texts.value_data().len());
        let mut ends = Vec::with_capacity(self.len());
        for code in 0..self.len() {
            let text = self.text(code);
            match text.is_ascii() {
                true => folded.extend(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase()))),
                false => folded.push_str(&text.to_lowercase()),
            }
            ends.push(folded.len());
        }
        (folded, ends)
    }

    /// Bytes of memory, with what was made of it until now. Views point into the texts.
    fn bytes(&self) -> usize {
        let folded = self.folded.get().map_or(0, |(texts, ends)| texts.len() + size_of_val(&ends[..]));
        let viewed = self.viewed.get().map_or(0, |views| size_of_val(&views.views()[..]));
        self.texts.get_buffer_memory_size() + folded + viewed
    }
}

/// Makes a dictionary, text by text.
pub(super) struct DictionaryBuilder {
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
    bytes: String,
    /// Where each text ends; the first is that of null, 0.
    ends: Vec<usize>,
}

impl DictionaryBuilder {
    pub(super) fn new() -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { codes: HashTable::new(), hasher, bytes: String::new(), ends: vec![0] }
    }

    /// The code of a text.
    pub(super) fn code(&mut self, text: &str) -> u32 {
        let Self { codes, hasher, bytes, ends } = self;
        let known = |code: u32| &bytes[ends[code as usize - 1]..ends[code as usize]];
        let hash = hasher.hash_one(text);
        if let Some(code) = codes.find(hash, |code| known(*code) == text) {
            return *code;
        }
        let code = u32::try_from(ends.len()).expect("a segment has fewer than 2^32 rows");
        codes.insert_unique(hash, code, |code| hasher.hash_one(known(*code)));
        bytes.push_str(text);
        ends.push(bytes.len());
        code
    }

    pub(super) fn finish(self) -> Dictionary {
        let ends = self.ends.iter().map(|end| *end as i64);
        let offsets = OffsetBuffer::new(std::iter::once(0).chain(ends).collect());
        let mut held = vec![true; self.ends.len()];
        held[0] = false;
        let texts =
            LargeStringArray::new(offsets, Buffer::from_vec(self.bytes.into_bytes()), Some(held.into()));
        Dictionary { texts, folded: OnceLock::new(), viewed: OnceLock::new() }
    }
}

impl<T: ArrowPrimitiveType> Deref for Numbers<T> {
    type Target = [T::Native];

    fn deref(&self) -> &[T::Native] {
        &self.values
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// Joins parts; where there is none, `rows` nulls. `absent` stands for null.
    fn read(parts: &[ArrayRef], rows: usize, absent: T::Native) -> Self {
        if parts.is_empty() {
            return Self { values: vec![absent; rows].into(), nulls: Some(NullBuffer::new_null(rows)) };
        }
        let mut values = Vec::with_capacity(rows);
        let lacks = parts.iter().any(|part| part.null_count() > 0);
        let mut held = lacks.then(|| BooleanBufferBuilder::new(rows));
        for part in parts {
            let part = part.as_primitive::<T>();
            match part.null_count() {
                0 => values.extend_from_slice(part.values()),
                _ => values.extend(part.iter().map(|value| value.unwrap_or(absent))),
            }
            match (&mut held, part.nulls()) {
                (Some(held), Some(nulls)) => held.append_buffer(nulls.inner()),
                (Some(held), None) => held.append_n(part.len(), true),
                (None, _) => {}
            }
        }
        Self { values: values.into(), nulls: held.map(|mut held| NullBuffer::new(held.finish())) }
    }

    fn array(&self, rows: Range<usize>) -> PrimitiveArray<T> {
        let nulls = self.nulls.as_ref().map(|nulls| nulls.slice(rows.start, rows.len()));
        PrimitiveArray::new(self.values.slice(rows.start, rows.len()), nulls)
    }
}

impl Column {
    /// The column in `parts`, one behind the other; where there is none, `rows` nulls of a type.
    pub(super) fn read(data_type: &DataType, parts: &[ArrayRef], rows: usize) -> Result<Self, ArrowError> {
        match data_type {
            DataType::Int64 => Ok(Self::Long(Numbers::read(parts, rows, ABSENT_LONG))),
            DataType::Int32 => Ok(Self::Int(Numbers::read(parts, rows, ABSENT_INT))),
            _ => Ok(Self::Text(texts(parts, rows)?)),
        }
    }

    /// Some rows that follow each other, as Arrow has them: texts as views.
    pub(super) fn array(&self, rows: Range<usize>) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Long(numbers) => Ok(Arc::new(numbers.array(rows))),
            Self::Int(numbers) => Ok(Arc::new(numbers.array(rows))),
            Self::Text(texts) => {
                let codes = UInt32Array::new(texts.codes.slice(rows.start, rows.len()), None);
                take(texts.dictionary.viewed().as_ref(), &codes, None)
            }
        }
    }

    /// Some of these rows, by their positions among them.
    pub(super) fn gathered(
        &self,
        rows: Range<usize>,
        positions: &UInt32Array,
    ) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Text(texts) => {
                let codes = UInt32Array::new(texts.codes.slice(rows.start, rows.len()), None);
                take(texts.dictionary.viewed().as_ref(), &take(&codes, positions, None)?, None)
            }
            _ => take(&self.array(rows)?, positions, None),
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Long(numbers) => numbers.values.inner().len(),
            Self::Int(numbers) => numbers.values.inner().len(),
            Self::Text(texts) => texts.codes.inner().len() + texts.dictionary.bytes(),
        }
    }

    pub(super) fn longs(&self) -> &[i64] {
        match self {
            Self::Long(numbers) => numbers,
            _ => unreachable!("the column is of longs by the schema"),
        }
    }

    pub(super) fn ints(&self) -> &[i32] {
        match self {
            Self::Int(numbers) => numbers,
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

/// Joins parts that each have a dictionary of their own; where there is none, `rows` nulls.
fn texts(parts: &[ArrayRef], rows: usize) -> Result<Texts, ArrowError> {
    let mut builder = DictionaryBuilder::new();
    let mut codes = if parts.is_empty() { vec![0; rows] } else { Vec::with_capacity(rows) };
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
    Ok(Texts { codes: codes.into(), dictionary: builder.finish() })
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
