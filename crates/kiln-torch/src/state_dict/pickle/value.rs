//! What a pickle can hold here. Python objects refer to each other freely, so they lie in a heap and values are
//! numbers or places in it: cycles are harmless, and nothing is ever dropped recursively.

use std::rc::Rc;

use super::known::Known;
use crate::state_dict::error::Problem;

/// The place of an object in its [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(usize);

/// A Python value: a small one, or a place in the heap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits.
    BigInt,
    /// The number that files of PyTorch before 1.6 begin with.
    Magic,
    /// Nothing that Kiln reads depends on a float.
    Float,
    Object(Id),
}

/// A Python object.
#[derive(Debug)]
pub(crate) enum Object {
    Text(Box<str>),
    /// Bytes occur in checkpoints but never in what Kiln takes from them.
    Bytes,
    Tuple(Box<[Value]>),
    List(Vec<Value>),
    /// In order of insertion; a key may occur twice, and then the later one holds.
    Dict(Vec<(Value, Value)>),
    /// A class or function that Kiln knows.
    Known(Known),
    Storage(Box<Storage>),
    Tensor(TensorRef),
    /// A class or function that is not known, or what one has made: nothing is run, and what is said of it if it stands
    /// where a tensor should be.
    Foreign(Rc<Problem>),
}

/// Memory that tensors are views of.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) element: super::Element,
    /// Under which name the file has it; a text.
    pub(crate) key: Value,
    /// Number of elements.
    pub(crate) len: i64,
    /// Files before PyTorch 0.4 may have storages inside of storages: the first element there.
    pub(crate) offset: i64,
}

/// A tensor as the file describes it. Nothing of it is checked before the tensor is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TensorRef {
    /// A [`Storage`].
    pub(crate) storage: Id,
    /// The first element in the storage.
    pub(crate) offset: i64,
    /// A tuple of integers.
    pub(crate) size: Value,
    /// A tuple of integers.
    pub(crate) stride: Value,
}

/// The objects of a pickle.
#[derive(Debug, Default)]
pub(crate) struct Heap(Vec<Object>);

impl Heap {
    pub(super) fn add(&mut self, object: Object) -> Value {
        self.0.push(object);
        Value::Object(Id(self.0.len() - 1))
    }

    /// The storages that tensors refer to; each as often as it is mentioned.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.0
            .iter()
            .filter_map(|object| if let Object::Storage(storage) = object { Some(&**storage) } else { None })
    }

    /// The object at a place; places come only from [`Heap::add`], and a pickle has one heap.
    pub(crate) fn at(&self, id: Id) -> &Object {
        &self.0[id.0]
    }

    /// The object that a value is, unless it is a small one.
    pub(crate) fn get(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => Some(self.at(id)),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::BigInt | Value::Magic | Value::Float => {
                None
            }
        }
    }

    pub(super) fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(id) => self.0.get_mut(id.0),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::BigInt | Value::Magic | Value::Float => {
                None
            }
        }
    }

    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        if let Some(Object::Text(text)) = self.get(value) { Some(text) } else { None }
    }

    pub(crate) fn tuple(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::Tuple(items)) = self.get(value) { Some(items) } else { None }
    }

    pub(crate) fn list(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::List(items)) = self.get(value) { Some(items) } else { None }
    }

    pub(crate) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        if let Some(Object::Dict(entries)) = self.get(value) { Some(entries) } else { None }
    }

    pub(crate) fn tensor(&self, value: Value) -> Option<TensorRef> {
        if let Some(Object::Tensor(tensor)) = self.get(value) { Some(*tensor) } else { None }
    }

    pub(crate) fn foreign(&self, value: Value) -> Option<&Rc<Problem>> {
        if let Some(Object::Foreign(problem)) = self.get(value) { Some(problem) } else { None }
    }

    pub(crate) fn storage(&self, value: Value) -> Option<&Storage> {
        if let Some(Object::Storage(storage)) = self.get(value) { Some(storage) } else { None }
    }

    /// What a value is, in words.
    pub(crate) fn describe(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::BigInt | Value::Magic | Value::Float => "a number",
            Value::Object(id) => match self.at(id) {
                Object::Text(_) => "a text",
                Object::Bytes => "bytes",
                Object::Tuple(_) => "a tuple",
                Object::List(_) => "a list",
                Object::Dict(_) => "a dict",
                Object::Known(_) => "a class or function",
                Object::Storage(_) => "a storage without a tensor",
                Object::Tensor(_) => "a tensor",
                Object::Foreign(_) => "an object",
            },
        }
    }
}
