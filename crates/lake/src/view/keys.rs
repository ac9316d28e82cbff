//! What tells rows apart, and which of those that are alike holds.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;

use super::View;
use super::column::Texts;
use super::segment::{Loaded, Segment};
use crate::LakeError;

/// Columns that tell rows apart and which of them holds.
pub(super) const KEYS: [&str; 7] =
    ["addr_hi", "addr_lo", "port", "transport", "protocol", "asked_us", "known_us"];

/// These columns of a segment, at hand.
pub(super) struct Keys<'a> {
    pub(super) rows: usize,
    addr: (&'a [i64], &'a [i64]),
    port: &'a [i32],
    transport: &'a Texts,
    protocol: &'a Texts,
    asked_us: &'a [i64],
    known_us: &'a [i64],
}

impl<'a> Keys<'a> {
    /// Those of a segment for which [`KEYS`] were loaded.
    pub(super) fn of(loaded: &'a Loaded<'_>) -> Self {
        let long = |name| loaded.column(name).longs();
        Self {
            rows: loaded.rows,
            addr: (long("addr_hi"), long("addr_lo")),
            port: loaded.column("port").ints(),
            transport: loaded.column("transport").texts(),
            protocol: loaded.column("protocol").texts(),
            asked_us: long("asked_us"),
            known_us: long("known_us"),
        }
    }

    /// Address and port of a row.
    pub(super) fn place(&self, row: usize) -> ((i64, i64), i32) {
        ((self.addr.0[row], self.addr.1[row]), self.port[row])
    }

    pub(super) fn transport(&self, row: usize) -> Option<&'a str> {
        self.transport.at(row)
    }

    /// The order of two rows by their keys.
    pub(super) fn compare(&self, row: usize, other: &Keys<'_>, at: usize) -> Ordering {
        let texts = || {
            let transports = self.transport.at(row).cmp(&other.transport.at(at));
            transports.then_with(|| self.protocol.at(row).cmp(&other.protocol.at(at)))
        };
        self.place(row).cmp(&other.place(at)).then_with(texts)
    }

    /// Of two rows with one key that with the greater rank holds.
    fn rank(&self, row: usize) -> (i64, i64) {
        (self.asked_us[row], self.known_us[row])
    }

    /// The first row, not before `from`, for which `before` does not hold. It looks near first: who
    /// asks for many rows asks for them in order.
    pub(super) fn position(&self, from: usize, before: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut step) = (from, 1);
        while low + step <= self.rows && before(low + step - 1) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Of each segment, which rows hold: of those with one key the one that was asked last; when they
/// were asked at once, the one that was known last.
///
/// What `before` found out about segments that are still there is taken over: whatever took the
/// place of their rows is still there, in its run or in one that this was merged into.
pub(super) async fn live(
    segments: &[Arc<Segment>],
    before: Option<&View>,
) -> Result<Vec<BooleanBuffer>, LakeError> {
    let kept: Vec<Option<BooleanBuffer>> =
        segments.iter().map(|segment| before.and_then(|view| view.live_of(segment))).collect();
    let (settled, mut new): (Vec<usize>, Vec<usize>) =
        (0..segments.len()).partition(|number| kept[*number].is_some());
    new.sort_by_key(|number| std::cmp::Reverse(segments[*number].rows()));
    let live: Vec<BooleanBuffer> = kept
        .into_iter()
        .zip(segments)
        .map(|(kept, segment)| kept.unwrap_or_else(|| BooleanBuffer::new_set(segment.rows())))
        .collect();
    if segments.len() < 2 || new.is_empty() {
        return Ok(live);
    }
    let mut loaded = Vec::new();
    for segment in segments {
        loaded.push(segment.load(&KEYS).await?);
    }
    let keys: Vec<Keys<'_>> = loaded.iter().map(Keys::of).collect();
    let gone = super::in_place(|| superseded(&keys, &live, settled, new));
    let without = |(live, gone): (BooleanBuffer, HashSet<usize>)| {
        if gone.is_empty() {
            return live;
        }
        let mut bits = BooleanBufferBuilder::new(live.len());
        bits.append_buffer(&live);
        gone.into_iter().for_each(|row| bits.set_bit(row, false));
        bits.finish()
    };
    Ok(live.into_iter().zip(gone).map(without).collect())
}

/// The rows of each segment whose place those of another one take, beside the rows that are known not
/// to hold. Among those that are `settled` it is known already.
fn superseded(
    keys: &[Keys<'_>],
    live: &[BooleanBuffer],
    mut settled: Vec<usize>,
    new: Vec<usize>,
) -> Vec<HashSet<usize>> {
    let mut gone: Vec<HashSet<usize>> = vec![HashSet::new(); keys.len()];
    for number in new {
        for other in &settled {
            // The rows of the smaller one are looked for in the greater one.
            let (few, many) =
                if keys[number].rows < keys[*other].rows { (number, *other) } else { (*other, number) };
            let mut at = 0;
            for row in 0..keys[few].rows {
                at = keys[many].position(at, |at| keys[many].compare(at, &keys[few], row).is_lt());
                if at == keys[many].rows {
                    break;
                }
                let holds =
                    |segment: usize, row: usize| live[segment].value(row) && !gone[segment].contains(&row);
                if keys[many].compare(at, &keys[few], row).is_eq() && holds(many, at) && holds(few, row) {
                    let newer = keys[many].rank(at) < keys[few].rank(row);
                    if newer {
                        gone[many].insert(at)
                    } else {
                        gone[few].insert(row)
                    };
                }
            }
        }
        settled.push(number);
    }
    gone
}
