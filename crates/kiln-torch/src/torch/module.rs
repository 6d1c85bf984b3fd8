//! `nn.Module`: registration, attributes, methods, calls.

use std::rc::Rc;

use super::{Parameter, container, loss, mode, multihead, recurrent};
use crate::python::methods::natives;
use crate::python::native::{Layer, Native};
use crate::python::value::{Class, Container, Hook, NativeClass, Partial};
use crate::python::{Args, Bound, Fault, Interpreter, Object, Result, Value, rest};

/// `nn.Module.__init__`, and that of `object`.
static INIT: Native = Native {
    name: "torch.nn.Module.__init__",
    signature: "self, /, *args, **kwargs",
    call: |i, b| {
        let args = rest(i, b)?;
        let Value::Object(object) = b.get("self") else { return Ok(Value::None) };
        i.native_init(&object, &object.class.clone(), args)?;
        Ok(Value::None)
    },
};

/// The forward pass of what PyTorch defines.
static FORWARD: Native = Native {
    name: "torch.nn.Module.forward",
    signature: "self, /, *args, **kwargs",
    call: |i, b| {
        let args = rest(i, b)?;
        let object = b.object("self")?;
        i.native_forward(&object, args)
    },
};

static METHODS: &[Native] = natives! {
    "parameters" "self, recurse=True" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        let values = all.parameters.into_iter().map(|(_, p)| Value::Parameter(p)).collect();
        Ok(Value::iterator(values))
    },
    "named_parameters" "self, prefix='', recurse=True" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        let pairs = all.parameters.into_iter().map(|(n, p)| Value::tuple([Value::str(n), Value::Parameter(p)]));
        Ok(Value::iterator(pairs.collect()))
    },
    "buffers" "self" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        Ok(Value::iterator(all.buffers.into_iter().map(|(_, p)| Value::Parameter(p)).collect()))
    },
    "modules" "self" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        Ok(Value::iterator(all.modules.into_iter().map(|(_, m)| Value::Object(m)).collect()))
    },
    "named_modules" "self" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        let pairs = all.modules.into_iter().map(|(n, m)| Value::tuple([Value::str(n), Value::Object(m)]));
        Ok(Value::iterator(pairs.collect()))
    },
    "children" "self" => |i, b| {
        let children = i.children(&b.object("self")?)?;
        Ok(Value::iterator(children.into_iter().map(|(_, m)| Value::Object(m)).collect()))
    },
    "named_children" "self" => |i, b| {
        let children = i.children(&b.object("self")?)?;
        let pairs = children.into_iter().map(|(n, m)| Value::tuple([Value::Str(n), Value::Object(m)]));
        Ok(Value::iterator(pairs.collect()))
    },
    "apply" "self, fn" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        // Children come before those that hold them.
        for (_, module) in all.modules.into_iter().rev() {
            i.call(&b.get("fn"), Args::of([Value::Object(module)]))?;
        }
        Ok(b.get("self"))
    },
    "add_module" "self, name, module" => add_module,
    "register_module" "self, name, module" => add_module,
    "register_parameter" "self, name, param" => |i, b| {
        i.set_module_attribute(&b.object("self")?, &b.string("name")?, b.get("param"))?;
        Ok(Value::None)
    },
    "register_buffer" "self, name, tensor, persistent=True" => |i, b| {
        let (object, name) = (b.object("self")?, b.string("name")?);
        let persistent = b.bool("persistent")?;
        let value = match b.get("tensor") {
            Value::None => Value::None,
            _ => {
                let id = i.tensor(b, "tensor")?;
                // Training updates states of numbers with a point; what only counts or indexes stays a constant.
                if persistent && i.dtype(id).is_float() { i.parameter_of(id, true)? } else { Value::tensor(id) }
            }
        };
        object.set(&name, value);
        object.buffers.borrow_mut().insert(name, persistent);
        Ok(Value::None)
    },
    "get_submodule" "self, target" => |i, b| {
        let mut module = b.get("self");
        for part in b.string("target")?.split('.').filter(|part| !part.is_empty()) {
            module = i.attribute(&module, part)?;
        }
        Ok(module)
    },
    "requires_grad_" "self, requires_grad=True" => |i, b| {
        let frozen = !b.bool("requires_grad")?;
        for (_, parameter) in walk(i, &b.object("self")?)?.parameters {
            i.freeze(&parameter, frozen)?;
        }
        Ok(b.get("self"))
    },
    "train" "self, mode=True" => mode::train,
    "eval" "self" => mode::eval,
    "to" "self, *args, **kwargs" => |_, b| Ok(b.get("self")),
    "cuda" "self, *args" => |_, b| Ok(b.get("self")),
    "cpu" "self" => |_, b| Ok(b.get("self")),
    "float" "self" => |_, b| Ok(b.get("self")),
    "half" "self" => |_, _| Err(Fault::unsupported("16-bit modules are not supported")),
    "double" "self" => |_, _| Err(Fault::unsupported("64-bit modules are not supported")),
    "zero_grad" "self, *args" => |_, _| Ok(Value::None),
    "load_state_dict" "self, *args, **kwargs" => |_, _| {
        Err(Fault::unsupported("state dicts cannot be loaded by the model's source")
            .help("`--weights FILE` reads a state dict"))
    },
    "append" "self, module" => container::append,
    "extend" "self, modules" => container::extend,
    "insert" "self, index, module" => container::insert,
    "keys" "self" => |i, b| {
        let members = i.named_members(&b.object("self")?);
        i.cells(members.len())?;
        Ok(Value::list(members.into_iter().map(|(n, _)| Value::Str(n))))
    },
    "values" "self" => |i, b| {
        let members = i.named_members(&b.object("self")?);
        i.cells(members.len())?;
        Ok(Value::list(members.into_iter().map(|(_, m)| m)))
    },
    "items" "self" => |i, b| {
        let members = i.named_members(&b.object("self")?);
        i.cells(members.len().saturating_mul(3))?;
        Ok(Value::list(members.into_iter().map(|(n, m)| Value::tuple([Value::Str(n), m]))))
    },
    "pop" "self, key" => |i, b| {
        let object = b.object("self")?;
        let member = i.module_item(&object, &b.get("key"))?;
        i.delete_module_item(&object, &b.get("key"))?;
        Ok(member)
    },
    "clear" "self" => |_, b| {
        let attributes = b.object("self")?.attributes.take();
        drop(attributes);
        Ok(Value::None)
    },
    "get_parameter" "self, target" => |i, b| dotted(i, b),
    "get_buffer" "self, target" => |i, b| dotted(i, b),
    "named_buffers" "self, prefix='', recurse=True" => |i, b| {
        let all = walk(i, &b.object("self")?)?;
        let pairs = all.buffers.into_iter().map(|(n, p)| Value::tuple([Value::str(n), Value::Parameter(p)]));
        Ok(Value::iterator(pairs.collect()))
    },
    "register_forward_hook" "self, hook, *, prepend=False, with_kwargs=False, always_call=False" => |i, b| hooked(i, b, false),
    "register_forward_pre_hook" "self, hook, *, prepend=False, with_kwargs=False" => |i, b| hooked(i, b, true),
    "register_full_backward_hook" "self, hook, prepend=False" => |_, _| Err(backward_hook()),
    "register_full_backward_pre_hook" "self, hook, prepend=False" => |_, _| Err(backward_hook()),
    "register_backward_hook" "self, hook" => |_, _| Err(backward_hook()),
    "flatten_parameters" "self" => |_, _| Ok(Value::None),
    "compile" "self, *args, **kwargs" => |_, _| Ok(Value::None),
    "extra_repr" "self" => |_, _| Ok(Value::str("")),
    "update" "self, modules" => |i, b| {
        for pair in i.items(&b.get("modules")).and_then(|keys| container::pairs(i, &b.get("modules"), keys))? {
            i.set_module_attribute(&b.object("self")?, &pair.0, pair.1)?;
        }
        Ok(Value::None)
    },
};

/// A method of `nn.Module` that is looked up in classes: `super().__init__`, `nn.Module.forward`.
pub(crate) fn method(name: &str) -> Option<&'static Native> {
    match name {
        "__init__" => Some(&INIT),
        "forward" | "__call__" => Some(&FORWARD),
        _ => METHODS.iter().find(|native| native.name == name),
    }
}

/// The constructor.
pub(crate) fn init() -> &'static Native {
    &INIT
}

/// What a path with dots leads to.
fn dotted(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let mut found = b.get("self");
    for part in b.string("target")?.split('.').filter(|part| !part.is_empty()) {
        found = i.attribute(&found, part)?;
    }
    Ok(found)
}

fn backward_hook() -> Fault {
    Fault::unsupported("hooks on the backward pass are not supported: gradients are computed by the plan, not by the program")
        .help("`kiln train` reports how large gradients are; a `forward` hook runs where the model is read")
}

/// Lets a function be called before or after `forward`.
fn hooked(i: &mut Interpreter, b: &Bound, is_before: bool) -> Result<Value> {
    static REMOVE: Native = Native {
        name: "remove",
        signature: "module, number, /",
        call: |_, b| {
            let number = b.int("number")?;
            b.object("module")?.hooks.borrow_mut().retain(|hook| hook.number != number);
            Ok(Value::None)
        },
    };
    let object = b.object("self")?;
    i.cells(1)?;
    i.hooks += 1;
    let hook =
        Hook { number: i.hooks, is_before, takes_named: b.bool("with_kwargs")?, function: b.get("hook") };
    let mut hooks = object.hooks.borrow_mut();
    let place = if b.bool("prepend")? { 0 } else { hooks.len() };
    hooks.insert(place, hook);
    // What it gives back can take the hook away again.
    let class = i.class("torch.utils.hooks.RemovableHandle")?;
    let handle = i.object(class);
    let remove = Partial {
        callee: Value::Native(&REMOVE),
        positional: vec![b.get("self"), Value::Int(i.hooks)],
        named: vec![],
    };
    handle.set("remove", Value::Partial(Rc::new(remove)));
    handle.set("id", Value::Int(i.hooks));
    Ok(Value::Object(handle))
}

fn add_module(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let name = b.string("name")?;
    if name.is_empty() || name.contains('.') {
        return Err(Fault::value(format!(
            "`{name}` cannot be the name of a module: it should be without `.`"
        )));
    }
    if !matches!(b.get("module"), Value::None) && b.get("module").as_module().is_none() {
        return Err(b.wrong("module", "a module"));
    }
    i.set_module_attribute(&b.object("self")?, &name, b.get("module"))?;
    Ok(Value::None)
}

/// Everything in a module and the modules in it, each once, with its path.
#[derive(Default)]
pub(crate) struct Walk {
    /// The modules, with the module itself first.
    pub modules: Vec<(String, Rc<Object>)>,
    /// The parameters.
    pub parameters: Vec<(String, Rc<Parameter>)>,
    /// The buffers that belong to the state dict.
    pub buffers: Vec<(String, Rc<Parameter>)>,
    /// Other names of modules' parameters and buffers, with the first: a block that is used twice has two.
    pub aliases: Vec<(String, String)>,
    /// Entries of the state dict that are no states here: counters and integer buffers.
    pub others: Vec<String>,
}

/// Modules that are nested deeper come from programs that go wrong.
const MAX_NESTING: usize = 100;

/// Nodes are called after modules: each has the path of one.
const MAX_PATH: usize = 1000;

/// Walks through a module.
pub(crate) fn walk(i: &mut Interpreter, root: &Rc<Object>) -> Result<Walk> {
    let mut found = Walk::default();
    visit(i, root, "", &mut found, &mut Default::default(), 0)?;
    Ok(found)
}

/// What was met, by address, with its first name.
#[derive(Default)]
struct Met {
    modules: std::collections::HashSet<usize>,
    states: std::collections::HashMap<usize, String>,
}

fn visit(
    i: &mut Interpreter,
    module: &Rc<Object>,
    path: &str,
    found: &mut Walk,
    met: &mut Met,
    depth: usize,
) -> Result<()> {
    i.step(1)?;
    i.cells(path.len() / 8 + 1)?;
    if depth > MAX_NESTING {
        return Err(Fault::limit("modules are nested too deeply; is one in itself?"));
    }
    if path.len() > MAX_PATH {
        return Err(Fault::limit(format!("the path of a module is longer than {MAX_PATH} letters")));
    }
    // Modules that are met again are walked through for the other names of what is in them.
    if met.modules.insert(Rc::as_ptr(module).addr()) {
        found.modules.push((path.to_owned(), module.clone()));
    }
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    i.crowd(module)?;
    let attributes: Vec<(Rc<str>, Value)> =
        module.attributes.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    let buffers = module.buffers.borrow().clone();
    for is_buffer in [false, true] {
        for (name, value) in &attributes {
            let persistent = buffers.get(name);
            if persistent.is_some() != is_buffer {
                continue;
            }
            match value {
                Value::Parameter(parameter) => {
                    let full = join(name);
                    match met.states.get(&Rc::as_ptr(parameter).addr()) {
                        Some(first) => {
                            i.cells(full.len() / 8 + 1)?;
                            found.aliases.push((full, first.clone()));
                        }
                        None => {
                            met.states.insert(Rc::as_ptr(parameter).addr(), full.clone());
                            let list = if is_buffer { &mut found.buffers } else { &mut found.parameters };
                            list.push((full, parameter.clone()));
                        }
                    }
                }
                Value::Tensor(_) if persistent == Some(&true) => found.others.push(join(name)),
                _ => {}
            }
        }
    }
    if attributes
        .iter()
        .any(|(name, value)| &**name == "num_batches_tracked" && matches!(value, Value::Int(_)))
    {
        found.others.push(join("num_batches_tracked"));
    }
    for (name, child) in module.children() {
        visit(i, &child, &join(&name), found, met, depth + 1)?;
    }
    Ok(())
}

impl Interpreter {
    /// A method of `nn.Module` that the program does not define.
    pub(crate) fn native_method(&mut self, object: &Rc<Object>, name: &str) -> Option<&'static Native> {
        if !object.class.is_module() {
            return None;
        }
        let of_containers =
            ["append", "extend", "insert", "keys", "values", "items", "update", "pop", "clear"];
        if of_containers.contains(&name) && !matches!(object.class.native(), NativeClass::Container(_)) {
            return None;
        }
        let is_recurrent =
            matches!(object.class.native(), NativeClass::Layer(layer) if recurrent::is_recurrent(layer));
        if name == "flatten_parameters" && !is_recurrent {
            return None;
        }
        method(name)
    }

    /// The modules in a module.
    pub(super) fn children(&mut self, object: &Rc<Object>) -> Result<Vec<(Rc<str>, Rc<Object>)>> {
        let children = object.children();
        self.cells(children.len())?;
        self.crowd(object)?;
        Ok(children)
    }

    /// The constructor of PyTorch's part of a module.
    pub(crate) fn init_module(&mut self, object: &Rc<Object>, class: &Rc<Class>, args: Args) -> Result<()> {
        object.is_initialized.set(true);
        match class.native() {
            NativeClass::Layer(layer) => self.init_layer(object, layer, args),
            NativeClass::Container(kind) => self.init_container(object, kind, args),
            NativeClass::Module
            | NativeClass::None
            | NativeClass::Plain
            | NativeClass::Exception
            | NativeClass::Type(_) => {
                if args.positional.is_empty() && args.named.is_empty() {
                    return Ok(());
                }
                Err(Fault::type_error(format!("`{}` takes no arguments", object.class.name))
                    .help(format!("does `{}` lack a constructor `__init__`?", object.class.name)))
            }
        }
    }

    fn init_layer(&mut self, object: &Rc<Object>, layer: &'static Layer, args: Args) -> Result<()> {
        super::advice::not_a_function(layer, &args)?;
        let written = self.trace.is_running.then(|| args.clone());
        let bound = self.bind_signature(&format!("`nn.{}`", layer.name), layer.signature, args)?;
        for (name, value) in &bound.values {
            object.set(name, value.clone());
        }
        (layer.setup)(self, object, &bound)?;
        match written {
            Some(args) => super::advice::not_in_forward(layer, object, &args),
            None => Ok(()),
        }
    }

    /// Sets an attribute of a module.
    pub(crate) fn set_module_attribute(
        &mut self,
        object: &Rc<Object>,
        name: &str,
        value: Value,
    ) -> Result<()> {
        if name == "training" {
            return self.set_mode(object, &value);
        }
        let registers = value.as_module().is_some() || matches!(value, Value::Parameter(_));
        if registers && !object.is_initialized.get() {
            return Err(Fault::python(
                "AttributeError",
                format!("`{name}` is assigned before the constructor of `nn.Module` has run"),
            )
            .help("`super().__init__()` comes first in a constructor"));
        }
        if registers && self.trace.is_running {
            return Err(Fault::unsupported(format!("`{name}` is made in `forward`")).help(
                "modules and parameters are made in `__init__`: made in `forward`, they would be new in every step",
            ));
        }
        if registers && name == "forward" {
            return Err(Fault::unsupported("a module called `forward` hides the method"));
        }
        let is_buffer = object.buffers.borrow().contains_key(name);
        if is_buffer && let Value::Tensor(id) = &value {
            if self.trace.is_running {
                return Err(Fault::unsupported(format!("the buffer `{name}` is changed in `forward`"))
                    .help("batch normalization keeps running statistics; other buffers are not changed"));
            }
            let parameter = self.parameter_of(id.get(), true)?;
            object.set(name, parameter);
            return Ok(());
        }
        object.set(name, value);
        Ok(())
    }

    /// Calls a module.
    pub(crate) fn call_module(&mut self, object: &Rc<Object>, args: Args) -> Result<Value> {
        if !self.trace.is_running {
            // Constructors try their networks out to learn a size.
            let has_tensor = args.positional.iter().any(|v| matches!(v, Value::Tensor(_)));
            if !has_tensor && args.positional.is_empty() && args.named.is_empty() {
                return Err(Fault::type_error(format!("`{}` is called without an input", object.class.name)));
            }
        }
        if object.hooks.borrow().is_empty() {
            return self.run_module(object, args);
        }
        let hooks = object.hooks.borrow().clone();
        self.step(hooks.len() as u64)?;
        let this = Value::Object(object.clone());
        let mut args = args;
        for hook in hooks.iter().filter(|hook| hook.is_before) {
            let mut given = vec![this.clone(), Value::tuple(args.positional.iter().cloned())];
            if hook.takes_named {
                given.push(Value::named(args.named.iter().cloned()));
            }
            match (self.call(&hook.function, Args::of(given))?, hook.takes_named) {
                (Value::None, _) => {}
                (Value::Tuple(parts), true) if parts.len() == 2 => {
                    let named = self.dict_of(&parts[1])?;
                    args = rest(
                        self,
                        &Bound {
                            callee: String::new(),
                            values: vec![("args".into(), parts[0].clone()), ("kwargs".into(), named)],
                        },
                    )?;
                }
                (Value::Tuple(new), _) => args.positional = new.to_vec(),
                (new, _) => args.positional = vec![new],
            }
        }
        let mut result = self.run_module(object, args.clone())?;
        for hook in hooks.iter().filter(|hook| !hook.is_before) {
            let mut given = vec![this.clone(), Value::tuple(args.positional.iter().cloned())];
            if hook.takes_named {
                given.push(Value::named(args.named.iter().cloned()));
            }
            given.push(result.clone());
            match self.call(&hook.function, Args::of(given))? {
                Value::None => {}
                new => result = new,
            }
        }
        Ok(result)
    }

    /// Runs the `forward` of a module.
    fn run_module(&mut self, object: &Rc<Object>, args: Args) -> Result<Value> {
        let path = self.trace.path(object);
        let own = object.get("forward").or_else(|| object.class.find("forward"));
        let is_layer = own.is_none() && matches!(object.class.native(), NativeClass::Layer(_));
        let before = self.trace.enter(path, is_layer);
        let result = match own {
            Some(function @ Value::Function(_)) if object.get("forward").is_none() => {
                let method = Value::Method(Rc::new((function, Value::Object(object.clone()))));
                self.call(&method, args)
            }
            Some(function) => self.call(&function, args),
            None => self.native_forward(object, args),
        };
        self.trace.leave(before);
        result
    }

    fn native_forward(&mut self, object: &Rc<Object>, args: Args) -> Result<Value> {
        match object.class.native() {
            NativeClass::Layer(layer) => {
                let path = self.trace.path(object);
                let callee = format!("`{path}` (nn.{})", layer.name);
                let mut bound = self.bind_signature(&callee, inputs_of(layer), args)?;
                let attributes = object.attributes.borrow();
                bound.values.extend(attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
                drop(attributes);
                bound.values.push(("training".into(), object.training()));
                let before = self.graph.values().len();
                let result = (layer.forward)(self, &bound).map_err(|fault| fault.made(object.made.get()))?;
                self.nodes()?;
                self.shared(layer.name, None, &bound, result, before)
            }
            NativeClass::Container(Container::Sequential) => {
                let [input] = &args.positional[..] else {
                    return Err(Fault::type_error("`nn.Sequential` takes one input")
                        .help("a module with several inputs has a `forward` of its own"));
                };
                let mut value = input.clone();
                for (_, module) in self.children(object)? {
                    value = self.deeper_call(|this| this.call_module(&module, Args::of([value.clone()])))?;
                }
                Ok(value)
            }
            NativeClass::Container(Container::Wrapper(place)) => match object.get(place) {
                Some(Value::Object(inner)) => self.deeper_call(|this| this.call_module(&inner, args)),
                _ => Err(Fault::type_error(format!("`{}` holds no module", object.class.name))),
            },
            NativeClass::Container(_) => Err(Fault::type_error(format!(
                "`{}` cannot be called: it only holds modules",
                object.class.name
            ))
            .help("call the modules in it one after another, or use `nn.Sequential`")),
            NativeClass::Module
            | NativeClass::None
            | NativeClass::Plain
            | NativeClass::Exception
            | NativeClass::Type(_) => Err(super::advice::no_forward(&object.class)),
        }
    }
}

/// The parameters of a layer's `forward`.
pub(crate) fn inputs_of(layer: &Layer) -> &'static str {
    match layer.name {
        _ if loss::is_loss(layer) => "input, target=None",
        "MaxUnpool1d" | "MaxUnpool2d" | "MaxUnpool3d" => "input, indices, output_size=None",
        "Bilinear" => "input1, input2",
        "MultiheadAttention" => multihead::INPUTS,
        _ if recurrent::is_recurrent(layer) => "input, hx=None",
        _ => "input",
    }
}
