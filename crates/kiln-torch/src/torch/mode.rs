//! Modules in training and in evaluation: `train()` and `eval()`.
//!
//! A module is in training when the model is, unless the program says something else of this one: then it is
//! frozen as it is in evaluation (`self.bn.eval()`), or it never is (`self.dropout.train()` in `forward`).

use std::rc::Rc;

use ruff_python_ast::Expr;

use super::module::Walk;
use crate::python::value::{Mode, NativeClass};
use crate::python::{Args, Bound, Fault, Interpreter, Object, Result, Value};

impl Object {
    /// `self.training`
    pub(crate) fn training(&self) -> Value {
        match self.mode.get() {
            Mode::Model => Value::Training,
            Mode::Training => Value::Bool(true),
            Mode::Evaluation => Value::Bool(false),
        }
    }
}

/// `module.train(mode)`: of the module, and then of those in it by their own methods.
pub(super) fn train(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let object = b.object("self")?;
    let mode = b.get("mode");
    i.set_mode(&object, &mode)?;
    for (_, child) in i.children(&object)? {
        i.deeper_call(|i| i.call_method(&Value::Object(child), "train", Args::of([mode.clone()])))?;
    }
    Ok(b.get("self"))
}

/// `module.eval()`
pub(super) fn eval(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    i.call_method(&b.get("self"), "train", Args::of([Value::Bool(false)]))
}

impl Interpreter {
    /// `self.training = mode`
    pub(super) fn set_mode(&mut self, object: &Object, mode: &Value) -> Result<()> {
        object.mode.set(match mode {
            Value::Training => Mode::Model,
            other if !self.truth(other)? => Mode::Evaluation,
            // Modules are in training from the beginning.
            _ if !self.trace.is_built => Mode::Model,
            _ => Mode::Training,
        });
        Ok(())
    }

    /// Puts modules into the modes in which a loop over epochs has them, which begins with `model.train()` and
    /// evaluates behind `model.eval()`. What constructors have put into evaluation stays so, unless the program has
    /// methods of its own for that.
    pub(crate) fn enter_modes(&mut self, module: &Rc<Object>, walk: &Walk) -> Result<()> {
        self.trace.is_built = true;
        let value = Value::Object(module.clone());
        let has_own = walk.modules.iter().any(|(_, object)| sets_modes(object, "train"));
        // A file that has the whole model evaluate something has not frozen it.
        if has_own || module.mode.get() == Mode::Evaluation {
            self.call_method(&value, "train", Args::of([Value::Training]))?;
        }
        if sets_modes(module, "eval") {
            self.asked_for_training = true;
            if !self.training {
                self.call_method(&value, "eval", Args::default())?;
            }
        }
        Ok(())
    }
}

/// Whether a program's own method `train` or `eval` stands for the one that sets modes: `model.train()` and
/// `child.train(mode)` have to be possible. Classes may call a loop over data `train`, too.
fn sets_modes(object: &Object, name: &str) -> bool {
    let Some(Value::Function(function)) = object.class.find(name) else { return false };
    let taken = &function.code.parameters;
    let mut behind = taken.posonlyargs.iter().chain(&taken.args).skip(1);
    let is_mode = |default: Option<&Expr>| matches!(default, Some(Expr::BooleanLiteral(_)));
    match behind.next() {
        Some(mode) => is_mode(mode.default.as_deref()) && behind.all(|other| other.default.is_some()),
        None => name == "eval" || taken.vararg.is_some(),
    }
}

/// The warning about layers that stay in evaluation since a constructor has called `eval()`.
pub(crate) fn frozen_layers(walk: &Walk) -> Option<String> {
    let is_frozen = |object: &Rc<Object>| {
        let layer = match object.class.native() {
            NativeClass::Layer(layer) => layer.name,
            _ => "",
        };
        let differs = ["BatchNorm", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "RReLU"];
        object.mode.get() == Mode::Evaluation && differs.iter().any(|name| layer.starts_with(name))
    };
    let mut frozen = walk.modules.iter().filter(|(_, object)| is_frozen(object)).map(|(path, _)| path);
    let first = frozen.next()?;
    let others = match frozen.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!(
        "`{first}`{others} had `eval()` called on it while the model was built and stays in evaluation while the rest \
         trains, as in a PyTorch program that never calls `model.train()`"
    ))
}

/// Whether something is in training: the argument of a function, or the mode of a layer.
pub(super) enum Training {
    /// In a training step, and not else.
    Step,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Training {
    /// The argument `training`.
    pub(super) fn of(i: &mut Interpreter, b: &Bound) -> Result<Self> {
        Ok(match b.get("training") {
            Value::Training => Training::Step,
            other if i.truth(&other)? => Training::Always,
            _ => Training::Never,
        })
    }

    /// Whether something random happens now; `forward` is read again for training.
    pub(super) fn is_random(&self, i: &mut Interpreter, b: &Bound, layer: &str) -> Result<bool> {
        match self {
            Training::Step => i.truth(&Value::Training),
            Training::Never => Ok(false),
            // `if self.training: x = F.dropout(x)`: in evaluation the program does not come here.
            Training::Always if i.training => Ok(true),
            Training::Always => Err(random_in_evaluation(b, "is random", layer)),
        }
    }
}

/// `F.dropout(x)` drops in evaluation, too: the book warns of it. `does` says what is random.
pub(super) fn random_in_evaluation(b: &Bound, does: &str, layer: &str) -> Fault {
    let fault =
        Fault::unsupported(format!("{} {does} in evaluation, too, unless it is given `training`", b.callee));
    match b.callee.trim_matches('`') {
        layer if layer.contains("(nn.") => {
            fault.help("a layer is in training when the model is, if `train()` is not called on it alone")
        }
        name => fault
            .help(format!("`F.{name}(x, training=self.training)` or `nn.{layer}()` {does} in training only")),
    }
}
