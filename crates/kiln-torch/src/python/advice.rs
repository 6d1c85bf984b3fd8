//! Help for wrong names, arguments and calls.

use std::rc::Rc;

use ruff_python_ast::Parameters;

use super::fault::Fault;
use super::function::takes;
use super::imports::nearest;
use super::value::{Function, Object, Value};
use super::{Env, Interpreter};

/// The callee's name for messages: for a constructor the class.
pub(super) fn callee(function: &Function) -> String {
    let name = function.name.borrow();
    match &*function.owner.borrow() {
        Some(class) if &**name == "__init__" => format!("`{}`", class.name),
        _ => format!("`{name}`"),
    }
}

/// An argument by a name that there is not.
pub(super) fn no_argument(callee: &str, name: &str, parameters: &Parameters) -> Fault {
    let fault = Fault::type_error(format!("{callee} has no argument `{name}`"));
    match nearest(name, parameters.iter_non_variadic_params().map(|p| p.name().as_str())) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(takes(parameters)),
    }
}

/// More arguments than parameters; people do not count `self`.
pub(super) fn too_many(callee: &str, parameters: &Parameters, count: usize, total: usize) -> Fault {
    let first = parameters.iter_non_variadic_params().next().map(|p| p.name().as_str());
    let (count, total) = if first == Some("self") { (count - 1, total - 1) } else { (count, total) };
    Fault::type_error(format!(
        "{callee} takes {count} argument{}, but {total} {} given",
        if count == 1 { "" } else { "s" },
        if total == 1 { "is" } else { "are" }
    ))
}

/// Why something that is called is no function.
pub(super) fn not_callable(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Tensor(_) | Value::Parameter(_) => "indices are written in brackets: `x[0]`",
        Value::Tuple(items) if items.len() == 1 => {
            "does the line that makes it end in a comma? that turns it into a tuple"
        }
        Value::Tuple(items) if items.iter().all(|item| item.as_dim().is_some()) => {
            "if this is `x.shape`: it is not a function, `x.shape[0]` and `x.size(0)` are sizes"
        }
        Value::List(_) => {
            "`nn.Sequential(*layers)` makes one layer of a list, `for layer in layers` iterates over it"
        }
        Value::None => "a function or a `forward` without `return` returns `None`",
        _ => return None,
    })
}

/// An attribute that is not set.
pub(super) fn unset(fault: Fault, object: &Rc<Object>, name: &str, is_running: bool) -> Fault {
    if !object.class.is_module() {
        return fault;
    }
    for class in object.class.mro() {
        let attributes = class.attributes.borrow();
        let wrong = attributes.keys().find(|key| {
            matches!(key.trim_matches('_'), "init" | "int") && key.starts_with('_') && &***key != "__init__"
        });
        if let Some(wrong) = wrong.filter(|_| !attributes.contains_key("__init__")) {
            return fault.help(format!(
                "`{wrong}` is never called: the constructor is `__init__`, with two underscores on each side"
            ));
        }
    }
    fault.help(if is_running {
        format!("`self.{name} = ...` in `__init__` would set it")
    } else {
        format!("`__init__` runs from top to bottom: `self.{name}` has to be set above this line")
    })
}

impl Interpreter {
    /// A name that is an attribute of the object whose method runs, or was forgotten to be made one.
    pub(super) fn forgotten_self(&self, env: &Env, name: &str) -> Option<String> {
        let (function, this) = env.method.as_ref()?;
        let Some(Value::Object(this)) = this else { return None };
        if this.get(name).is_some() || this.class.find(name).is_some() {
            return Some(format!("did you mean `self.{name}`?"));
        }
        let text = &self.files.get(usize::try_from(function.file).ok()?)?.text;
        let is_assigned = text.lines().any(|line| {
            let behind = line.trim_start().strip_prefix(name).map(str::trim_start);
            behind.is_some_and(|behind| behind.starts_with('=') && !behind.starts_with("=="))
        });
        (is_assigned && self.trace.is_running && this.class.is_module()).then(|| {
            format!(
                "what `__init__` makes is gone at its end: `self.{name} = ...` there and `self.{name}` \
            here keep it"
            )
        })
    }
}
