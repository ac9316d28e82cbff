//! A bounded reader of the YAML front matter that endoflife.date writes.
//!
//! Own code rather than a YAML library: the established one is archived and its successors are
//! young; the files use a small part of YAML, and what lies outside it (anchors, aliases, tags, flow
//! mappings over several lines) is refused here instead of expanded. Scalars stay text, so
//! that the cycle `3.10` is not read as the number 3.1.

/// Most lines between the two `---`.
const LINES_MAX: usize = 50_000;
/// Deepest nesting.
const DEPTH_MAX: usize = 12;

/// A value and the line it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `null` or `~`.
    Nothing,
    /// A scalar.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<(String, Node)>),
}

/// Why the front matter cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: u64,
    pub(super) reason: String,
}

impl Node {
    /// The value of `key` in a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; nothing is an empty one.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

struct Line<'a> {
    number: u64,
    indent: usize,
    /// Without indentation; comments still there.
    text: &'a str,
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

/// Reads the mapping between a first line `---` and the next one.
pub(super) fn front_matter(file: &str) -> Result<Node, Problem> {
    let file = file.trim_start_matches('\u{feff}');
    let mut raw = file.lines().enumerate().map(|(index, line)| (index as u64 + 1, line.trim_end()));
    match raw.next() {
        Some((_, "---")) => {}
        _ => return problem(1, "the file does not begin with `---`"),
    }
    let mut lines = Vec::new();
    let mut ended = false;
    for (number, text) in raw.by_ref() {
        if text == "---" {
            ended = true;
            break;
        }
        if lines.len() == LINES_MAX {
            return problem(number, "the front matter is too long");
        }
        let bare = text.trim_start_matches(' ');
        if bare.starts_with('\t') {
            return problem(number, "a tab indents this line");
        }
        lines.push(Line { number, indent: text.len() - bare.len(), text: bare });
    }
    if !ended {
        return problem(lines.last().map_or(1, |line| line.number), "the front matter has no end `---`");
    }
    let mut reader = Reader { lines, at: 0 };
    let node = reader.block(0, 0)?;
    match reader.peek() {
        Some(line) => problem(line.number, "this line is not indented like those before"),
        None => Ok(node),
    }
}

fn problem<T>(line: u64, reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { line, reason: reason.into() })
}

impl<'a> Reader<'a> {
    /// The next line that is neither blank nor a comment.
    fn peek(&mut self) -> Option<&Line<'a>> {
        while self.lines.get(self.at).is_some_and(|line| line.text.is_empty() || line.text.starts_with('#')) {
            self.at += 1;
        }
        self.lines.get(self.at)
    }

    /// A mapping, list or scalar whose lines are indented by at least `indent`.
    fn block(&mut self, indent: usize, depth: usize) -> Result<Node, Problem> {
        let Some(&Line { number, indent: own, text }) = self.peek() else {
            return Ok(Node { line: 0, value: Value::Nothing });
        };
        if own < indent {
            return Ok(Node { line: number, value: Value::Nothing });
        }
        if depth > DEPTH_MAX {
            return problem(number, "this is nested too deeply");
        }
        let value = if item(text).is_some() { self.list(own, depth)? } else { self.map(own, depth)? };
        Ok(Node { line: number, value })
    }

    fn list(&mut self, indent: usize, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        while let Some(line) = self.peek() {
            let (number, at) = (line.number, line.indent);
            let Some(rest) = item(line.text).filter(|_| at == indent) else { break };
            if rest.is_empty() || rest.starts_with('#') {
                self.at += 1;
                items.push(self.block(indent + 1, depth + 1)?);
            } else if key(rest).is_some() {
                // `- key: value`: the rest of the line is the first line of a mapping.
                let inner = indent + (line.text.len() - rest.len());
                self.lines[self.at] = Line { number, indent: inner, text: rest };
                items.push(Node { line: number, value: self.map(inner, depth + 1)? });
            } else {
                self.at += 1;
                let value = self.scalar(rest, number, indent)?;
                items.push(Node { line: number, value });
            }
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(line) = self.peek() {
            let (number, text) = (line.number, line.text);
            if line.indent != indent || item(text).is_some() {
                break;
            }
            let Some((name, rest)) = key(text) else {
                return problem(number, "this line is neither `key: value` nor `- item`");
            };
            self.at += 1;
            let node = if rest.is_empty() || rest.starts_with('#') {
                // A list may stand at its key's own indentation.
                let lists_here =
                    self.peek().is_some_and(|next| next.indent == indent && item(next.text).is_some());
                self.block(if lists_here { indent } else { indent + 1 }, depth + 1)?
            } else {
                Node { line: number, value: self.scalar(rest, number, indent)? }
            };
            if entries.iter().any(|(held, _)| *held == name) {
                return problem(number, format!("the key `{name}` is there twice"));
            }
            entries.push((name, node));
        }
        match self.peek() {
            Some(line) if line.indent > indent => problem(line.number, "this line is indented too far"),
            _ => Ok(Value::Map(entries)),
        }
    }

    /// A scalar that begins with `text`; further lines that belong to it are indented more than
    /// `indent`.
    fn scalar(&mut self, text: &str, number: u64, indent: usize) -> Result<Value, Problem> {
        match text.as_bytes()[0] {
            b'|' | b'>' => {
                let literal = text.starts_with('|');
                let lines = self.deeper(indent, true);
                return Ok(Value::Text(lines.join(if literal { "\n" } else { " " }).trim_end().to_owned()));
            }
            b'&' | b'*' | b'!' | b'%' | b'@' | b'`' => {
                return problem(number, "anchors, aliases and tags are not read");
            }
            // Nothing that is looked at stands in a flow mapping: on one line it is kept as text.
            b'{' if !uncommented(text).ends_with('}') => {
                return problem(number, "flow mappings over several lines are not read");
            }
            quote @ (b'"' | b'\'') => {
                let mut whole = text.to_owned();
                loop {
                    if let Some((value, rest)) = quoted(&whole, quote) {
                        return match rest.trim_start() {
                            "" => Ok(Value::Text(value)),
                            rest if rest.starts_with('#') => Ok(Value::Text(value)),
                            _ => problem(number, "something follows the closing quote"),
                        };
                    }
                    match self.lines.get(self.at).filter(|line| line.indent > indent) {
                        Some(line) => {
                            whole.push(' ');
                            whole.push_str(line.text);
                            self.at += 1;
                        }
                        None => return problem(number, "the quote is not closed"),
                    }
                }
            }
            b'[' => {
                let mut whole = uncommented(text).to_owned();
                while !whole.ends_with(']') {
                    match self.lines.get(self.at).filter(|line| line.indent > indent) {
                        Some(line) => {
                            whole.push_str(uncommented(line.text));
                            self.at += 1;
                        }
                        None => return problem(number, "the list is not closed"),
                    }
                }
                let inner = whole.trim_start_matches('[').trim_end_matches(']');
                let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
                let item = |item: &str| {
                    let bytes = item.as_bytes();
                    let value = match bytes[0] {
                        quote @ (b'"' | b'\'') => {
                            quoted(item, quote).map_or_else(|| item.to_owned(), |(v, _)| v)
                        }
                        _ => item.to_owned(),
                    };
                    Node { line: number, value: Value::Text(value) }
                };
                return Ok(Value::List(items.map(item).collect()));
            }
            _ => {}
        }
        let mut whole = uncommented(text).to_owned();
        for line in self.deeper(indent, false) {
            whole.push(' ');
            whole.push_str(uncommented(&line));
        }
        Ok(match whole.as_str() {
            "null" | "~" | "" => Value::Nothing,
            _ => Value::Text(whole),
        })
    }

    /// Takes the lines that are indented more than `indent`, blank ones between them too.
    fn deeper(&mut self, indent: usize, blank: bool) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let belongs = if line.text.is_empty() { blank } else { line.indent > indent };
            if !belongs {
                break;
            }
            taken.push(line.text.to_owned());
            self.at += 1;
        }
        taken
    }
}

/// What follows `- `.
fn item(text: &str) -> Option<&str> {
    if text == "-" { Some("") } else { text.strip_prefix("- ").map(str::trim_start) }
}

/// Splits `key: value`.
fn key(text: &str) -> Option<(String, &str)> {
    let quote = text.as_bytes().first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let (name, rest) = match quote {
        Some(quote) => quoted(text, quote)?,
        None => {
            let at = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len))?;
            (text[..at].to_owned(), &text[at..])
        }
    };
    let rest = rest.strip_prefix(':')?;
    (quote.is_some() || !name.contains(['#', '[', '{', '"'])).then(|| (name, rest.trim()))
}

/// Without a comment at the end.
fn uncommented(text: &str) -> &str {
    text.find(" #").map_or(text, |at| &text[..at]).trim_end()
}

/// The value of a quoted scalar and what follows; `None` when the quote is not closed.
fn quoted(text: &str, quote: u8) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quote == b'\'' => {
                if chars.next_if(|(_, next)| *next == '\'').is_some() {
                    value.push('\'');
                } else {
                    return Some((value, &text[at + 1..]));
                }
            }
            '"' if quote == b'"' => return Some((value, &text[at + 1..])),
            '\\' if quote == b'"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_part_of_yaml_that_is_used() {
        let file = "---\ntitle: A: B # note\nempty:\nlist:\n- one\n-   two\nnested:\n  - cpe: cpe:2.3:o:a:b\n    \
                    more: 'it''s'\n\n  # comment\n  -\n    x: \"a\\\"b\"\nfolded: >-\n  a\n  b\n\n  c\nliteral: |\n  x: y\n  - z\n\
                    flow: [a, 'b']\nlong: begins\n  and goes on\nurl: https://x/#y\n---\nrest: ignored";
        let node = front_matter(file).unwrap();
        let text = |key: &str| node.get(key).and_then(Node::text);
        assert_eq!(text("title"), Some("A: B"));
        assert_eq!(node.get("empty").unwrap().value, Value::Nothing);
        assert_eq!(
            node.get("list").unwrap().items().iter().filter_map(Node::text).collect::<Vec<_>>(),
            ["one", "two"]
        );
        let nested = node.get("nested").unwrap().items();
        assert_eq!(nested[0].get("cpe").and_then(Node::text), Some("cpe:2.3:o:a:b"));
        assert_eq!(nested[0].get("more").and_then(Node::text), Some("it's"));
        assert_eq!((nested[0].line, nested[1].get("x").and_then(Node::text)), (8, Some("a\"b")));
        assert_eq!(text("folded"), Some("a b  c"));
        assert_eq!(text("literal"), Some("x: y\n- z"));
        assert_eq!(node.get("flow").unwrap().items().len(), 2);
        assert_eq!(text("long"), Some("begins and goes on"));
        assert_eq!(text("url"), Some("https://x/#y"));
    }

    #[test]
    fn the_rest_is_refused_with_its_line() {
        for (file, line) in [
            ("title: x", 1),
            ("---\na: b\n", 2),
            ("---\na: *anchor\n---", 2),
            ("---\na: b\n    c: d\n---", 3),
            ("---\na: b\n\tc: d\n---", 3),
            ("---\na: \"b\n---", 2),
            ("---\na: 1\na: 2\n---", 3),
            ("---\nnonsense\n---", 2),
        ] {
            match front_matter(file) {
                Err(problem) => assert_eq!(problem.line, line, "{file:?} {problem:?}"),
                // A plain scalar may go on; then it is text and nothing else.
                Ok(node) => assert_eq!(node.get("a").and_then(Node::text), Some("b c: d"), "{file:?}"),
            }
        }
        let deep = (0..40).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
        assert!(front_matter(&format!("---\n{deep}---")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[-a:#'\"|>\\[\\] \n]{0,120}") {
            let _ = front_matter(&format!("---\n{text}\n---\n"));
        }
    }
}
