//! Whether a version is among those an entry names (CVE record format, "Version status decision
//! algorithm"), in three values: what cannot be compared is unknown.

use std::cmp::Ordering;
use std::fmt;

use super::{Affected, Bound, Range, Status};
use crate::version::{Version, compare};

/// Texts that stand for "from the beginning" where a range begins.
const OPEN_START: &[&str] = &["", "0", "*", "-", "0.0", "0.0.0", "0.0.0-0", "n/a", "unspecified", "all"];
/// Texts that stand for "without end" where a range ends.
const OPEN_END: &[&str] = &["*", "unspecified"];
/// Texts that name every version.
const ALL: &[&str] = &["*", "all", "any", "all versions", "all_versions", "all version", "allversions"];
/// Place-holders.
const NOTHING: &[&str] = &["", "-", "n/a", "unspecified", "unknown", "none", "tbd", "not applicable"];

impl Affected {
    /// Whether `version` is affected according to this entry.
    pub fn status(&self, version: &str) -> Status {
        let mut uncertain: Vec<Status> = Vec::new();
        let mut named = None;
        for range in &self.ranges {
            match range.contains(version) {
                Some(true) => {
                    named = Some(range.status_inside(version));
                    break;
                }
                Some(false) => {}
                // A place-holder says nothing about any version.
                None if range.to.is_none() && is(NOTHING, &range.from) => uncertain.push(Status::Unknown),
                None => uncertain.push(range.status),
            }
        }
        let status = named.unwrap_or(self.default);
        if uncertain.iter().all(|other| *other == status) { status } else { Status::Unknown }
    }

    /// The range or single version that says what `version` is; `None` when no one does, and it is what
    /// versions are by default.
    pub fn deciding(&self, version: &str) -> Option<&Range> {
        self.ranges.iter().find(|range| range.contains(version) == Some(true))
    }

    /// True when the entry names every version there is.
    pub(crate) fn names_all(&self) -> bool {
        self.ranges.iter().any(|range| match &range.to {
            Some(Bound::LessThan(end) | Bound::AtMost(end)) => {
                is(OPEN_END, end) && is(OPEN_START, &range.from)
            }
            None => is(ALL, &range.from),
        })
    }
}

impl Range {
    /// Whether the range holds `version`; `None` when it cannot be told.
    fn contains(&self, version: &str) -> Option<bool> {
        let Some(to) = &self.to else { return phrase(&self.from, version) };
        let (end, inclusive) = match to {
            Bound::LessThan(end) => (end.as_str(), false),
            Bound::AtMost(end) => (end.as_str(), true),
        };
        if same_text(end, &self.from) && !inclusive {
            // An empty range is a slip of the pen; only versions above it are surely outside.
            return match compare(version, end)? {
                Ordering::Greater => Some(false),
                _ => None,
            };
        }
        let above = if is(OPEN_START, &self.from) { Some(true) } else { at_least(version, &self.from) };
        let below = if is(OPEN_END, end) { Some(true) } else { up_to(version, end, inclusive) };
        both(above, below)
    }

    fn status_inside(&self, version: &str) -> Status {
        let mut status = self.status;
        for change in &self.changes {
            match compare(version, &change.at) {
                Some(Ordering::Less) => {}
                Some(_) => status = change.status,
                None => return Status::Unknown,
            }
        }
        status
    }
}

/// As people write it: `>= 1.0, < 1.5`, or the version or phrase alone.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, end) = match &self.to {
            None => return f.write_str(&self.from),
            Some(Bound::LessThan(end)) => ("<", end),
            Some(Bound::AtMost(end)) => ("<=", end),
        };
        match (is(OPEN_START, &self.from), is(OPEN_END, end)) {
            (true, true) => f.write_str("*"),
            (true, false) => write!(f, "{sign} {end}"),
            (false, true) => write!(f, ">= {}", self.from),
            (false, false) => write!(f, ">= {}, {sign} {end}", self.from),
        }
    }
}

fn is(list: &[&str], text: &str) -> bool {
    let text = text.trim();
    list.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn same_text(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// `5.1.x` and `5.1.*` without their wildcard.
fn stem(text: &str) -> Option<&str> {
    let text = text.trim();
    [".x", ".*", ".X"].iter().find_map(|wildcard| text.strip_suffix(wildcard))
}

fn at_least(version: &str, from: &str) -> Option<bool> {
    Some(compare(version, stem(from).unwrap_or(from))? != Ordering::Less)
}

fn up_to(version: &str, end: &str, inclusive: bool) -> Option<bool> {
    if let Some(stem) = stem(end) {
        let (version, stem) = (Version::parse(version)?, Version::parse(stem)?);
        let inside = version.continues(&stem);
        return Some((inside && inclusive) || (!inside && version.compare(&stem)? == Ordering::Less));
    }
    Some(match compare(version, end)? {
        Ordering::Less => true,
        Ordering::Equal => inclusive,
        Ordering::Greater => false,
    })
}

/// A single version, or one of the few phrases whose meaning is beyond doubt.
fn phrase(text: &str, version: &str) -> Option<bool> {
    let lower = text.trim().to_lowercase();
    if is(ALL, &lower) {
        return Some(true);
    }
    let mut rest = lower.as_str();
    for label in ["all versions ", "versions ", "version ", "firmware ", "v "] {
        rest = rest.strip_prefix(label).unwrap_or(rest).trim_start();
    }
    if let Some(stem) = stem(rest) {
        return Some(Version::parse(version)?.continues(&Version::parse(stem)?));
    }
    for (between, label) in [(" through ", ""), (" thru ", ""), (" to ", "from "), (" and ", "between ")] {
        if let Some((from, end)) = rest.strip_prefix(label).and_then(|rest| rest.split_once(between)) {
            return both(at_least(version, sure(from)?), up_to(version, sure(end)?, true));
        }
    }
    if let Some(rest) = rest.strip_prefix(">=") {
        let (from, end) = rest.split_once(['<', ',']).map_or((rest, None), |(from, end)| (from, Some(end)));
        let above =
            at_least(version, sure(from.trim().trim_end_matches([',', '&']).trim_end_matches(" and"))?);
        return match end.map(|end| end.trim().trim_start_matches('<').trim()) {
            None => above,
            Some(end) => match end.strip_prefix('=') {
                Some(end) => both(above, up_to(version, sure(end)?, true)),
                None => both(above, up_to(version, sure(end)?, false)),
            },
        };
    }
    for label in ["<=", "=<", "≤", "up to and including ", "through "] {
        if let Some(end) = rest.strip_prefix(label) {
            return up_to(version, sure(end)?, true);
        }
    }
    for label in ["<", "before ", "prior to ", "earlier than ", "lower than ", "below "] {
        if let Some(end) = rest.strip_prefix(label) {
            return up_to(version, sure(end)?, false);
        }
    }
    for tail in ["below", "earlier", "prior", "before", "lower", "older", "previous"] {
        for joint in [" and ", " or "] {
            for noun in ["", " versions", " version"] {
                let suffix = format!("{joint}{tail}{noun}");
                if let Some(end) = rest.trim_end_matches('.').strip_suffix(&suffix) {
                    return up_to(version, sure(end)?, true);
                }
            }
        }
    }
    Some(compare(version, sure(rest)?)? == Ordering::Equal)
}

/// One version and nothing else.
fn sure(text: &str) -> Option<&str> {
    let text = text.trim();
    Version::parse(text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(default: Status, ranges: &[(Status, &str, Option<Bound>)]) -> Affected {
        Affected {
            source: "cna".into(),
            vendor: "v".into(),
            product: "p".into(),
            cpes: Vec::new(),
            default,
            ranges: ranges
                .iter()
                .map(|(status, from, to)| Range {
                    status: *status,
                    from: (*from).into(),
                    to: to.clone(),
                    changes: Vec::new(),
                })
                .collect(),
        }
    }

    fn below(end: &str) -> Option<Bound> {
        Some(Bound::LessThan(end.into()))
    }

    fn at_most(end: &str) -> Option<Bound> {
        Some(Bound::AtMost(end.into()))
    }

    #[test]
    fn ranges_have_three_answers() {
        use Status::{Affected as A, Unaffected as U, Unknown as X};
        for (default, from, to, version, expected) in [
            (X, "0", below("1.5.1"), "1.5.0", A),
            (X, "0", below("1.5.1"), "1.5.1", X),
            (U, "0", below("1.5.1"), "1.5.1", U),
            (U, "7.0.0", at_most("7.0.9"), "7.0.9", A),
            (U, "7.0.0", at_most("7.0.9"), "7.0.10", U),
            (U, "5.1.x", below("5.1.6.2722 build 20240402"), "5.1.5.2645 build 20240116", A),
            (U, "5.1.x", below("5.1.6.2722 build 20240402"), "5.1.6.2722 build 20240402", U),
            (U, "5.1.x", below("5.1.6.2722 build 20240402"), "5.0.1", U),
            (U, "0", at_most("5.1.*"), "5.1.9", A),
            (U, "0", at_most("5.1.*"), "5.10", U),
            (U, "0", at_most("2.16ww"), "2.15eu", A),
            (U, "0", at_most("2.16ww"), "2.16eu", X),
            (U, "unspecified", below("2.3"), "2.2", A),
            (U, "2.3", below("unspecified"), "9", A),
            (U, "1.2", None, "1.2.0", A),
            (U, "1.2", None, "1.3", U),
            (U, "All versions < V4.3.8", None, "4.3.7", A),
            (U, "All versions < V4.3.8", None, "V4.3.8", U),
            (U, "version 4.50 through 5.37 Patch 1", None, "5.37", A),
            (U, "version 4.50 through 5.37 Patch 1", None, "5.37 Patch 2", U),
            (U, "version 4.50 through 5.37 Patch 1", None, "4.49", U),
            (U, ">= 2.0.0, < 2.3.1", None, "2.3.0", A),
            (U, ">= 2.0.0, < 2.3.1", None, "2.3.1", U),
            (U, "<= 1.04", None, "1.04", A),
            (U, "1.04 and earlier versions", None, "1.03", A),
            (U, "1.04 and below.", None, "1.05", U),
            (U, "8.2.x", None, "8.2.7", A),
            (U, "FortiOS 6.2.0 and below.", None, "6.0.0", X),
            (U, "FortiOS 6.0.0 to 6.0.4, 5.6.3 to 5.6.7", None, "6.0.2", X),
            (U, "9.18.0 and below", below("9.18.0 and below"), "9.17", X),
            (U, "11.10.0.3", below("11.10.0.3"), "11.10.0.2", X),
            (U, "11.10.0.3", below("11.10.0.3"), "11.10.0.4", U),
            (U, "n/a", None, "1.0", X),
            (A, "n/a", None, "1.0", X),
            (X, "*", None, "1.0", A),
        ] {
            assert_eq!(
                entry(default, &[(A, from, to.clone())]).status(version),
                expected,
                "{from} {to:?} ∋ {version}"
            );
        }
    }

    #[test]
    fn the_first_range_that_names_a_version_decides() {
        use Status::{Affected as A, Unaffected as U, Unknown as X};
        let entry = entry(A, &[(U, "2.0", below("3.0")), (A, "3.0-weird.y.z", None)]);
        assert_eq!(entry.status("2.5"), U);
        assert_eq!(entry.status("3.0"), A, "an uncertain range that would say the same changes nothing");
        assert_eq!(entry.status("x"), X);
    }

    #[test]
    fn status_changes_inside_a_range() {
        use crate::intelligence::Change;
        let mut entry = entry(Status::Unaffected, &[(Status::Affected, "1.0", below("*"))]);
        entry.ranges[0].changes = vec![Change { at: "1.4".into(), status: Status::Unaffected }];
        assert_eq!(entry.status("1.3"), Status::Affected);
        assert_eq!(entry.status("1.4"), Status::Unaffected);
        assert_eq!(entry.status("1.04"), Status::Unknown);
    }
}
