//! NumPy's arrays: `.npy` files, and `.npz` archives of them.
//!
//! The header is parsed here and not by a library for Python's literals: what a header has is three known keys, and
//! whatever else is in one is refused after as many steps as it has bytes. Elements are read piece by piece, so that
//! memory grows with what there is and not with what a header says.

#![deny(clippy::as_conversions)]

mod archive;
mod header;

use std::io::Read;
use std::path::Path;

use kiln_files::{NoRoom, buffer, size_in_words, wide};
use kiln_runtime::f16;

use crate::error::DataError;
pub use archive::Archive;
use header::{Header, Type};

/// The elements of an array, row after row.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Elements {
    Bool(Vec<bool>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes.
    pub shape: Vec<usize>,
    /// As many elements as the sizes say.
    pub elements: Elements,
}

/// Reads a `.npy` file.
pub fn read_file(path: &Path) -> Result<Array, DataError> {
    let file = kiln_files::open(path).map_err(|e| DataError::read(path, e))?;
    let (size, most) = (file.size(), file.allowance());
    read(std::io::BufReader::new(file), size.min(most)).map_err(|message| DataError::file(path, message))
}

/// Reads an array of which at most `most` bytes are taken. The error is a sentence about the file.
pub fn read(mut reader: impl Read, most: u64) -> Result<Array, String> {
    let Header { element, big_endian, shape } = Header::read(&mut reader)?;
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    let bytes = count.and_then(|count| count.checked_mul(element.size()));
    let (Some(count), Some(bytes)) = (count, bytes) else {
        return Err(format!("its header says {shape:?}, more elements than any memory holds"));
    };
    if wide(bytes) > most {
        return Err(format!(
            "ends before the {count} elements that its header promises: {} of them, where there are at most {}",
            size_in_words(wide(bytes)),
            size_in_words(most)
        ));
    }
    let reader = &mut Values { reader, count, big_endian };
    let elements = match element {
        Type::Bool => Elements::Bool(reader.all(|[byte]: [u8; 1]| byte != 0)?),
        Type::U8 => Elements::U8(reader.all(u8::from_le_bytes)?),
        Type::I8 => Elements::I8(reader.all(i8::from_le_bytes)?),
        Type::U16 => Elements::U16(reader.all(u16::from_le_bytes)?),
        Type::I16 => Elements::I16(reader.all(i16::from_le_bytes)?),
        Type::U32 => Elements::U32(reader.all(u32::from_le_bytes)?),
        Type::I32 => Elements::I32(reader.all(i32::from_le_bytes)?),
        Type::U64 => Elements::U64(reader.all(u64::from_le_bytes)?),
        Type::I64 => Elements::I64(reader.all(i64::from_le_bytes)?),
        Type::F16 => Elements::F16(reader.all(f16::from_le_bytes)?),
        Type::F32 => Elements::F32(reader.all(f32::from_le_bytes)?),
        Type::F64 => Elements::F64(reader.all(f64::from_le_bytes)?),
    };
    Ok(Array { shape, elements })
}

/// Elements that are still to be read.
struct Values<R> {
    reader: R,
    count: usize,
    big_endian: bool,
}

impl<R: Read> Values<R> {
    /// All elements, each made of its bytes, lowest first.
    fn all<T, const N: usize>(&mut self, make: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        /// Elements that are read at a time.
        const PIECE: usize = 1 << 13;
        /// Room that is made before anything is read. More is made as elements come.
        const FIRST: usize = 1 << 20;
        let failed = |error: NoRoom| error.to_string();
        kiln_files::room_for(wide(self.count * size_of::<T>())).map_err(failed)?;
        let mut values = buffer(self.count.min(FIRST)).map_err(failed)?;
        let mut piece = vec![0; PIECE.min(self.count) * N];
        while values.len() < self.count {
            let bytes = &mut piece[..(self.count - values.len()).min(PIECE) * N];
            self.reader.read_exact(bytes).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    format!("ends before the {} elements that its header promises", self.count)
                }
                _ => error.to_string(),
            })?;
            values
                .try_reserve(bytes.len() / N)
                .map_err(|_| failed(NoRoom { needed: wide(self.count * size_of::<T>()), free: None }))?;
            let (elements, _) = bytes.as_chunks::<N>();
            values.extend(elements.iter().map(|element| {
                let mut element = *element;
                if self.big_endian {
                    element.reverse();
                }
                make(element)
            }));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::{Elements, read};

    /// A file with this header, without its padding, and these bytes.
    fn file(header: &str, bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
    }

    fn of(descr: &str, shape: &str, bytes: &[u8]) -> Result<(Vec<usize>, Elements), String> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n");
        read(&file(&header, bytes)[..], 1 << 20).map(|array| (array.shape, array.elements))
    }

    #[test]
    fn elements_of_all_types() {
        use kiln_runtime::f16;
        let all: [(&str, &[u8], Elements); 14] = [
            ("|b1", &[0, 1], Elements::Bool(vec![false, true])),
            ("|u1", &[1, 255], Elements::U8(vec![1, 255])),
            ("|i1", &[1, 255], Elements::I8(vec![1, -1])),
            ("<u2", &[1, 2, 3, 0], Elements::U16(vec![513, 3])),
            (">u2", &[2, 1, 0, 3], Elements::U16(vec![513, 3])),
            ("<i2", &[255, 255, 3, 0], Elements::I16(vec![-1, 3])),
            ("<u4", &[1, 0, 0, 0, 2, 0, 0, 0], Elements::U32(vec![1, 2])),
            (">i4", &[0, 0, 0, 1, 255, 255, 255, 255], Elements::I32(vec![1, -1])),
            ("<u8", &[[1u64, 2].map(u64::to_le_bytes).concat()].concat(), Elements::U64(vec![1, 2])),
            ("<i8", &[[1i64, -2].map(i64::to_le_bytes).concat()].concat(), Elements::I64(vec![1, -2])),
            ("<f2", &[0, 0x3c, 0, 0xc0], Elements::F16(vec![f16::from_f32(1.0), f16::from_f32(-2.0)])),
            ("=f4", &[1f32, -2.5].map(f32::to_le_bytes).concat(), Elements::F32(vec![1.0, -2.5])),
            ("<f8", &[1f64, -2.5].map(f64::to_le_bytes).concat(), Elements::F64(vec![1.0, -2.5])),
            (">f8", &[1f64, -2.5].map(f64::to_be_bytes).concat(), Elements::F64(vec![1.0, -2.5])),
        ];
        for (descr, bytes, elements) in all {
            assert_eq!(of(descr, "(2,)", bytes), Ok((vec![2], elements.clone())), "{descr}");
            assert_eq!(of(descr, "(1, 2L)", bytes), Ok((vec![1, 2], elements)), "{descr}");
            let error = of(descr, "(2,)", &bytes[1..]).expect_err("an element is cut");
            assert!(error.contains("ends before the 2 elements"), "{error}");
        }
        assert_eq!(of("<f4", "()", &[0; 4]), Ok((vec![], Elements::F32(vec![0.0]))));
        assert_eq!(of("<f4", "(0, 3)", &[]), Ok((vec![0, 3], Elements::F32(vec![]))));
    }

    #[test]
    fn what_a_header_promises_is_not_believed() {
        for (shape, words) in [
            ("(9000000000000000000, 9000000000000000000)", "more elements than"),
            ("(99999999999999999999999, 2)", "is not a size"),
            (
                "(1000000000000,)",
                "1000000000000 elements that its header promises: 3.6 TiB of them, where there are at most 1.0 MiB",
            ),
            ("(100000,)", "ends before the 100000 elements"),
        ] {
            let error = of("<f4", shape, &[0; 64]).expect_err(shape);
            assert!(error.contains(words), "{shape}: {error}");
        }
    }

    /// Brackets inside of brackets take no more time than other letters.
    #[test]
    fn headers_that_are_none() {
        let deep = |n: usize| {
            let (open, close) = ("[".repeat(n), "]".repeat(n));
            format!("{{'descr': {open}'<f4'{close}, 'fortran_order': False, 'shape': (1,)}}")
        };
        let dict = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")
        };
        let cases = [
            (deep(22), "records"),
            (deep(4000), "records"),
            (dict("'<f4'", "False", &"(".repeat(4000)), "not a size"),
            (dict("'<f4'", "False", "(1 2)"), "no comma"),
            (dict("'<f4'", "False", "(-1,)"), "not a size"),
            (dict("'<f4'", "True", "(1,)"), "Fortran order"),
            (dict("'<f4'", "[[[", "(1,)"), "`fortran_order`"),
            (dict("'|O'", "False", "(1,)"), "elements of type |O"),
            (dict("'<U7'", "False", "(1,)"), "elements of type <U7"),
            (dict("[('a', '<f4')]", "False", "(1,)"), "records"),
            ("{'descr': '<f4'}".into(), "no `fortran_order`"),
            (" ".repeat(9000), "not a dict"),
            (" ".repeat(11_000), "11000 bytes"),
            ("{'descr': '<f4', 'descr': '<f8'}".into(), "twice"),
            ("{'descr': '<f4', 'more': 3}".into(), "`more`"),
            ("{'descr': '<f4".into(), "text that does not end"),
        ];
        for (header, words) in cases {
            let error = read(&file(&header, &[0; 4])[..], 1 << 20).expect_err(words);
            assert!(error.contains(words), "{words}: {error}");
        }
        for bytes in [&b"\x93NUMPY"[..], b"PK\x03\x04", b"\x93NUMPY\x07\x00\x10\x00", b""] {
            assert!(read(bytes, 1 << 20).is_err(), "{bytes:?}");
        }
    }
}
