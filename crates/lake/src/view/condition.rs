//! What a query asks of the rows of one segment: decided about texts and addresses beforehand, and then looked at
//! block by block of rows, by all processors.
//!
//! Within a block the next condition is looked at only for rows that are still there: what few rows pass
//! ends most blocks early.

use std::ops::Range;

use datafusion::arrow::buffer::{BooleanBuffer, Buffer};

use super::column::Texts;
use crate::write::workers;

/// Rows of one word of bits.
const WORD_ROWS: usize = u64::BITS as usize;
/// Words of one block: 4,096 rows, of each column 16 or 32 KiB, which the processor's nearest caches hold.
const BLOCK_WORDS: usize = 64;
/// From so many rows on, all of a word are looked at instead of those that are still there: that is done by
/// several at once.
const DENSE: u32 = 8;
/// Blocks that one more processor is worth: less is done before it has begun.
const BLOCKS_EACH: usize = 32;

/// A condition on rows of one segment.
pub(super) enum Condition<'a> {
    /// The text of a row is this one, by its code.
    Text(&'a [u32], u32),
    /// The text of a row is one of those that are accepted, by their codes.
    Texts(&'a [u32], Vec<bool>),
    /// The number of a row is in one of these spans, both ends included. What stands for null is in none.
    Ints(&'a [i32], Vec<(i32, i32)>),
    /// The same of long numbers.
    Longs(&'a [i64], Vec<(i64, i64)>),
    /// The row is one of these, which are in order and apart.
    Rows(Vec<Range<usize>>),
    /// It does not hold.
    Not(Box<Condition<'a>>),
    /// All of them hold. All of none always do.
    All(Vec<Condition<'a>>),
    /// One of them holds. One of none never does.
    Any(Vec<Condition<'a>>),
}

impl<'a> Condition<'a> {
    /// Every row.
    pub(super) const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// No row.
    pub(super) const fn nothing() -> Self {
        Self::Any(Vec::new())
    }

    /// True when no row can pass, as far as that shows without looking at rows.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Rows(ranges) => ranges.is_empty(),
            Self::All(parts) => parts.iter().any(Self::is_nothing),
            Self::Any(parts) => parts.iter().all(Self::is_nothing),
            Self::Text(..) | Self::Texts(..) | Self::Ints(..) | Self::Longs(..) | Self::Not(_) => false,
        }
    }

    /// The text of a row is one of those that are accepted, by code.
    pub(super) fn texts(texts: &'a Texts, accepted: Vec<bool>) -> Self {
        Self::codes(&texts.codes, accepted)
    }

    /// The code of a row is accepted.
    pub(super) fn codes(codes: &'a [u32], accepted: Vec<bool>) -> Self {
        let mut those = (0..).zip(&accepted).filter(|(_, accepted)| **accepted).map(|(code, _)| code);
        match (those.next(), those.next()) {
            (None, _) => Self::nothing(),
            (Some(code), None) => Self::Text(codes, code),
            _ => Self::Texts(codes, accepted),
        }
    }

    /// The row is in one of `ranges`, in whatever order they are.
    pub(super) fn rows(mut ranges: Vec<Range<usize>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, before| {
            let joined = next.start <= before.end;
            if joined {
                before.end = before.end.max(next.end);
            }
            joined
        });
        Self::Rows(ranges)
    }

    /// All of `parts` hold: what costs least is looked at first.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Self::All(parts) => all.extend(parts),
                part if part.is_nothing() => return Self::nothing(),
                part => all.push(part),
            }
        }
        all.sort_by_key(Self::cost);
        match all.len() {
            1 => all.remove(0),
            _ => Self::All(all),
        }
    }

    /// One of `parts` holds.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut any: Vec<Self> = parts.into_iter().filter(|part| !part.is_nothing()).collect();
        match any.len() {
            1 => any.remove(0),
            _ => Self::Any(any),
        }
    }

    /// What looking at one row costs, about.
    fn cost(&self) -> usize {
        match self {
            Self::Rows(_) => 0,
            Self::Text(..) | Self::Ints(..) => 1,
            Self::Longs(_, spans) => 1 + spans.len(),
            Self::Texts(..) => 3,
            Self::Not(inner) => inner.cost(),
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum(),
        }
    }

    /// Those of `rows` for which it holds.
    pub(super) fn among(&self, rows: &BooleanBuffer) -> BooleanBuffer {
        let words = rows.len().div_ceil(WORD_ROWS);
        let mut held: Vec<u64> = rows.bit_chunks().iter_padded().take(words).collect();
        let blocks = words.div_ceil(BLOCK_WORDS);
        let each = blocks.div_ceil(workers().min(blocks / BLOCKS_EACH).max(1)).max(1) * BLOCK_WORDS;
        let narrow = |nth: usize, part: &mut [u64]| {
            for (block, words) in part.chunks_mut(BLOCK_WORDS).enumerate() {
                self.narrow((nth * each + block * BLOCK_WORDS) * WORD_ROWS, words);
            }
        };
        std::thread::scope(|scope| {
            let mut parts = held.chunks_mut(each).enumerate();
            let first = parts.next();
            for (nth, part) in parts {
                scope.spawn(move || narrow(nth, part));
            }
            if let Some((nth, part)) = first {
                narrow(nth, part);
            }
        });
        BooleanBuffer::new(Buffer::from_vec(held), 0, rows.len())
    }

    /// Takes those rows out of a block for which it does not hold. `first` is the block's first row.
    fn narrow(&self, first: usize, words: &mut [u64]) {
        match self {
            Self::Text(codes, wanted) => keep(first, words, codes, |code| code == *wanted),
            Self::Texts(codes, accepted) => keep(first, words, codes, |code| accepted[code as usize]),
            Self::Ints(values, spans) => keep_within(first, words, values, spans),
            Self::Longs(values, spans) => keep_within(first, words, values, spans),
            Self::Rows(ranges) => keep_ranges(first, words, ranges),
            Self::Not(inner) => {
                let mut held = Block::of(words);
                inner.narrow(first, held.words());
                words.iter_mut().zip(held.words()).for_each(|(word, held)| *word &= !*held);
            }
            Self::All(parts) => {
                for part in parts {
                    if is_empty(words) {
                        return;
                    }
                    part.narrow(first, words);
                }
            }
            Self::Any(parts) => {
                // What no part has taken yet.
                let mut left = Block::of(words);
                for part in parts {
                    if is_empty(left.words()) {
                        return;
                    }
                    let mut taken = Block::of(left.words());
                    part.narrow(first, taken.words());
                    left.words().iter_mut().zip(taken.words()).for_each(|(left, taken)| *left &= !*taken);
                }
                words.iter_mut().zip(left.words()).for_each(|(word, left)| *word &= !*left);
            }
        }
    }
}

/// The rows of a block, beside those that a condition began with.
struct Block {
    words: [u64; BLOCK_WORDS],
    len: usize,
}

impl Block {
    fn of(words: &[u64]) -> Self {
        let mut block = Self { words: [0; BLOCK_WORDS], len: words.len() };
        block.words[..words.len()].copy_from_slice(words);
        block
    }

    fn words(&mut self) -> &mut [u64] {
        &mut self.words[..self.len]
    }
}

fn is_empty(words: &[u64]) -> bool {
    words.iter().all(|word| *word == 0)
}

/// Keeps rows whose value passes.
fn keep<T: Copy>(first: usize, words: &mut [u64], values: &[T], passes: impl Fn(T) -> bool) {
    let values = &values[first.min(values.len())..];
    for (word, values) in words.iter_mut().zip(values.chunks(WORD_ROWS)) {
        if *word == 0 {
            continue;
        }
        *word &= if word.count_ones() >= DENSE {
            let bit = |(at, value): (usize, &T)| u64::from(passes(*value)) << at;
            values.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
        } else {
            let (mut bits, mut left) = (0, *word);
            while left != 0 {
                let at = left.trailing_zeros();
                bits |= u64::from(passes(values[at as usize])) << at;
                left &= left - 1;
            }
            bits
        };
    }
}

fn keep_within<T: Copy + PartialOrd>(first: usize, words: &mut [u64], values: &[T], spans: &[(T, T)]) {
    match spans {
        [(low, high)] => keep(first, words, values, |value| (*low <= value) & (value <= *high)),
        spans => keep(first, words, values, |value| {
            spans.iter().any(|(low, high)| (*low <= value) & (value <= *high))
        }),
    }
}

/// Keeps rows that are in one of `ranges`, which are in order and apart.
fn keep_ranges(first: usize, words: &mut [u64], ranges: &[Range<usize>]) {
    let mut inside = [0; BLOCK_WORDS];
    let last = first + words.len() * WORD_ROWS;
    let passed = ranges.partition_point(|range| range.end <= first);
    for range in ranges[passed..].iter().take_while(|range| range.start < last) {
        for row in range.start.max(first)..range.end.min(last) {
            inside[(row - first) / WORD_ROWS] |= 1 << ((row - first) % WORD_ROWS);
        }
    }
    words.iter_mut().zip(inside).for_each(|(word, inside)| *word &= inside);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Columns that conditions are on.
    struct Columns {
        codes: Vec<u32>,
        ints: Vec<i32>,
        longs: Vec<i64>,
    }

    /// A condition without columns.
    #[derive(Debug, Clone)]
    enum Asked {
        Codes(Vec<bool>),
        Ints(Vec<(i32, i32)>),
        Longs(Vec<(i64, i64)>),
        Rows(Vec<Range<usize>>),
        Not(Box<Asked>),
        All(Vec<Asked>),
        Any(Vec<Asked>),
    }

    impl Asked {
        fn of<'a>(&self, columns: &'a Columns) -> Condition<'a> {
            match self {
                Self::Codes(accepted) => Condition::codes(&columns.codes, accepted.clone()),
                Self::Ints(spans) => Condition::Ints(&columns.ints, spans.clone()),
                Self::Longs(spans) => Condition::Longs(&columns.longs, spans.clone()),
                Self::Rows(ranges) => Condition::rows(ranges.clone()),
                Self::Not(inner) => Condition::Not(Box::new(inner.of(columns))),
                Self::All(parts) => Condition::all(parts.iter().map(|part| part.of(columns))),
                Self::Any(parts) => Condition::any(parts.iter().map(|part| part.of(columns))),
            }
        }

        /// Row by row, as it is meant.
        fn holds(&self, columns: &Columns, row: usize) -> bool {
            match self {
                Self::Codes(accepted) => accepted[columns.codes[row] as usize],
                Self::Ints(spans) => {
                    spans.iter().any(|(low, high)| (*low..=*high).contains(&columns.ints[row]))
                }
                Self::Longs(spans) => {
                    spans.iter().any(|(low, high)| (*low..=*high).contains(&columns.longs[row]))
                }
                Self::Rows(ranges) => ranges.iter().any(|range| range.contains(&row)),
                Self::Not(inner) => !inner.holds(columns, row),
                Self::All(parts) => parts.iter().all(|part| part.holds(columns, row)),
                Self::Any(parts) => parts.iter().any(|part| part.holds(columns, row)),
            }
        }
    }

    const CODES: usize = 5;
    const ROWS: usize = 3 * BLOCKS_EACH * BLOCK_WORDS * WORD_ROWS;

    fn asked() -> impl Strategy<Value = Asked> {
        let spans = || prop::collection::vec((-5i32..50, -5i32..50), 0..3);
        let leaf = prop_oneof![
            prop::collection::vec(any::<bool>(), CODES).prop_map(Asked::Codes),
            spans().prop_map(Asked::Ints),
            spans().prop_map(|spans| {
                Asked::Longs(spans.into_iter().map(|(a, b)| (a.into(), b.into())).collect())
            }),
            prop::collection::vec((0..ROWS, 0..ROWS), 0..5)
                .prop_map(|ends| Asked::Rows(ends.into_iter().map(|(a, b)| a..b).collect())),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Asked::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Asked::All),
                prop::collection::vec(inner, 0..4).prop_map(Asked::Any),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Block by block, by several threads, and with what few rows are left, the same rows pass as row by row.
        #[test]
        fn blocks_are_as_rows(asked in asked(), rows in prop_oneof![0..300usize, ROWS - 70..ROWS], seed in 1..u64::MAX, sparse in 1..200u64) {
            let mut state = seed;
            let mut next = move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state >> 11
            };
            let columns = Columns {
                codes: (0..rows).map(|_| (next() % CODES as u64) as u32).collect(),
                ints: (0..rows).map(|_| (next() % 50) as i32).collect(),
                longs: (0..rows).map(|_| (next() % 50) as i64).collect(),
            };
            let live: BooleanBuffer = (0..rows).map(|_| next() % sparse == 0).collect();
            let found = asked.of(&columns).among(&live);
            prop_assert_eq!(found.len(), rows);
            for row in 0..rows {
                let expected = live.value(row) && asked.holds(&columns, row);
                prop_assert_eq!(found.value(row), expected, "row {}", row);
            }
        }
    }
}
