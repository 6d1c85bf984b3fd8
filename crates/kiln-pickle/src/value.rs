//! What a pickle can hold here. Python objects refer to each other freely, so they are stored in a heap and values are
//! numbers or indices into it: cycles are harmless, and nothing is ever dropped recursively.

use std::rc::Rc;

use super::element::Element;
use super::error::Problem;
use super::known::Known;

/// The place of an object in its [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// A Python value: a small one, or a place in the heap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits.
    BigInt,
    /// The number that files of PyTorch before 1.6 begin with.
    Magic,
    /// Nothing that Kiln reads depends on a float.
    Float,
    /// Anything else.
    Object(Id),
}

/// A Python object.
#[derive(Debug)]
pub enum Object {
    /// A text.
    Text(Box<str>),
    /// Bytes, which for Python 2 are texts, too.
    Bytes(Box<[u8]>),
    /// A tuple.
    Tuple(Box<[Value]>),
    /// A list.
    List(Vec<Value>),
    /// In order of insertion; a key may occur twice, and then the later one holds.
    Dict(Vec<(Value, Value)>),
    /// A class or function that Kiln knows.
    Known(Known),
    /// Memory of tensors.
    Storage(Box<Storage>),
    /// A tensor.
    Tensor(TensorRef),
    /// A class or function that is not known, or what one has made: nothing is run, and the message to report if it
    /// occurs in place of data.
    Foreign(Rc<Problem>),
    /// A type of elements of NumPy, by its letters: `u1`, `i8`.
    Dtype(Box<str>),
    /// An array of NumPy.
    Array(Array),
}

/// An array as the file describes it; nothing of it is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array {
    /// A tuple of integers.
    pub shape: Value,
    /// An [`Object::Dtype`].
    pub dtype: Value,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    /// Text or bytes.
    pub data: Value,
}

/// Memory that tensors are views of.
#[derive(Debug)]
pub struct Storage {
    /// The type of elements.
    pub element: Element,
    /// Under which name the file has it; a text.
    pub key: Value,
    /// Number of elements.
    pub len: i64,
    /// Files before PyTorch 0.4 may have storages inside of storages: the first element there.
    pub offset: i64,
}

/// A tensor as the file describes it. Nothing of it is checked before the tensor is wanted.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef {
    /// A [`Storage`].
    pub storage: Id,
    /// The first element in the storage.
    pub offset: i64,
    /// A tuple of integers.
    pub size: Value,
    /// A tuple of integers.
    pub stride: Value,
}

/// The objects of a pickle.
#[derive(Debug, Default)]
pub struct Heap(Vec<Object>);

impl Heap {
    pub(super) fn add(&mut self, object: Object) -> Value {
        self.0.push(object);
        Value::Object(Id(self.0.len() - 1))
    }

    /// The storages that tensors refer to; each as often as it is mentioned.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.0
            .iter()
            .filter_map(|object| if let Object::Storage(storage) = object { Some(&**storage) } else { None })
    }

    /// The object at a place; places come only from `Heap::add`, and a pickle has one heap.
    pub fn at(&self, id: Id) -> &Object {
        &self.0[id.0]
    }

    /// The object that a value is, unless it is a small one.
    pub fn get(&self, value: Value) -> Option<&Object> {
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

    /// The value, if it is a text.
    pub fn text(&self, value: Value) -> Option<&str> {
        if let Some(Object::Text(text)) = self.get(value) { Some(text) } else { None }
    }

    /// The value, if it is a tuple.
    pub fn tuple(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::Tuple(items)) = self.get(value) { Some(items) } else { None }
    }

    /// The value, if it is a list.
    pub fn list(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::List(items)) = self.get(value) { Some(items) } else { None }
    }

    /// The value, if it is a dict.
    pub fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        if let Some(Object::Dict(entries)) = self.get(value) { Some(entries) } else { None }
    }

    /// The value, if it is a tensor.
    pub fn tensor(&self, value: Value) -> Option<TensorRef> {
        if let Some(Object::Tensor(tensor)) = self.get(value) { Some(*tensor) } else { None }
    }

    /// What is to be said of a value that is not known.
    pub fn foreign(&self, value: Value) -> Option<&Rc<Problem>> {
        if let Some(Object::Foreign(problem)) = self.get(value) { Some(problem) } else { None }
    }

    /// The value, if it is a storage.
    pub fn storage(&self, value: Value) -> Option<&Storage> {
        if let Some(Object::Storage(storage)) = self.get(value) { Some(storage) } else { None }
    }

    /// An array.
    pub fn array(&self, value: Value) -> Option<Array> {
        if let Some(Object::Array(array)) = self.get(value) { Some(*array) } else { None }
    }

    /// The bytes of bytes, or of what Python 2 took for a text.
    pub fn bytes(&self, value: Value) -> Option<&[u8]> {
        match self.get(value)? {
            Object::Bytes(bytes) => Some(bytes),
            Object::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The value that a dict has for a text; of several, the last.
    pub fn entry(&self, dict: Value, key: &str) -> Option<Value> {
        let entries = self.dict(dict)?;
        entries
            .iter()
            .rev()
            .find(|(other, _)| self.bytes(*other) == Some(key.as_bytes()))
            .map(|(_, value)| *value)
    }

    /// A description of a value's type.
    pub fn describe(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::BigInt | Value::Magic | Value::Float => "a number",
            Value::Object(id) => match self.at(id) {
                Object::Text(_) => "a string",
                Object::Bytes(_) => "bytes",
                Object::Tuple(_) => "a tuple",
                Object::List(_) => "a list",
                Object::Dict(_) => "a dict",
                Object::Known(_) => "a class or function",
                Object::Storage(_) => "a storage without a tensor",
                Object::Tensor(_) => "a tensor",
                Object::Foreign(_) => "an object",
                Object::Dtype(_) => "an element type",
                Object::Array(_) => "an array",
            },
        }
    }
}
