//! Sizes that the file leaves open: what flags and inputs say of them.

use std::collections::BTreeMap;
use std::path::Path;

use kiln::graph::{Dim, Graph, TensorType};
use kiln::test_data::agreed_sizes;
use kiln::{HostTensor, Metadata, Model};
use miette::{IntoDiagnostic, Result, bail, miette};
use serde_json::json;

use crate::definition::is_recipe;
use crate::input::{Wanted, wanted, wanted_by_graph};
use crate::model::ModelArguments;
use crate::table::{Align, Table};

/// `x=1,3,640:1280,640`: sizes of an input, or of the only one.
#[derive(Clone, Debug)]
pub(crate) struct InputShape {
    name: Option<String>,
    sizes: Vec<Size>,
}

/// A size of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    Fixed(u32),
    UpTo(u32),
}

impl InputShape {
    /// Parses the flag.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, sizes) = match text.rsplit_once('=') {
            Some((name, sizes)) => (Some(name.to_owned()), sizes),
            None => (None, text),
        };
        let number = |word: &str| {
            let number = word.trim().parse::<u32>().ok().filter(|n| *n > 0);
            number.ok_or_else(|| format!("`{word}` is not a size; use 640, or 320:640 for 320 to 640"))
        };
        let size = |word: &str| match word.split_once(':') {
            None => number(word).map(Size::Fixed),
            Some((low, high)) => {
                let high = number(high)?;
                match if low.trim().is_empty() { 1 } else { number(low)? } {
                    low if low == high => Ok(Size::Fixed(high)),
                    low if low > high => Err(format!("`{word}` ends before it begins")),
                    _ => Ok(Size::UpTo(high)),
                }
            }
        };
        Ok(Self { name, sizes: sizes.split(',').map(size).collect::<Result<_, _>>()? })
    }

    /// The flag's sizes beside those that the file declares.
    fn beside(&self, types: &[(String, TensorType)]) -> Result<Vec<(Dim, Size)>> {
        let found = match (&self.name, types) {
            (Some(name), _) => types.iter().find(|(input, _)| input == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let Some((name, ty)) = found else {
            let names: Vec<String> = types.iter().map(|(name, _)| format!("{name}=...")).collect();
            bail!("`--input-shape` should name an input: {}", names.join(", "));
        };
        if ty.rank() != self.sizes.len() {
            bail!("`--input-shape` has {} sizes, but the input `{name}` is {ty}", self.sizes.len());
        }
        let pairs = ty.shape.iter().cloned().zip(self.sizes.iter().copied()).collect::<Vec<_>>();
        let wrong = |(dim, size): &&(Dim, Size)| {
            dim.as_usize().is_some_and(|n| *size != Size::Fixed(u32::try_from(n).unwrap_or(u32::MAX)))
        };
        match pairs.iter().find(wrong) {
            Some((dim, _)) => bail!("the input `{name}` is {ty}, of which {dim} cannot be changed"),
            None => Ok(pairs),
        }
    }
}

/// What all flags say of the symbols in the inputs' types.
fn of_symbols(shapes: &[InputShape], types: &[(String, TensorType)]) -> Result<Vec<(String, Size)>> {
    let mut symbols = Vec::new();
    for shape in shapes {
        let open = shape.beside(types)?.into_iter().filter(|(dim, _)| dim.as_const().is_none());
        symbols.extend(open.map(|(dim, size)| (dim.to_string(), size)));
    }
    Ok(symbols)
}

/// The sizes that `--input-shape` fixes, by symbol of the file.
pub(crate) fn fixed(shapes: &[InputShape], model: &Path) -> Result<Vec<(String, Dim)>> {
    if shapes.is_empty() {
        return Ok(vec![]);
    }
    let Some(types) = declared(model)? else {
        bail!("`--input-shape` is for ONNX files; for PyTorch source, `--input` gives the shape of a sample");
    };
    let fixed = |(name, size)| match size {
        Size::Fixed(size) => Some((name, Dim::from(i64::from(size)))),
        Size::UpTo(_) => None,
    };
    Ok(of_symbols(shapes, &types)?.into_iter().filter_map(fixed).collect())
}

/// The maxima that `--input-shape` gives, by symbol of the graph.
pub(crate) fn largest(shapes: &[InputShape], graph: &Graph) -> Result<Vec<(String, u32)>> {
    let typed = |id: &kiln::graph::ValueId| (graph.value(*id).name.clone(), graph.ty(*id).clone());
    let types: Vec<_> = graph.inputs().iter().map(typed).collect();
    let most = |(name, size)| match size {
        Size::UpTo(size) => Some((name, size)),
        Size::Fixed(_) => None,
    };
    Ok(of_symbols(shapes, &types)?.into_iter().filter_map(most).collect())
}

/// The inputs that an ONNX file declares; nothing for other files.
fn declared(model: &Path) -> Result<Option<Vec<(String, TensorType)>>> {
    if kiln::model::is_source(model) || is_recipe(model) {
        return Ok(None);
    }
    let bytes =
        kiln_files::read(model).map_err(|error| miette!("cannot read `{}`: {error}", model.display()))?;
    kiln::onnx::input_types(&bytes).into_diagnostic().map(Some)
}

/// Whether what a graph assumes of sizes is so for these: an open size is not zero, and the guards hold.
pub(crate) fn fit(graph: &Graph, seen: &BTreeMap<String, u32>) -> bool {
    if seen.values().any(|size| *size == 0) {
        return false;
    }
    let symbols = seen.iter().map(|(name, size)| (name.as_str().into(), i64::from(*size))).collect();
    graph.guards().list().iter().all(|guard| guard.holds(&symbols).unwrap_or(true))
}

/// The values of symbolic dimensions, from the inputs.
pub(crate) fn symbols_of(graph: &Graph, inputs: &[(String, HostTensor)]) -> Result<BTreeMap<String, u32>> {
    let shapes = inputs.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
    let bound = graph.bind_symbols(&shapes).into_diagnostic()?;
    Ok(bound
        .iter()
        .map(|(name, value)| (name.to_string(), u32::try_from(*value).unwrap_or(u32::MAX)))
        .collect())
}

/// The flags that fix these sizes.
pub(crate) fn flags(sizes: &BTreeMap<String, Dim>) -> String {
    let flags: Vec<String> = sizes.iter().map(|(name, size)| format!("--dim {name}={size}")).collect();
    flags.join(" ")
}

/// A model with the inputs of a run, and the values of its symbols.
pub(crate) struct Opened {
    /// The model.
    pub model: Model,
    /// Its inputs.
    pub inputs: Vec<(String, HostTensor)>,
    /// What they say of symbols.
    pub seen: BTreeMap<String, u32>,
}

impl ModelArguments {
    /// Reads the model for the inputs that `read` gives. A model that cannot be read with open sizes, or that assumes other
    /// sizes than these, is read for the sizes of the inputs, if it can be.
    pub(crate) fn open(
        &self,
        read: impl Fn(&[Wanted], &Metadata) -> Result<Vec<(String, HostTensor)>>,
    ) -> Result<Opened> {
        let open = match self.read() {
            Ok(model) => {
                let inputs = read(&wanted_by_graph(&model.graph), &model.metadata)?;
                let seen = symbols_of(&model.graph, &inputs);
                seen.map(|seen| Opened { model, inputs, seen })
            }
            Err(error) => Err(error),
        };
        if open.as_ref().is_ok_and(|open| fit(&open.model.graph, &open.seen)) {
            return open;
        }
        match (self.open_for_sizes(&read), open) {
            (Ok(Some(known)), _) => Ok(known),
            // What an open model needs of sizes is said when it runs, with sizes that fit.
            (_, Ok(open)) => Ok(open),
            // Why the model cannot be read for these sizes says more than why it cannot for all.
            (Err(error), Err(_)) | (Ok(None), Err(error)) => Err(error),
        }
    }

    /// Reads an ONNX model for the sizes of its inputs; nothing, if these say nothing more about it.
    fn open_for_sizes(
        &self,
        read: impl Fn(&[Wanted], &Metadata) -> Result<Vec<(String, HostTensor)>>,
    ) -> Result<Option<Opened>> {
        let Some(types) = declared(&self.model).ok().flatten() else { return Ok(None) };
        let known = |(name, ty): &(String, TensorType)| wanted(name, ty);
        let metadata = kiln::onnx::metadata(&self.model).ok();
        let metadata = metadata.and_then(|list| Metadata::from_properties(&list).ok()).unwrap_or_default();
        let Ok(inputs) = read(&types.iter().map(known).collect::<Vec<_>>(), &metadata) else {
            return Ok(None);
        };
        let shapes = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.shape()));
        let sizes = agreed_sizes(&types, shapes);
        if sizes.is_empty() {
            return Ok(None);
        }
        let model = self.read_with(&sizes)?;
        note!("note: the model is compiled for the sizes of these inputs: `{}`", flags(&sizes));
        let seen = symbols_of(&model.graph, &inputs)?;
        Ok(Some(Opened { model, inputs, seen }))
    }
}

/// Conditions are looked at for sizes around this one.
const USUAL: i64 = 256;
/// Sizes up to this are tried.
const MOST: i64 = 1 << 14;
/// Longer conditions are not printed.
const LONGEST: usize = 60;

/// What a model needs of sizes that are known only in a run.
struct Conditions {
    /// For each symbol, the number that it is a multiple of, if that is all there is to say.
    multiples: Vec<(String, i64)>,
    /// Condition and the layer that needs it.
    guards: Vec<(String, String)>,
    /// A symbol, what it is instead, and the layer that needs it.
    unified: Vec<(String, String, String)>,
}

impl Conditions {
    fn of(graph: &Graph) -> Self {
        let max = graph.symbols().into_iter().map(|symbol| (symbol, MOST)).collect();
        let (symbols, guards) = kiln::conditions(graph, &max);
        let values = vec![USUAL; symbols.len()];
        let multiple = |(index, symbol): (usize, &kiln::plan::Symbol)| {
            let here = |guard: &&kiln::plan::Guard| guard.mentions(index);
            let guards: Vec<_> = guards.iter().filter(here).cloned().collect();
            let number = kiln::plan::multiple_of(&guards, &values, index, MOST)?;
            (number > 1).then(|| (symbol.name.clone(), number))
        };
        let multiples = symbols.iter().enumerate().filter_map(multiple).collect();
        let text = |guard: &kiln::plan::Guard| (guard.text(&symbols), guard.node.clone());
        let unified = graph.guards().unified().iter();
        Self {
            multiples,
            guards: guards.iter().map(text).collect(),
            unified: unified.map(|u| (u.symbol.to_string(), u.dim.to_string(), u.node.clone())).collect(),
        }
    }
}

/// The conditions for `--json`.
pub(crate) fn conditions_json(graph: &Graph) -> serde_json::Value {
    let Conditions { multiples, guards, unified } = Conditions::of(graph);
    let guards: Vec<_> = guards.iter().map(|(needs, node)| json!({ "needs": needs, "node": node })).collect();
    let unified: Vec<_> = unified
        .iter()
        .map(|(symbol, size, node)| json!({ "symbol": symbol, "size": size, "node": node }))
        .collect();
    let multiples: BTreeMap<_, _> = multiples.into_iter().collect();
    json!({ "multiples": multiples, "guards": guards, "equal": unified })
}

/// Prints what a model needs of sizes, if it needs something.
pub(crate) fn show_conditions(graph: &Graph) -> Result<()> {
    let Conditions { multiples, guards, unified } = Conditions::of(graph);
    if guards.is_empty() && unified.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[("sizes of a run", Align::Left), ("needed first by", Align::Left)]);
    for (symbol, size, node) in unified {
        table.row([format!("{symbol} is {size}"), node]);
    }
    for (needs, node) in guards {
        let short = needs.chars().count() <= LONGEST;
        table.row([if short { needs } else { "sizes that agree".into() }, node]);
    }
    show!("{table}")?;
    for (symbol, number) in multiples {
        showln!("all multiples of {number} fit for `{symbol}`")?;
    }
    showln!()
}
