//! Which module is running, and what nodes are called.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use kiln_graph::{Bindings, DType, Dim, Formula, Guards, Op, Precision, Tensor, ValueId};

use crate::model::Line;
use crate::python::{Fault, Interpreter, Object, Result, Value};
use crate::source::Span;

/// Names of nodes.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Whether `forward` runs; else constructors do.
    pub is_running: bool,
    /// Whether all constructors have run.
    pub is_built: bool,
    /// Paths of modules by address: `layer1.0.conv1`.
    pub paths: HashMap<usize, String>,
    /// The modules that are running, outermost first.
    stack: Vec<String>,
    /// Whether the innermost is a layer, whose nodes are called as it is.
    in_layer: bool,
    /// The name of the next node.
    name: String,
    /// How often a name was given.
    given: HashMap<String, usize>,
    /// The calls that nodes come from, by their names.
    calls: HashMap<String, Span>,
    /// Attributes of modules with numbers or tensors that `forward` has read before it set them, and those that it has
    /// set, by the module's address.
    read: HashSet<(usize, String)>,
    written: HashSet<(usize, String)>,
    /// Attributes in which `forward` leaves a tensor for its next call.
    pub carried: Vec<String>,
}

/// Constants up to this size are computed with at once.
const MAX_FOLDED: i64 = 1 << 24;

/// Characters of a line that are kept.
const LONGEST_LINE: usize = 240;

/// Steps of arithmetic for which a result is computed at once.
const MAX_WORK: u64 = 1 << 26;

impl Trace {
    /// The path of a module; its class where it belongs to no other.
    pub(crate) fn path(&self, module: &Rc<Object>) -> String {
        match self.paths.get(&Rc::as_ptr(module).addr()) {
            Some(path) => path.clone(),
            None => module.class.name.rsplit('.').next().unwrap_or_default().chars().take(100).collect(),
        }
    }

    /// `forward` reads an attribute.
    pub(crate) fn reads(&mut self, module: &Rc<Object>, name: &str, value: &Value) {
        let is_number = matches!(
            value,
            Value::Int(_) | Value::Float(_) | Value::Tensor(_) | Value::List(_) | Value::Tuple(_)
        );
        let key = (Rc::as_ptr(module).addr(), name.to_owned());
        if self.is_running && is_number && !self.written.contains(&key) {
            self.read.insert(key);
        }
    }

    /// `forward` sets an attribute.
    pub(crate) fn writes(&mut self, module: &Rc<Object>, name: &str, value: &Value) {
        if !self.is_running {
            return;
        }
        let is_tensor = |value: &Value| matches!(value, Value::Tensor(_));
        let has_tensor = match value {
            Value::List(items) => items.borrow().iter().any(is_tensor),
            Value::Tuple(items) => items.iter().any(is_tensor),
            other => is_tensor(other),
        };
        let key = (Rc::as_ptr(module).addr(), name.to_owned());
        if has_tensor && self.read.contains(&key) {
            let path = self.path(module);
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            if !self.carried.contains(&full) {
                self.carried.push(full);
            }
        }
        self.written.insert(key);
    }

    /// A module begins.
    pub(crate) fn enter(&mut self, path: String, is_layer: bool) -> bool {
        if is_layer {
            self.name.clone_from(&path);
        }
        self.stack.push(path);
        std::mem::replace(&mut self.in_layer, is_layer)
    }

    /// A module ends; `before` is what [`Trace::enter`] gave.
    pub(crate) fn leave(&mut self, before: bool) {
        self.stack.pop();
        self.in_layer = before;
    }

    /// A function begins. Outside of layers, nodes are called after the module and the function, with a number if the
    /// module has used it before: `conv1.relu`, `relu_1`.
    pub(crate) fn function(&mut self, name: &str) {
        if self.in_layer || !self.is_running {
            return;
        }
        let last = name.rsplit('.').next().unwrap_or(name).trim_matches('_');
        let full = match self.stack.last().map(String::as_str) {
            Some("") | None => last.to_owned(),
            Some(path) => format!("{path}.{last}"),
        };
        let count = self.given.entry(full.clone()).or_insert(0);
        self.name = if *count == 0 { full } else { format!("{full}_{count}") };
        *count += 1;
    }

    /// The name of the node being created.
    pub(crate) fn current(&self) -> &str {
        &self.name
    }
}

impl Interpreter {
    /// A formula whose nodes have the current name.
    pub(crate) fn formula(&mut self) -> Formula<'_> {
        let name = self.trace.current().to_owned();
        if let Some(here) = self.here.filter(|_| self.trace.is_running) {
            self.trace.calls.entry(name.clone()).or_insert(here);
        }
        Formula::folding(&mut self.graph, name)
    }

    /// The lines that nodes come from, by the names of the nodes; those of what is built in are nobody's to read.
    pub(crate) fn lines(&self) -> BTreeMap<String, Line> {
        let line = |span: &Span| {
            let file = self.files.get(usize::try_from(span.file).ok()?)?;
            let (number, _) = file.position(span.start);
            let text = file.text.lines().nth(number.checked_sub(1)?)?;
            let text = text.trim().chars().take(LONGEST_LINE).collect();
            let is_own = !super::is_built_in(&file.path);
            is_own.then(|| Line { file: file.path.clone(), number, text })
        };
        let lines = self.trace.calls.iter();
        lines.filter_map(|(name, span)| Some((name.clone(), line(span)?))).collect()
    }

    /// Asks what has to be assumed of sizes.
    pub(crate) fn assume<T>(&mut self, question: impl FnOnce(&mut Guards) -> Option<T>) -> Option<T> {
        let name = self.trace.current().to_owned();
        self.graph.assume(&name, |_, guards| question(guards))
    }

    /// Applies a core operator. Values that depend on constants alone are computed at once: constructors compute the
    /// initial values of parameters, whatever their size.
    pub(crate) fn op(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        self.step(4)?;
        self.nodes()?;
        if !self.trace.is_running
            && let Some(tensor) = self.folded(&op, inputs)?
        {
            return Ok(self.graph.constant("constant", tensor));
        }
        Ok(self.formula().apply(op, inputs)?)
    }

    fn folded(&mut self, op: &Op, inputs: &[ValueId]) -> Result<Option<Tensor>> {
        let constants: Option<Vec<Tensor>> =
            inputs.iter().map(|id| self.graph.as_constant(*id).cloned()).collect();
        let Some(constants) = constants else { return Ok(None) };
        let types: Vec<_> = inputs.iter().map(|id| self.graph.ty(*id)).collect();
        let Ok(outputs) = op.infer(&types) else { return Ok(None) };
        let [output] = &outputs[..] else { return Ok(None) };
        let work = kiln_graph::work(op, &types, output);
        let Some(count) = output.elements().as_const().filter(|n| *n <= MAX_FOLDED) else { return Ok(None) };
        let largest = constants.iter().map(Tensor::len).max().unwrap_or(0);
        if work > MAX_WORK {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.elements(count)?;
        // Work is paid for by its size.
        let largest = u64::try_from(largest).unwrap_or(u64::MAX);
        self.step(work.saturating_add(largest) / 64)?;
        let borrowed: Vec<&Tensor> = constants.iter().collect();
        let Ok(mut results) = op.evaluate(&borrowed, Precision::F32, &Bindings::new()) else {
            return Ok(None);
        };
        Ok(results.pop())
    }

    /// A constant tensor.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> Result<Value> {
        self.elements(tensor.len())?;
        let name =
            if self.trace.is_running { self.trace.current().to_owned() } else { "constant".to_owned() };
        Ok(Value::tensor(self.graph.constant(name, tensor)))
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, id: ValueId) -> Vec<Dim> {
        self.graph.ty(id).shape.clone()
    }

    /// The element type of a tensor.
    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.graph.ty(id).dtype
    }

    /// Who made a tensor, for messages: the layer's or the input's name.
    pub(crate) fn maker(&self, id: ValueId) -> String {
        match self.graph.producer(id) {
            Some(node) => self.graph.node(node).name.clone(),
            None => self.graph.value(id).name.clone(),
        }
    }

    /// An axis, counted from the end if negative.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let counted = if axis < 0 { axis.saturating_add(signed) } else { axis };
        usize::try_from(counted).ok().filter(|axis| *axis < rank).ok_or_else(|| {
            Fault::python("IndexError", format!("dimension {axis} is out of range for {rank} dimensions"))
                .help(format!("there are {} to {}, and -{rank} to -1 from the end", 0, signed - 1))
        })
    }
}
