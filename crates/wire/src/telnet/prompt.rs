//! What a text that stops is waiting for.

use super::words::{KEY_WORDS, LOGIN_ENTRIES, LOGIN_WORDS, MENU_WORDS, PASSWORD_WORDS};
use crate::charset;

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// A user name.
    Login,
    /// A password.
    Password,
    /// A command: it never asked, or is satisfied with, who we are.
    Shell,
}

/// Longest line that can be a prompt, in characters.
const PROMPT_CHARS_MAX: usize = 80;

/// A step of the cursor to another place of the screen, in [`plain`] text.
const MOVED: char = '\u{b}';

/// What the text of a service waits for, if it stops at a prompt. `bytes` are as sent, in any
/// encoding that [`charset::decode`] knows.
pub fn prompt(bytes: &[u8]) -> Option<Prompt> {
    prompt_of(&plain(bytes))
}

/// What a [`plain`] text waits for.
pub(super) fn prompt_of(text: &str) -> Option<Prompt> {
    let open = is_open(text);
    let line = last_line_of(text)?;
    if line.chars().count() > PROMPT_CHARS_MAX {
        return None;
    }
    let lower = line.to_lowercase();
    // `user@name:~$` names a user and asks for none.
    if open && is_shell(line) && (line.ends_with(['#', '$', '%']) || line.contains('@')) {
        return Some(Prompt::Shell);
    }
    // A sentence about a login is no prompt: a prompt ends by inviting an answer.
    let inviting = invites(line) || open;
    let has = |words: &[&str]| words.iter().any(|word| find_word(&lower, word).is_some());
    if inviting && (open || lower.ends_with([':', '：'])) {
        // `Password for user admin:` and `login password:` ask for a password.
        match (has(PASSWORD_WORDS), has(LOGIN_WORDS)) {
            // A form on a screen shows both, and the cursor stands at the first.
            (true, _) if is_form(text) => return Some(Prompt::Login),
            (true, _) => return Some(Prompt::Password),
            (false, true) => return Some(Prompt::Login),
            (false, false) => {}
        }
    }
    // A menu that leads to a login lets nobody in.
    (open && is_shell(line) && login_entry(text).is_none()).then_some(Prompt::Shell)
}

/// The last line is not finished: the cursor waits behind it.
pub(super) fn is_open(text: &str) -> bool {
    !text.ends_with(['\n', '\r', MOVED])
}

/// Ends as if an answer were expected.
pub(super) fn invites(line: &str) -> bool {
    line.ends_with([':', '：', '>', '＞', '?', '？', '=', ']', ')', '）'])
}

/// A form that covers the screen: a name and a password are asked for, and the cursor went back.
pub(super) fn is_form(text: &str) -> bool {
    let lower = text.to_lowercase();
    let position = |words: &[&str]| words.iter().filter_map(|word| find_word(&lower, word)).min();
    text.ends_with(MOVED)
        && match (position(LOGIN_WORDS), position(PASSWORD_WORDS)) {
            (Some(name), Some(password)) => name < password,
            _ => false,
        }
}

/// The service waits for a key before it asks: `Press any key to continue`.
pub(super) fn wants_key(text: &str) -> bool {
    last_line_of(text).is_some_and(|line| {
        let lower = line.to_lowercase();
        KEY_WORDS.iter().any(|word| lower.contains(word))
    })
}

/// Lines of a menu as label and entry, such as `1` and `Status` of `1) Status`.
fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    lines_of(text).filter_map(|line| {
        let rest = line.trim_start_matches(['[', '(', '<']);
        let end = rest.find(|c: char| !c.is_alphanumeric())?;
        let label = &rest[..end];
        let entry =
            rest[end..].trim_start_matches([']', ')', '>', '.', ':', '-', '=', '：', '．', '）', ' ', '\t']);
        // `1.2.3` is a version, and `1 of 2` a sentence.
        let marked =
            rest[end..].trim_start().starts_with([']', ')', '>', '.', ':', '-', '=', '：', '．', '）']);
        let short = label.chars().count() <= 2 && (label.len() == 1 || label.chars().all(|c| c.is_numeric()));
        (short && marked && entry.starts_with(char::is_alphabetic)).then_some((label, entry.trim()))
    })
}

/// The last lines are a menu: at least two numbered entries, or words that ask to choose.
pub(super) fn is_menu(text: &str) -> bool {
    let lower = last_line_of(text).unwrap_or_default().to_lowercase();
    entries(text).nth(1).is_some() || MENU_WORDS.iter().any(|word| lower.contains(word))
}

/// Label of the entry of a menu that leads to a login and nowhere else.
pub(super) fn login_entry(text: &str) -> Option<&str> {
    let leads = |entry: &str| LOGIN_ENTRIES.contains(&entry.to_lowercase().as_str());
    let mut leading = entries(text).filter(|(_, entry)| leads(entry));
    let (label, _) = leading.next()?;
    leading.next().is_none().then_some(label)
}

/// The last line that is not empty, decoded, without terminal control sequences.
pub fn last_line(bytes: &[u8]) -> Option<String> {
    last_line_of(&plain(bytes)).map(str::to_owned)
}

/// The last line of a [`plain`] text that is not empty.
pub(super) fn last_line_of(text: &str) -> Option<&str> {
    lines_of(text).next_back()
}

/// Lines of a [`plain`] text that are not empty, white space around them removed.
pub(super) fn lines_of(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(['\n', '\r', MOVED]).map(str::trim).filter(|line| !line.is_empty())
}

/// Ends like a command prompt: a short line whose last character invites a command.
fn is_shell(line: &str) -> bool {
    let words = line.split_whitespace().count();
    match line.chars().last() {
        Some('#' | '$' | '%') => words <= 4,
        Some('>') => words <= 3 && !line.contains('<'),
        // A menu takes commands too: `Key in your selection:`.
        Some(':') => words <= 6 && MENU_WORDS.iter().any(|word| line.to_lowercase().contains(word)),
        _ => false,
    }
}

/// Where `word` stands in `text`; a word of letters must not be part of a longer one.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(word)?;
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let bounded = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphabetic());
        if !word.is_ascii() || bounded(before) && bounded(after) {
            return Some(at);
        }
        from = at + word.len();
    }
}

/// Decoded, without terminal control sequences and other control characters except line ends; steps
/// of the cursor become [`MOVED`].
pub(super) fn plain(bytes: &[u8]) -> String {
    let text = charset::decode(bytes, None);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => {
                    let last = chars.by_ref().find(|c| ('@'..='~').contains(c));
                    // To the corner is where a screen begins.
                    if matches!(last, Some('H' | 'f')) {
                        out.push(MOVED);
                    }
                }
                Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\u{1b}') {},
                // A character set choice takes one more character.
                Some('(' | ')') => _ = chars.next(),
                _ => {}
            },
            '\n' | '\r' | '\t' => out.push(c),

            _ if c.is_control() => {}
            _ => out.push(c),
        }
    }
    // Spaces behind a prompt are part of it; line ends are what tells it from a finished line.
    out.trim_end_matches([' ', '\t', '\u{3000}']).to_owned()
}
