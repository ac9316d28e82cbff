//! What the text of a turn says, line by line.

use super::login::Outcome;
use super::prompt::{find_word, invites, is_open, lines_of};
use super::words::{
    COMMAND_WORDS, LOCKED_WORDS, LOGIN_WORDS, PASSWORD_WORDS, PAST_WORDS, REJECTED_WORDS,
    SECOND_FACTOR_WORDS, SUCCESS_WORDS, WAIT_WORDS,
};

/// Longest line that can ask for something, in characters.
const QUESTION_CHARS_MAX: usize = 60;

/// Whether a text, of whatever protocol, says that its service defends itself: [`Outcome::LockedOut`] or
/// [`Outcome::Delayed`].
pub fn defence(text: &str) -> Option<Outcome> {
    verdict(text, usize::MAX).filter(|word| *word != Outcome::Rejected)
}

/// What the first lines say of the attempt. A line that tells of others, `2 failures since the last
/// login`, does not count.
pub(super) fn verdict(text: &str, lines: usize) -> Option<Outcome> {
    let of_now = |line: &String| !(says(line, PAST_WORDS) && says(line, REJECTED_WORDS));
    let lines: Vec<String> =
        lines_of(text).take(lines).map(str::to_lowercase).filter(|line| of_now(line)).collect();
    let any = |words: &[&str]| lines.iter().any(|line| says(line, words));
    let waits = lines.iter().any(|line| asks_to_wait(line));
    match () {
        () if any(LOCKED_WORDS) => Some(Outcome::LockedOut),
        () if waits => Some(Outcome::Delayed),
        () if any(REJECTED_WORDS) => Some(Outcome::Rejected),
        () => None,
    }
}

/// `Try again later`, `wait 30 seconds`: how long is said, so that it is no `Please wait...`.
fn asks_to_wait(line: &str) -> bool {
    let counted = find_word(line, "wait").is_some_and(|at| line[at..].contains(|c: char| c.is_ascii_digit()));
    counted || says(line, WAIT_WORDS)
}

pub(super) fn says(lower: &str, words: &[&str]) -> bool {
    words.iter().any(|word| lower.contains(word))
}

pub(super) fn succeeds(lower: &str) -> bool {
    SUCCESS_WORDS.iter().any(|word| find_word(lower, word).is_some())
}

pub(super) fn is_password_line(line: &str) -> bool {
    let lower = line.to_lowercase();
    PASSWORD_WORDS.iter().any(|word| find_word(&lower, word).is_some()) && invites(line)
}

/// An inviting line that asks for more than a password, and for no name.
pub(super) fn asks_second_factor(line: &str) -> bool {
    let lower = line.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| find_word(&lower, word).is_some());
    has(SECOND_FACTOR_WORDS) && invites(line) && !has(LOGIN_WORDS)
}

/// A line that asks for a command, whoever we are.
pub(super) fn asks_command(line: &str) -> bool {
    let lower = line.to_lowercase();
    COMMAND_WORDS.iter().any(|word| find_word(&lower, word).is_some())
}

/// A short last line that stops where an answer would stand, in whatever words.
pub(super) fn is_question(text: &str, line: &str) -> bool {
    let stops = is_open(text) || line.ends_with([':', '：']);
    stops
        && !line.is_empty()
        && line.chars().count() <= QUESTION_CHARS_MAX
        && !line.ends_with(['.', '。', '!', '…'])
}

/// A prompt as it is compared: white space folded, digits alike, because clocks and counters move.
pub(super) fn fold(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").to_lowercase().replace(|c: char| c.is_ascii_digit(), "0")
}

/// The same prompt, or the end of it: `gateway login:` comes back as `login:`.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    const LEAST: usize = 5;
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    !short.is_empty() && (short == long || (short.len() >= LEAST && long.ends_with(short)))
}
