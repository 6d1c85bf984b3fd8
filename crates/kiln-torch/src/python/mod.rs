//! An evaluator for the part of Python in which modules are written.
//!
//! A model definition is a program: constructors run and build a tree of modules, then `forward` runs once on symbols
//! and leaves a graph behind. Nothing of the machine can be reached from such a program but other Python files beside
//! it; what it may use of time and memory is limited (`crate::limits`).
//!
//! What fails at the level of a file does not end the reading: files that define models often train them, too, and plot.
//! Names whose definition failed stand for the reason ([`Value::Failed`]), which is said when the model needs them
//! (`failed`).

mod advice;
mod builtins;
mod cache;
mod call;
mod class;
mod cycles;
mod data;
mod enumeration;
mod eval;
mod exec;
mod failed;
mod fault;
pub(crate) mod format;
mod function;
mod generator;
mod imports;
mod library;
pub(crate) mod methods;
pub(crate) mod native;
mod object;
mod operators;
mod pattern;
mod scope;
mod sequence;
mod standard;
pub(crate) mod value;
mod version;

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use kiln_graph::{Def, Graph};
use ruff_python_ast::Parameters;

pub(crate) use call::{Args, rest};
pub(crate) use failed::assigned;
pub(crate) use fault::{Fault, FaultData, Kind, Result};
pub(crate) use imports::{nearest, unknown};
pub(crate) use library::dtype as native_dtype;
pub(crate) use native::Bound;
pub(crate) use scope::{Env, Scope};
pub(crate) use sequence::{position, slice_indices};
use value::Code;
pub(crate) use value::{Class, Namespace, Object, Value};
pub(crate) use version::TORCH;

use crate::limits::Limits;
use crate::root::Root;
use crate::source::{SourceFile, Span};
use crate::torch::Trace;

/// The state of an evaluation.
pub(crate) struct Interpreter {
    /// What tensors are added to.
    pub graph: Graph,
    /// Names of nodes, and which module is running.
    pub trace: Trace,
    /// The files that were read.
    pub files: Vec<Rc<SourceFile>>,
    /// Where files may be imported from.
    pub root: Root,
    /// Files by path, once they are there; `None` while they are being read.
    modules: HashMap<PathBuf, Option<Rc<Namespace>>>,
    /// Parsed signatures of what Rust offers, by address and length.
    signatures: HashMap<(usize, usize), Rc<Parameters>>,
    /// Classes that PyTorch and Python define, by full name.
    classes: HashMap<&'static str, Rc<Class>>,
    /// What has to be emptied in the end.
    pub cycles: cycles::Cycles,
    /// What functions do, by file and place: a definition in a loop is kept once.
    bodies: HashMap<(u32, Span), Rc<Code>>,
    /// How many values of the graph have been looked at by [`Interpreter::nodes`].
    seen_values: usize,
    /// Where the innermost call of the program is.
    pub here: Option<Span>,
    /// Whether what comes from unknown imports may be called and passed over.
    pub lenient: bool,
    /// Whether `self.training` is true.
    pub training: bool,
    /// Whether the program has asked.
    pub asked_for_training: bool,
    /// Where random numbers begin.
    pub seed: u64,
    /// How many random tensors were drawn.
    pub draws: u32,
    /// How many hooks were registered.
    pub hooks: i64,
    /// The exceptions whose handlers run, innermost last.
    handled: Vec<Fault>,
    /// Statements that failed, and the module that each would have made of the module of the same name.
    passed_over: Vec<(String, Span)>,
    /// Which tensors are views of others.
    pub sharing: crate::torch::Sharing,
    /// Views that a constructor may write through.
    pub storage: crate::torch::Storage,
    /// Whether gradients are followed.
    pub gradients: crate::torch::Gradients,
    limits: Limits,
    steps: u64,
    cells: u64,
    elements: u64,
    depth: usize,
    calls: usize,
}

/// Dimensions of a tensor, as many as PyTorch's.
const MAX_RANK: usize = 64;

/// Levels of evaluation within each other: expressions in expressions, statements in statements, calls.
const MAX_DEPTH: usize = 20_000;

impl Interpreter {
    /// A fresh one.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            graph: Graph::new(""),
            trace: Trace::default(),
            files: vec![],
            modules: HashMap::new(),
            signatures: HashMap::new(),
            classes: HashMap::new(),
            cycles: cycles::Cycles::default(),
            bodies: HashMap::new(),
            seen_values: 0,
            here: None,
            lenient: false,
            training: false,
            asked_for_training: false,
            seed: 0,
            draws: 0,
            hooks: 0,
            handled: vec![],
            passed_over: vec![],
            sharing: crate::torch::Sharing::default(),
            storage: crate::torch::Storage::default(),
            gradients: crate::torch::Gradients::default(),
            root: Root::nowhere(),
            limits,
            steps: 0,
            cells: 0,
            elements: 0,
            depth: 0,
            calls: 0,
        }
    }

    /// An object without attributes.
    pub(crate) fn object(&mut self, class: Rc<Class>) -> Rc<Object> {
        let object = Object::new(class);
        self.cycles.object(&object);
        object
    }

    /// A scope that is cleared when all is done.
    pub(crate) fn scope_within(&mut self, parent: &Rc<Scope>) -> Rc<Scope> {
        let scope = Scope::within(parent);
        self.cycles.scope(&scope);
        scope
    }

    /// Counts work.
    pub(crate) fn step(&mut self, count: u64) -> Result<()> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > self.limits.steps {
            return Err(Fault::limit(format!(
                "the program takes more than {} steps to build the model; is there a loop that does not end?",
                self.limits.steps
            )));
        }
        Ok(())
    }

    /// Counts elements of lists and characters of strings.
    pub(crate) fn cells(&mut self, count: usize) -> Result<()> {
        self.cells = self.cells.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.cells > self.limits.cells {
            return Err(Fault::limit(format!(
                "the program makes lists and strings of more than {} elements",
                self.limits.cells
            )));
        }
        Ok(())
    }

    /// Counts elements of tensors that take memory.
    pub(crate) fn elements(&mut self, count: usize) -> Result<()> {
        self.elements = self.elements.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.elements > self.limits.elements {
            return Err(Fault::limit(format!(
                "the model has more than {} elements in its parameters and constants",
                self.limits.elements
            )));
        }
        Ok(())
    }

    /// Counts the work on a text.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        if text.len() < 64 { Ok(()) } else { self.step(text.len() as u64 / 64) }
    }

    /// Counts the work on constants: with small ones is computed at once.
    pub(crate) fn constants(&mut self, values: &[&Value]) -> Result<()> {
        let small = |value: &&Value| match value {
            Value::Tensor(id) => self.graph.as_constant(id.get()).map_or(0, |tensor| tensor.len().min(4096)),
            _ => 0,
        };
        let count: usize = values.iter().map(small).sum();
        self.step(count as u64 / 16)
    }

    /// Counts nodes of the graph, and the work on the sizes and constants that are new.
    pub(crate) fn nodes(&mut self) -> Result<()> {
        let values = self.graph.values();
        let mut work = 0u64;
        for value in values.get(self.seen_values..).unwrap_or_default() {
            if value.ty.rank() > MAX_RANK {
                return Err(Fault::limit(format!("a tensor has more than {MAX_RANK} dimensions")));
            }
            let weights: u64 = value.ty.shape.iter().map(|dim| dim.weight() as u64).sum();
            let terms =
                value.ty.shape.iter().fold(1u64, |n, dim| n.saturating_mul(dim.terms().len().max(1) as u64));
            work = work.saturating_add(weights.saturating_mul(terms) / 16);
            if let Def::Constant(tensor) = &value.def {
                work = work.saturating_add(8 + tensor.len().min(4096) as u64 / 8);
            }
        }
        self.seen_values = values.len();
        self.step(work)?;
        if self.graph.nodes().len() > self.limits.nodes {
            return Err(Fault::limit(format!(
                "the model has more than {} nodes; is there a loop that does not end?",
                self.limits.nodes
            )));
        }
        Ok(())
    }

    /// Runs something one level deeper.
    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::limit("expressions are nested too deeply"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// The text of a place as far as it is worth showing: its line, shortened.
    fn words_of(&self, span: Span) -> &str {
        let line = self.text_of(span).lines().next().unwrap_or_default();
        let end = line.char_indices().nth(200).map_or(line.len(), |(at, _)| at);
        &line[..end]
    }

    /// The text of a place.
    pub(crate) fn text_of(&self, span: Span) -> &str {
        let file = usize::try_from(span.file).ok().and_then(|file| self.files.get(file));
        let range = usize::try_from(span.start).unwrap_or(0)..usize::try_from(span.end).unwrap_or(0);
        file.and_then(|file| file.text.get(range)).unwrap_or_default()
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        for class in self.classes.values() {
            class.attributes.borrow_mut().clear();
        }
    }
}
