//! The prefilter: which patterns can match at all, by text that each of them requires.
//!
//! From every pattern up to two small sets of literals are taken, of each of which at least one occurs
//! in whatever it matches. One automaton looks for all of them at once, in lower case; only patterns
//! of whose sets each has a literal that occurs, and the few that require none, are tried. The answer
//! is the same as trying all.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::pattern::{self, Flags};

/// A literal shorter than this occurs everywhere and saves nothing.
const LITERAL_MIN: usize = 3;

/// Most literals in one set.
const ALTERNATIVES_MAX: usize = 48;

/// Most sets of one pattern.
const SETS_MAX: usize = 2;

/// Literals, in lower case, of which at least one occurs in every match.
type Set = Vec<Vec<u8>>;

/// Tells which fingerprints of a database to try for an input.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: Option<AhoCorasick>,
    /// For each literal of the automaton, the fingerprints that it may mean, and which set of theirs.
    owners: Vec<Vec<(u32, u8)>>,
    /// How many sets each fingerprint has.
    sets: Vec<u8>,
    /// Fingerprints that require no literal.
    always: Vec<u32>,
}

impl Prefilter {
    pub(crate) fn new<'a>(patterns: impl Iterator<Item = (&'a str, Flags)>) -> Self {
        let mut owners: BTreeMap<Vec<u8>, Vec<(u32, u8)>> = BTreeMap::new();
        let mut sets = Vec::new();
        for (index, (pattern, flags)) in (0u32..).zip(patterns) {
            let required = pattern::structure(pattern, flags).map(|hir| required(&hir)).unwrap_or_default();
            sets.push(0);
            for set in required {
                let number = sets.last_mut().expect("pushed above");
                for literal in set {
                    owners.entry(literal).or_default().push((index, *number));
                }
                *number += 1;
            }
        }
        // Overlapping search needs the standard kind. Without an automaton (too large to build)
        // every fingerprint is tried: slower, and right.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(owners.keys())
            .ok();
        let unfiltered = (0u32..).zip(&sets).filter(|(_, sets)| **sets == 0 || automaton.is_none());
        let always = unfiltered.map(|(index, _)| index).collect();
        Self { automaton, owners: owners.into_values().collect(), sets, always }
    }

    /// Calls `attempt` with the index of each fingerprint worth trying, in order, until it says
    /// true.
    pub(crate) fn candidates(&self, input: &[u8], mut attempt: impl FnMut(usize) -> bool) {
        let mut seen: Vec<(u32, u8)> = Vec::new();
        if let Some(automaton) = &self.automaton {
            for found in automaton.find_overlapping_iter(input) {
                seen.extend_from_slice(&self.owners[found.pattern().as_usize()]);
            }
            seen.sort_unstable();
            seen.dedup();
        }
        let complete = |of_one: &&[(u32, u8)]| of_one.len() == usize::from(self.sets[of_one[0].0 as usize]);
        let wanted = seen.chunk_by(|a, b| a.0 == b.0).filter(complete).map(|of_one| &of_one[0].0);
        // Merges the two sorted lists.
        let (mut a, mut b) = (wanted.peekable(), self.always.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x < y => a.next(),
                (Some(x), Some(y)) if x == y => {
                    a.next();
                    b.next()
                }
                (Some(_), None) => a.next(),
                (_, Some(_)) => b.next(),
                (None, None) => return,
            };
            if next.is_some_and(|index| attempt(*index as usize)) {
                return;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn unfiltered(&self) -> usize {
        self.always.len()
    }
}

/// The most telling sets, at most [`SETS_MAX`].
fn required(hir: &Hir) -> Vec<Set> {
    let mut sets = sets(hir);
    sets.retain(|set| score(set).0 >= LITERAL_MIN && set.len() <= ALTERNATIVES_MAX);
    sets.sort_by_key(|set| std::cmp::Reverse(score(set)));
    sets.truncate(SETS_MAX);
    sets
}

/// Longer is better; of equal length, fewer.
fn score(set: &Set) -> (usize, std::cmp::Reverse<usize>) {
    (set.iter().map(Vec::len).min().unwrap_or(0), std::cmp::Reverse(set.len()))
}

fn sets(hir: &Hir) -> Vec<Set> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Concat(_) => {
            let mut runs = Runs { current: Vec::new(), found: Vec::new() };
            runs.walk(hir);
            runs.flush();
            runs.found
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => sets(&repetition.sub),
        HirKind::Repetition(_) => Vec::new(),
        HirKind::Capture(capture) => sets(&capture.sub),
        HirKind::Alternation(branches) => {
            let mut all = Set::new();
            for branch in branches {
                match sets(branch).into_iter().max_by_key(score) {
                    Some(best) if all.len() + best.len() <= ALTERNATIVES_MAX => all.extend(best),
                    _ => return Vec::new(),
                }
            }
            vec![all]
        }
    }
}

/// Gathers neighbouring letters of a concatenation into runs.
struct Runs {
    current: Vec<u8>,
    found: Vec<Set>,
}

impl Runs {
    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            // An assertion takes no room: the letters around it are neighbours.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.current.extend(literal.0.iter().map(u8::to_ascii_lowercase)),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Class(class) => match one_letter(class) {
                Some(letter) => self.current.push(letter),
                None => self.flush(),
            },
            HirKind::Repetition(_) | HirKind::Alternation(_) => {
                self.flush();
                self.found.extend(sets(hir));
            }
        }
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.current);
        if !run.is_empty() {
            self.found.push(vec![run]);
        }
    }
}

/// The letter of a class that is one ASCII letter in both cases, or a single byte.
fn one_letter(class: &Class) -> Option<u8> {
    let mut bytes = Vec::new();
    match class {
        Class::Bytes(class) => {
            for range in class.iter() {
                bytes.push((u32::from(range.start()), u32::from(range.end())));
            }
        }
        Class::Unicode(class) => {
            for range in class.iter() {
                bytes.push((u32::from(range.start()), u32::from(range.end())));
            }
        }
    }
    let single = |(start, end): (u32, u32)| (start == end && start < 0x80).then_some(start as u8);
    match bytes[..] {
        [one] => single(one).map(|byte| byte.to_ascii_lowercase()),
        [upper, lower] => {
            let (upper, lower) = (single(upper)?, single(lower)?);
            (upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == lower).then_some(lower)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Vec<Vec<String>> {
        let hir = pattern::structure(pattern, Flags::default()).unwrap();
        let text = |literal| String::from_utf8(literal).unwrap();
        required(&hir).into_iter().map(|set| set.into_iter().map(text).collect()).collect()
    }

    #[test]
    fn literals_are_those_every_match_holds() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("^OpenSSH_([0-9.]+)$", &[&["openssh_"]]),
            ("(?i)^DraySSH_", &[&["drayssh_"]]),
            ("^(?:Boa|GoAhead)/", &[&["boa", "goahead"]]),
            ("^(?:Boa|GoAhead-Webs)(/.*)?$", &[&["boa", "goahead-webs"]]),
            ("^(?:foobar)?x$", &[]),
            ("^[a-z]+$", &[]),
            (r"^\d+ (\S+) ready", &[&[" ready"]]),
            ("^(?:abc)+def", &[&["abc"], &["def"]]),
            ("^RICOH (.*) / Network .*", &[&[" / network "], &["ricoh "]]),
            ("^x|yyyy", &[]),
            ("", &[]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(of(pattern), *expected, "{pattern}");
        }
    }

    #[test]
    fn candidates_come_in_order_and_once() {
        let patterns = ["zzz", ".*", "abc|abcd", "[0-9]+", "ABC"];
        let filter = Prefilter::new(patterns.iter().map(|one| (*one, Flags::default())));
        assert_eq!(filter.unfiltered(), 2);
        let mut seen = Vec::new();
        filter.candidates(b"xABCDx", |index| {
            seen.push(index);
            false
        });
        assert_eq!(seen, [1, 2, 3, 4]);
        seen.clear();
        filter.candidates(b"xABCDx", |index| {
            seen.push(index);
            index == 2
        });
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn a_pattern_of_two_literals_is_tried_when_both_occur() {
        let filter = Prefilter::new([("foo.*bar", Flags::default())].into_iter());
        let tried = |input: &[u8]| {
            let mut tried = 0;
            filter.candidates(input, |_| {
                tried += 1;
                false
            });
            tried
        };
        assert_eq!(
            ["foo", "bar", "foo bar", "bar foo", "foofoo"].map(|text| tried(text.as_bytes())),
            [0, 0, 1, 1, 0]
        );
    }
}
