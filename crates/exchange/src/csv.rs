//! One line of comma-separated values (RFC 4180), with the place of each.

use std::borrow::Cow;

/// A cell and the offset it begins at.
pub(crate) type Cell<'a> = (usize, Cow<'a, str>);

/// The cells of a line; the offset of a quotation mark that stands where none may.
pub(crate) fn cells(line: &str) -> Result<Vec<Cell<'_>>, usize> {
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let (cell, length) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if let Some(quote) = rest[..end].find('"') {
                    return Err(at + quote);
                }
                (Cow::Borrowed(&rest[..end]), end)
            }
            Some(inside) => {
                let (cell, length) = quoted(inside).ok_or(at)?;
                (cell, length + 1)
            }
        };
        cells.push((at, cell));
        at += length;
        match line[at..].chars().next() {
            None => return Ok(cells),
            Some(',') => at += 1,
            Some(_) => return Err(at),
        }
    }
}

/// The value after an opening quotation mark and how many bytes it takes with the closing one;
/// `None` when there is no closing one.
fn quoted(inside: &str) -> Option<(Cow<'_, str>, usize)> {
    let mut from = 0;
    loop {
        let end = from + inside[from..].find('"')?;
        if !inside[end + 1..].starts_with('"') {
            let cell = &inside[..end];
            let cell = if from == 0 { Cow::Borrowed(cell) } else { cell.replace("\"\"", "\"").into() };
            return Some((cell, end + 1));
        }
        from = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_of_a_line() {
        let read = |line| {
            cells(line)
                .map(|cells| cells.into_iter().map(|(at, cell)| format!("{at} {cell}")).collect::<Vec<_>>())
        };
        assert_eq!(read("a,,b"), Ok(vec!["0 a".to_owned(), "2 ".to_owned(), "3 b".to_owned()]));
        assert_eq!(read("\"a,\"\"b\"\"\",検"), Ok(vec!["0 a,\"b\"".to_owned(), "10 検".to_owned()]));
        assert_eq!(read(""), Ok(vec!["0 ".to_owned()]));
        assert_eq!(read("a,\"b"), Err(2));
        assert_eq!(read("a\"b"), Err(1));
        assert_eq!(read("\"a\"b"), Err(3));
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in "[a,\"検]{0,20}") {
            let _ = cells(&line);
        }
    }
}
