//! `.pt` files as `torch.save` writes them: a zip archive, not compressed, every member at a multiple of 64 bytes so that
//! PyTorch can map it into memory. The same state dict gives the same bytes.

use std::io::{Cursor, Write};

use kiln_graph::{DType, Data, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::StateDict;
use super::element::to_bytes;
use super::error::StateDictError;
use super::view::dense_strides;

/// Where members begin, as in PyTorch.
const ALIGNMENT: u16 = 64;
/// The folder in the archive; PyTorch takes the file's name, but reads any.
const FOLDER: &str = "archive";
/// How many entries of a dict a pickle puts on the stack at a time, as Python's does.
const BATCH: usize = 1000;
/// From this size on a member needs the larger fields of zip64.
const LARGE: usize = 0xffff_0000;

/// The state dict as a file.
pub(super) fn write(state_dict: &StateDict) -> Result<Vec<u8>, StateDictError> {
    let (pickle, storages) = pickle(state_dict)?;
    let mut members = Members { zip: ZipWriter::new(Cursor::new(Vec::new())) };
    members.add("data.pkl", &pickle)?;
    members.add("byteorder", b"little")?;
    for (key, data) in storages.into_iter().enumerate() {
        members.add(&format!("data/{key}"), &to_bytes(data))?;
    }
    // The format's version, the one since PyTorch 1.6.
    members.add("version", b"3\n")?;
    Ok(members.zip.finish().map_err(unwritable)?.into_inner())
}

struct Members {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Members {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), StateDictError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() >= LARGE);
        self.zip.start_file(format!("{FOLDER}/{name}"), options).map_err(unwritable)?;
        self.zip.write_all(bytes).map_err(unwritable)
    }
}

fn unwritable(error: impl std::fmt::Display) -> StateDictError {
    StateDictError::Unwritable(error.to_string())
}

/// The pickle that describes the tensors, and the storages it refers to by number.
fn pickle(state_dict: &StateDict) -> Result<(Vec<u8>, Vec<&Data>), StateDictError> {
    let mut pickle = Pickle(vec![0x80, 2]);
    let mut storages: Vec<&Data> = Vec::new();
    let mut keys = std::collections::HashMap::new();
    pickle.ordered_dict();
    for batch in state_dict.entries.chunks(BATCH) {
        pickle.0.push(b'(');
        for (name, tensor) in batch {
            // Tied weights: the same elements under two names are one storage.
            let key = *keys.entry(std::ptr::from_ref(tensor.data()).addr()).or_insert_with(|| {
                storages.push(tensor.data());
                storages.len() - 1
            });
            pickle.text(name)?;
            pickle.tensor(tensor, key)?;
        }
        pickle.0.push(b'u');
    }
    pickle.0.push(b'.');
    Ok((pickle.0, storages))
}

/// A pickle of protocol 2, written from the front.
struct Pickle(Vec<u8>);

impl Pickle {
    /// `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.
    fn tensor(&mut self, tensor: &Tensor, key: usize) -> Result<(), StateDictError> {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.0.extend(b"((");
        self.text("storage")?;
        self.global("torch", storage_class(tensor.dtype())?);
        self.text(&key.to_string())?;
        self.text("cpu")?;
        self.int(tensor.len());
        self.0.extend(b"tQ");
        self.int(0);
        self.sizes(tensor.shape());
        self.sizes(&dense_strides(tensor.shape()));
        self.0.push(0x89);
        self.ordered_dict();
        self.0.extend(b"tR");
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.0.extend(b")R");
    }

    fn text(&mut self, text: &str) -> Result<(), StateDictError> {
        let len =
            u32::try_from(text.len()).map_err(|_| unwritable("a name is longer than four gigabytes"))?;
        self.0.push(b'X');
        self.0.extend(len.to_le_bytes());
        self.0.extend(text.bytes());
        Ok(())
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.0.push(b'(');
        for size in sizes {
            self.int(*size);
        }
        self.0.push(b't');
    }

    fn int(&mut self, number: usize) {
        if let Ok(number) = i32::try_from(number) {
            self.0.push(b'J');
            self.0.extend(number.to_le_bytes());
        } else {
            // Eight bytes, lowest first. No size in memory has the highest bit, which would be the sign.
            self.0.extend([0x8a, 8]);
            self.0.extend(u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
        }
    }
}

fn storage_class(dtype: DType) -> Result<&'static str, StateDictError> {
    Ok(match dtype {
        DType::F32 => "FloatStorage",
        DType::F16 => "HalfStorage",
        DType::F64 => "DoubleStorage",
        DType::I32 => "IntStorage",
        DType::I64 => "LongStorage",
        DType::U8 => "ByteStorage",
        DType::I8 => "CharStorage",
        DType::I16 => "ShortStorage",
        DType::U16 | DType::U32 => {
            let reason = format!("PyTorch's files have no storage for {dtype}; `.safetensors` has");
            return Err(StateDictError::Unwritable(reason));
        }
        DType::Bool => "BoolStorage",
    })
}

#[cfg(test)]
mod tests {
    use super::Pickle;
    use kiln_pickle::{Value, Vocabulary, unpickle};

    #[test]
    fn numbers_come_back() {
        for number in [0, 255, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff_ffff] {
            let mut pickle = Pickle(vec![0x80, 2]);
            pickle.int(number);
            pickle.0.push(b'.');
            let value = unpickle(&pickle.0, 0, Vocabulary::Tensors).map(|pickled| pickled.value);
            assert_eq!(value, Ok(Value::Int(i64::try_from(number).unwrap())), "{number}");
        }
    }
}
