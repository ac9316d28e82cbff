//! Rows and objects on standard output, in the format asked for. Everything that came from a
//! stranger is made visible before it reaches a terminal.

use std::io::Write;

use kenshin_casework::escape::is_formula;
use serde::Serialize;

use crate::cli::Format;

/// A table of text with a JSON form beside it.
pub(crate) struct Rows<T> {
    /// Column titles.
    pub(crate) columns: &'static [&'static str],
    /// Columns whose values are numbers.
    pub(crate) right: &'static [usize],
    /// One item a row, as it is in JSON.
    pub(crate) items: Vec<T>,
    /// The cells of an item.
    pub(crate) cells: fn(&T) -> Vec<String>,
}

impl<T: Serialize> Rows<T> {
    /// Prints the rows.
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => print_json(&self.items),
            Format::Jsonl => self
                .items
                .iter()
                .try_for_each(|item| print_text(&format!("{}\n", serde_json::to_string(item)?))),
            Format::Parquet => Err(anyhow::Error::new(
                kenshin_observatory::ActError::input("only `search` and `sql` write Parquet files")
                    .with_hint("take --format json, jsonl or csv"),
            )),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(self.columns)?;
                for item in &self.items {
                    writer.write_record((self.cells)(item).iter().map(|cell| csv_cell(cell)))?;
                }
                print_text(&String::from_utf8_lossy(&writer.into_inner()?))
            }
            Format::Table => {
                let mut table = comfy_table::Table::new();
                table.load_style(comfy_table::presets::NOTHING).set_header(self.columns);
                for item in &self.items {
                    table.add_row((self.cells)(item).iter().map(|cell| visible(cell)));
                }
                for column in self.right {
                    if let Some(column) = table.column_mut(*column) {
                        column.set_cell_alignment(comfy_table::CellAlignment::Right);
                    }
                }
                let text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
                print_text(&text)
            }
        }
    }
}

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_text(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints text; a closed pipe is an error that the top takes for success.
pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Tells something on standard error, where work goes on when nobody reads it any more.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Control and bidirectional characters become `\u{…}`; line ends become `⏎`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\r' => {}
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// A cell that a spreadsheet would run as a formula gets an apostrophe in front.
fn csv_cell(text: &str) -> String {
    let text = visible(text);
    if is_formula(&text) { format!("'{text}") } else { text }
}

/// A number with thin spaces between thousands.
pub(crate) fn thousands(number: impl Into<i128>) -> String {
    let digits = number.into().to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_visible() {
        assert_eq!(visible("a\u{1b}[31m\r\nb\u{202e}"), "a\\u{1b}[31m⏎b\\u{202e}");
        for formula in ["=1+1", " =1+1", "＝1+1", "@a", "-1"] {
            assert_eq!(csv_cell(formula), format!("'{formula}"));
        }
    }

    #[test]
    fn thousands_are_thin() {
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(thousands(-123), "-123");
        assert_eq!(thousands(0), "0");
    }
}
