//! Hostile text is text: one function for each place it goes to.
//!
//! Banners, names and versions come from strangers. Each function takes them as they came and
//! gives what is safe in that place and still lets a person see what was there.

/// Characters of a remote value shown at most; the rest is cut, and that is shown.
pub const SHOWN_MAX: usize = 300;

/// One line of plain text: mail body, terminal, log. Control characters, line breaks, and
/// everything that reorders or hides text become visible escapes.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN_MAX {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if is_hidden(c) => {
                use std::fmt::Write;
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string succeeds");
            }
            c => out.push(c),
        }
    }
    out
}

/// Text or attribute value in HTML.
pub fn html(text: &str) -> String {
    markup(&line(text))
}

/// Only what HTML takes for markup: for prose that was put together from lines.
pub(crate) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
    out
}

/// A cell of a CSV file, before quoting: a value that a spreadsheet would take for a formula gets
/// an apostrophe in front, as OWASP advises.
pub fn csv_cell(text: &str) -> String {
    let shown = line(text);
    if is_formula(&shown) { format!("'{shown}") } else { shown }
}

/// True for what a spreadsheet would take for a formula, also in the full-width forms of Japanese keyboards.
pub fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠'])
}

/// The value of a mail header: one line without anything that could end it.
pub fn header(text: &str) -> String {
    let one_line: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    one_line
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(SHOWN_MAX)
        .collect()
}

/// A part of a file name: letters, digits, dot, dash and underscore, nothing that climbs.
pub fn file_name(text: &str) -> String {
    let name: String = text
        .chars()
        .take(100)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "_".to_owned() } else { name.to_owned() }
}

/// Control characters, and format characters that reorder, join or hide text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_banners_are_shown_and_do_nothing() {
        assert_eq!(line("a\x1b[2J\r\nb\u{202e}c\0"), r"a\u{1b}[2J\r\nb\u{202e}c\u{0}");
        assert_eq!(line(r"a\nb"), r"a\\nb", "a backslash cannot pretend to be an escape");
        assert_eq!(
            html("<script>alert('x')</script>&\""),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "|cmd", "＝1"] {
            assert!(csv_cell(formula).starts_with('\''), "{formula}");
        }
        assert_eq!(csv_cell("\t=cmd|'/c calc'!A1"), "\\t=cmd|'/c calc'!A1");
        assert_eq!(csv_cell("SSH-2.0-dropbear"), "SSH-2.0-dropbear");
        assert_eq!(header("Notice\r\nBcc: everyone@example.net\u{202e}"), "Notice Bcc: everyone@example.net");
        assert_eq!(file_name("../../etc/passwd\0"), "_.._etc_passwd_");
        assert_eq!(file_name("..."), "_");
        assert_eq!(line(&"x".repeat(1000)).chars().count(), SHOWN_MAX + 1);
    }

    proptest! {
        #[test]
        fn nothing_gets_through(text: String) {
            let safe = |s: &str| s.chars().all(|c| !is_hidden(c));
            prop_assert!(safe(&line(&text)));
            prop_assert!(safe(&csv_cell(&text)));
            prop_assert!(!csv_cell(&text).starts_with(['=', '+', '-', '@']));
            let html = html(&text);
            prop_assert!(safe(&html) && !html.contains(['<', '>', '"', '\'']));
            prop_assert!(!header(&text).contains(['\r', '\n']));
            let name = file_name(&text);
            prop_assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty());
        }
    }
}
