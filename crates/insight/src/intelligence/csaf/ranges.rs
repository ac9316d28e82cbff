//! Versions and ranges of versions as product trees write them: one version, a `vers:` range
//! specifier (<https://github.com/package-url/vers-spec>), or the same without its scheme.

use crate::intelligence::{Bound, Named, Range, Status};

/// What `version` of a product with `status` says of versions.
pub(super) fn of(version: &str, product: &str, status: Status) -> Vec<Range> {
    let range = |from: &str, to| Range { status, from: from.to_owned(), to, changes: Vec::new() };
    let version = version.trim();
    if version.is_empty() {
        // The product as a whole.
        return vec![range("0", Some(open()))];
    }
    let constraints = match version.strip_prefix("vers:") {
        // The scheme says how versions compare; ours answers only where no scheme would differ.
        Some(rest) => rest.split_once('/').map_or(rest, |(_, constraints)| constraints),
        None if version.contains(['<', '>', '≤', '≥', '|', '=']) => version,
        // One version, or words that the comparison reads.
        None => return vec![range(version, None)],
    };
    match parse(constraints, product) {
        Some(parsed) => ranges(&parsed, status),
        // What is not understood says nothing for sure.
        None => vec![range(version, None)],
    }
}

/// The versions of a product in words that versions are compared with; none for the product as a whole.
/// What is more than one range stays as it is written, and is compared with nothing.
pub(crate) fn phrase(named: &Named) -> Option<String> {
    let written = Some(named.version.trim()).filter(|version| !version.is_empty())?;
    Some(match of(written, &named.product, Status::Affected).as_slice() {
        [range] => range.to_string(),
        _ => written.to_owned(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparator {
    Equal,
    Not,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

fn parse<'a>(constraints: &'a str, product: &str) -> Option<Vec<(Comparator, &'a str)>> {
    const COMPARATORS: &[(&str, Comparator)] = &[
        ("!=", Comparator::Not),
        ("<=", Comparator::AtMost),
        ("≤", Comparator::AtMost),
        (">=", Comparator::AtLeast),
        ("≥", Comparator::AtLeast),
        ("<", Comparator::Less),
        (">", Comparator::Greater),
        ("=", Comparator::Equal),
    ];
    let mut parsed = Vec::new();
    for part in constraints.split(['|', ',', '&']).map(str::trim).filter(|part| !part.is_empty()) {
        let found =
            COMPARATORS.iter().find_map(|(sign, comparator)| Some((*comparator, part.strip_prefix(sign)?)));
        let (comparator, version) = found.unwrap_or((Comparator::Equal, part));
        let version = version.trim();
        // `>= 1.0 < 2.0` without a bar, or a second sign.
        if version.is_empty()
            || version.contains(['<', '>', '=', '≤', '≥'])
            || version.eq_ignore_ascii_case(product)
        {
            return None;
        }
        parsed.push((comparator, version));
    }
    (!parsed.is_empty()).then_some(parsed)
}

/// Constraints in order: a lower bound opens a range that the next upper bound closes.
fn ranges(constraints: &[(Comparator, &str)], status: Status) -> Vec<Range> {
    let range = |status, from: &str, to| Range { status, from: from.to_owned(), to, changes: Vec::new() };
    // Of versions that are taken out nothing is said; the first range that names a version decides.
    let taken_out = constraints
        .iter()
        .filter(|(comparator, _)| matches!(comparator, Comparator::Not | Comparator::Greater));
    let mut ranges: Vec<Range> =
        taken_out.map(|(_, version)| range(Status::Unknown, version, None)).collect();
    let mut opened: Option<&str> = None;
    for (comparator, version) in constraints {
        let to = match comparator {
            Comparator::Not => continue,
            Comparator::Equal if *version == "*" => {
                ranges.push(range(status, "0", Some(open())));
                continue;
            }
            Comparator::Equal => {
                ranges.push(range(status, version, None));
                continue;
            }
            Comparator::Greater | Comparator::AtLeast => {
                if let Some(from) = opened.replace(version) {
                    ranges.push(range(status, from, Some(open())));
                }
                continue;
            }
            Comparator::Less => Bound::LessThan((*version).to_owned()),
            Comparator::AtMost => Bound::AtMost((*version).to_owned()),
        };
        ranges.push(range(status, opened.take().unwrap_or("0"), Some(to)));
    }
    if let Some(from) = opened {
        ranges.push(range(status, from, Some(open())));
    }
    ranges
}

/// Without end.
fn open() -> Bound {
    Bound::LessThan("*".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intelligence::Affected;

    #[test]
    fn ranges_as_publishers_write_them() {
        use Status::{Affected as A, Unaffected as U, Unknown as X};
        for (written, version, expected) in [
            ("", "1.0", A),
            ("vers:all/*", "9", A),
            ("vers:all/<V2024.3", "2024.2", A),
            ("vers:all/<V2024.3", "V2024.3", X),
            ("vers:intdot/>=1.0|<2.0|>=3.0|<=3.5", "1.9", A),
            ("vers:intdot/>=1.0|<2.0|>=3.0|<=3.5", "2.5", X),
            ("vers:intdot/>=1.0|<2.0|>=3.0|<=3.5", "3.5", A),
            (">=12.2.1|<=12.2.2", "12.2.2", A),
            (">=12.2.1|<=12.2.2", "12.2.3", X),
            ("<= 1.4", "1.4", A),
            ("<V1.5", "1.5", X),
            (">2.0", "2.0", X),
            (">2.0", "2.1", A),
            ("vers:generic/<3|!=2.5", "2.5", X),
            ("vers:generic/<3|!=2.5", "2.4", A),
            ("vers:generic/1.0|1.2", "1.2", A),
            ("vers:generic/1.0|1.2", "1.1", X),
            ("1.5", "1.5", A),
            ("1.5", "1.6", X),
            ("12.1 all versions", "12.1", X),
            (">= 1.0 < 2.0", "3.0", X),
            ("<", "1", X),
        ] {
            for (status, expected) in [(A, expected), (U, if expected == A { U } else { expected })] {
                let entry = Affected {
                    source: "csaf".into(),
                    vendor: "v".into(),
                    product: "p".into(),
                    cpes: Vec::new(),
                    default: X,
                    ranges: of(written, "p", status),
                };
                assert_eq!(entry.status(version), expected, "{written} ∋ {version}");
            }
        }
    }
}
