//! A numbered list of which only some entries are kept.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// Numbers `0..len`, of which those that something is known about are kept. A connect sweep keeps all
/// of them; of a raw sweep only those that answered are kept, so that a million silent targets cost
/// nothing.
#[derive(Debug)]
pub(super) struct Sparse<T> {
    kept: BTreeMap<u32, T>,
    len: u32,
}

impl<T> Sparse<T> {
    /// `len` numbers, all kept.
    pub(super) fn all(len: u32, make: impl Fn() -> T) -> Self {
        Self { kept: (0..len).map(|number| (number, make())).collect(), len }
    }

    /// `len` numbers, none kept.
    pub(super) fn none(len: u32) -> Self {
        Self { kept: BTreeMap::new(), len }
    }

    /// How many numbers there are, kept or not.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.kept.get(&number)
    }

    /// Keeps a number from now on.
    pub(super) fn keep(&mut self, number: u32, make: impl FnOnce() -> T) -> &mut T {
        assert!(number < self.len, "{number} of {}", self.len);
        self.kept.entry(number).or_insert_with(make)
    }

    /// Those kept, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.kept.iter().map(|(number, entry)| (*number, entry))
    }

    /// Those kept, ascending.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.kept.iter_mut().map(|(number, entry)| (*number, entry))
    }
}

impl<T> Index<usize> for Sparse<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.kept[&u32::try_from(number).expect("numbers of a slice have 32 bits")]
    }
}

impl<T> IndexMut<usize> for Sparse<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        let number = u32::try_from(number).expect("numbers of a slice have 32 bits");
        self.kept.get_mut(&number).expect("what is worked on is kept")
    }
}
