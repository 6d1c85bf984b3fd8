//! Models with known outputs, in ONNX's layout of test data: `model.onnx`, and any number of `test_data_set_0` and so
//! on with `input_0.pb`, `output_0.pb` and so on, in the order of the model's inputs and outputs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use kiln_graph::{Dim, Graph, GraphError, Tensor, TensorType, compare};
use kiln_onnx::{InputValue, Interface};

/// Inputs with the outputs that belong to them.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The folder's name.
    pub name: String,
    /// By the names of the model's inputs.
    pub inputs: Vec<(String, Tensor)>,
    /// By the names of the model's outputs.
    pub outputs: Vec<(String, Tensor)>,
}

/// Why test data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestDataError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a tensor.
    #[error("`{}`: {source}", .path.display())]
    Tensor {
        /// Which.
        path: PathBuf,
        /// Why.
        source: kiln_onnx::TensorError,
    },
    /// The model cannot be read.
    #[error("`{}`: {source}", .path.display())]
    Model {
        /// Which.
        path: PathBuf,
        /// Why.
        source: kiln_onnx::ImportError,
    },
    /// There is nothing to compare with.
    #[error("`{}` has no folder `test_data_set_0` with `input_0.pb` and `output_0.pb`", .0.display())]
    Empty(PathBuf),
    /// Files and model do not match.
    #[error("`{}` has {found} files `{kind}_*.pb`, but the model has {expected} {kind}s", .path.display())]
    Count {
        /// The data set.
        path: PathBuf,
        /// `input` or `output`.
        kind: &'static str,
        /// Files.
        found: usize,
        /// Inputs or outputs of the model.
        expected: usize,
    },
}

/// A folder with a model and its data sets.
pub struct Folder {
    path: PathBuf,
    interface: Interface,
}

impl Folder {
    /// Looks what the model in `path` takes.
    pub fn open(path: &Path) -> Result<Self, TestDataError> {
        let model = path.join("model.onnx");
        let interface = kiln_onnx::interface(&read(&model)?)
            .map_err(|source| TestDataError::Model { path: model, source })?;
        Ok(Self { path: path.into(), interface })
    }

    /// Values of the model's inputs that have to be constant, from the first data set.
    pub fn known_inputs(&self) -> Result<BTreeMap<String, InputValue>, TestDataError> {
        let Interface { inputs, to_know } = &self.interface;
        if to_know.is_empty() {
            return Ok(BTreeMap::new());
        }
        let given = tensors(&self.path.join("test_data_set_0"), "input", inputs)?.into_iter();
        let given = given.filter(|(name, _)| to_know.contains(name));
        Ok(given.map(|(name, tensor)| (name, InputValue::Tensor(tensor))).collect())
    }

    /// The inputs of all data sets, in order, those whose values were given included.
    pub fn inputs(&self) -> Result<Vec<Vec<(String, Tensor)>>, TestDataError> {
        set_folders(&self.path).map(|(_, set)| tensors(&set, "input", &self.interface.inputs)).collect()
    }

    /// The data sets, in order, for the graph that the model has become: it lacks the inputs whose values were given.
    pub fn data_sets(&self, graph: &Graph) -> Result<Vec<DataSet>, TestDataError> {
        let taken: HashSet<&str> = graph.inputs().iter().map(|id| graph.value(*id).name.as_str()).collect();
        let outputs: Vec<String> = graph.outputs().iter().map(|output| output.name.clone()).collect();
        let mut sets = data_sets(&self.path, &self.interface.inputs, &outputs)?;
        for set in &mut sets {
            set.inputs.retain(|(name, _)| taken.contains(name.as_str()));
        }
        Ok(sets)
    }
}

/// The data sets of a folder, in order, for a model with these inputs and outputs.
pub fn data_sets(
    folder: &Path,
    inputs: &[String],
    outputs: &[String],
) -> Result<Vec<DataSet>, TestDataError> {
    let mut sets = Vec::new();
    for (name, path) in set_folders(folder) {
        let (inputs, outputs) = (tensors(&path, "input", inputs)?, tensors(&path, "output", outputs)?);
        sets.push(DataSet { name, inputs, outputs });
    }
    if sets.is_empty() { Err(TestDataError::Empty(folder.into())) } else { Ok(sets) }
}

/// The inputs of the data sets of a folder, in order, for a model with inputs of these names; outputs are not needed.
pub fn inputs_of_sets(folder: &Path, inputs: &[String]) -> Result<Vec<Vec<(String, Tensor)>>, TestDataError> {
    set_folders(folder).map(|(_, set)| tensors(&set, "input", inputs)).collect()
}

/// The folders of data sets, in order, with their names.
fn set_folders(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let named = (0..).map(|number| format!("test_data_set_{number}"));
    named.map(|name| (name.clone(), folder.join(name))).take_while(|(_, path)| path.is_dir())
}

fn read(path: &Path) -> Result<Vec<u8>, TestDataError> {
    kiln_files::read(path).map_err(|source| TestDataError::Read { path: path.into(), source })
}

fn tensors(set: &Path, kind: &'static str, names: &[String]) -> Result<Vec<(String, Tensor)>, TestDataError> {
    let files = (0..).map(|n| set.join(format!("{kind}_{n}.pb"))).take_while(|path| path.is_file());
    let files: Vec<PathBuf> = files.collect();
    if files.len() != names.len() {
        let (found, expected) = (files.len(), names.len());
        return Err(TestDataError::Count { path: set.into(), kind, found, expected });
    }
    let one = |(path, name): (PathBuf, &String)| {
        let bytes = read(&path)?;
        let tensor =
            kiln_onnx::read_tensor_pb(&bytes).map_err(|source| TestDataError::Tensor { path, source })?;
        Ok((name.clone(), tensor))
    };
    files.into_iter().zip(names).map(one).collect()
}

/// The maximum of each symbolic dimension of the model over the data sets.
pub fn largest_symbols(graph: &Graph, sets: &[DataSet]) -> Result<BTreeMap<String, u32>, GraphError> {
    let mut largest = BTreeMap::new();
    for set in sets {
        let shapes =
            set.inputs.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
        for (symbol, value) in graph.bind_symbols(&shapes)? {
            let value = u32::try_from(value).unwrap_or(u32::MAX);
            let entry = largest.entry(symbol.to_string()).or_insert(value);
            *entry = value.max(*entry);
        }
    }
    Ok(largest)
}

/// The open dimensions of inputs of these types, as [`kiln_onnx::input_types`] has them, where inputs of the given names and
/// shapes agree about their size.
pub fn agreed_sizes<'a>(
    types: &[(String, TensorType)],
    shapes: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> BTreeMap<String, Dim> {
    let mut sizes: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for (name, shape) in shapes {
        let Some((_, ty)) = types.iter().find(|(input, _)| input == name) else { continue };
        for (dim, size) in ty.shape.iter().zip(shape).filter(|(dim, _)| dim.as_const().is_none()) {
            let known = sizes.entry(dim.to_string()).or_insert(Some(*size));
            *known = known.filter(|known| known == size);
        }
    }
    sizes.into_iter().filter_map(|(name, size)| Some((name, Dim::from(size?)))).collect()
}

/// How far an output is from what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Largest difference of an element; infinite where only one of the two is NaN, or one is an infinity that the
    /// other is not. Zeros are equal whatever their signs.
    pub absolute: f64,
    /// The same relative to the largest finite magnitude that is expected.
    pub relative: f64,
}

/// Compares an output with what is expected; `None` if shapes or types differ.
pub fn difference(expected: &Tensor, found: &Tensor) -> Option<Difference> {
    if expected.shape() != found.shape() || expected.dtype() != found.dtype() {
        return None;
    }
    let (expected, found) = (expected.to_f64(), found.to_f64());
    let absolute = compare::farthest(&expected, &found);
    Some(Difference { absolute, relative: compare::apart(&expected, &found, f64::MIN_POSITIVE) })
}
