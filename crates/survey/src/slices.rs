//! Sets of slice numbers, kept as runs: slices are sealed nearly in order, so a survey of
//! millions of slices needs a handful of runs.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of slice numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SliceSet {
    /// First slice of a run → one past its last.
    runs: BTreeMap<u64, u64>,
}

impl SliceSet {
    /// Adds a slice; true when it was not there.
    pub fn insert(&mut self, slice: u64) -> bool {
        if self.contains(slice) {
            return false;
        }
        let mut end = slice + 1;
        if let Some(next) = self.runs.remove(&end) {
            end = next;
        }
        match self.runs.range_mut(..slice).next_back() {
            Some((_, last)) if *last == slice => *last = end,
            _ => {
                self.runs.insert(slice, end);
            }
        }
        true
    }

    /// Adds the slices of a run.
    pub fn insert_run(&mut self, run: Range<u64>) {
        let Range { start: mut first, mut end } = run;
        if first >= end {
            return;
        }
        // What it touches or overlaps becomes one run with it.
        if let Some((&before, &to)) = self.runs.range(..first).next_back()
            && to >= first
        {
            self.runs.remove(&before);
            (first, end) = (before, end.max(to));
        }
        while let Some((&within, &to)) = self.runs.range(first..=end).next() {
            self.runs.remove(&within);
            end = end.max(to);
        }
        self.runs.insert(first, end);
    }

    /// Adds every slice of `other`.
    pub fn extend(&mut self, other: &Self) {
        other.runs().for_each(|run| self.insert_run(run));
    }

    /// The runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = Range<u64>> {
        self.runs.iter().map(|(first, end)| *first..*end)
    }

    /// True when the slice is in the set.
    pub fn contains(&self, slice: u64) -> bool {
        self.runs.range(..=slice).next_back().is_some_and(|(_, end)| slice < *end)
    }

    /// Number of slices.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|(first, end)| end - first).sum()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Slices in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|(first, end)| *first..*end)
    }
}

impl FromIterator<u64> for SliceSet {
    fn from_iter<I: IntoIterator<Item = u64>>(slices: I) -> Self {
        let mut set = Self::default();
        slices.into_iter().for_each(|slice| {
            set.insert(slice);
        });
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(slices in prop::collection::vec(0u64..60, 0..80)) {
            let mut set = SliceSet::default();
            let mut model = BTreeSet::new();
            for slice in slices {
                prop_assert_eq!(set.insert(slice), model.insert(slice));
                prop_assert_eq!(set.len(), model.len() as u64);
                // Runs never touch: otherwise they would be one.
                prop_assert!(set.runs.iter().all(|(_, end)| !set.runs.contains_key(end)));
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn runs_are_sets_of_slices(runs in prop::collection::vec((0u64..60, 0u64..9), 0..20)) {
            let mut set = SliceSet::default();
            let mut model = BTreeSet::new();
            for (first, length) in runs {
                set.insert_run(first..first + length);
                model.extend(first..first + length);
                prop_assert!(set.runs.iter().all(|(_, end)| !set.runs.contains_key(end)));
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let mut again = SliceSet::default();
            again.extend(&set);
            prop_assert_eq!(again, set);
        }
    }
}
