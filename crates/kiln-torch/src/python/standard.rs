//! Parts of the standard library that programs query, with the same results on every machine: `sys`, `os.path`,
//! `logging`, `inspect`, `contextlib`, `string`.

use std::rc::Rc;

use super::Interpreter;
use super::fault::{Fault, Result};
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Value, Wrapper};
use super::version::PYTHON;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const SIGNS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const SPACES: &str = " \t\n\r\u{b}\u{c}";

pub(super) static FUNCTIONS: &[Native] = natives! {
    "os.path.join" "path, /, *more" => |i, b| {
        let mut path = b.string("path")?.to_string();
        for part in i.items(&b.get("more"))? {
            let part = part.as_str().ok_or_else(|| Fault::type_error("paths are made of strings"))?;
            i.cells(path.len() + part.len())?;
            if part.starts_with('/') || path.is_empty() {
                path = part.to_owned();
            } else {
                path = format!("{}/{part}", path.trim_end_matches('/'));
            }
        }
        Ok(Value::str(path))
    },
    "os.path.basename" "p, /" => |_, b| {
        let path = b.string("p")?;
        Ok(Value::str(path.rsplit('/').next().unwrap_or_default()))
    },
    "os.path.dirname" "p, /" => |_, b| {
        let path = b.string("p")?;
        Ok(Value::str(path.rsplit_once('/').map_or("", |(folder, _)| folder)))
    },
    "os.path.splitext" "p, /" => |_, b| {
        let path = b.string("p")?;
        let name = path.rfind('/').map_or(0, |at| at + 1);
        let dot = path.rfind('.').filter(|at| path[name..*at].chars().any(|c| c != '.'));
        let (root, ending) = path.split_at(dot.unwrap_or(path.len()));
        Ok(Value::tuple([Value::str(root), Value::str(ending)]))
    },
    "os.path.abspath" "path, /" => |_, b| Ok(b.get("path")),
    "os.path.realpath" "path, /" => |_, b| Ok(b.get("path")),
    "os.path.expanduser" "path, /" => |_, b| Ok(b.get("path")),
    // Nothing of the machine can be seen.
    "os.path.exists" "path, /" => |_, _| Ok(Value::Bool(false)),
    "os.path.isfile" "path, /" => |_, _| Ok(Value::Bool(false)),
    "os.path.isdir" "path, /" => |_, _| Ok(Value::Bool(false)),
    "os.getenv" "key, default=None, /" => |_, b| Ok(b.get("default")),
    "logging.getLogger" "name=None, /" => logger,
    "logging.debug" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.info" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.warning" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.warn" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.error" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.basicConfig" "*args, **kwargs" => |_, _| Ok(Value::None),
    "logging.StreamHandler" "*args, **kwargs" => logger,
    "logging.Formatter" "*args, **kwargs" => logger,
    "inspect.isclass" "obj, /" => |_, b| Ok(Value::Bool(matches!(b.get("obj"), Value::Class(_)))),
    "inspect.isfunction" "obj, /" => |_, b| Ok(Value::Bool(matches!(b.get("obj"), Value::Function(_)))),
    "inspect.ismethod" "obj, /" => |_, b| Ok(Value::Bool(matches!(b.get("obj"), Value::Method(_)))),
    "contextlib.nullcontext" "enter_result=None" => |_, b| Ok(b.get("enter_result")),
    "contextlib.suppress" "*exceptions" => |_, _| {
        Err(Fault::unsupported("`contextlib.suppress` is not supported").help("`try` and `except` do the same"))
    },
    "contextlib.contextmanager" "function, /" => |_, _| {
        Err(Fault::unsupported("`contextlib.contextmanager` is not supported")
            .help("a class with `__enter__` and `__exit__` does the same"))
    },
    "random.seed" "*args" => |_, _| Ok(Value::None),
    "numpy.random.seed" "*args" => |_, _| Ok(Value::None),
    "types.MethodType" "function, instance, /" => |_, b| Ok(Value::Method(Rc::new((b.get("function"), b.get("instance"))))),
    "enum.unique" "cls, /" => |i, b| {
        let Value::Class(class) = b.get("cls") else { return Err(b.wrong("cls", "an enumeration")) };
        let all = match class.find(super::enumeration::MEMBERS) {
            Some(Value::Dict(members)) => members.borrow().entries.len(),
            _ => 0,
        };
        if i.members_of(&class)?.len() != all {
            return Err(Fault::value(format!("two names of `{}` have the same value", class.name)));
        }
        Ok(Value::Class(class))
    },
};

/// Methods of loggers, all of them silent.
static OF_LOGGERS: &[&str] = &[
    "debug",
    "info",
    "warning",
    "warn",
    "error",
    "critical",
    "exception",
    "log",
    "setLevel",
    "addHandler",
    "removeHandler",
    "setFormatter",
    "addFilter",
];

fn logger(i: &mut Interpreter, _: &Bound) -> Result<Value> {
    static SILENT: Native =
        Native { name: "logging", signature: "*args, **kwargs", call: |_, _| Ok(Value::None) };
    let class = i.class("logging.Logger")?;
    let object = i.object(class);
    for name in OF_LOGGERS {
        object.set(name, Value::Wrapped(Wrapper::Static, Rc::new(Value::Native(&SILENT))));
    }
    object.set("handlers", Value::list([]));
    object.set("propagate", Value::Bool(true));
    Ok(Value::Object(object))
}

impl Interpreter {
    /// What modules of the standard library have that is no function.
    pub(super) fn standard(&mut self, full: &str) -> Result<Option<Value>> {
        Ok(Some(match full {
            "sys.version_info" => self.version_info()?,
            "sys.version" => Value::str(PYTHON.map(|n| n.to_string()).join(".")),
            "sys.platform" => Value::str("linux"),
            "sys.maxsize" => Value::Int(i64::MAX),
            "sys.byteorder" => Value::str("little"),
            "sys.argv" => Value::list([Value::str("model.py")]),
            "os.sep" => Value::str("/"),
            "string.ascii_lowercase" => Value::str(LOWER),
            "string.ascii_uppercase" => Value::str(UPPER),
            "string.ascii_letters" => Value::str(format!("{LOWER}{UPPER}")),
            "string.digits" => Value::str(DIGITS),
            "string.punctuation" => Value::str(SIGNS),
            "string.whitespace" => Value::str(SPACES),
            "string.printable" => Value::str(format!("{DIGITS}{LOWER}{UPPER}{SIGNS}{SPACES}")),
            "logging.DEBUG" => Value::Int(10),
            "logging.INFO" => Value::Int(20),
            "logging.WARNING" => Value::Int(30),
            "logging.ERROR" => Value::Int(40),
            _ => {
                let class = match full {
                    "enum.Enum" => "enum.Enum",
                    "enum.IntEnum" => "enum.IntEnum",
                    "enum.StrEnum" => "enum.StrEnum",
                    "enum.auto" => "enum.auto",
                    "types.SimpleNamespace" => "types.SimpleNamespace",
                    "argparse.Namespace" => "argparse.Namespace",
                    "typing.NamedTuple" => "typing.NamedTuple",
                    "types.FunctionType" | "types.LambdaType" => "typing.function",
                    "collections.OrderedDict" => "collections.OrderedDict",
                    "collections.defaultdict" => "collections.defaultdict",
                    "dataclasses.Field" => "dataclasses.Field",
                    "dataclasses.FrozenInstanceError" => "FrozenInstanceError",
                    "numbers.Number" | "numbers.Real" => "typing.Number",
                    "numbers.Integral" => "typing.Integral",
                    _ => return Ok(None),
                };
                Value::Class(self.class(class)?)
            }
        }))
    }

    fn version_info(&mut self) -> Result<Value> {
        let names = ["major", "minor", "micro", "releaselevel", "serial"].map(Value::str);
        let args = super::Args::of([Value::str("version_info"), Value::list(names)]);
        let Some(Value::Native(native)) = super::library::function("collections.namedtuple") else {
            return Ok(Value::None);
        };
        let class = self.call_native(native, args)?;
        let numbers = PYTHON.map(Value::Int).into_iter();
        self.call(&class, super::Args::of(numbers.chain([Value::str("final"), Value::Int(0)])))
    }
}
