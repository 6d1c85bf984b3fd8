//! Lists and mappings as JSON writes them, and as Python does: `["cat", "dog"]`, `{0: 'cat', 1: 'dog'}`. Nothing is
//! nested; that is all that metadata needs.

use std::fmt::Write;

/// A word or a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// Between quotes.
    Text(String),
    /// Without quotes.
    Number(f64),
}

/// The text between the brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// `[a, b]`, `(a, b)`
    List(Vec<Item>),
    /// `{a: b, c: d}`
    Map(Vec<(Item, Item)>),
    /// A single one.
    Item(Item),
}

impl Literal {
    /// Reads a literal; `None` if the text is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut reader = Reader { left: text.trim() };
        let literal = reader.literal()?;
        reader.left.trim_start().is_empty().then_some(literal)
    }
}

struct Reader<'a> {
    left: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        self.left = self.left.trim_start();
        match self.left.strip_prefix(wanted) {
            Some(rest) => {
                self.left = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        if self.eat('[') {
            return self.sequence(']', Self::item).map(Literal::List);
        }
        if self.eat('(') {
            return self.sequence(')', Self::item).map(Literal::List);
        }
        if self.eat('{') {
            return self.sequence('}', Self::pair).map(Literal::Map);
        }
        self.item().map(Literal::Item)
    }

    fn sequence<T>(&mut self, end: char, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while !self.eat(end) {
            items.push(item(self)?);
            if !self.eat(',') {
                return self.eat(end).then_some(items);
            }
        }
        Some(items)
    }

    fn pair(&mut self) -> Option<(Item, Item)> {
        let key = self.item()?;
        if !self.eat(':') {
            return None;
        }
        Some((key, self.item()?))
    }

    fn item(&mut self) -> Option<Item> {
        for quote in ['"', '\''] {
            if self.eat(quote) {
                return self.text(quote).map(Item::Text);
            }
        }
        let end = self.left.find([',', ':', ']', ')', '}']).unwrap_or(self.left.len());
        let (number, rest) = self.left.split_at(end);
        let number = number.trim().parse().ok()?;
        self.left = rest;
        Some(Item::Number(number))
    }

    /// The text before the closing quote.
    fn text(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.left.chars();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'x' => text.push(char::from_u32(hex(&mut chars, 2)?)?),
                    'u' => text.push(unicode(&mut chars)?),
                    c @ ('\\' | '/' | '"' | '\'') => text.push(c),
                    _ => return None,
                },
                c => text.push(c),
            }
        }
        self.left = chars.as_str();
        Some(text)
    }
}

fn hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}

/// The character of `\u` and four digits. Those beyond the first 65,536 take two of them.
fn unicode(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = hex(chars, 4)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (chars.next()?, chars.next()?) != ('\\', 'u') {
        return None;
    }
    let second = hex(chars, 4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
}

/// `["a", "b"]`
pub(super) fn texts(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// `[0.5, 1]`. Numbers read back as what they were.
pub(super) fn numbers<T: ToString>(list: &[T]) -> String {
    format!("[{}]", list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // Writing to a string does not fail.
            c if c.is_control() && u32::from(c) < 0x1_0000 => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
