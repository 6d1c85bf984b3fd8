//! The effect of the few known functions, without calling any.

use std::rc::Rc;

use super::known::Known;
use super::machine::Machine;
use super::value::{Array, Object, Storage, TensorRef, Value};
use crate::error::Problem;

impl Machine<'_> {
    /// A known function or class applied to arguments.
    pub(super) fn call(&mut self, function: Value, arguments: Value) -> Result<Value, Problem> {
        if let Some(problem) = self.heap.foreign(function) {
            let made = Object::Foreign(problem.clone());
            return Ok(self.heap.add(made));
        }
        let Some(Object::Known(function)) = self.heap.get(function) else {
            return Err(Problem::Damaged(format!("it calls {}", self.heap.describe(function))));
        };
        let function = *function;
        let Some(arguments) = self.heap.tuple(arguments) else {
            return Err(Problem::Damaged("it calls a function without arguments".into()));
        };
        // A result of something unknown is unknown, too.
        if let Some(problem) = arguments.iter().find_map(|value| self.heap.foreign(*value)) {
            let made = Object::Foreign(problem.clone());
            return Ok(self.heap.add(made));
        }
        match (function, arguments) {
            (Known::OrderedDict | Known::Counter, []) => Ok(self.heap.add(Object::Dict(Vec::new()))),
            // Python 2 gives the entries as a list of lists of two.
            (Known::OrderedDict, [entries]) => self.ordered_dict(*entries),
            (Known::Counter, [dict]) if self.heap.dict(*dict).is_some() => Ok(*dict),
            (Known::Size, [size]) if self.heap.tuple(*size).is_some() => Ok(*size),
            (Known::RebuildTensor, [storage, offset, size, stride]) => {
                self.tensor(*storage, *offset, *size, *stride)
            }
            (Known::RebuildTensorV2, [storage, offset, size, stride, _, _, rest @ ..]) => {
                // Marks such as "these numbers are to be negated", which views of complex numbers have.
                let marked = |value| self.heap.dict(value).is_some_and(|marks| !marks.is_empty());
                if rest.iter().any(|value| marked(*value)) {
                    let name = "torch._utils._rebuild_tensor_v2".into();
                    let what = "tensors that are conjugated or negated";
                    let problem = Rc::new(Problem::Unsupported { what, name });
                    return Ok(self.heap.add(Object::Foreign(problem)));
                }
                self.tensor(*storage, *offset, *size, *stride)
            }
            (Known::Parameter, [tensor, ..]) if self.heap.tensor(*tensor).is_some() => Ok(*tensor),
            (Known::Reconstruct, [class, ..])
                if matches!(self.heap.get(*class), Some(Object::Known(Known::NdArray))) =>
            {
                let (shape, dtype, data) = (Value::None, Value::None, Value::None);
                Ok(self.heap.add(Object::Array(Array { shape, dtype, fortran: false, data })))
            }
            (Known::Dtype, [letters, ..]) => match self.heap.bytes(*letters).map(String::from_utf8_lossy) {
                Some(letters) => {
                    let letters = letters.as_ref().into();
                    Ok(self.heap.add(Object::Dtype(letters)))
                }
                None => Err(Problem::Damaged("an element type in it has no name".into())),
            },
            (Known::Encode, [text, _]) => self.latin1(*text),
            (
                Known::OrderedDict
                | Known::Counter
                | Known::Reconstruct
                | Known::NdArray
                | Known::Dtype
                | Known::Encode
                | Known::Size
                | Known::RebuildTensor
                | Known::RebuildTensorV2
                | Known::Parameter
                | Known::Storage(_),
                _,
            ) => Err(Problem::Damaged(format!("it calls {function:?} with arguments that do not fit"))),
        }
    }

    /// Attributes given to an object that has been made. None that a state dict has matters to its tensors: the
    /// versions of modules for a dict, whether it is trained for a parameter.
    pub(super) fn build(&mut self, object: Value, state: Value) -> Result<(), Problem> {
        let is_dict = self.heap.dict(object).is_some() && self.heap.dict(state).is_some();
        let is_parameter = self.heap.tensor(object).is_some()
            && self.heap.tuple(state).is_some_and(|state| state.len() == 3);
        if is_dict || is_parameter || self.heap.foreign(object).is_some() {
            return Ok(());
        }
        match (self.heap.get(object), self.heap.tuple(state)) {
            // The version, the shape, the type, the order, the contents.
            (Some(Object::Array(_)), Some([_, shape, dtype, fortran, data])) => {
                let fortran = matches!(fortran, Value::Bool(true) | Value::Int(1));
                let array = Array { shape: *shape, dtype: *dtype, fortran, data: *data };
                if let Some(place) = self.heap.get_mut(object) {
                    *place = Object::Array(array);
                }
                return Ok(());
            }
            // The version, the order of bytes, and what types of several fields need.
            (Some(Object::Dtype(_)), Some([_, order, ..])) => {
                return match self.heap.bytes(*order) {
                    Some(b">") => {
                        Err(Problem::Damaged("its numbers have the byte order of another machine".into()))
                    }
                    _ => Ok(()),
                };
            }
            _ => {}
        }
        let (object, state) = (self.heap.describe(object), self.heap.describe(state));
        Err(Problem::Damaged(format!("it gives {state} as attributes to {object}")))
    }

    /// The storage that a tuple refers to: `('storage', class, key, device, length)` and perhaps where in another one
    /// it lies: `(key of the view, offset, length)`.
    pub(super) fn storage(&mut self, id: Value) -> Result<Object, Problem> {
        let broken = || Problem::Damaged("it refers to a storage in an unknown way".into());
        let (element, key, len, view) = match self.heap.tuple(id).ok_or_else(broken)? {
            [what, class, key, _, len, view @ ..]
                if self.heap.text(*what) == Some("storage") && self.heap.text(*key).is_some() =>
            {
                match self.heap.get(*class) {
                    Some(Object::Known(Known::Storage(element))) => (*element, *key, *len, view),
                    Some(Object::Foreign(problem)) => return Ok(Object::Foreign(problem.clone())),
                    _ => return Err(broken()),
                }
            }
            // A class with its source, as files before PyTorch 1.6 have those of modules.
            [what, class, ..] if self.heap.text(*what) == Some("module") => {
                return match self.heap.get(*class) {
                    Some(Object::Known(known)) => Ok(Object::Known(*known)),
                    Some(Object::Foreign(problem)) => Ok(Object::Foreign(problem.clone())),
                    _ => Err(broken()),
                };
            }
            _ => return Err(broken()),
        };
        let (offset, len) = match view {
            [] | [Value::None] => (Value::Int(0), len),
            [view] => match self.heap.tuple(*view) {
                Some([_, offset, len]) => (*offset, *len),
                _ => return Err(broken()),
            },
            _ => return Err(broken()),
        };
        let (Value::Int(offset), Value::Int(len)) = (offset, len) else { return Err(broken()) };
        Ok(Object::Storage(Box::new(Storage { element, key, len, offset })))
    }

    fn tensor(
        &mut self,
        storage: Value,
        offset: Value,
        size: Value,
        stride: Value,
    ) -> Result<Value, Problem> {
        match (storage, offset) {
            (Value::Object(id), Value::Int(offset)) if self.heap.storage(storage).is_some() => {
                Ok(self.heap.add(Object::Tensor(TensorRef { storage: id, offset, size, stride })))
            }
            _ => Err(Problem::Damaged("a tensor in it has no storage".into())),
        }
    }

    /// A text of characters that stand for bytes.
    fn latin1(&mut self, text: Value) -> Result<Value, Problem> {
        let bytes: Option<Vec<u8>> = self
            .heap
            .text(text)
            .and_then(|text| text.chars().map(|letter| u8::try_from(letter).ok()).collect());
        let bytes = bytes.ok_or_else(|| Problem::Damaged("bytes in it are not Latin-1 text".into()))?;
        self.spend(bytes.len() / 64)?;
        Ok(self.heap.add(Object::Bytes(bytes.into())))
    }

    fn ordered_dict(&mut self, list: Value) -> Result<Value, Problem> {
        let broken = || Problem::Damaged("an OrderedDict in it is not made of pairs".into());
        let items = self.heap.list(list).ok_or_else(broken)?;
        let entries: Option<Vec<(Value, Value)>> = items
            .iter()
            .map(|item| match self.heap.list(*item).or_else(|| self.heap.tuple(*item))? {
                [key, value] => Some((*key, *value)),
                _ => None,
            })
            .collect();
        let entries = entries.ok_or_else(broken)?;
        self.spend(entries.len())?;
        Ok(self.heap.add(Object::Dict(entries)))
    }
}
