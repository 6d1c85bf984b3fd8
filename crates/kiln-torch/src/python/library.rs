//! The parts of the standard library that model definitions use, and the lookup of PyTorch's names.

use std::rc::Rc;

use kiln_graph::DType;

use super::Interpreter;
use super::call::{Args, rest, short};
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
    "enum",
    "sys",
    "os",
    "os.path",
    "logging",
    "inspect",
    "contextlib",
    "random",
    "numpy.random",
    "argparse",
    "packaging",
    "packaging.version",
    "distutils",
    "distutils.version",
    "pkg_resources",
    "string",
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
    "functools.partial" "function, /, *args, **kwargs" => |i, b| {
        let Args { positional, named } = rest(i, b)?;
        Ok(Value::Partial(Rc::new(Partial { callee: b.get("function"), positional, named })))
    },
    "functools.reduce" "function, items, /, *initial" => |i, b| {
        let mut items = i.items(&b.get("initial"))?;
        items.extend(i.items(&b.get("items"))?);
        let mut items = items.into_iter();
        let first = items.next().ok_or_else(|| Fault::type_error("there is nothing to reduce"))?;
        items.try_fold(first, |sum, item| i.call(&b.get("function"), Args::of([sum, item])))
    },
    "functools.wraps" "function, /, assigned=None, updated=None" => |_, b| {
        let named = Partial { callee: Value::Native(&NAMED), positional: vec![b.get("function")], named: vec![] };
        Ok(Value::Partial(Rc::new(named)))
    },
    "copy.deepcopy" "x, /" => |i, b| i.deep_copy(&b.get("x")),
    "copy.copy" "x, /" => |i, b| match b.get("x") {
        Value::Object(object) if object.class.find("__copy__").is_some() => {
            i.call_method(&Value::Object(object), "__copy__", Args::default())
        }
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
            copy.is_own_dict.set(object.is_own_dict.get());
            if let Some(contents) = object.contents.get() {
                let shallow = i.shallow(contents)?;
                let _ = copy.contents.set(shallow);
            }
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

/// All functions of the library by full name.
pub(super) fn function(name: &str) -> Option<Value> {
    let tables = [
        FUNCTIONS,
        MORE,
        super::data::FUNCTIONS,
        super::cache::FUNCTIONS,
        super::standard::FUNCTIONS,
        super::version::FUNCTIONS,
    ];
    let found = tables.into_iter().flatten().find(|native| native.name == name);
    found.map(Value::Native)
}

/// What functions have of their own: `itertools.chain.from_iterable`.
pub(super) fn of_function(native: &Native, name: &str) -> Option<Value> {
    static FLATTENED: Native = Native {
        name: "itertools.chain.from_iterable",
        signature: "iterables, /",
        call: |i, b| {
            let mut all = vec![];
            for iterable in i.items(&b.get("iterables"))? {
                all.extend(i.items(&iterable)?);
            }
            Ok(Value::iterator(all))
        },
    };
    (native.name == "itertools.chain" && name == "from_iterable").then_some(Value::Native(&FLATTENED))
}

static MORE: &[Native] = natives! {
    "functools.partialmethod" "*args, **kwargs" => |_, _| {
        Err(Fault::unsupported("`functools.partialmethod` is not supported")
            .help("a method that calls the other one does the same"))
    },
    "functools.singledispatch" "function, /" => |_, _| {
        Err(Fault::unsupported("`functools.singledispatch` is not supported").help("`isinstance` tells types apart"))
    },
    "functools.total_ordering" "cls, /" => |_, _| {
        Err(Fault::unsupported("`functools.total_ordering` is not supported")
            .help("`__lt__`, `__le__`, `__gt__` and `__ge__` say the same"))
    },
    "math.comb" "n, k, /" => |_, b| {
        let (n, k) = (b.int("n")?, b.int("k")?);
        if n < 0 || k < 0 {
            return Err(b.wrong(if n < 0 { "n" } else { "k" }, "at least zero"));
        }
        if k > n {
            return Ok(Value::Int(0));
        }
        let k = k.min(n - k);
        let count = (0..k.min(100)).try_fold(1i64, |all, at| Some(all.checked_mul(n - at)? / (at + 1)));
        count.filter(|_| k < 100).map(Value::Int).ok_or_else(|| b.wrong("n", "smaller"))
    },
    "math.lcm" "a, b, /" => |_, b| {
        let (x, y) = (b.int("a")?.unsigned_abs(), b.int("b")?.unsigned_abs());
        let (mut p, mut q) = (x, y);
        while q != 0 {
            (p, q) = (q, p % q);
        }
        let multiple = x.checked_div(p).unwrap_or(0).checked_mul(y).and_then(|n| i64::try_from(n).ok());
        multiple.map(Value::Int).ok_or_else(|| b.wrong("a", "smaller"))
    },
    "itertools.accumulate" "items, function=None, /, *, initial=None" => |i, b| {
        let mut items = i.items(&b.get("items"))?.into_iter();
        let first = if b.is_none("initial") { items.next() } else { Some(b.get("initial")) };
        let Some(mut sum) = first else { return Ok(Value::iterator(vec![])) };
        let mut all = vec![sum.clone()];
        for item in items {
            sum = match b.get("function") {
                Value::None => i.binary(ruff_python_ast::Operator::Add, &sum, &item)?,
                function => i.call(&function, Args::of([sum, item]))?,
            };
            i.cells(1)?;
            all.push(sum.clone());
        }
        Ok(Value::iterator(all))
    },
    "itertools.islice" "items, /, *bounds" => |i, b| {
        let items = i.items(&b.get("items"))?;
        let bounds = i.items(&b.get("bounds"))?;
        let part = |at: usize| bounds.get(at).cloned().unwrap_or(Value::None);
        let slice = if bounds.len() == 1 { [Value::None, part(0), Value::None] } else { [part(0), part(1), part(2)] };
        let kept = i.sliced(&items, &slice)?;
        Ok(Value::iterator(kept))
    },
    "itertools.combinations" "items, r, /" => |i, b| {
        let items = i.items(&b.get("items"))?;
        let size = usize::try_from(b.int("r")?).map_err(|_| b.wrong("r", "at least zero"))?;
        let mut all = vec![];
        let mut places: Vec<usize> = (0..size).collect();
        while size <= items.len() {
            i.cells(size + 1)?;
            all.push(Value::tuple(places.iter().map(|at| items[*at].clone())));
            // The last place that can still move on.
            let Some(at) = (0..size).rev().find(|at| places[*at] < items.len() - size + at) else { break };
            places[at] += 1;
            (at + 1..size).for_each(|next| places[next] = places[next - 1] + 1);
        }
        Ok(Value::iterator(all))
    },
    "itertools.zip_longest" "*iterables, fillvalue=None" => |i, b| {
        let mut lists = vec![];
        for iterable in i.items(&b.get("iterables"))? {
            lists.push(i.items(&iterable)?);
        }
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        i.cells(longest.saturating_mul(lists.len() + 1))?;
        let row = |at: usize| Value::tuple(lists.iter().map(|list| list.get(at).cloned().unwrap_or_else(|| b.get("fillvalue"))));
        Ok(Value::iterator((0..longest).map(row).collect()))
    },
    "itertools.starmap" "function, items, /" => |i, b| {
        let mut all = vec![];
        for item in i.items(&b.get("items"))? {
            let args = i.items(&item)?;
            all.push(i.call(&b.get("function"), Args::of(args))?);
        }
        Ok(Value::iterator(all))
    },
    "itertools.count" "start=0, step=1" => |_, _| {
        Err(Fault::unsupported("`itertools.count` never ends, which is not supported")
            .help("`enumerate` counts what there is"))
    },
    "itertools.cycle" "items, /" => |_, _| {
        Err(Fault::unsupported("`itertools.cycle` never ends, which is not supported")
            .help("`items[n % len(items)]` takes them in turn"))
    },
    "operator.itemgetter" "item, /" => |_, b| {
        static ITEM: Native = Native {
            name: "operator.itemgetter",
            signature: "key, of, /",
            call: |i, b| i.item(&b.get("of"), &b.get("key")),
        };
        let getter = Partial { callee: Value::Native(&ITEM), positional: vec![b.get("item")], named: vec![] };
        Ok(Value::Partial(Rc::new(getter)))
    },
    "operator.attrgetter" "name, /" => |_, b| {
        static ATTRIBUTE: Native = Native {
            name: "operator.attrgetter",
            signature: "name, of, /",
            call: |i, b| {
                let mut value = b.get("of");
                for part in b.string("name")?.split('.') {
                    value = i.attribute(&value, part)?;
                }
                Ok(value)
            },
        };
        let getter = Partial { callee: Value::Native(&ATTRIBUTE), positional: vec![b.get("name")], named: vec![] };
        Ok(Value::Partial(Rc::new(getter)))
    },
    "operator.sub" "a, b, /" => |i, b| i.binary(ruff_python_ast::Operator::Sub, &b.get("a"), &b.get("b")),
    "operator.truediv" "a, b, /" => |i, b| i.binary(ruff_python_ast::Operator::Div, &b.get("a"), &b.get("b")),
    "operator.floordiv" "a, b, /" => |i, b| i.binary(ruff_python_ast::Operator::FloorDiv, &b.get("a"), &b.get("b")),
    "warnings.simplefilter" "*args, **kwargs" => |_, _| Ok(Value::None),
    "warnings.catch_warnings" "*args, **kwargs" => |_, _| Ok(Value::None),
};

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
    Err(Fault::value(format!("{x} is not a 64-bit integer")))
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
                "abstractmethod"
                | "overload"
                | "no_type_check"
                | "final"
                | "override"
                | "runtime_checkable"
                | "abstractproperty"
                | "abstractclassmethod"
                | "abstractstaticmethod" => Value::Native(&IDENTITY),
                "TypedDict" | "Dict" | "MutableMapping" => Value::Class(self.class("builtins.dict")?),
                "List" => Value::Class(self.class("builtins.list")?),
                "Tuple" => Value::Class(self.class("builtins.tuple")?),
                "Set" if module != "collections.abc" => Value::Class(self.class("builtins.set")?),
                "TYPE_CHECKING" => Value::Bool(false),
                "Sequence" => Value::Class(self.class("typing.Sequence")?),
                "Iterable" => Value::Class(self.class("typing.Iterable")?),
                "Collection" => Value::Class(self.class("typing.Collection")?),
                "Mapping" => Value::Class(self.class("typing.Mapping")?),
                "Callable" => Value::Class(self.class("typing.Callable")?),
                "TypeVar" | "NewType" | "ParamSpec" | "TypeVarTuple" => Value::Native(&NOTHING),
                _ => match self.standard(&full)? {
                    Some(value) => value,
                    // What another name of the module is for.
                    None if module != "types" => Value::None,
                    None => function(&full).unwrap_or(Value::None),
                },
            }));
        }
        if let Some(found) = function(&full) {
            return Ok(Some(found));
        }
        if let Some(found) = self.standard(&full)? {
            return Ok(Some(found));
        }
        if full == "collections.Counter" {
            let counter = self.prelude("collections", include_str!("counter.py"))?;
            return self.member(&counter, "Counter");
        }
        if full == "os.environ" {
            return self.environment().map(Some);
        }
        if full == "sys.path" {
            return Ok(Some(Value::list([])));
        }
        if name == "__version__"
            && let Some(version) = super::version::of_package(module)
        {
            return self.version(version).map(Some);
        }
        match full.as_str() {
            "typing_extensions.NamedTuple" => {
                return self.class("typing.NamedTuple").map(|c| Some(Value::Class(c)));
            }
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
        let fault = if matches!(module, "random" | "numpy.random") {
            Fault::unsupported(format!(
                "`{shown}` draws a random number, but a plan computes the same in each run"
            ))
            .help("dropout layers are random in training; `kiln train --augment` changes images at random")
        } else if module.starts_with("torch") {
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

    /// `os.environ`: empty, and the same one each time.
    fn environment(&mut self) -> Result<Value> {
        let class = self.class("os.environ")?;
        let known = class.attributes.borrow().get("environ").cloned();
        let environment = known.unwrap_or_else(|| Value::Dict(Rc::default()));
        class.attributes.borrow_mut().insert("environ".into(), environment.clone());
        Ok(environment)
    }

    /// A copy of a list, dict or set; anything else as it is.
    fn shallow(&mut self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::List(_) | Value::Dict(_) | Value::Set(_) => {
                self.call_method(value, "copy", Args::default())?
            }
            other => other.clone(),
        })
    }

    /// A class attribute that is not defined in the program: constructors and forward passes of PyTorch's classes.
    pub(crate) fn class_attribute(&mut self, class: &Rc<Class>, name: &str) -> Result<Option<Value>> {
        if class.is_module()
            && let Some(native) = torch::module_method(name)
        {
            return Ok(Some(Value::Native(native)));
        }
        if name == "__init__" {
            return Ok(Some(Value::Native(torch::module_init())));
        }
        if super::enumeration::is_enum(class) && name == "__members__" {
            return Ok(Some(Value::named([])));
        }
        if let Some(native) = class.builtin() {
            let found = self.method_of_type(native.name, name);
            if found.is_some() {
                return Ok(found);
            }
        }
        let of = Value::Class(class.clone());
        match super::object::method(name) {
            Some(found @ Value::Wrapped(super::value::Wrapper::Class, _)) => {
                self.bound(found, of, class).map(Some)
            }
            Some(Value::Wrapped(_, inner)) => Ok(Some((*inner).clone())),
            found => Ok(found),
        }
    }

    /// What `super()` finds in the classes that PyTorch and Python define.
    pub(crate) fn super_method(
        &mut self,
        class: &Rc<Class>,
        this: &Value,
        name: &str,
    ) -> Result<Option<Value>> {
        let found = self.class_attribute(&class.clone(), name)?;
        Ok(found.map(|found| match found {
            // It is given the class itself.
            found if name == "__new__" => found,
            found @ Value::Method(_) => found,
            found => Value::Method(Rc::new((found, this.clone()))),
        }))
    }
}

static NAMED: Native = Native {
    name: "functools.wraps",
    signature: "wrapped, wrapper, /",
    call: |i, b| {
        let doc = i.find_attribute(&b.get("wrapped"), "__doc__")?.unwrap_or(Value::None);
        if let (Value::Function(wrapped), Value::Function(wrapper)) = (b.get("wrapped"), b.get("wrapper")) {
            let attributes = wrapped.attributes.borrow().clone();
            wrapper.attributes.borrow_mut().extend(attributes);
            wrapper.attributes.borrow_mut().insert("__wrapped__".into(), b.get("wrapped"));
            wrapper.attributes.borrow_mut().insert("__doc__".into(), doc);
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
