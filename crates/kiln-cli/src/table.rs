//! Tables on a terminal: columns as wide as their widest cell, numbers to the right.

use std::borrow::Cow;
use std::fmt;

use crate::terminal::{clean_line, width};

/// Maximum characters of a cell; longer text is elided in the middle. Names in files can be as long as the file.
const MOST_CELL: usize = 400;

/// Alignment of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Names, which lose their middle where a terminal is narrow.
    Left,
    /// Words that lose nothing, such as shapes.
    Whole,
    /// Numbers.
    Right,
    /// Sentences, in the last column: they go on in the next line.
    Sentence,
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

/// Characters that a column of words keeps, however narrow the terminal is.
const LEAST_COLUMN: usize = 12;
const LEAST_SENTENCE: usize = 30;

/// A sentence in lines of at most so many characters, if its words are no longer.
fn wrapped(sentence: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

impl Table {
    /// How wide each column is for lines of at most `most` characters. Columns of words lose what is too much, the widest first;
    /// numbers lose nothing.
    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let apart = 2 * widths.len().saturating_sub(1);
        if let (Some(most), Some(Align::Sentence), Some(last)) =
            (most, self.align.last(), widths.len().checked_sub(1))
        {
            let before = widths[..last].iter().sum::<usize>() + apart;
            widths[last] = widths[last].min(most.saturating_sub(before).max(LEAST_SENTENCE));
        }
        while let Some(most) = most.filter(|most| widths.iter().sum::<usize>() + apart > *most) {
            let words = (0..widths.len()).filter(|column| self.align[*column] == Align::Left);
            let Some(widest) = words.max_by_key(|column| widths[*column]) else { break };
            if widths[widest] <= LEAST_COLUMN {
                break;
            }
            let over = widths.iter().sum::<usize>() + apart - most;
            // No further than to the next one: then both lose.
            let others = (0..widths.len()).filter(|c| *c != widest && self.align[*c] == Align::Left);
            let next = others.map(|column| widths[column]).max().unwrap_or(0);
            let least = (widths[widest] - over.min(widths[widest])).max(next.min(widths[widest] - 1));
            widths[widest] = least.max(LEAST_COLUMN);
        }
        widths
    }

    /// The lines, of at most so many characters where that can be.
    pub(crate) fn lines(&self, most: Option<usize>) -> String {
        let widths = self.widths(most);
        let line = |cells: &[String]| -> String {
            let padded =
                cells.iter().zip(&widths).zip(&self.align).map(|((cell, width), align)| match align {
                    Align::Left => format!("{:<width$}", shorten(cell, *width)),
                    Align::Whole => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                    Align::Sentence => {
                        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
                        wrapped(cell, *width).join(&format!("\n{}", " ".repeat(before)))
                    }
                });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let header: Vec<String> = self.header.iter().map(|h| (*h).to_owned()).collect();
        let rule: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let rows = self.rows.iter().map(|row| line(row));
        [line(&header), "-".repeat(rule)].into_iter().chain(rows).map(|line| line + "\n").collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines(width()))
    }
}

/// A number with one of SI's letters and four digits: `2.220 M`. Those below ten thousand are as they are.
pub(crate) fn si(number: f64) -> String {
    let (scaled, letter) = match number.abs() {
        x if x < 1e4 => {
            return if number.fract() == 0.0 { format!("{number}") } else { format!("{number:.1}") };
        }
        x if x < 999_950.0 => (number / 1e3, "k"),
        x if x < 999_950_000.0 => (number / 1e6, "M"),
        x if x < 999_950_000_000.0 => (number / 1e9, "G"),
        _ => (number / 1e12, "T"),
    };
    let decimals = if scaled.abs() < 9.9995 {
        3
    } else if scaled.abs() < 99.995 {
        2
    } else {
        1
    };
    format!("{scaled:.decimals$} {letter}")
}

/// A sum of products of symbols, such as `2220096*N`, with the numbers in it as [`si`] writes them: `2.220 M*N`.
pub(crate) fn si_formula(formula: &str) -> String {
    let mut out = String::new();
    let mut rest = formula;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        out += before;
        // A digit of a name is no number.
        let is_name = before.chars().last().or_else(|| out.chars().last());
        let is_name = is_name.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
        match from[..end].parse::<u64>() {
            Ok(number) if !is_name => out += &si(number as f64),
            Ok(_) | Err(_) => out += &from[..end],
        }
        rest = &from[end..];
    }
    out + rest
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

    #[test]
    fn tables_fit_a_terminal() {
        let mut table = Table::new(&[("layer", Align::Left), ("kernel", Align::Left), ("ms", Align::Right)]);
        table.row(["features.0.conv1 + features.0.bn1 + relu".into(), "conv_64x64".into(), "12.345".into()]);
        table.row(["fc".into(), "matmul".into(), "0.1".into()]);
        let widest = |most| table.lines(most).lines().map(|line| line.chars().count()).max();
        assert_eq!(widest(None), Some(40 + 2 + 10 + 2 + 6));
        assert_eq!(widest(Some(120)), widest(None));
        assert_eq!(widest(Some(50)), Some(50));
        assert!(table.lines(Some(50)).contains("...") && table.lines(Some(50)).contains("12.345"));
        let mut reasons = Table::new(&[("node", Align::Left), ("why", Align::Sentence)]);
        reasons.row([
            "conv1".into(),
            "its weight is not constant, and this device has no kernel for that".into(),
        ]);
        let text = reasons.lines(Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40) && !text.contains("..."), "{text}");
        assert!(text.contains("\n       "), "{text}");
        // Words keep a few letters, numbers all.
        assert_eq!(widest(Some(5)), Some(12 + 2 + 10 + 2 + 6));
    }

    #[test]
    fn large_numbers_have_letters() {
        for (number, text) in [
            (0.0, "0"),
            (9999.0, "9999"),
            (884_736.0, "884.7 k"),
            (2_220_096.0, "2.220 M"),
            (999_960.0, "1.000 M"),
            (4.1e9, "4.100 G"),
            (1345.28, "1345.3"),
        ] {
            assert_eq!(si(number), text);
        }
        assert_eq!(si_formula("2220096*N"), "2.220 M*N");
        assert_eq!(si_formula("4096*H*W2 + 12*N12345"), "4096*H*W2 + 12*N12345");
        assert_eq!(si_formula("11689512"), "11.69 M");
    }
}
