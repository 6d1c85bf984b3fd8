//! From a model file to a graph.
//!
//! [`model`] walks the file's nodes in order of computation; for each, the table in [`ops`] has a function that
//! writes it in core operators. Everything a model asks for that is not supported is collected and reported in one
//! error: a person should not learn of it one node at a time.

mod attributes;
mod constants;
mod cut;
mod cx;
mod file;
mod function;
mod known;
mod model;
mod ops;
mod order;
mod precision;
mod types;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use kiln_graph::{Dim, Graph, Tensor, TensorType};
use prost::Message;

use crate::error::ImportError;
use crate::names::printable;
use crate::proto::{ModelProto, NodeProto, StringStringEntryProto};

use cx::OpError;
pub(crate) use file::{read, read_model};

/// First and last version of the operator set that are read.
pub const OPSETS: (i64, i64) = (1, 28);

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What symbolic dimensions are: a number (`H = 224`), another symbol (`h0_d1 = N`) or an expression (`H = 32*h`).
    pub dims: BTreeMap<String, Dim>,
    /// Whether declared shapes that contradict the operators are passed over, and newer operator sets accepted.
    pub lenient: bool,
    /// Nodes or values at which the model ends: these nodes, or whatever reads these values, are left out with all that is
    /// computed from them, and the values at the cut become outputs.
    pub cut_at: Vec<String>,
    /// Inputs with known values, by name: they become constants. Shapes, axes and sizes have to be, since a
    /// plan is laid out ahead of time; [`interface`] names them.
    pub values: BTreeMap<String, InputValue>,
}

/// The value of an input.
#[derive(Clone, Debug)]
pub enum InputValue {
    /// A tensor of the input's type.
    Tensor(Tensor),
    /// Numbers that become one: of the input's shape if it has one and they fill it, else in a row.
    Numbers(Vec<f64>),
}

impl InputValue {
    /// The tensor, if it is one that an input of type `ty` can be.
    fn tensor(self, ty: &TensorType) -> Result<Tensor, TensorType> {
        let tensor = match self {
            InputValue::Tensor(tensor) => tensor,
            InputValue::Numbers(numbers) => {
                let count = numbers.len();
                let shape = ty.static_shape().filter(|shape| shape.iter().product::<usize>() == count);
                let tensor = Tensor::of_numbers(shape.unwrap_or_else(|| vec![count]), &numbers, ty.dtype);
                tensor.map_err(|_| ty.clone())?
            }
        };
        let found = tensor.ty();
        let fits = |(dim, size): (&Dim, &Dim)| dim.as_const().is_none() || dim == size;
        let same = found.dtype == ty.dtype
            && found.rank() == ty.rank()
            && ty.shape.iter().zip(&found.shape).all(fits);
        if same { Ok(tensor) } else { Err(found) }
    }
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph.
    pub graph: Graph,
    /// The version of the operator set.
    pub opset: i64,
    /// The version of the file format.
    pub ir_version: i64,
    /// Which program wrote the file, with its version.
    pub producer: String,
    /// The file's metadata in free form.
    pub metadata: BTreeMap<String, String>,
    /// Whether it rounds to bfloat16 somewhere. Only casts round here: what is between them has 32 bits.
    pub rounds_to_bfloat16: bool,
}

/// Imports the model in the file `path`; weights beside it are found.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let bytes = file::read(path)?;
    let directory = file::directory(path);
    import_bytes(&bytes, Some(&directory), options)
}

/// Imports the model in `bytes`. Weights in other files are looked for in `directory`.
pub fn import_bytes(
    bytes: &[u8],
    directory: Option<&Path>,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    model::import_model(read_model(bytes)?, directory, options)
}

/// The metadata in free form of the file `path`; nothing else of it is read.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>, ImportError> {
    let bytes = file::read(path)?;
    let model = Described::decode(&bytes[..]).map_err(|error| ImportError::NotOnnx(error.to_string()))?;
    Ok(model.metadata_props.into_iter().map(|p| (p.key, p.value)).collect())
}

/// Of a model's file only what it says of itself.
#[derive(Clone, PartialEq, Message)]
struct Described {
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

/// The inputs of a model, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The inputs in order, without those that have a value in the file.
    pub inputs: Vec<String>,
    /// Those of them on which sizes and the like hang, so that [`ImportOptions::values`] has to say what they are.
    pub to_know: Vec<String>,
}

/// The inputs of the model in `bytes`.
pub fn interface(bytes: &[u8]) -> Result<Interface, ImportError> {
    let model = read_model(bytes)?;
    let Some(graph) = &model.graph else { return Ok(Interface::default()) };
    let known = known::names(graph)?;
    let given: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph.input.iter().map(|input| &input.name).filter(|name| !given.contains(name.as_str()));
    let inputs: Vec<String> = inputs.cloned().collect();
    let to_know = inputs.iter().filter(|name| known.contains(name.as_str())).cloned().collect();
    Ok(Interface { inputs, to_know })
}

/// The inputs of the model in `bytes` without a value in the file, with their declared types: sizes that are not known are the
/// symbols that [`ImportOptions::dims`] can name. Inputs whose types are not supported are left out.
pub fn input_types(bytes: &[u8]) -> Result<Vec<(String, TensorType)>, ImportError> {
    let model = read_model(bytes)?;
    let Some(graph) = &model.graph else { return Ok(vec![]) };
    let given: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut symbols = types::Symbols::new(BTreeMap::new());
    let mut inputs = Vec::new();
    for input in graph.input.iter().filter(|input| !given.contains(input.name.as_str())) {
        if let Ok(ty) = types::input_type(&input.name, input.r#type.as_ref(), &mut symbols) {
            inputs.push((input.name.clone(), ty));
        }
    }
    Ok(inputs)
}

/// Information on an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorInfo {
    /// Whose it is; empty for ONNX's own.
    pub domain: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The first version of the operator set that has it.
    pub since: i64,
    /// The first version that no longer has it.
    pub until: Option<i64>,
    /// Why it is not read, if it is left out deliberately.
    pub left_out: Option<&'static str>,
}

/// All operators that are read or deliberately left out.
pub fn operators() -> Vec<OperatorInfo> {
    let read = ops::TABLE.iter().map(|o| OperatorInfo {
        domain: o.domain,
        name: o.name,
        since: o.since,
        until: o.until,
        left_out: None,
    });
    let left_out = ops::left_out::all().map(|(domain, name, why)| OperatorInfo {
        domain,
        name,
        since: 1,
        until: None,
        left_out: Some(why),
    });
    read.chain(left_out).collect()
}

/// Version of ONNX's own operators that a model uses.
pub(crate) fn opset_of(model: &ModelProto) -> i64 {
    let standard = model.opset_import.iter().find(|o| is_standard(&o.domain));
    // The format's first version did not write it down; a model of others' operators alone need not.
    let without = if model.opset_import.is_empty() { 1 } else { OPSETS.1 };
    standard.map_or(without, |o| o.version)
}

pub(crate) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// An operator with its domain, where that is not ONNX's own.
pub(crate) fn operator_name(node: &NodeProto) -> String {
    let op_type = printable(&node.op_type);
    if is_standard(&node.domain) { op_type } else { format!("{}.{op_type}", printable(&node.domain)) }
}

/// A node for a message, before it has its name for people.
pub(crate) fn describe(node: &NodeProto) -> String {
    let first = [&node.name].into_iter().chain(&node.output).find(|n| !n.is_empty());
    format!("`{}` ({})", first.map(|n| printable(n)).unwrap_or_default(), operator_name(node))
}
