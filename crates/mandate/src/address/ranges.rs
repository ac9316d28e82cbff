//! Sorted, disjoint, never adjacent ranges of 128-bit numbers.

/// A set of numbers. `before[i]` is how many numbers lie in the ranges before range `i`; it always
/// fits, because at least one number of range `i` is not counted in it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Ranges {
    ranges: Vec<(u128, u128)>,
    before: Vec<u128>,
}

impl Ranges {
    /// From inclusive ranges in any order, overlapping or not; each has its lower end first.
    pub(super) fn from_unsorted(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        Self::from_sorted(ranges)
    }

    /// From inclusive ranges in ascending order of their lower end.
    fn from_sorted(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut merged: Vec<(u128, u128)> = Vec::new();
        for (first, last) in ranges {
            debug_assert!(first <= last);
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        let mut before = Vec::with_capacity(merged.len());
        let mut total = 0u128;
        for &(first, last) in &merged {
            before.push(total);
            // Only the last range of the whole 128-bit space can reach 2^128, and nothing follows it.
            total = total.saturating_add(last - first).saturating_add(1);
        }
        Self { ranges: merged, before }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u128)> {
        self.ranges.iter().copied()
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        self.range_at(number).is_some()
    }

    pub(super) fn count(&self) -> u128 {
        match (self.ranges.last(), self.before.last()) {
            (Some((first, last)), Some(before)) => (last - first).saturating_add(*before).saturating_add(1),
            _ => 0,
        }
    }

    pub(super) fn nth(&self, index: u128) -> Option<u128> {
        let range = self.before.partition_point(|before| *before <= index).checked_sub(1)?;
        let (first, last) = self.ranges[range];
        let offset = index - self.before[range];
        (offset <= last - first).then(|| first + offset)
    }

    pub(super) fn index_of(&self, number: u128) -> Option<u128> {
        let range = self.range_at(number)?;
        Some(self.before[range] + (number - self.ranges[range].0))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        Self::from_sorted(std::iter::from_fn(|| match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l <= r => left.next(),
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        }))
    }

    pub(super) fn intersect(&self, other: &Self) -> Self {
        let (mut left, mut right) = (0, 0);
        let mut common = Vec::new();
        while let (Some(l), Some(r)) = (self.ranges.get(left), other.ranges.get(right)) {
            let (first, last) = (l.0.max(r.0), l.1.min(r.1));
            if first <= last {
                common.push((first, last));
            }
            if l.1 < r.1 {
                left += 1;
            } else {
                right += 1;
            }
        }
        Self::from_sorted(common)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.ranges.len() <= other.ranges.len() { (self, other) } else { (other, self) };
        few.iter().any(|(first, last)| {
            // The first range that does not end before this one begins.
            let next = many.ranges.partition_point(|range| range.1 < first);
            many.ranges.get(next).is_some_and(|range| range.0 <= last)
        })
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut holes = other.ranges.as_slice();
        for &(first, last) in &self.ranges {
            while holes.first().is_some_and(|hole| hole.1 < first) {
                holes = &holes[1..];
            }
            // `None` once a hole reaches the end of the range.
            let mut from = Some(first);
            for hole in holes.iter().take_while(|hole| hole.0 <= last) {
                let start = from.expect("a hole that reaches the end is the last one here");
                if start < hole.0 {
                    rest.push((start, hole.0 - 1));
                }
                from = (hole.1 < last).then(|| hole.1 + 1);
            }
            rest.extend(from.map(|start| (start, last)));
        }
        Self::from_sorted(rest)
    }

    /// The aligned power-of-two blocks of numbers of `width` bits that make up the ranges, as
    /// (base, prefix length); as few as possible.
    pub(super) fn blocks(&self, width: u8) -> impl Iterator<Item = (u128, u8)> {
        self.iter().flat_map(move |(first, last)| {
            let mut from = Some(first);
            std::iter::from_fn(move || {
                let base = from?;
                // The largest block that is aligned at `base` and does not pass `last`.
                let room = (last - base).checked_add(1).map_or(128, u128::ilog2);
                let bits = base.trailing_zeros().min(room).min(width.into());
                let end = base + u128::MAX.checked_shr(128 - bits).unwrap_or(0);
                from = (end < last).then(|| end + 1);
                Some((base, width - u8::try_from(bits).expect("at most 128")))
            })
        })
    }

    fn range_at(&self, number: u128) -> Option<usize> {
        let range = self.ranges.partition_point(|range| range.0 <= number).checked_sub(1)?;
        (number <= self.ranges[range].1).then_some(range)
    }
}
