//! The values of a program while it is evaluated.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use indexmap::IndexMap;
use kiln_graph::{DType, Dim, ValueId};
use ruff_python_ast::{Expr, Parameters, Stmt};

use super::fault::Fault;
use super::native::{Layer, Native};
use super::scope::Scope;
use crate::source::Span;
use crate::torch::Parameter;

/// A Python value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Ellipsis,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    /// An integer that depends on the batch: what `x.size(0)` gives.
    Size(Rc<Dim>),
    /// `self.training`, which is true in a training step and false otherwise.
    Training,
    Tuple(Rc<Vec<Value>>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Dict>>),
    Set(Rc<RefCell<Dict>>),
    Range(Rc<[i64; 3]>),
    Slice(Rc<[Value; 3]>),
    /// What `zip`, `enumerate` and generator expressions give: elements that are taken once.
    Iterator(Rc<RefCell<std::vec::IntoIter<Value>>>),
    Function(Rc<Function>),
    /// A function with its `self`.
    Method(Rc<(Value, Value)>),
    Native(&'static Native),
    /// `functools.partial`.
    Partial(Rc<Partial>),
    /// `staticmethod`, `classmethod` and the like around a function.
    Wrapped(Wrapper, Rc<Value>),
    Property(Rc<Property>),
    Class(Rc<Class>),
    Object(Rc<Object>),
    /// Attributes of an object as a dict: `__dict__`, `_modules`.
    Attributes(Rc<(Rc<Object>, Members)>),
    /// `super()`: attributes are looked up behind a class.
    Super(Rc<(Rc<Class>, Value)>),
    Namespace(Rc<Namespace>),
    /// A value of the graph. In-place changes, as `x += y`, affect all names of the same tensor.
    Tensor(Rc<Cell<ValueId>>),
    Parameter(Rc<Parameter>),
    DType(DType),
    /// Something from outside that is not known here.
    Opaque(Rc<Opaque>),
    /// A name whose definition failed; using it says why.
    Failed(Rc<Fault>),
}

/// What stands around a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    Static,
    Class,
    /// `functools.lru_cache`, around what remembers.
    Cached,
    /// `functools.cached_property`
    CachedProperty,
}

/// `property`: functions that read, set and delete; `None` where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub get: Value,
    pub set: Value,
    pub delete: Value,
}

/// Which attributes of an object are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    All,
    Modules,
    Parameters,
    Buffers,
}

/// A function of the program.
#[derive(Debug)]
pub(crate) struct Function {
    /// `functools.wraps` gives a function the name of another.
    pub name: RefCell<Rc<str>>,
    pub file: u32,
    pub code: Rc<Code>,
    /// Defaults, as they were when the function was defined, by parameter.
    pub defaults: Vec<(Rc<str>, Value)>,
    /// Where names of the surroundings are looked up.
    pub scope: Rc<Scope>,
    /// The class whose method it is.
    pub owner: RefCell<Option<Rc<Class>>>,
    /// Whether gradients are on while it runs, where `@torch.no_grad()` or its like says so.
    pub gradients: Cell<Option<bool>>,
    /// What the program has put onto it.
    pub attributes: RefCell<IndexMap<Rc<str>, Value>>,
}

/// What a function takes and does.
#[derive(Debug)]
pub(crate) struct Code {
    pub parameters: Parameters,
    pub body: Body,
    /// Whether there is a `yield` in it.
    pub is_generator: bool,
}

/// What a function does.
#[derive(Debug)]
pub(crate) enum Body {
    Statements(Vec<Stmt>),
    /// A `lambda`.
    Expression(Box<Expr>),
}

/// A function with arguments that are given beforehand.
#[derive(Debug)]
pub(crate) struct Partial {
    pub callee: Value,
    pub positional: Vec<Value>,
    pub named: Vec<(Rc<str>, Value)>,
}

/// A class, of the program or of PyTorch.
#[derive(Debug)]
pub(crate) struct Class {
    /// As it is written: `Net`, `nn.Conv2d`.
    pub name: Rc<str>,
    /// The class itself and its ancestors, in the order in which attributes are looked up.
    pub ancestors: Vec<Rc<Class>>,
    /// What the class body defines.
    pub attributes: RefCell<IndexMap<Rc<str>, Value>>,
    /// What PyTorch defines.
    pub native: NativeClass,
    /// A base class that is not known here.
    pub unknown_base: Option<Rc<Opaque>>,
}

/// What stands behind a class that the program does not define.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NativeClass {
    /// The program defines it.
    None,
    /// `object`, and classes without behaviour.
    Plain,
    /// An exception.
    Exception,
    /// `nn.Module`.
    Module,
    /// `nn.Sequential`, `nn.ModuleList`, ...
    Container(Container),
    /// A layer.
    Layer(&'static Layer),
    /// A type such as `int` or `list`, which is called as a function.
    Type(&'static Native),
}

/// Modules that hold modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Sequential,
    ModuleList,
    ModuleDict,
    ParameterList,
    ParameterDict,
    /// `nn.DataParallel`, `torch.compile`: one module, under the name that the wrapper gives it.
    Wrapper(&'static str),
}

impl Class {
    /// The class and its ancestors.
    pub(crate) fn mro(self: &Rc<Self>) -> impl Iterator<Item = &Rc<Class>> {
        std::iter::once(self).chain(&self.ancestors)
    }

    /// An attribute of the class or the nearest ancestor that has it.
    pub(crate) fn find(self: &Rc<Self>, name: &str) -> Option<Value> {
        self.mro().find_map(|class| class.attributes.borrow().get(name).cloned())
    }

    /// Whether this is `other` or derives from it.
    pub(crate) fn derives_from(self: &Rc<Self>, other: &Rc<Class>) -> bool {
        self.mro().any(|class| Rc::ptr_eq(class, other))
    }

    /// The nearest class that PyTorch defines.
    pub(crate) fn native(self: &Rc<Self>) -> NativeClass {
        let natives = self.mro().map(|class| class.native);
        natives.into_iter().find(|native| !matches!(native, NativeClass::None)).unwrap_or(NativeClass::Plain)
    }

    /// The type of values that its objects are as well: `dict` for `class Config(dict)`.
    pub(crate) fn builtin(self: &Rc<Self>) -> Option<&'static Native> {
        self.mro().find_map(|class| match class.native {
            NativeClass::Type(native) => Some(native),
            _ => None,
        })
    }

    /// Whether this is the class that Python calls so, or derives from it.
    pub(crate) fn is_named(self: &Rc<Self>, name: &str) -> bool {
        self.mro().any(|class| &*class.name == name && !matches!(class.native, NativeClass::None))
    }

    /// Whether its objects are modules.
    pub(crate) fn is_module(self: &Rc<Self>) -> bool {
        matches!(self.native(), NativeClass::Module | NativeClass::Container(_) | NativeClass::Layer(_))
    }

    /// The base that is not known, of the class or an ancestor.
    pub(crate) fn unknown_base(self: &Rc<Self>) -> Option<Rc<Opaque>> {
        self.mro().find_map(|class| class.unknown_base.clone())
    }
}

/// An object of a class; the modules of a network above all.
#[derive(Debug)]
pub(crate) struct Object {
    pub class: Rc<Class>,
    pub attributes: RefCell<IndexMap<Rc<str>, Value>>,
    /// Names of attributes that are buffers, with whether they belong to the state dict.
    pub buffers: RefCell<IndexMap<Rc<str>, bool>>,
    /// Of a class that derives from `dict`, `int` and so on: the value.
    pub contents: OnceCell<Value>,
    /// `self.__dict__ = self`: what is in the dict are the attributes.
    pub is_own_dict: Cell<bool>,
    /// What is called before and after `forward`.
    pub hooks: RefCell<Vec<Hook>>,
    /// Whether `nn.Module.__init__` has been called: before that, no module can be assigned.
    pub is_initialized: Cell<bool>,
    /// The call that made it.
    pub made: Cell<Option<Span>>,
    /// Of a module: what `training` is.
    pub mode: Cell<Mode>,
}

/// Whether a module is in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As the whole model: in a training step, and not else.
    #[default]
    Model,
    /// Always, since the program says `train()` of this one in particular.
    Training,
    /// Never, since the program says `eval()`.
    Evaluation,
}

/// What is called before or after the `forward` of a module.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub number: i64,
    pub is_before: bool,
    pub takes_named: bool,
    pub function: Value,
}

impl Object {
    /// A new object without attributes.
    pub(crate) fn new(class: Rc<Class>) -> Rc<Self> {
        Rc::new(Self {
            class,
            attributes: RefCell::default(),
            buffers: RefCell::default(),
            contents: OnceCell::new(),
            is_own_dict: Cell::new(false),
            hooks: RefCell::default(),
            is_initialized: Cell::new(false),
            made: Cell::new(None),
            mode: Cell::default(),
        })
    }

    /// An attribute of the object itself.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.attributes.borrow().get(name).cloned()
    }

    /// Sets an attribute of the object itself. Parameters and modules are in the order in which they are registered,
    /// whatever the attribute was before.
    pub(crate) fn set(&self, name: &str, value: Value) {
        let registered = |value: &Value| matches!(value, Value::Parameter(_)) || value.as_module().is_some();
        let mut attributes = self.attributes.borrow_mut();
        if registered(&value) && attributes.get(name).is_some_and(|old| !registered(old)) {
            attributes.shift_remove(name);
        }
        attributes.insert(name.into(), value);
    }

    /// The modules in it, by name, in the order of their registration.
    pub(crate) fn children(&self) -> Vec<(Rc<str>, Rc<Object>)> {
        let attributes = self.attributes.borrow();
        let modules = attributes.iter().filter_map(|(name, value)| match value {
            Value::Object(object) if object.class.is_module() => Some((name.clone(), object.clone())),
            _ => None,
        });
        modules.collect()
    }
}

/// An imported file or a part of PyTorch.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub name: Rc<str>,
    /// The names of a file; a part of PyTorch has tables instead.
    pub scope: Option<Rc<Scope>>,
}

/// Something that comes from outside and is not known here.
#[derive(Debug)]
pub(crate) struct Opaque {
    /// As it is written: `F1Score`.
    pub name: Rc<str>,
    /// Where it comes from: `torchmetrics`.
    pub origin: Rc<str>,
}

/// A dictionary or set: values by key, in order.
#[derive(Debug, Default)]
pub(crate) struct Dict {
    pub entries: IndexMap<Key, (Value, Value)>,
    /// Whether it is an `OrderedDict`.
    pub is_ordered: bool,
}

impl Dict {
    /// A dict of these entries.
    pub(crate) fn of(entries: IndexMap<Key, (Value, Value)>) -> Self {
        Self { entries, is_ordered: false }
    }

    /// The value of a name.
    pub(crate) fn named(&self, name: &str) -> Option<Value> {
        self.entries.get(&Key::Str(name.into())).map(|(_, value)| value.clone())
    }
}

/// What a dictionary looks values up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    None,
    Int(i64),
    Float(u64),
    Str(Rc<str>),
    Tuple(Vec<Key>),
    /// Something that is only equal to itself, by address.
    Identity(usize),
}

impl Key {
    /// The key of a value, if it can be one. Tuples nest as deep as `depth`.
    pub(crate) fn of(value: &Value, depth: usize) -> Option<Self> {
        Some(match value.plain() {
            Value::None => Key::None,
            Value::Bool(b) => Key::Int(i64::from(*b)),
            Value::Int(i) => Key::Int(*i),
            // `1.0` and `1` are one key.
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Key::Int(*x as i64),
            Value::Float(x) => Key::Float(x.to_bits()),
            Value::Str(s) => Key::Str(s.clone()),
            Value::Tuple(items) if depth > 0 => {
                Key::Tuple(items.iter().map(|item| Key::of(item, depth - 1)).collect::<Option<_>>()?)
            }
            other => Key::Identity(other.identity()?),
        })
    }
}

impl Value {
    /// The value itself; of an object whose class derives from `dict`, `int` and so on, what it is as one.
    pub(crate) fn plain(&self) -> &Value {
        match self {
            Value::Object(object) => object.contents.get().unwrap_or(self),
            other => other,
        }
    }

    /// A dict of names.
    pub(crate) fn named(entries: impl IntoIterator<Item = (Rc<str>, Value)>) -> Self {
        let entries =
            entries.into_iter().map(|(name, value)| (Key::Str(name.clone()), (Value::Str(name), value)));
        Value::Dict(Rc::new(Dict::of(entries.collect()).into()))
    }

    /// A string.
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Value::Str(text.as_ref().into())
    }

    /// A tuple.
    pub(crate) fn tuple(items: impl IntoIterator<Item = Value>) -> Self {
        Value::Tuple(Rc::new(items.into_iter().collect()))
    }

    /// A list.
    pub(crate) fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(Rc::new(RefCell::new(items.into_iter().collect())))
    }

    /// Elements that are taken once.
    pub(crate) fn iterator(items: Vec<Value>) -> Self {
        Value::Iterator(Rc::new(RefCell::new(items.into_iter())))
    }

    /// A tensor.
    pub(crate) fn tensor(id: ValueId) -> Self {
        Value::Tensor(Rc::new(Cell::new(id)))
    }

    /// A dimension as Python sees it: a number, or a size that is not known yet.
    pub(crate) fn size(dim: Dim) -> Self {
        match dim.as_const() {
            Some(value) => Value::Int(value),
            None => Value::Size(Rc::new(dim)),
        }
    }

    /// As an integer that may depend on the batch.
    pub(crate) fn as_dim(&self) -> Option<Dim> {
        match self.plain() {
            Value::Int(i) => Some(Dim::from(*i)),
            Value::Bool(b) => Some(Dim::from(i64::from(*b))),
            Value::Size(dim) => Some((**dim).clone()),
            _ => None,
        }
    }

    /// As a number.
    #[allow(clippy::as_conversions, reason = "Python's float() rounds, too")]
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self.plain() {
            Value::Int(i) => Some(*i as f64),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// As an integer.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self.plain() {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// As text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self.plain() {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// As a module.
    pub(crate) fn as_module(&self) -> Option<&Rc<Object>> {
        match self {
            Value::Object(object) if object.class.is_module() => Some(object),
            _ => None,
        }
    }

    /// The address of something that has an identity.
    pub(crate) fn identity(&self) -> Option<usize> {
        Some(match self {
            Value::List(x) => Rc::as_ptr(x).addr(),
            Value::Dict(x) | Value::Set(x) => Rc::as_ptr(x).addr(),
            Value::Function(x) => Rc::as_ptr(x).addr(),
            Value::Native(x) => std::ptr::from_ref(*x).addr(),
            Value::Class(x) => Rc::as_ptr(x).addr(),
            Value::Object(x) => Rc::as_ptr(x).addr(),
            Value::Namespace(x) => Rc::as_ptr(x).addr(),
            Value::Parameter(x) => Rc::as_ptr(x).addr(),
            Value::Tensor(x) => Rc::as_ptr(x).addr(),
            Value::DType(x) => x.name().as_ptr().addr(),
            Value::Property(x) => Rc::as_ptr(x).addr(),
            Value::Partial(x) => Rc::as_ptr(x).addr(),
            Value::Attributes(x) => Rc::as_ptr(&x.0).addr(),
            _ => return None,
        })
    }

    /// What Python calls the type.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Ellipsis => "ellipsis".into(),
            Value::Bool(_) | Value::Training => "bool".into(),
            Value::Int(_) | Value::Size(_) => "int".into(),
            Value::Float(_) => "float".into(),
            Value::Str(_) => "str".into(),
            Value::Tuple(_) => "tuple".into(),
            Value::List(_) => "list".into(),
            Value::Dict(dict) if dict.borrow().is_ordered => "OrderedDict".into(),
            Value::Dict(_) | Value::Attributes(_) => "dict".into(),
            Value::Set(_) => "set".into(),
            Value::Range(_) => "range".into(),
            Value::Slice(_) => "slice".into(),
            Value::Iterator(_) => "iterator".into(),
            Value::Function(_)
            | Value::Method(_)
            | Value::Native(_)
            | Value::Partial(_)
            | Value::Wrapped(..) => "function".into(),
            Value::Property(_) => "property".into(),
            Value::Class(_) => "type".into(),
            Value::Object(object) => object.class.name.to_string(),
            Value::Super(_) => "super".into(),
            Value::Namespace(_) => "module".into(),
            Value::Tensor(_) => "Tensor".into(),
            Value::Parameter(_) => "nn.Parameter".into(),
            Value::DType(_) => "torch.dtype".into(),
            Value::Opaque(opaque) => opaque.name.to_string(),
            Value::Failed(_) => "unknown".into(),
        }
    }
}
