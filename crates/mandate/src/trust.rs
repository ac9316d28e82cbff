//! Trust roots: whose signature counts, for what and when. The file is OpenSSH's
//! `allowed_signers` (ssh-keygen(1), ALLOWED SIGNERS), installed on each sensor by hand.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use kenshin_observation::TimeUs;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use crate::problem::{Invalid, Report};

/// RSA keys below this many bits are refused.
const RSA_BITS_MIN: usize = 2048;

/// Who may sign what, read from an `allowed_signers` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoots {
    roots: Vec<TrustRoot>,
}

/// One line of the file: a key and the people it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    /// Principals, each by its full name.
    pub principals: Vec<String>,
    /// Patterns of namespaces the key may sign in; empty for all.
    pub namespaces: Vec<String>,
    /// First instant at which its signatures count.
    pub valid_after: Option<TimeUs>,
    /// Last instant at which they count.
    pub valid_before: Option<TimeUs>,
    /// SHA-256 fingerprint of the key, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    pub(crate) key: KeyData,
}

impl TrustRoot {
    /// True when the key may sign in the namespace.
    pub fn may_sign_in(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|pattern| matches(pattern, namespace))
    }

    /// True when the key's signatures count at `now`.
    pub fn valid_at(&self, now: TimeUs) -> bool {
        self.valid_after.is_none_or(|after| after <= now)
            && self.valid_before.is_none_or(|before| now <= before)
    }
}

impl TrustRoots {
    /// Reads an `allowed_signers` file.
    ///
    /// Stricter than OpenSSH where a sensor must not guess: principals are names, not patterns;
    /// times carry `Z`; certificate authorities and short RSA keys are refused.
    pub fn parse(file: &str, text: &str) -> Result<Self, Invalid> {
        let mut report = Report::new(file, text);
        let mut roots = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            let at = start + (line.len() - line.trim_start().len());
            start += line.len();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match root(content) {
                Ok(root) => roots.push(root),
                Err(Flaw { within, message, hint }) => {
                    report.add(at + within.start..at + within.end, message, hint)
                }
            }
        }
        if roots.is_empty() && report.len() == 0 {
            report.add(
                0..0,
                "no signer is allowed",
                "add a line such as: authority@example.jp namespaces=\"kenshin-mandate\" ssh-ed25519 AAAA...",
            );
        }
        report.finish()?;
        Ok(Self { roots })
    }

    /// The lines, in the order of the file.
    pub fn roots(&self) -> &[TrustRoot] {
        &self.roots
    }

    /// The lines that carry the key.
    pub(crate) fn of_key(&self, key: &KeyData) -> impl Iterator<Item = &TrustRoot> {
        self.roots.iter().filter(move |root| root.key == *key)
    }
}

/// What is wrong within one line.
struct Flaw {
    within: Range<usize>,
    message: String,
    hint: String,
}

fn flaw(within: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Flaw {
    Flaw { within, message: message.into(), hint: hint.into() }
}

/// `principals [options] keytype base64 [comment]`
fn root(line: &str) -> Result<TrustRoot, Flaw> {
    let fields = fields(line);
    let text = |range: &Range<usize>| &line[range.clone()];
    let [who, rest @ ..] = fields.as_slice() else { unreachable!("the line is not empty") };
    let principals = principals(text(who), who.clone())?;
    let is_key_type =
        |field: &Range<usize>| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| text(field).starts_with(start));
    let (options, key) = match rest {
        [first, ..] if is_key_type(first) => (None, rest),
        [first, key @ ..] => (Some(first), key),
        [] => {
            return Err(flaw(
                who.clone(),
                "the line has no key",
                "write: principal, options, key type, key, comment",
            ));
        }
    };
    let [kind, data, ..] = key else {
        return Err(flaw(
            who.start..line.len(),
            "the line has no key",
            "copy the contents of the signer's .pub file after the principal",
        ));
    };
    let public = PublicKey::from_openssh(&format!("{} {}", text(kind), text(data))).map_err(|error| {
        flaw(
            kind.clone(),
            format!("the key cannot be read: {error}"),
            "copy the contents of the signer's .pub file after the principal",
        )
    })?;
    if let KeyData::Rsa(rsa) = public.key_data() {
        let bits = rsa.n.as_positive_bytes().map_or(0, |bytes| {
            bytes.len() * 8 - bytes.first().map_or(0, |first| first.leading_zeros() as usize)
        });
        if bits < RSA_BITS_MIN {
            return Err(flaw(
                kind.clone(),
                format!("the RSA key has {bits} bits"),
                "use an Ed25519 key: ssh-keygen -t ed25519",
            ));
        }
    }
    let mut root = TrustRoot {
        principals,
        namespaces: Vec::new(),
        valid_after: None,
        valid_before: None,
        fingerprint: public.fingerprint(HashAlg::Sha256).to_string(),
        key: public.key_data().clone(),
    };
    if let Some(range) = options {
        apply_options(text(range), range.start, &mut root)?;
    }
    Ok(root)
}

fn principals(text: &str, within: Range<usize>) -> Result<Vec<String>, Flaw> {
    let names: Vec<String> = text.trim_matches('"').split(',').map(str::to_owned).collect();
    for name in &names {
        if name.is_empty() || name.contains(['*', '?', '!']) {
            return Err(flaw(
                within,
                format!("`{name}` is a pattern, not a principal"),
                "name every principal in full: a signature must stand for a known person",
            ));
        }
    }
    Ok(names)
}

fn apply_options(text: &str, at: usize, root: &mut TrustRoot) -> Result<(), Flaw> {
    let mut seen: Vec<String> = Vec::new();
    let mut start = at;
    for option in split_outside_quotes(text, ',') {
        let span = start..start + option.len();
        start = span.end + 1;
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.trim_matches('"'))),
            None => (option.to_ascii_lowercase(), None),
        };
        if seen.contains(&name) {
            return Err(flaw(span, format!("option `{name}` stands twice"), "keep one of them"));
        }
        match (name.as_str(), value) {
            ("cert-authority", _) => {
                return Err(flaw(
                    span,
                    "certificate authorities are not trust roots here",
                    "list the signer's own key: whoever holds a mandate's trust must be seen in this file",
                ));
            }
            ("namespaces", Some(list)) if !list.is_empty() => {
                root.namespaces = list.split(',').map(str::to_owned).collect();
            }
            ("valid-after", Some(time)) => root.valid_after = Some(openssh_time(time, &span)?),
            ("valid-before", Some(time)) => root.valid_before = Some(openssh_time(time, &span)?),
            _ => {
                return Err(flaw(
                    span,
                    format!("`{option}` is not an option of allowed_signers"),
                    "use namespaces=\"...\", valid-after=\"...\", valid-before=\"...\"",
                ));
            }
        }
        seen.push(name);
    }
    Ok(())
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`.
fn openssh_time(text: &str, within: &Range<usize>) -> Result<TimeUs, Flaw> {
    let refused = || {
        flaw(
            within.clone(),
            format!("`{text}` is not a time in UTC"),
            "write YYYYMMDDHHMMSSZ: without the Z its meaning depends on the machine",
        )
    };
    let digits = text
        .strip_suffix('Z')
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(refused)?;
    let format = match digits.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => return Err(refused()),
    };
    let civil = match format {
        "%Y%m%d" => jiff::civil::Date::strptime(format, digits)
            .map(|date| date.to_datetime(jiff::civil::Time::midnight())),
        _ => DateTime::strptime(format, digits),
    };
    let utc: Timestamp =
        civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC)).map_err(|_| refused())?.timestamp();
    Ok(TimeUs::from_micros(utc.as_microsecond()))
}

/// White-space separated fields as byte ranges; quoted text does not split.
fn fields(line: &str) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (at, c) in line.char_indices() {
        quoted ^= c == '"';
        match start {
            None if !c.is_whitespace() => start = Some(at),
            Some(from) if c.is_whitespace() && !quoted => {
                fields.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    fields.extend(start.map(|from| from..line.len()));
    fields
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

/// OpenSSH's pattern matching with `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern_rest.as_str();
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
        }
        Some(expected) => {
            let mut text_rest = text.chars();
            let found = text_rest.next();
            found.is_some_and(|found| expected == '?' || expected == found)
                && matches(pattern_rest.as_str(), text_rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn parse(text: &str) -> Result<TrustRoots, Invalid> {
        TrustRoots::parse("allowed_signers", text)
    }

    #[test]
    fn lines_with_options_comments_and_quotes() {
        let text = format!(
            "# people\n\na@example.jp,b@example.jp namespaces=\"kenshin-mandate,kenshin-r*\",valid-after=\"20260401Z\",valid-before=20270401120000Z {KEY} a comment here\nc@example.jp {KEY}\n"
        );
        let roots = parse(&text).unwrap();
        let [first, second] = roots.roots() else { panic!("{roots:?}") };
        assert_eq!(first.principals, ["a@example.jp", "b@example.jp"]);
        assert!(first.may_sign_in("kenshin-mandate") && first.may_sign_in("kenshin-revocation"));
        assert!(!first.may_sign_in("git") && second.may_sign_in("git"));
        let at = |text: &str| text.parse::<TimeUs>().unwrap();
        assert!(!first.valid_at(at("2026-03-31T23:59:59Z")) && first.valid_at(at("2026-04-01T00:00:00Z")));
        assert!(first.valid_at(at("2027-04-01T12:00:00Z")) && !first.valid_at(at("2027-04-01T12:00:01Z")));
    }

    #[test]
    fn what_would_need_guessing_is_refused_with_its_place() {
        for (text, place, message) in [
            (format!("*@example.jp {KEY}"), (1, 1), "pattern"),
            (format!("\n  a@x cert-authority {KEY}"), (2, 7), "certificate authorities"),
            (format!("a@x valid-after=\"20260401\" {KEY}"), (1, 5), "not a time in UTC"),
            (format!("a@x valid-after=\"20261301Z\" {KEY}"), (1, 5), "not a time in UTC"),
            (format!("a@x namespaces=\"k\",no-touch {KEY}"), (1, 20), "not an option"),
            (format!("a@x namespaces=\"k\",namespaces=\"l\" {KEY}"), (1, 20), "twice"),
            ("a@x ssh-ed25519 AAAA".to_owned(), (1, 5), "cannot be read"),
            ("a@x".to_owned(), (1, 1), "no key"),
            ("# nobody\n".to_owned(), (1, 1), "no signer"),
        ] {
            let invalid = parse(&text).unwrap_err();
            let problem = &invalid.problems()[0];
            assert!(problem.message.contains(message), "{text}: {invalid}");
            assert_eq!((problem.line, problem.column), place, "{text}: {invalid}");
        }
    }

    #[test]
    fn patterns_match_as_in_openssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("k?n", "ken", true),
            ("k*n", "kenshin", true),
            ("k*n", "kenshi", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
