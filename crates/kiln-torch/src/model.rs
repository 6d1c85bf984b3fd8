//! From a source file to a graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kiln_graph::{Dim, Graph, Op, Rewriter, TensorType, ValueId};
use ruff_python_ast::Stmt;

use crate::error::ImportError;
use crate::hints::Hints;
use crate::input::Input;
use crate::limits::{Limits, MAX_ARGUMENT, MAX_ARGUMENTS};
use crate::python::value::{Body, Function, NativeClass};
use crate::python::{Args, Env, Fault, Interpreter, Object, Result, Scope, Value};
use crate::root::Root;
use crate::source::{SourceFile, Span};
use crate::stack::on_large_stack;
use crate::weights::Names;
use crate::{advice, choose, hints, input, torch};

/// Warnings of one kind.
const MAX_NAMED: usize = 20;

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The class, function or variable that is the model; the only one if none is named.
    pub model: Option<String>,
    /// Arguments of its constructor, `n_blocks=100`, as Python writes them.
    pub args: Vec<String>,
    /// Shapes of one sample of each input, `3,32,32`; what a comment in the file says if there are none.
    pub inputs: Vec<String>,
    /// The shape of the samples that the model is to take, if they are known. It is that of the input where neither
    /// `inputs` nor a comment says another shape for as many elements.
    pub sample: Vec<usize>,
    /// What symbolic dimensions are: a number (`H = 224`), another symbol or an expression (`H = 32*h`).
    pub dims: BTreeMap<String, Dim>,
    /// Whether `self.training` is true: the model as it is in a training step.
    pub training: bool,
    /// Whether calls and decorators from imports that are not known are passed over.
    pub lenient_imports: bool,
    /// The folder that files may be imported from, links followed; that of the model's file if none is named.
    pub root: Option<PathBuf>,
    /// Where the first values of parameters begin.
    pub seed: u64,
    /// Limits of the program.
    pub limits: Limits,
}

/// A line of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: PathBuf,
    /// Its number, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

/// A model that was read from its source.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph. Its states are named as in PyTorch's state dict.
    pub graph: Graph,
    /// Other names of the tensors in a state dict of the model.
    pub names: Names,
    /// States that training leaves alone: parameters without gradient, buffers.
    pub frozen: Vec<String>,
    /// Which of them are buffers and no parameters at all.
    pub buffers: Vec<String>,
    /// Warnings: what is allowed but looks like a mistake.
    pub warnings: Vec<String>,
    /// Whether `forward` asks for `self.training` and differs in training.
    pub asks_for_training: bool,
    /// The lines of `forward` that nodes come from, by the names of the nodes.
    pub lines: BTreeMap<String, Line>,
}

/// Reads the model in the file `path`.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let source = SourceFile::read(path).map_err(|message| ImportError::plain(message, None))?;
    on_large_stack(|| read(source, options))
}

/// Reads the model in a text; `path` is what messages call it.
pub fn import_text(text: &str, path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let source = SourceFile { path: path.into(), text: text.to_owned() };
    on_large_stack(|| read(source, options))
}

fn read(source: SourceFile, options: &ImportOptions) -> Result<Imported, ImportError> {
    let mut i = Interpreter::new(options.limits);
    i.root = Root::new(options.root.as_deref(), &source.path);
    i.lenient = options.lenient_imports;
    i.training = options.training;
    i.seed = options.seed;
    let file = source.path.display().to_string();
    let text = source.text.clone();
    let plain = |message: String| ImportError::plain(message, None);
    let result = i.run_file(source);
    let (namespace, parsed) = result.map_err(|fault| ImportError::new(&fault.0, &i))?;
    let name = choose::choose(&file, &text, parsed.suite(), &namespace, options.model.as_deref())?;
    let hints = hints::find(&text, parsed.suite(), &name).map_err(plain)?;
    let value = namespace.scope.as_ref().and_then(|scope| scope.own_or_deleted(&name));
    let value = value.unwrap_or(Value::None);
    let result = arguments(&mut i, &hints, options).and_then(|args| i.build(&value, &name, &args));
    let module = result.map_err(|fault| ImportError::new(&fault.0, &i))?;
    let given = if options.inputs.is_empty() { &hints.inputs } else { &options.inputs };
    let inputs = given.iter().map(|text| input::parse(text)).collect::<Result<Vec<_>, _>>().map_err(plain)?;
    let inputs = if options.inputs.is_empty() { input::suited(inputs, &options.sample) } else { inputs };
    i.graph.name.clone_from(&name);
    let mut imported =
        trace(&mut i, &module, inputs, options).map_err(|fault| ImportError::new(&fault.0, &i))?;
    imported.warnings.extend(i.passed_over(&name));
    Ok(imported)
}

/// The constructor's arguments: Python expressions, or strings if they are not valid Python.
fn arguments(i: &mut Interpreter, hints: &Hints, options: &ImportOptions) -> Result<Vec<(String, Value)>> {
    let mut args: Vec<(String, Value)> = vec![];
    if hints.args.len() > MAX_ARGUMENTS {
        return Err(Fault::limit(format!("comments give more than {MAX_ARGUMENTS} arguments")));
    }
    for text in hints.args.iter().chain(&options.args) {
        if text.len() > MAX_ARGUMENT {
            return Err(Fault::limit(format!("an argument is longer than {MAX_ARGUMENT} bytes")));
        }
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Fault::value(format!("`--arg {text}` should be NAME=VALUE, as in `--arg n_blocks=100`"))
        })?;
        let env = Env::new(Rc::new(Scope::default()), u32::MAX);
        let parsed = ruff_python_parser::parse_expression(value).ok();
        let value = match parsed {
            Some(parsed) => i.eval(&env, parsed.expr()).unwrap_or_else(|_| Value::str(value)),
            None => Value::str(value),
        };
        args.retain(|(other, _)| other != name.trim());
        args.push((name.trim().to_owned(), value));
    }
    Ok(args)
}

/// Runs `forward` on symbols.
fn trace(
    i: &mut Interpreter,
    module: &Rc<Object>,
    inputs: Vec<Input>,
    options: &ImportOptions,
) -> Result<Imported> {
    let walk = torch::walk(i, module)?;
    i.enter_modes(module, &walk)?;
    // What methods for modes have made or put elsewhere.
    let walk = torch::walk(i, module)?;
    torch::check_ties(i, &walk)?;
    i.follow_gradients(true);
    for (path, module) in &walk.modules {
        i.trace.paths.entry(Rc::as_ptr(module).addr()).or_insert_with(|| path.clone());
    }
    for (name, parameter) in walk.parameters.iter().chain(&walk.buffers) {
        let tensor = i.first_values(parameter)?;
        let id = i.graph.state(name.clone(), tensor)?;
        parameter.state.set(Some(id));
        if !parameter.is_frozen.get() {
            i.gradients.add_source(id);
        }
    }
    i.trace.is_running = true;
    let mut arguments = vec![];
    for (name, ty) in named_inputs(module, inputs)? {
        let shape: Vec<Dim> = ty.shape.iter().map(|dim| bound(dim, &options.dims)).collect();
        // A model that takes some batches only is wrong.
        if let Some(batch) = shape.first() {
            batch.symbols().into_iter().for_each(|symbol| i.graph.keep_free(symbol));
        }
        let id = i.graph.input(name, TensorType::new(ty.dtype, shape))?;
        arguments.push(Value::tensor(id));
    }
    let result = i.call_module(module, Args::of(arguments))?;
    outputs(i, module, &result)?;
    let mut warnings = warnings(&i.graph);
    warnings.extend(torch::frozen_layers(&walk));
    let carried = i.trace.carried.iter().take(MAX_NAMED);
    warnings.extend(carried.map(|name| {
        format!(
            "`forward` stores a tensor in `{name}`, which it has read before; a plan keeps nothing from one run to \
             the next: each starts with what `__init__` stored there"
        )
    }));
    let graph = tidy(&i.graph)?.settled()?;
    // Running statistics are no parameters, but training keeps them.
    let statistics: Vec<ValueId> = i
        .graph
        .nodes()
        .iter()
        .filter(|node| matches!(&node.op, Op::BatchNorm(op) if !op.frozen))
        .flat_map(|node| node.inputs[3..].to_vec())
        .collect();
    // `forward` may have frozen some, too.
    let all = walk.parameters.iter().chain(&walk.buffers);
    let frozen = all.filter(|(_, parameter)| parameter.is_frozen.get());
    let frozen =
        frozen.filter_map(|(_, parameter)| parameter.state.get()).filter(|id| !statistics.contains(id));
    let buffers = walk.buffers.iter().filter_map(|(_, buffer)| buffer.state.get());
    Ok(Imported {
        buffers: buffers.map(|id| i.graph.value(id).name.clone()).collect(),
        frozen: frozen.map(|id| i.graph.value(id).name.clone()).collect(),
        names: Names { aliases: walk.aliases, others: walk.others },
        warnings,
        asks_for_training: i.asked_for_training,
        lines: i.lines(),
        graph,
    })
}

/// The parameters of `forward` with the given shapes.
fn named_inputs(module: &Rc<Object>, inputs: Vec<Input>) -> Result<Vec<(String, TensorType)>> {
    let (required, all) = match module.class.find("forward") {
        Some(Value::Function(function)) => function.inputs(),
        _ => match module.class.native() {
            NativeClass::Layer(layer) => {
                let all = torch::inputs_of(layer).split(", ");
                let names = |all: &mut dyn Iterator<Item = &str>| all.map(str::to_owned).collect::<Vec<_>>();
                let required = names(&mut all.clone().filter(|name| !name.contains('=')));
                (required, names(&mut all.map(|name| name.split('=').next().unwrap_or(name))))
            }
            _ => (vec!["input".into()], vec!["input".into()]),
        },
    };
    let words = |count: usize| if count == 1 { "one input".to_owned() } else { format!("{count} inputs") };
    if inputs.is_empty() {
        return Err(no_input(module, &required));
    }
    let mut named: Vec<(String, TensorType)> = vec![];
    for (place, input) in inputs.into_iter().enumerate() {
        let name = match input.name {
            Some(name) if all.contains(&name) => name,
            Some(name) => {
                return Err(Fault::value(format!("`forward` has no parameter `{name}`"))
                    .help(format!("it has {}", all.join(", "))));
            }
            None if all.is_empty() => return Err(advice::no_self(module)),
            None => all.get(place).cloned().ok_or_else(|| {
                Fault::value(format!("`forward` takes {}, but more `--input` are given", words(all.len())))
            })?,
        };
        if named.iter().any(|(other, _)| *other == name) {
            return Err(Fault::value(format!("the input `{name}` is given twice")));
        }
        named.push((name, input.ty));
    }
    if let Some(missing) = required.iter().find(|name| !named.iter().any(|(other, _)| other == *name)) {
        return Err(Fault::value(format!(
            "`forward` takes {} ({}), but there is no `--input` for `{missing}`",
            words(required.len()),
            required.join(", ")
        ))
        .help(format!("`--input {missing}=SHAPE` for each of them")));
    }
    // In the order of `forward`, which is the order of the call; those in between have defaults.
    named.sort_by_key(|(name, _)| all.iter().position(|other| other == name));
    let is_prefix = named.iter().zip(&all).all(|((name, _), other)| name == other);
    if !is_prefix {
        return Err(Fault::unsupported("inputs after a parameter with a default require that one, too"));
    }
    Ok(named)
}

/// No input shape is given: the message uses what the first layer requires.
fn no_input(module: &Rc<Object>, required: &[String]) -> Fault {
    let first = first_layer(module, 0);
    let example = match &first {
        Some((_, class, size)) if class.starts_with("Conv1d") => format!("--input {size},100"),
        Some((_, class, size)) if class.starts_with("Conv3d") => format!("--input {size},16,32,32"),
        Some((_, class, size)) if class.starts_with("Conv") => format!("--input {size},32,32"),
        Some((_, _, size)) => format!("--input {size}"),
        None => "--input 3,32,32".into(),
    };
    let mut message = "the shape of the input is not known".to_owned();
    if let Some((name, class, size)) = &first {
        let what = if class.starts_with("Conv") { "channels" } else { "features" };
        message += &format!("; the first layer, `{name}` (nn.{class}), takes {size} {what}");
    }
    if required.len() > 1 {
        message += &format!("; `forward` takes {}", required.join(", "));
    }
    Fault::value(message).help(format!(
        "`{example}` gives the shape of one sample, or a comment above the class: `# kiln: {example}`"
    ))
}

/// Path, class and input size of the first layer that says it.
fn first_layer(module: &Rc<Object>, depth: usize) -> Option<(String, String, i64)> {
    let class = module.class.name.rsplit('.').next().unwrap_or_default().to_owned();
    for attribute in ["in_channels", "in_features"] {
        if let Some(size) = module.get(attribute).and_then(|value| value.as_int()) {
            return Some((String::new(), class, size));
        }
    }
    if depth > 20 {
        return None;
    }
    module.children().into_iter().find_map(|(name, child)| {
        let (path, class, size) = first_layer(&child, depth + 1)?;
        Some((if path.is_empty() { name.to_string() } else { format!("{name}.{path}") }, class, size))
    })
}

fn bound(dim: &Dim, dims: &BTreeMap<String, Dim>) -> Dim {
    dims.get(&dim.to_string()).unwrap_or(dim).clone()
}

/// Names what `forward` gives.
fn outputs(i: &mut Interpreter, module: &Rc<Object>, result: &Value) -> Result<()> {
    let mut named: Vec<(String, Value)> = vec![];
    if let Some(fields) = i.fields_of(result)? {
        named.extend(fields.into_iter().map(|(name, value)| (name.to_string(), value)));
    }
    match result.plain() {
        _ if !named.is_empty() => {}
        Value::Tuple(_) | Value::List(_) => {
            for (place, item) in i.items(result)?.into_iter().enumerate() {
                named.push((format!("output_{place}"), item));
            }
        }
        Value::Dict(dict) => {
            for (key, value) in dict.borrow().entries.values() {
                named.push((key.as_str().unwrap_or("output").to_owned(), value.clone()));
            }
        }
        other => named.push(("output".into(), other.clone())),
    }
    let wanted = named.len();
    for (name, value) in named {
        match i.optional_tensor_of(&value)? {
            Some(id) => i.graph.output(name, id)?,
            // `return x, None`
            None if matches!(value, Value::None) && wanted > 1 => {}
            None => {
                let fault =
                    Fault::type_error(format!("`forward` returns a {}, not a tensor", value.type_name()));
                return Err(match value {
                    Value::None => advice::no_return(module).unwrap_or(fault),
                    _ => fault,
                });
            }
        }
    }
    if i.graph.outputs().is_empty() {
        return Err(Fault::value("`forward` returns nothing"));
    }
    Ok(())
}

/// A view that mixes samples is legal and nearly always a mistake: the book's `view(-1, 512)` on another image size.
fn warnings(graph: &Graph) -> Vec<String> {
    let batch = Dim::symbol("N");
    let mut warnings = vec![];
    for output in graph.outputs() {
        let ty = graph.ty(output.value);
        let Some(rows) = ty.shape.first().filter(|rows| **rows != batch) else { continue };
        let Some(factor) = rows.exact_div(&batch).and_then(|f| f.as_const()).filter(|f| *f > 1) else {
            continue;
        };
        let culprit = graph.nodes().iter().find(|node| {
            let first = node.outputs.first().and_then(|id| graph.ty(*id).shape.first().cloned());
            matches!(node.op, Op::Reshape(_)) && first.as_ref() == Some(rows)
        });
        let mut warning = format!("the output has {rows} rows for {batch} samples");
        if let Some(node) = culprit {
            let from = &graph.ty(node.inputs[0]).shape;
            let each = kiln_graph::product(from.iter().skip(1));
            warning += &format!(
                ": `{}` makes {factor} rows of each sample, which has {each} elements; `view(-1, {each})` \
                 keeps them together, and the layer after it takes {each}",
                node.name
            );
        }
        warnings.push(warning);
    }
    warnings
}

/// The graph without what leads to no output.
fn tidy(graph: &Graph) -> Result<Graph> {
    let mut needed = vec![false; graph.values().len()];
    graph.results().for_each(|id| needed[id.index()] = true);
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|id| needed[id.index()]) {
            node.inputs.iter().for_each(|id| needed[id.index()] = true);
        }
    }
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids() {
        if graph.node(id).outputs.iter().any(|id| needed[id.index()]) {
            rewriter.copy(id)?;
        }
    }
    Ok(rewriter.finish()?)
}

impl Function {
    /// Whether a call without arguments is possible.
    pub(crate) fn is_without_arguments(&self) -> bool {
        let parameters = self.code.parameters.iter_non_variadic_params();
        matches!(self.code.body, Body::Statements(_)) && parameters.into_iter().all(|p| p.default.is_some())
    }

    /// The parameters behind `self`: those without default, and all.
    pub(crate) fn inputs(&self) -> (Vec<String>, Vec<String>) {
        let taken = &self.code.parameters;
        let parameters = taken.posonlyargs.iter().chain(&taken.args).skip(1);
        let all: Vec<_> = parameters.map(|p| (p.name().to_string(), p.default.is_none())).collect();
        let required = all.iter().filter(|(_, required)| *required).map(|(name, _)| name.clone()).collect();
        let mut names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
        if names.is_empty() && taken.vararg.is_some() {
            names.push("input".into());
        }
        (required, names)
    }

    /// The parameters of a function that is no method which have no default.
    pub(crate) fn required(&self) -> Vec<String> {
        let parameters = self.code.parameters.iter_non_variadic_params();
        let required = parameters.into_iter().filter(|p| p.default.is_none());
        required.map(|p| p.name().to_string()).collect()
    }

    /// Where its parameters are written.
    pub(crate) fn place(&self) -> Span {
        Span::of(self.file, &self.code.parameters)
    }

    /// Its last statement.
    pub(crate) fn last(&self) -> Option<&Stmt> {
        match &self.code.body {
            Body::Statements(statements) => statements.last(),
            Body::Expression(_) => None,
        }
    }
}
