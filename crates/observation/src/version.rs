//! Order of version texts, as far as it can be known.
//!
//! Vendors write versions in many ways. [`compare`] says `None` (unknown) wherever a reading would
//! be a guess: `1.4` against `1.04` (decimal or dotted?), `9.2` against `9.2p1`, `1.0.2.88` against
//! `1.0.2.88_10.0.81`, two different words in the same place. Whatever it does say agrees with one
//! total order, so that answers never contradict each other.

use std::cmp::Ordering;

/// Longest text read as a version, in bytes.
const TEXT_MAX: usize = 128;

/// A version taken apart.
#[derive(Debug, Clone)]
pub struct Version {
    tokens: Vec<Token>,
    distribution: bool,
}

/// What stands before a number that follows a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// A dot: the next component of the same run.
    Dot,
    /// `-`, `_`, `+`, `~` or a blank: another run.
    Break,
    /// `(`, as Cisco and Zyxel write.
    Paren,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Digits without leading zeros, how many digits were written, and what joins them to a
    /// number before.
    Number { digits: String, written: usize, joint: Joint },
    /// Letters, lower case.
    Word(String),
}

/// What a word says about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// Before the version it is attached to; earlier stages have a lower rank.
    Before(Option<u8>),
    /// After the version it is attached to.
    After,
    /// Nothing that is known.
    Neutral,
}

fn sense(word: &str) -> Sense {
    match word {
        "alpha" => Sense::Before(Some(0)),
        "beta" => Sense::Before(Some(1)),
        "rc" => Sense::Before(Some(2)),
        "pre" | "preview" | "dev" | "snapshot" | "nightly" => Sense::Before(None),
        "patch" | "pl" | "sp" | "update" | "hotfix" | "hf" => Sense::After,
        _ => Sense::Neutral,
    }
}

/// The order of two version texts; `None` when it cannot be known.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    match (Version::parse(a), Version::parse(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        _ => a
            .trim()
            .eq_ignore_ascii_case(b.trim())
            .then_some(Ordering::Equal)
            .filter(|_| !a.trim().is_empty()),
    }
}

/// A text whose order among others of its kind, byte by byte, is a total order of versions: that with which
/// [`compare`] agrees wherever it says anything. Where nothing is known, numbers are compared as numbers and
/// words by letter; what is no version comes behind all that are.
pub fn order_key(text: &str) -> String {
    let Some(version) = Version::parse(text) else { return format!("\u{10}{}", text.trim()) };
    let mut key = String::new();
    for (at, token) in version.tokens.iter().enumerate() {
        match token {
            Token::Number { digits, joint, .. } => {
                // 1.2.0 is 1.2: zeros at the end of a run say nothing. Behind a word they do: 1a.0 is not 1a.
                let zeros = version.tokens[at..].iter().take_while(|token| token.is_dotted_zero()).count();
                let goes_on =
                    matches!(at.checked_sub(1).map(|at| &version.tokens[at]), Some(Token::Number { .. }));
                if goes_on && zeros > 0 && ends_run(&version.tokens, at + zeros) {
                    continue;
                }
                // A dot comes last: 4.0(1) is written as 4(1), and is before 4.1.
                key.push(match joint {
                    Joint::Break => '\u{4}',
                    Joint::Paren => '\u{5}',
                    Joint::Dot => '\u{6}',
                });
                // Of more digits is more: there are `TEXT_MAX` at most.
                key.push(char::from(digits.len().min(TEXT_MAX - 1) as u8));
                key.push_str(digits);
            }
            Token::Word(word) => {
                let rank = match sense(word) {
                    Sense::Before(rank) => ['\u{1}', char::from(rank.map_or(9, |rank| rank + 1))],
                    Sense::Neutral => ['\u{3}', '\u{1}'],
                    Sense::After => ['\u{3}', '\u{2}'],
                };
                key.extend(rank);
                key.push_str(word);
                key.push('\0');
            }
        }
    }
    key.push('\u{2}');
    key
}

impl Version {
    /// Takes a version text apart. `None` when it is no version: no digit, too long, or other
    /// characters than versions are written with.
    ///
    /// A distribution's revision (Debian, Ubuntu, Red Hat) is cut off, its epoch too: what remains
    /// is the upstream version ([`Version::distribution`] remembers the cut).
    pub fn parse(text: &str) -> Option<Self> {
        // Some records carry the escapes of CPE names into their versions.
        let lower = text.trim().to_ascii_lowercase().replace('\\', "");
        if lower.is_empty() || lower.len() > TEXT_MAX {
            return None;
        }
        let (upstream, distribution) = upstream(without_label(&lower));
        let tokens = tokens(without_metadata(upstream))?;
        tokens
            .iter()
            .any(|token| matches!(token, Token::Number { .. }))
            .then_some(Self { tokens, distribution })
    }

    /// True when a distribution's revision was cut off: such builds carry corrections that the
    /// upstream version does not tell.
    pub fn distribution(&self) -> bool {
        self.distribution
    }

    /// True when this version is `stem` or continues it: `5.1.6` and `5.1` continue `5.1`, `5.10` does not.
    pub fn continues(&self, stem: &Self) -> bool {
        self.tokens.len() >= stem.tokens.len()
            && self.tokens.iter().zip(&stem.tokens).all(|(a, b)| match (a, b) {
                (Token::Number { digits: a, .. }, Token::Number { digits: b, .. }) => a == b,
                (Token::Word(a), Token::Word(b)) => a == b,
                _ => false,
            })
    }

    /// The order of two versions; `None` when it cannot be known.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let (a, b) = (&self.tokens, &other.tokens);
        let (mut i, mut j) = (0, 0);
        loop {
            let order = match (a.get(i), b.get(j)) {
                (None, None) => return Some(Ordering::Equal),
                (x, y) if alike(x, y) => {
                    (i, j) = (i + 1, j + 1);
                    continue;
                }
                // A run that ended continues with zeros: 1.2 is 1.2.0.
                (_, Some(y)) if y.is_dotted_zero() && ends_run(a, i) => {
                    j += 1;
                    continue;
                }
                (Some(x), _) if x.is_dotted_zero() && ends_run(b, j) => {
                    i += 1;
                    continue;
                }
                (x, y) => differ(x, y, (a.get(i + 1), b.get(j + 1)))
                    .or_else(|| differ(y, x, (b.get(j + 1), a.get(i + 1))).map(Ordering::reverse)),
            };
            // Inside and behind parentheses the numbers of another train mean something else.
            let paren = |tokens: &[Token], at: usize| tokens.iter().take(at + 1).any(Token::is_paren);
            let words = |tokens: &[Token]| -> Vec<String> {
                tokens
                    .iter()
                    .filter_map(|t| if let Token::Word(word) = t { Some(word.clone()) } else { None })
                    .collect()
            };
            if (paren(a, i) || paren(b, j)) && words(a) != words(b) {
                return None;
            }
            return order;
        }
    }
}

impl Token {
    fn is_dotted_zero(&self) -> bool {
        matches!(self, Self::Number { digits, joint: Joint::Dot, .. } if digits == "0")
    }

    fn is_paren(&self) -> bool {
        matches!(self, Self::Number { joint: Joint::Paren, .. })
    }
}

/// True when the dotted run before `at` does not go on at `at`.
fn ends_run(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    matches!(before, Some(Token::Number { .. }))
        && !matches!(tokens.get(at), Some(Token::Number { joint: Joint::Dot, .. }))
}

/// Same meaning in the same place.
fn alike(a: Option<&Token>, b: Option<&Token>) -> bool {
    match (a, b) {
        (Some(Token::Word(a)), Some(Token::Word(b))) => a == b,
        (
            Some(Token::Number { digits: a, written: wa, joint: ja }),
            Some(Token::Number { digits: b, written: wb, joint: jb }),
        ) => a == b && ja == jb && (wa == wb || a == "0"),
        _ => false,
    }
}

/// The order of two tokens that differ, read from the left one; `None` when unknown or when the
/// mirrored reading decides. `after` holds the tokens behind them.
fn differ(a: Option<&Token>, b: Option<&Token>, after: (Option<&Token>, Option<&Token>)) -> Option<Ordering> {
    match (a, b) {
        (
            Some(Token::Number { digits: a, written: wa, joint: ja }),
            Some(Token::Number { digits: b, written: wb, joint: jb }),
        ) => {
            // 1.04 and 1.4: nobody knows whether the vendor counts in decimals.
            let padded = |digits: &str, written: usize| digits != "0" && written > digits.len();
            let ambiguous = (padded(a, *wa) || padded(b, *wb)) && wa != wb && a != "0" && b != "0";
            (ja == jb && !ambiguous).then(|| a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
        }
        (None, Some(Token::Number { joint: Joint::Dot, .. })) => Some(Ordering::Less),
        (Some(Token::Word(a)), Some(Token::Word(b))) => match (sense(a), sense(b)) {
            (Sense::Before(Some(a)), Sense::Before(Some(b))) => Some(a.cmp(&b)),
            (Sense::Before(_), Sense::After) => Some(Ordering::Less),
            _ if a.len() == 1 && b.len() == 1 && after == (None, None) => Some(a.cmp(b)),
            _ => None,
        },
        (Some(Token::Word(a)), None) => match sense(a) {
            Sense::Before(_) => Some(Ordering::Less),
            Sense::After => Some(Ordering::Greater),
            Sense::Neutral => (a.len() == 1 && after.0.is_none()).then_some(Ordering::Greater),
        },
        (Some(Token::Word(a)), Some(Token::Number { joint: Joint::Dot, .. })) => match sense(a) {
            Sense::Before(_) => Some(Ordering::Less),
            _ => None,
        },
        _ => None,
    }
}

/// Cuts `v`, `version` and the like before a digit.
fn without_label(text: &str) -> &str {
    for label in ["version", "firmware", "release", "ver", "fw", "v"] {
        if let Some(rest) = text.strip_prefix(label) {
            let rest = rest.trim_start_matches([' ', '.', ':']);
            if rest.starts_with(|c: char| c.is_ascii_digit()) {
                return rest;
            }
        }
    }
    text
}

/// Cuts what a distribution added.
fn upstream(text: &str) -> (&str, bool) {
    let mut cut = text;
    for name in [" debian", " ubuntu", " raspbian", "+dfsg", "~dfsg", ".dfsg", "-dfsg"] {
        if let Some(at) = cut.find(name) {
            cut = &cut[..at];
        }
    }
    if let Some((before, revision)) = cut.rsplit_once('-')
        && ["deb", "ubuntu", "bpo", "raspbian", ".el", ".fc"].iter().any(|mark| marked(revision, mark))
    {
        cut = before;
    }
    let distribution = cut.len() < text.len();
    let epoch = cut.split_once(':').filter(|(epoch, rest)| {
        epoch.len() <= 2
            && epoch.bytes().all(|b| b.is_ascii_digit())
            && rest.starts_with(|c: char| c.is_ascii_digit())
    });
    (epoch.map_or(cut, |(_, rest)| rest), distribution)
}

/// `mark` followed by a digit, or at the end.
fn marked(revision: &str, mark: &str) -> bool {
    revision
        .match_indices(mark)
        .any(|(at, _)| revision[at + mark.len()..].bytes().next().is_none_or(|next| next.is_ascii_digit()))
}

/// Cuts semver's build metadata, which semver gives no rank.
fn without_metadata(text: &str) -> &str {
    let Some((core, _)) = text.split_once('+') else { return text };
    let numbers = core.split('-').next().unwrap_or_default();
    let semver = numbers.split('.').count() == 3 && numbers.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if semver { core } else { text }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut joint = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = |inside: fn(&char) -> bool| rest.find(|c| !inside(&c)).unwrap_or(rest.len());
        let length = match first {
            '0'..='9' => {
                let length = run(char::is_ascii_digit);
                let digits = rest[..length].trim_start_matches('0');
                let digits = if digits.is_empty() { "0" } else { digits };
                // Behind a word only a dot counts: `build 7` is `build7`, `alpha.1` is more than `alpha`.
                let behind_number = matches!(tokens.last(), Some(Token::Number { .. }));
                let joint = joint
                    .take()
                    .filter(|joint| behind_number || *joint == Joint::Dot)
                    .unwrap_or(Joint::Break);
                tokens.push(Token::Number { digits: digits.to_owned(), written: length, joint });
                length
            }
            'a'..='z' => {
                let length = run(char::is_ascii_lowercase);
                let word = &rest[..length];
                if word == "v" && !tokens.is_empty() {
                    // A second version begins: of the hardware, of a part. Which one is meant is not known.
                    return None;
                }
                tokens.push(Token::Word(word.to_owned()));
                joint = None;
                length
            }
            '.' => {
                joint.get_or_insert(Joint::Dot);
                1
            }
            '(' => {
                joint = Some(Joint::Paren);
                1
            }
            '-' | '_' | '+' | '~' | ' ' | ')' => {
                let two_versions = first == ' ' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
                if two_versions && matches!(tokens.last(), Some(Token::Number { .. })) {
                    return None;
                }
                joint = Some(Joint::Break);
                1
            }
            _ => return None,
        };
        rest = &rest[length..];
    }
    Some(tokens)
}

#[cfg(test)]
mod tests;
