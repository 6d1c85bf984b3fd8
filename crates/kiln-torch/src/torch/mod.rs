//! PyTorch's modules, layers and functions, in core operators.
//!
//! A layer is a function of `torch.nn.functional` whose further arguments are the layer's attributes. Functions are kept
//! in tables with their signature in Python's words and the places where they are found: `torch.relu`, `F.relu` and
//! `x.relu()` are one.

mod activation;
mod advice;
mod arithmetic;
mod assign;
mod attention;
mod container;
mod conv;
mod create;
mod dropout;
mod grad;
mod init;
mod join_split;
mod linear;
mod loss;
mod method;
mod mode;
mod module;
mod multihead;
mod norm;
mod pad;
mod parameter;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod sampling;
mod shape;
mod sharing;
mod storage;
mod tensor;
mod trace;
mod window;

use std::path::Path;
use std::rc::Rc;

use crate::python::native::{Layer, Native};
use crate::python::value::{Container, NativeClass, Opaque, Partial};
use crate::python::{Interpreter, Namespace, Result, Value};

pub(crate) use grad::Gradients;
pub(crate) use init::Init;
pub(crate) use mode::frozen_layers;
pub(crate) use module::{init as module_init, inputs_of, method as module_method, walk};
pub(crate) use parameter::Parameter;
pub(crate) use sharing::Sharing;
pub(crate) use storage::{Storage, check_ties};
pub(crate) use trace::Trace;

/// Where a function is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// `torch`
    Torch,
    /// `torch.nn.functional`
    Functional,
    /// Methods of tensors.
    Method,
}

/// A function, and where it is found.
pub(crate) struct Function {
    homes: &'static [Home],
    /// Other names that it has.
    aliases: &'static [&'static str],
    native: Native,
}

/// `HOMES "name" "signature" => function`, homes being the letters of `torch`, `functional` and `method`.
macro_rules! functions {
    ($($homes:ident $name:literal $(or $alias:literal)* ($signature:literal) => $call:expr),* $(,)?) => {
        &[$(crate::torch::Function {
            homes: crate::torch::homes::$homes,
            aliases: &[$($alias),*],
            native: crate::python::native::Native { name: $name, signature: $signature, call: $call },
        }),*]
    };
}
pub(crate) use functions;

/// `"Name" "signature" => setup, forward`
macro_rules! layers {
    ($($name:literal ($signature:literal) => $setup:expr, $forward:expr);* $(;)?) => {
        &[$(crate::python::native::Layer {
            name: $name, full: concat!("torch.nn.", $name), signature: $signature, setup: $setup, forward: $forward,
        }),*]
    };
}
pub(crate) use layers;

#[allow(non_upper_case_globals, reason = "they are letters in tables")]
mod homes {
    use super::Home::{self, Functional, Method, Torch};
    pub(crate) const T: &[Home] = &[Torch];
    pub(crate) const F: &[Home] = &[Functional];
    pub(crate) const M: &[Home] = &[Method];
    pub(crate) const TM: &[Home] = &[Torch, Method];
    pub(crate) const TF: &[Home] = &[Torch, Functional];
    pub(crate) const TFM: &[Home] = &[Torch, Functional, Method];
}

/// All functions.
fn tables() -> [&'static [Function]; 18] {
    [
        activation::FUNCTIONS,
        arithmetic::FUNCTIONS,
        attention::FUNCTIONS,
        conv::FUNCTIONS,
        create::FUNCTIONS,
        dropout::FUNCTIONS,
        grad::FUNCTIONS,
        linear::FUNCTIONS,
        norm::FUNCTIONS,
        pad::FUNCTIONS,
        join_split::FUNCTIONS,
        pool::FUNCTIONS,
        reduce::FUNCTIONS,
        resize::FUNCTIONS,
        sampling::FUNCTIONS,
        shape::FUNCTIONS,
        method::FUNCTIONS,
        loss::FUNCTIONS,
    ]
}

/// All layers.
fn all_layers() -> impl Iterator<Item = &'static Layer> {
    [
        activation::LAYERS,
        conv::LAYERS,
        dropout::LAYERS,
        linear::LAYERS,
        multihead::LAYERS,
        norm::LAYERS,
        pad::LAYERS,
        pool::LAYERS,
        recurrent::LAYERS,
        resize::LAYERS,
        sampling::LAYERS,
        shape::LAYERS,
        loss::LAYERS,
    ]
    .into_iter()
    .flatten()
}

/// A function by the place where it is looked for, and its name.
fn function(home: Home, name: &str) -> Option<&'static Native> {
    let of_home = tables().into_iter().flatten().filter(|f| f.homes.contains(&home));
    let mut named = of_home.filter(|f| f.native.name == name || f.aliases.contains(&name));
    named.next().map(|function| &function.native)
}

/// `relu_` and its like: the function, and then its result in the place of the input.
pub(crate) static IN_PLACE: Native = Native {
    name: "in place",
    signature: "function, tensor, /, *args, **kwargs",
    call: |i, b| {
        let (function, tensor) = (b.get("function"), b.get("tensor"));
        let mut args = crate::python::rest(i, b)?;
        args.positional.insert(0, tensor.clone());
        let result = i.call(&function, args)?;
        if let Some(id) = i.optional_tensor_of(&result)? {
            i.change(&tensor, id)?;
        }
        Ok(tensor)
    },
};

/// A function that is found in a place, or its form that works in place, with a `_` behind its name.
pub(crate) fn found(home: Home, name: &str) -> Option<Value> {
    if let Some(native) = function(home, name) {
        return Some(Value::Native(native));
    }
    let native = function(home, name.strip_suffix('_').filter(|name| !name.ends_with('_'))?)?;
    let partial =
        Partial { callee: Value::Native(&IN_PLACE), positional: vec![Value::Native(native)], named: vec![] };
    Some(Value::Partial(Rc::new(partial)))
}

/// Parts of PyTorch that can be imported.
const MODULES: &[&str] = &[
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.modules",
    "torch.nn.parameter",
    "torch.nn.utils",
    "torch.cuda",
    "torch.backends",
    "torch.utils",
    "torch.jit",
    "torch.special",
    "torch.nn.parallel",
    "torch.version",
    "torch.fx",
    "torch.amp",
    "torch.cuda.amp",
    "torch.backends.cudnn",
    "torch.backends.cuda",
    "torch.backends.mps",
    "torch.utils.checkpoint",
    "torch.compiler",
];

/// Whether a part of PyTorch is known.
pub(crate) fn is_module(name: &str) -> bool {
    MODULES.contains(&name)
}

/// A class by full name: what it derives from, and what stands behind it.
pub(crate) fn native_class(name: &'static str) -> Option<(&'static str, NativeClass)> {
    let module = "torch.nn.Module";
    Some(match name {
        "torch.nn.Module" => ("object", NativeClass::Module),
        "torch.nn.Sequential" => (module, NativeClass::Container(Container::Sequential)),
        "torch.nn.ModuleList" => (module, NativeClass::Container(Container::ModuleList)),
        "torch.nn.ModuleDict" => (module, NativeClass::Container(Container::ModuleDict)),
        "torch.nn.ParameterList" => (module, NativeClass::Container(Container::ParameterList)),
        "torch.nn.ParameterDict" => (module, NativeClass::Container(Container::ParameterDict)),
        "torch.nn.DataParallel" | "torch.nn.parallel.DistributedDataParallel" => {
            (module, NativeClass::Container(Container::Wrapper("module")))
        }
        "torch.OptimizedModule" => (module, NativeClass::Container(Container::Wrapper("_orig_mod"))),
        "torch.utils.hooks.RemovableHandle" => ("object", NativeClass::Plain),
        "torch.device" => ("object", NativeClass::Type(&create::DEVICE)),
        "torch.nn.Parameter" => ("torch.Tensor", NativeClass::Type(&parameter::PARAMETER)),
        "torch.Tensor" => ("object", NativeClass::Type(&create::TENSOR)),
        "torch.nn._BatchNorm" | "torch.nn._ConvNd" => (module, NativeClass::Module),
        "torch.Size" => ("builtins.tuple", NativeClass::Type(&create::SIZE)),
        grad::CLASS => ("object", NativeClass::Plain),
        _ => {
            let layer = all_layers().find(|layer| layer.full == name)?;
            // `isinstance(m, nn.modules.batchnorm._BatchNorm)` finds all three.
            let base = match layer.name {
                "BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d" => "torch.nn._BatchNorm",
                "Conv1d" | "Conv2d" | "Conv3d" | "ConvTranspose1d" | "ConvTranspose2d"
                | "ConvTranspose3d" => "torch.nn._ConvNd",
                _ => module,
            };
            (base, NativeClass::Layer(layer))
        }
    })
}

/// Classes that only others derive from.
const BASES: &[&str] = &["torch.nn._BatchNorm", "torch.nn._ConvNd"];

const CLASSES: &[&str] = &[
    "torch.nn.Module",
    "torch.nn.Sequential",
    "torch.nn.ModuleList",
    "torch.nn.ModuleDict",
    "torch.nn.ParameterList",
    "torch.nn.ParameterDict",
    "torch.nn.Parameter",
    "torch.nn.DataParallel",
    "torch.nn.parallel.DistributedDataParallel",
    "torch.Tensor",
    "torch.Size",
    "torch.device",
];

/// Layers that are written in Python, and the file.
const IN_PYTHON: &[&str] = &[
    "Transformer",
    "TransformerEncoder",
    "TransformerDecoder",
    "TransformerEncoderLayer",
    "TransformerDecoderLayer",
];
const TRANSFORMERS: (&str, &str) = ("torch.nn.transformer", include_str!("transformer.py"));

/// Whether a file is one of those that are written here.
pub(crate) fn is_built_in(path: &Path) -> bool {
    path == Path::new(TRANSFORMERS.0)
}

/// The class `name` of `torch.nn`, by the name that lives as long as the program.
fn class_name(module: &str, name: &str) -> Option<&'static str> {
    let plain = CLASSES.iter().chain(BASES).find(|full| **full == format!("{module}.{name}"));
    plain.copied().or_else(|| {
        let is_nn = module == "torch.nn";
        all_layers().find(|layer| is_nn && layer.name == name).map(|layer| layer.full)
    })
}

/// A member of a part of PyTorch.
pub(crate) fn member(i: &mut Interpreter, module: &str, name: &str) -> Result<Option<Value>> {
    // `torch.nn.modules.batchnorm._BatchNorm`, `torch.nn.parameter.Parameter`
    let module = match module {
        "torch.nn.modules" | "torch.nn.parameter" => "torch.nn",
        "torch.nn.parallel" if name == "DataParallel" => "torch.nn",
        other => other,
    };
    if module == "torch.version" {
        return Ok(match name {
            "__version__" => Some(i.version(crate::python::TORCH)?),
            "cuda" | "hip" => Some(Value::None),
            _ => None,
        });
    }
    if module == "torch.nn"
        && ["batchnorm", "conv", "pooling", "module", "linear", "activation", "rnn", "transformer"]
            .contains(&name)
    {
        let namespace = Namespace { name: "torch.nn.modules".into(), scope: None };
        return Ok(Some(Value::Namespace(namespace.into())));
    }
    if let Some(class) = class_name(module, name) {
        return Ok(Some(Value::Class(i.class(class)?)));
    }
    if module == "torch.nn" && IN_PYTHON.contains(&name) {
        return i
            .prelude(TRANSFORMERS.0, TRANSFORMERS.1)
            .map(|made| made.scope.as_ref().and_then(|s| s.own(name)));
    }
    // `torch.cuda.is_available`, `torch.compile`
    let full = format!("{module}.{name}");
    if let Some(native) = create::SUNDRY.iter().find(|native| native.name == full) {
        return Ok(Some(Value::Native(native)));
    }
    Ok(match module {
        // PyTorch's own modules.
        "torch" if name == "_C" => {
            Some(Value::Opaque(Opaque { name: "_C".into(), origin: "torch".into() }.into()))
        }
        "torch" => match crate::python::native_dtype(name) {
            Some(dtype) => Some(Value::DType(dtype)),
            None => match name {
                "pi" => Some(Value::Float(std::f64::consts::PI)),
                "inf" => Some(Value::Float(f64::INFINITY)),
                _ => found(Home::Torch, name),
            },
        },
        "torch.nn.functional" => found(Home::Functional, name),
        "torch.nn.init" => init::function(name).map(Value::Native),
        "torch.special" => found(Home::Torch, name),
        _ => None,
    })
}

/// All names in a part of PyTorch, for messages.
pub(crate) fn names(module: &str) -> Vec<&'static str> {
    let of = |home: Home| {
        tables().into_iter().flatten().filter(move |f| f.homes.contains(&home)).map(|f| f.native.name)
    };
    match module {
        "torch" => of(Home::Torch).collect(),
        "torch.nn.functional" => of(Home::Functional).collect(),
        "torch.Tensor" => of(Home::Method).collect(),
        "torch.nn" => {
            let classes = CLASSES.iter().filter_map(|name| name.strip_prefix("torch.nn."));
            classes.chain(all_layers().map(|layer| layer.name)).chain(IN_PYTHON.iter().copied()).collect()
        }
        "torch.nn.init" => init::names(),
        _ => vec![],
    }
}

/// The names of all layers and functions, as people write them: `nn.Conv2d`, `F.relu`, `torch.cat`, `Tensor.view`,
/// `nn.init.zeros_`.
pub(crate) fn supported() -> Vec<String> {
    let home = |home: &Home| match home {
        Home::Torch => "torch",
        Home::Functional => "F",
        Home::Method => "Tensor",
    };
    let functions = tables().into_iter().flatten().flat_map(|function| {
        let names = std::iter::once(&function.native.name).chain(function.aliases);
        names.flat_map(move |name| function.homes.iter().map(move |h| format!("{}.{name}", home(h))))
    });
    let short =
        |name: &str| name.strip_prefix("torch.nn.").map_or(name.to_owned(), |name| format!("nn.{name}"));
    let mut all: Vec<String> = CLASSES.iter().map(|name| short(name)).collect();
    let layers = all_layers().map(|layer| layer.name).chain(IN_PYTHON.iter().copied());
    all.extend(layers.map(|name| format!("nn.{name}")));
    all.extend(init::names().into_iter().map(|name| format!("nn.init.{name}")));
    all.extend(functions);
    all.extend(create::SUNDRY.iter().map(|native| native.name.to_owned()));
    all.sort();
    all.dedup();
    all
}

/// Alternatives to unsupported functions.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "from_numpy" => {
            "`torch.tensor([...])` makes a tensor of numbers; a plan is made without data, which `kiln train --data` reads"
        }
        "distributions" => {
            "a plan generates random numbers only for dropout layers and `nn.RReLU`, in training"
        }
        "_make_subclass" => {
            "`nn.Parameter(x)` makes a parameter, which a class that derives from `nn.Module` registers"
        }
        "einsum" => "`torch.matmul`, `permute` and `sum` do the same",
        "topk" | "sort" | "argsort" => "sorting is not supported; `max` and `argmax` are",
        "weight_norm" | "spectral_norm" | "parametrizations" | "parametrize" => {
            "a layer of your own can compute its weight in `forward` and call `F.conv2d(x, weight)`"
        }
        "DataLoader" | "Dataset" => "`kiln train --data` reads data",
        "load" | "load_state_dict" | "save" => "`--weights FILE` reads a state dict",
        _ => return None,
    })
}
