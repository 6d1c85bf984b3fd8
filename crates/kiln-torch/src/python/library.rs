//! The parts of the standard library that model definitions use, and the way to PyTorch's names.

use std::rc::Rc;

use kiln_graph::DType;

use super::Interpreter;
use super::call::{Args, short};
use super::fault::{Fault, Result};
use super::imports::nearest;
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Class, Namespace, Partial, Value};
use crate::torch;

/// Modules with known members.
const MODULES: &[&str] = &[
    "math",
    "collections",
    "functools",
    "copy",
    "itertools",
    "warnings",
    "numpy",
    "operator",
    "dataclasses",
];

/// Modules whose members are types and marks that do nothing here.
const MARKS: &[&str] =
    &["typing", "typing_extensions", "__future__", "abc", "collections.abc", "types", "numbers"];

static FUNCTIONS: &[Native] = natives! {
    "math.sqrt" "x, /" => |_, b| number(b, f64::sqrt),
    "math.exp" "x, /" => |_, b| number(b, f64::exp),
    "math.log" "x, base=None, /" => |_, b| {
        let x = b.float("x")?;
        let log = if b.is_none("base") { x.ln() } else { x.log(b.float("base")?) };
        finite(log)
    },
    "math.log2" "x, /" => |_, b| number(b, f64::log2),
    "math.log10" "x, /" => |_, b| number(b, f64::log10),
    "math.sin" "x, /" => |_, b| number(b, f64::sin),
    "math.cos" "x, /" => |_, b| number(b, f64::cos),
    "math.tan" "x, /" => |_, b| number(b, f64::tan),
    "math.tanh" "x, /" => |_, b| number(b, f64::tanh),
    "math.pow" "x, y, /" => |_, b| finite(b.float("x")?.powf(b.float("y")?)),
    "math.floor" "x, /" => |_, b| whole(b, f64::floor),
    "math.ceil" "x, /" => |_, b| whole(b, f64::ceil),
    "math.trunc" "x, /" => |_, b| whole(b, f64::trunc),
    "math.fabs" "x, /" => |_, b| number(b, f64::abs),
    "math.hypot" "x, y, /" => |_, b| finite(b.float("x")?.hypot(b.float("y")?)),
    "math.isnan" "x, /" => |_, b| Ok(Value::Bool(b.float("x")?.is_nan())),
    "math.isinf" "x, /" => |_, b| Ok(Value::Bool(b.float("x")?.is_infinite())),
    "math.isclose" "a, b, *, rel_tol=1e-09, abs_tol=0.0" => |_, b| {
        let (x, y) = (b.float("a")?, b.float("b")?);
        let tolerance = (b.float("rel_tol")? * x.abs().max(y.abs())).max(b.float("abs_tol")?);
        Ok(Value::Bool(x == y || (x - y).abs() <= tolerance))
    },
    "math.gcd" "a, b, /" => |_, b| {
        let (mut x, mut y) = (b.int("a")?.unsigned_abs(), b.int("b")?.unsigned_abs());
        while y != 0 {
            (x, y) = (y, x % y);
        }
        i64::try_from(x).map(Value::Int).map_err(|_| b.wrong("a", "smaller"))
    },
    "math.factorial" "n, /" => |_, b| {
        let n = u64::try_from(b.int("n")?).map_err(|_| b.wrong("n", "at least zero"))?;
        let product = (1..=n).take(30).try_fold(1i64, |all, k| all.checked_mul(i64::try_from(k).ok()?));
        product.filter(|_| n < 30).map(Value::Int).ok_or_else(|| b.wrong("n", "at most 20"))
    },
    "math.isqrt" "n, /" => |_, b| {
        let n = u64::try_from(b.int("n")?).map_err(|_| b.wrong("n", "at least zero"))?;
        Ok(Value::Int(i64::try_from(n.isqrt()).unwrap_or(0)))
    },
    "math.prod" "items, /" => |i, b| product(i, b),
    "numpy.prod" "items" => |i, b| product(i, b),
    "numpy.sqrt" "x" => |_, b| number(b, f64::sqrt),
    "numpy.log2" "x" => |_, b| number(b, f64::log2),
    "numpy.floor" "x" => |_, b| number(b, f64::floor),
    "numpy.ceil" "x" => |_, b| number(b, f64::ceil),
    "collections.OrderedDict" "items=None, /, **kwargs" => |i, b| {
        let dict = i.class("builtins.dict")?;
        let args = Args { positional: vec![b.get("items")], named: vec![] };
        let made = i.call(&Value::Class(dict), args)?;
        i.call_method(&made, "update", Args::of([b.get("kwargs")]))?;
        Ok(made)
    },
    "collections.namedtuple" "typename, field_names, **kwargs" => |_, _| {
        Err(Fault::unsupported("`namedtuple` is not supported").help("a tuple does the same here"))
    },
    "functools.partial" "function, /, *args, **kwargs" => |i, b| {
        let positional = i.items(&b.get("args"))?;
        let mut named = vec![];
        if let Value::Dict(dict) = b.get("kwargs") {
            for (key, value) in dict.borrow().entries.values() {
                if let Value::Str(name) = key {
                    named.push((name.clone(), value.clone()));
                }
            }
        }
        Ok(Value::Partial(Rc::new(Partial { callee: b.get("function"), positional, named })))
    },
    "functools.reduce" "function, items, /, *initial" => |i, b| {
        let mut items = i.items(&b.get("initial"))?;
        items.extend(i.items(&b.get("items"))?);
        let mut items = items.into_iter();
        let first = items.next().ok_or_else(|| Fault::type_error("there is nothing to reduce"))?;
        items.try_fold(first, |sum, item| i.call(&b.get("function"), Args::of([sum, item])))
    },
    "functools.wraps" "function, /" => |_, b| {
        let named = Partial { callee: Value::Native(&NAMED), positional: vec![b.get("function")], named: vec![] };
        Ok(Value::Partial(Rc::new(named)))
    },
    "dataclasses.field" "*, default=None, default_factory=None, **kwargs" => |_, b| match b.get("default_factory") {
        Value::None => Ok(b.get("default")),
        // Called when an object is made.
        factory => {
            let partial = Partial { callee: Value::Native(&FACTORY), positional: vec![factory], named: vec![] };
            Ok(Value::Partial(Rc::new(partial)))
        }
    },
    "copy.deepcopy" "x, /" => |i, b| i.deep_copy(&b.get("x")),
    "copy.copy" "x, /" => |i, b| match b.get("x") {
        Value::List(items) => {
            let items = items.borrow().clone();
            i.cells(items.len())?;
            Ok(Value::list(items))
        }
        Value::Dict(_) => i.call_method(&b.get("x"), "copy", Args::default()),
        Value::Set(_) => i.call_method(&b.get("x"), "copy", Args::default()),
        Value::Object(object) if !object.class.is_module() => {
            let copy = i.object(object.class.clone());
            i.cells(object.attributes.borrow().len())?;
            copy.attributes.borrow_mut().clone_from(&object.attributes.borrow());
            Ok(Value::Object(copy))
        }
        other @ Value::Object(_) => i.deep_copy(&other),
        other => Ok(other),
    },
    "itertools.chain" "*iterables" => |i, b| {
        let mut all = vec![];
        for iterable in i.items(&b.get("iterables"))? {
            all.extend(i.items(&iterable)?);
        }
        Ok(Value::iterator(all))
    },
    "itertools.product" "a, b, /" => |i, b| {
        let (left, right) = (i.items(&b.get("a"))?, i.items(&b.get("b"))?);
        i.cells(left.len().saturating_mul(right.len()).saturating_mul(3))?;
        let pairs = left.iter().flat_map(|a| right.iter().map(|b| Value::tuple([a.clone(), b.clone()])));
        Ok(Value::iterator(pairs.collect()))
    },
    "itertools.repeat" "x, times" => |i, b| {
        let times = usize::try_from(b.int("times")?).unwrap_or(0);
        i.cells(times)?;
        Ok(Value::iterator(vec![b.get("x"); times]))
    },
    "itertools.pairwise" "items, /" => |i, b| {
        let items = i.items(&b.get("items"))?;
        i.cells(items.len().saturating_mul(2))?;
        Ok(Value::iterator(items.windows(2).map(|w| Value::tuple(w.iter().cloned())).collect()))
    },
    "operator.mul" "a, b, /" => |i, b| i.binary(ruff_python_ast::Operator::Mult, &b.get("a"), &b.get("b")),
    "operator.add" "a, b, /" => |i, b| i.binary(ruff_python_ast::Operator::Add, &b.get("a"), &b.get("b")),
    "warnings.warn" "*args, **kwargs" => |_, _| Ok(Value::None),
    "warnings.filterwarnings" "*args, **kwargs" => |_, _| Ok(Value::None),
};

/// What makes a field's value for each object.
static FACTORY: Native = Native {
    name: "dataclasses.field",
    signature: "factory",
    call: |i, b| i.call(&b.get("factory"), Args::default()),
};

/// Whether a function is that of `field(default_factory=...)`.
pub(crate) fn is_factory(function: &Value) -> bool {
    matches!(function, Value::Native(native) if std::ptr::eq(*native, &FACTORY))
}

/// The mark of a data class, whose constructor takes its fields.
pub(crate) const DATA_CLASS: &str = "__dataclass__";

/// Whether a module is known.
pub(crate) fn is_known(name: &str) -> bool {
    MODULES.contains(&name) || MARKS.contains(&name) || torch::is_module(name)
}

fn number(b: &Bound, f: fn(f64) -> f64) -> Result<Value> {
    finite(f(b.float("x")?))
}

fn finite(x: f64) -> Result<Value> {
    if x.is_finite() { Ok(Value::Float(x)) } else { Err(Fault::value(format!("the result is {x}"))) }
}

fn whole(b: &Bound, f: fn(f64) -> f64) -> Result<Value> {
    let x = f(b.float("x")?);
    if x.abs() < 9e15 {
        #[allow(clippy::as_conversions, reason = "it is whole and in range")]
        return Ok(Value::Int(x as i64));
    }
    Err(Fault::value(format!("{x} is no integer of 64 bits")))
}

fn product(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let items = i.items(&b.get("items"))?;
    items.iter().try_fold(Value::Int(1), |all, item| i.binary(ruff_python_ast::Operator::Mult, &all, item))
}

impl Interpreter {
    /// A name in a module, if it is there.
    pub(crate) fn member(&mut self, namespace: &Rc<Namespace>, name: &str) -> Result<Option<Value>> {
        if let Some(scope) = &namespace.scope {
            return match scope.own(name) {
                Some(Value::Failed(fault)) => Err((*fault).clone()),
                found => Ok(found),
            };
        }
        let module = &*namespace.name;
        let full = format!("{module}.{name}");
        if is_known(&full) {
            return Ok(Some(Value::Namespace(Rc::new(Namespace { name: full.into(), scope: None }))));
        }
        if MARKS.contains(&module) {
            // `Any`, `Optional`, `ABC`: types that nothing hangs on here.
            return Ok(Some(match name {
                "cast" => Value::Native(&CAST),
                "abstractmethod" | "overload" | "no_type_check" => Value::Native(&IDENTITY),
                "TYPE_CHECKING" => Value::Bool(false),
                "Sequence" => Value::Class(self.class("typing.Sequence")?),
                "Iterable" => Value::Class(self.class("typing.Iterable")?),
                "Collection" => Value::Class(self.class("typing.Collection")?),
                "Mapping" => Value::Class(self.class("typing.Mapping")?),
                "Callable" => Value::Class(self.class("typing.Callable")?),
                "TypeVar" | "NewType" | "NamedTuple" => Value::Native(&NOTHING),
                _ => Value::None,
            }));
        }
        if let Some(native) = FUNCTIONS.iter().find(|native| native.name == full) {
            return Ok(Some(Value::Native(native)));
        }
        match full.as_str() {
            "dataclasses.dataclass" => return Ok(Some(Value::Native(&DATACLASS))),
            "math.pi" | "numpy.pi" => return Ok(Some(Value::Float(std::f64::consts::PI))),
            "math.e" => return Ok(Some(Value::Float(std::f64::consts::E))),
            "math.inf" | "numpy.inf" => return Ok(Some(Value::Float(f64::INFINITY))),
            _ => {}
        }
        torch::member(self, module, name)
    }

    /// What is wrong with a name that a module does not have.
    pub(crate) fn no_member(&mut self, module: &str, name: &str) -> Fault {
        let known = torch::names(module);
        let shown = short(&format!("{module}.{name}"));
        let fault = if module.starts_with("torch") {
            Fault::unsupported(format!("`{shown}` is not supported"))
        } else if module == "numpy" && torch::names("torch").contains(&name) {
            Fault::unsupported(format!("`{shown}` computes outside of PyTorch, where no gradient comes from"))
                .help(format!("`torch.{name}` does the same with tensors"))
        } else {
            Fault::python("AttributeError", format!("`{module}` has no `{name}` that is known here"))
        };
        if let Some(instead) = torch::instead(name) {
            return fault.help(instead);
        }
        match nearest(name, known.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{}`?", short(&format!("{module}.{near}")))),
            None => fault,
        }
    }

    /// A class attribute that is not defined in the program: constructors and forward passes of PyTorch's classes.
    pub(crate) fn class_attribute(&mut self, class: &Rc<Class>, name: &str) -> Result<Option<Value>> {
        if class.is_module() {
            return Ok(torch::module_method(name).map(Value::Native));
        }
        Ok(match name {
            "__init__" => Some(Value::Native(torch::module_init())),
            _ => None,
        })
    }

    /// What `super()` finds in the classes that PyTorch and Python define.
    pub(crate) fn super_method(
        &mut self,
        class: &Rc<Class>,
        this: &Value,
        name: &str,
    ) -> Result<Option<Value>> {
        let found = self.class_attribute(&class.clone(), name)?;
        Ok(found.map(|native| Value::Method(Rc::new((native, this.clone())))))
    }
}

/// `@dataclass`, `@dataclass(frozen=True)`: the constructor takes the fields.
static DATACLASS: Native = Native {
    name: "dataclasses.dataclass",
    signature: "cls=None, /, **kwargs",
    call: |_, b| match b.get("cls") {
        Value::Class(class) => {
            class.attributes.borrow_mut().insert(DATA_CLASS.into(), Value::Bool(true));
            Ok(Value::Class(class))
        }
        _ => Ok(Value::Native(&DATACLASS)),
    },
};
static NAMED: Native = Native {
    name: "functools.wraps",
    signature: "wrapped, wrapper, /",
    call: |_, b| {
        if let (Value::Function(wrapped), Value::Function(wrapper)) = (b.get("wrapped"), b.get("wrapper")) {
            let name = wrapped.name.borrow().clone();
            *wrapper.name.borrow_mut() = name;
        }
        Ok(b.get("wrapper"))
    },
};
static IDENTITY: Native = Native { name: "identity", signature: "x, /", call: |_, b| Ok(b.get("x")) };
static CAST: Native =
    Native { name: "typing.cast", signature: "type, value, /", call: |_, b| Ok(b.get("value")) };
static NOTHING: Native =
    Native { name: "typing", signature: "*args, **kwargs", call: |_, _| Ok(Value::None) };

/// An element type by PyTorch's name.
pub(crate) fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "float32" | "float" => DType::F32,
        "float16" | "half" => DType::F16,
        "float64" | "double" => DType::F64,
        "int32" | "int" => DType::I32,
        "int64" | "long" => DType::I64,
        "uint8" => DType::U8,
        "int8" => DType::I8,
        "int16" | "short" => DType::I16,
        "bool" => DType::Bool,
        _ => return None,
    })
}
