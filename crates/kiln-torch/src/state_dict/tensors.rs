//! Tensors from their descriptions in a pickle and the storages beside it.

use std::collections::HashMap;

use kiln_graph::Tensor;

use super::element::{Element, gather};
use super::error::{Problem, shown};
use super::view::View;
use kiln_pickle::{Heap, TensorRef, Value};

/// PyTorch itself allows no more dimensions.
const MOST_DIMENSIONS: usize = 64;
/// How many times its own size a file may have in elements, and what a file may have in any case: an expanded tensor
/// is legal, an address space full of one number is not.
const EXPANSION: usize = 4;
const ALWAYS_ALLOWED: usize = 4_000_000;

/// Where storages are: beside the pickle in a zip archive, or behind it.
pub(super) trait Storages<'a> {
    /// The bytes of a storage.
    fn open(&mut self, key: &str) -> Result<&'a [u8], Problem>;
}

/// Makes tensors, each once however many names it has.
pub(super) struct Maker<'a, 'h> {
    heap: &'h Heap,
    storages: &'h mut dyn Storages<'a>,
    opened: HashMap<&'h str, &'a [u8]>,
    made: HashMap<(&'h str, Element, View), Tensor>,
    /// Bytes that storages may still have before they must overlap.
    file_left: usize,
    /// Bytes that tensors may still have.
    left: usize,
}

impl<'a, 'h> Maker<'a, 'h> {
    /// For a file of so many bytes.
    pub(super) fn new(heap: &'h Heap, storages: &'h mut dyn Storages<'a>, file: usize) -> Self {
        let left = file.saturating_mul(EXPANSION).saturating_add(ALWAYS_ALLOWED);
        Self { heap, storages, opened: HashMap::new(), made: HashMap::new(), file_left: file, left }
    }

    /// The tensor `name`.
    pub(super) fn tensor(&mut self, name: &str, described: TensorRef) -> Result<Tensor, Problem> {
        let wrong = |reason: String| Problem::Tensor { name: shown(name), reason };
        let storage = self.heap.storage(Value::Object(described.storage));
        let storage = storage.ok_or_else(|| wrong("it has no storage".into()))?;
        let key = self.heap.text(storage.key).unwrap_or_default();
        let element = storage.element;

        let (start, base) = (usize::try_from(described.offset), usize::try_from(storage.offset));
        let offset = start.ok().zip(base.ok()).and_then(|(start, base)| start.checked_add(base));
        let offset = offset.ok_or_else(|| wrong("it starts before its storage".into()))?;
        let shape = self.sizes(described.size).map_err(|what| wrong(format!("its shape {what}")))?;
        let stride = self.sizes(described.stride).map_err(|what| wrong(format!("its stride {what}")))?;
        if shape.len() != stride.len() {
            return Err(wrong(format!("it has {} dimensions, but {} strides", shape.len(), stride.len())));
        }
        let view = View { offset, shape, stride };
        let id = (key, element, view);
        if let Some(tensor) = self.made.get(&id) {
            return Ok(tensor.clone());
        }
        let view = &id.2;

        let bytes = self.open(key)?;
        let held = bytes.len() / element.size();
        let end = view.end().unwrap_or(usize::MAX);
        // A storage inside of another one begins at its own start.
        let len = usize::try_from(storage.len).unwrap_or(0);
        let allowed = offset_end(len, storage.offset);
        if end > allowed {
            return Err(wrong(format!("it reaches beyond the {allowed} elements of its storage")));
        }
        if end > held {
            return Err(Problem::Damaged(format!(
                "`{}` should be within {len} elements, but the file has only {held} of them",
                shown(name)
            )));
        }
        let size = view.len().and_then(|len| len.checked_mul(element.size()));
        let left = size.and_then(|size| self.left.checked_sub(size));
        self.left = left.ok_or_else(|| Problem::TooLarge { name: shown(name) })?;
        let data = gather(element, bytes, view);
        let tensor = Tensor::new(view.shape.clone(), data).map_err(|error| wrong(error.to_string()))?;
        self.made.insert(id, tensor.clone());
        Ok(tensor)
    }

    /// Numbers of a tuple, or what is wrong with it.
    fn sizes(&self, value: Value) -> Result<Vec<usize>, &'static str> {
        let items =
            self.heap.tuple(value).or_else(|| self.heap.list(value)).ok_or("is not a list of numbers")?;
        if items.len() > MOST_DIMENSIONS {
            return Err("has more numbers than PyTorch has dimensions");
        }
        let size = |item: &Value| match item {
            Value::Int(size) => usize::try_from(*size).map_err(|_| "has a negative number"),
            _ => Err("has entries other than numbers"),
        };
        items.iter().map(size).collect()
    }

    fn open(&mut self, key: &'h str) -> Result<&'a [u8], Problem> {
        if let Some(bytes) = self.opened.get(key) {
            return Ok(bytes);
        }
        let bytes = self.storages.open(key)?;
        let left = self.file_left.checked_sub(bytes.len());
        self.file_left = left.ok_or_else(|| {
            Problem::Damaged("its parts are together larger than the file, so they overlap".into())
        })?;
        self.opened.insert(key, bytes);
        Ok(bytes)
    }
}

/// One past the last element of a storage of `len` elements that begins at `offset` in another one.
fn offset_end(len: usize, offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0).saturating_add(len)
}
