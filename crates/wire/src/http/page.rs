//! What a page shows: its title, and whether it asks for a password.

/// Longest title kept, in bytes.
const TITLE_BYTES_MAX: usize = 512;

/// Text of the first `<title>`, entities decoded and white space folded; `None` when there is
/// none or it is empty.
pub fn title(page: &str) -> Option<String> {
    let start = tags(page).find(|tag| tag.name.eq_ignore_ascii_case("title"))?.end;
    let rest = &page[start..];
    let end = find_ignoring_case(rest, "</title").unwrap_or(rest.len());
    let mut end = end.min(TITLE_BYTES_MAX * 4);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    let text = decode_entities(&rest[..end]);
    let mut folded = String::new();
    for word in text.split_whitespace() {
        if folded.len() + word.len() + 1 > TITLE_BYTES_MAX {
            break;
        }
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    (!folded.is_empty()).then_some(folded)
}

/// True when the page has an input field of type `password`, also where a script writes it.
pub fn has_password_form(page: &str) -> bool {
    tags(page).filter(|tag| tag.name.eq_ignore_ascii_case("input")).any(|tag| {
        let lower = tag.text.to_ascii_lowercase();
        attribute(&lower, "type").is_some_and(|value| value == "password")
    })
}

/// Where the page says its icon is: `href` of the first `<link>` with `icon` among its `rel` words.
pub fn icon(page: &str) -> Option<&str> {
    tags(page).filter(|tag| tag.name.eq_ignore_ascii_case("link")).find_map(|tag| {
        let mut words = attribute(tag.text, "rel")?.split_ascii_whitespace();
        words.any(|word| word.eq_ignore_ascii_case("icon")).then_some(())?;
        attribute(tag.text, "href").filter(|reference| !reference.is_empty())
    })
}

/// A start tag.
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a str,
    /// From `<` to `>`.
    pub(crate) text: &'a str,
    /// Where the page goes on after it.
    pub(crate) end: usize,
}

/// Start tags in order; comments are passed over. A tag ends at the first `>`, which is enough for
/// what is asked here.
pub(crate) fn tags(page: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let open = at + page.get(at..)?.find('<')?;
            let rest = &page[open..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                at = open + 4 + comment.find("-->")? + 3;
                continue;
            }
            let name_len = rest[1..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - 1);
            if name_len == 0 {
                at = open + 1;
                continue;
            }
            let close = rest.find('>').map_or(rest.len(), |close| close + 1);
            at = open + close;
            return Some(Tag { name: &rest[1..1 + name_len], text: &rest[..close], end: at });
        }
    })
}

/// Value of the attribute `name`, whatever its case, in the text of a tag, quotes (also escaped ones)
/// removed.
pub(crate) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + find_ignoring_case(&tag[from..], name)?;
        from = at + name.len();
        let starts_word = tag[..at].ends_with(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        let Some(value) = tag[from..].trim_start().strip_prefix('=') else { continue };
        if !starts_word {
            continue;
        }
        let value = value.trim_start().trim_start_matches('\\');
        let end = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = &value[1..];
                let end = inner.find([quote, '\\']).unwrap_or(inner.len());
                return Some(&inner[..end]);
            }
            _ => value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len()),
        };
        // `<input type=password/>`: the slash ends the tag.
        let value_only = &value[..end];
        let ends_tag = value[end..].starts_with('>');
        return Some(value_only.strip_suffix('/').filter(|_| ends_tag).unwrap_or(value_only));
    }
}

pub(crate) fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes().windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

pub(super) fn decode_entities(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name_end = rest.bytes().take(12).position(|byte| byte == b';');
        let decoded = name_end.and_then(|end| Some((entity(&rest[1..end])?, end + 1)));
        match decoded {
            Some((c, len)) => {
                out.push(c);
                rest = &rest[len..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "copy" => '©',
        "reg" => '®',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}
