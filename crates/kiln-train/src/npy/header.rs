//! The header of an array: a dict in Python's syntax, as `numpy.lib.format` writes it.
//!
//! ```text
//! {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
//! ```

use std::io::Read;

use kiln_pickle::shown;

/// NumPy itself reads no longer headers unless the file is trusted (`max_header_size`).
const LONGEST: usize = 10_000;
/// NumPy has no more dimensions.
const MOST_DIMENSIONS: usize = 64;

/// The type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Type {
    /// By NumPy's letters, without the order of bytes.
    fn called(letters: &str) -> Option<Self> {
        Some(match letters {
            "b1" => Type::Bool,
            "u1" => Type::U8,
            "i1" => Type::I8,
            "u2" => Type::U16,
            "i2" => Type::I16,
            "u4" => Type::U32,
            "i4" => Type::I32,
            "u8" => Type::U64,
            "i8" => Type::I64,
            "f2" => Type::F16,
            "f4" => Type::F32,
            "f8" => Type::F64,
            _ => return None,
        })
    }

    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self {
            Type::Bool | Type::U8 | Type::I8 => 1,
            Type::U16 | Type::I16 | Type::F16 => 2,
            Type::U32 | Type::I32 | Type::F32 => 4,
            Type::U64 | Type::I64 | Type::F64 => 8,
        }
    }
}

/// The header of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub element: Type,
    pub big_endian: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads a header; what follows are the elements.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, String> {
        let none = |_| "is not an .npy array: it ends in its header".to_owned();
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(none)?;
        let [magic @ .., version, _] = start;
        if magic != *b"\x93NUMPY" {
            return Err("is not an .npy array: it does not begin as one".into());
        }
        let length = match version {
            1 => {
                let mut length = [0; 2];
                reader.read_exact(&mut length).map_err(none)?;
                usize::from(u16::from_le_bytes(length))
            }
            2 | 3 => {
                let mut length = [0; 4];
                reader.read_exact(&mut length).map_err(none)?;
                usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
            }
            other => return Err(format!("is an .npy array of version {other}; 1 to 3 can be read")),
        };
        if length > LONGEST {
            return Err(format!("has a header of {length} bytes; NumPy reads at most {LONGEST}"));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(none)?;
        let text = std::str::from_utf8(&text).map_err(|_| "has a header that is not text")?;
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words { rest: text };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        words.expect('{', "its header is not a dict")?;
        while !words.takes('}') {
            let key = words.text().ok_or("its header is not a dict of names")??;
            words.expect(':', "its header has a name without a value")?;
            let is_new = match key {
                "descr" => descr.replace(words.descr()?).is_none(),
                "fortran_order" => fortran.replace(words.truth()?).is_none(),
                "shape" => shape.replace(words.sizes()?).is_none(),
                other => return Err(format!("its header has `{}`, which NumPy's do not have", shown(other))),
            };
            if !is_new {
                return Err(format!("its header has `{key}` twice"));
            }
            if !words.takes(',') {
                words.expect('}', "its header continues where it should end")?;
                break;
            }
        }
        let missing = |key: &str| format!("its header has no `{key}`");
        let descr = descr.ok_or_else(|| missing("descr"))?;
        if fortran.ok_or_else(|| missing("fortran_order"))? {
            return Err("is in Fortran order; `numpy.ascontiguousarray` makes it row-major".into());
        }
        let shape = shape.ok_or_else(|| missing("shape"))?;
        let letters = descr.trim_start_matches(['<', '>', '|', '=']);
        let Some(element) = Type::called(letters) else {
            return Err(format!(
                "has elements of type {}; b1, u1 to u8, i1 to i8 and f2 to f8 can be read",
                shown(descr)
            ));
        };
        Ok(Self { element, big_endian: descr.starts_with('>'), shape })
    }
}

/// What is left of a header.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Whether a letter comes next; then it is passed.
    fn takes(&mut self, letter: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, letter: char, otherwise: &str) -> Result<(), String> {
        if self.takes(letter) { Ok(()) } else { Err(otherwise.into()) }
    }

    /// A text in quotes, if one comes next. None of NumPy's has a quote or a backslash inside.
    fn text(&mut self) -> Option<Result<&'a str, String>> {
        let quote = ['\'', '"'].into_iter().find(|quote| self.takes(*quote))?;
        Some(match self.rest.split_once(quote) {
            Some((text, rest)) => {
                self.rest = rest;
                Ok(text)
            }
            None => Err("its header has a text that does not end".into()),
        })
    }

    fn descr(&mut self) -> Result<&'a str, String> {
        match self.text() {
            Some(text) => text,
            None => Err("has records for elements (a structured `dtype`); plain numbers can be read".into()),
        }
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("its header has a `fortran_order` that is neither True nor False".into())
    }

    fn sizes(&mut self) -> Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        self.expect('(', "its header has a `shape` that is not a tuple")?;
        while !self.takes(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(digits);
            let size = number.parse().map_err(|_| {
                let word: String = self.rest.chars().take_while(|c| !matches!(c, ',' | ')')).collect();
                format!("its header has `{}` in its `shape`, which is not a size", shown(word.trim()))
            })?;
            sizes.push(size);
            if sizes.len() > MOST_DIMENSIONS {
                return Err(format!("its header has more than {MOST_DIMENSIONS} dimensions"));
            }
            // Python 2 wrote long numbers with a letter.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.takes(',') {
                self.expect(')', "its header has no comma between two sizes")?;
                break;
            }
        }
        Ok(sizes)
    }
}
