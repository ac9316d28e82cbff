//! The prefilter: which patterns can match at all, by text that each of them requires.
//!
//! From every pattern a small set of literals is taken of which at least one occurs in whatever
//! it matches. One automaton looks for all of them at once, in lower case; only patterns whose
//! literal occurs, and the few that require none, are tried. The answer is the same as trying all.

use aho_corasick::{AhoCorasick, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::pattern::{self, Flags};

/// A literal shorter than this occurs everywhere and saves nothing.
const LITERAL_MIN: usize = 3;

/// Most literals for one pattern.
const ALTERNATIVES_MAX: usize = 48;

/// Tells which fingerprints of a database to try for an input.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: Option<AhoCorasick>,
    /// For each literal of the automaton, the fingerprints that it may mean.
    owners: Vec<Vec<u32>>,
    /// Fingerprints that require no literal.
    always: Vec<u32>,
}

impl Prefilter {
    pub(crate) fn new<'a>(patterns: impl Iterator<Item = (&'a str, Flags)>) -> Self {
        let mut owners: std::collections::BTreeMap<Vec<u8>, Vec<u32>> = std::collections::BTreeMap::new();
        let mut always = Vec::new();
        for (index, (pattern, flags)) in patterns.enumerate() {
            let index = u32::try_from(index).expect("a file holds fewer fingerprints");
            match pattern::structure(pattern, flags).and_then(|hir| required(&hir)) {
                Some(literals) => {
                    for literal in literals {
                        let list = owners.entry(literal).or_default();
                        if list.last() != Some(&index) {
                            list.push(index);
                        }
                    }
                }
                None => always.push(index),
            }
        }
        // Overlapping search needs the standard kind. Without an automaton (too large to build)
        // every fingerprint is tried: slower, and right.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(owners.keys())
            .ok();
        if automaton.is_none() {
            let all = owners.values().flatten().copied().chain(always.iter().copied());
            always = all.collect::<std::collections::BTreeSet<u32>>().into_iter().collect();
        }
        Self { automaton, owners: owners.into_values().collect(), always }
    }

    /// Calls `attempt` with the index of each fingerprint worth trying, in order, until it says
    /// true.
    pub(crate) fn candidates(&self, input: &[u8], mut attempt: impl FnMut(usize) -> bool) {
        let mut wanted: Vec<u32> = Vec::new();
        if let Some(automaton) = &self.automaton {
            for found in automaton.find_overlapping_iter(input) {
                wanted.extend_from_slice(&self.owners[found.pattern().as_usize()]);
            }
            wanted.sort_unstable();
            wanted.dedup();
        }
        // Merges the two sorted lists.
        let (mut a, mut b) = (wanted.iter().peekable(), self.always.iter().peekable());
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

/// Lower-case literals of which at least one occurs in every match, or `None`.
fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let found = best(hir)?;
    (score(&found).0 >= LITERAL_MIN && found.len() <= ALTERNATIVES_MAX).then_some(found)
}

/// Longer is better; of equal length, fewer.
fn score(literals: &[Vec<u8>]) -> (usize, std::cmp::Reverse<usize>) {
    (literals.iter().map(Vec::len).min().unwrap_or(0), std::cmp::Reverse(literals.len()))
}

fn best(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Concat(_) => {
            let mut runs = Runs { current: Vec::new(), best: None };
            runs.walk(hir);
            runs.flush();
            runs.best
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => best(&repetition.sub),
        HirKind::Repetition(_) => None,
        HirKind::Capture(capture) => best(&capture.sub),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(best(branch)?);
                if all.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// Gathers neighbouring letters of a concatenation into runs.
struct Runs {
    current: Vec<u8>,
    best: Option<Vec<Vec<u8>>>,
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
                self.offer(best(hir));
            }
        }
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.current);
        self.offer((!run.is_empty()).then(|| vec![run]));
    }

    fn offer(&mut self, found: Option<Vec<Vec<u8>>>) {
        let Some(found) = found else { return };
        if self.best.as_ref().is_none_or(|held| score(held) < score(&found)) {
            self.best = Some(found);
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

    fn of(pattern: &str) -> Option<Vec<String>> {
        let hir = pattern::structure(pattern, Flags::default()).unwrap();
        required(&hir).map(|found| found.into_iter().map(|one| String::from_utf8(one).unwrap()).collect())
    }

    #[test]
    fn literals_are_those_every_match_holds() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("^OpenSSH_([0-9.]+)$", Some(&["openssh_"])),
            ("(?i)^DraySSH_", Some(&["drayssh_"])),
            ("^(?:Boa|GoAhead)/", Some(&["boa", "goahead"])),
            ("^(?:Boa|GoAhead-Webs)(/.*)?$", Some(&["boa", "goahead-webs"])),
            ("^(?:foobar)?x$", None),
            ("^[a-z]+$", None),
            (r"^\d+ (\S+) ready", Some(&[" ready"])),
            ("^(?:abc)+def", Some(&["abc"])),
            ("^x|yyyy", None),
            ("", None),
        ];
        for (pattern, expected) in cases {
            let expected = expected.map(|list| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!(of(pattern), expected, "{pattern}");
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
}
