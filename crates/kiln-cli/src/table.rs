//! Tables on a terminal: columns as wide as their widest cell, numbers to the right.

use std::borrow::Cow;
use std::fmt;

use crate::terminal::clean_line;

/// Maximum characters of a cell; longer text is elided in the middle. Names in files can be as long as the file.
const MOST_CELL: usize = 400;

/// Alignment of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table being built.
pub(crate) struct Table {
    header: Vec<&'static str>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        let (header, align) = columns.iter().copied().unzip();
        Self { header, align, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let readable = |cell: String| shorten(&clean_line(&cell), MOST_CELL).into_owned();
        self.rows.push(cells.into_iter().map(readable).collect());
    }
}

/// At most so many characters of a text; `...` replaces the middle of a longer one.
pub(crate) fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    // Bytes are never fewer than characters, and need not be counted.
    if text.len() <= most || text.chars().count() <= most {
        return Cow::Borrowed(text);
    }
    let end = most.saturating_sub(3) / 2;
    let begin = most.saturating_sub(3) - end;
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let from_end = |n: usize| {
        n.checked_sub(1).and_then(|n| text.char_indices().rev().nth(n)).map_or(text.len(), |(at, _)| at)
    };
    Cow::Owned(format!("{}...{}", &text[..at(begin)], &text[from_end(end)..]))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |cells: &[String]| -> String {
            let padded =
                cells.iter().zip(&widths).zip(&self.align).map(|((cell, width), align)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let header: Vec<String> = self.header.iter().map(|h| (*h).to_owned()).collect();
        writeln!(f, "{}", line(&header))?;
        let rule: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        writeln!(f, "{}", "-".repeat(rule))?;
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
        }
        Ok(())
    }
}

/// A whole number in groups of three: `11,689,512`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in a suitable unit: `4.2 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_lose_their_middle() {
        for (text, most, expected) in [
            ("abc", 3, "abc"),
            ("abcdefghijk", 9, "abc...ijk"),
            ("äöüßabcdefg", 8, "äöü...fg"),
            ("abcdef", 3, "..."),
        ] {
            assert_eq!(shorten(text, most), expected);
        }
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["x".repeat(1 << 20), "1".into()]);
        table.row(["a\u{1b}[2J\nb".into(), "2".into()]);
        let text = table.to_string();
        assert!(text.len() < 2000, "{} bytes", text.len());
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.ends_with("2\n") && text.contains("a\\u{1b}[2J\\nb"), "{text}");
    }
}
