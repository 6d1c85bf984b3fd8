//! Models: read, given weights, compiled.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use kiln::graph::Dim;
use kiln::onnx::InputValue;
use kiln::torch::Names;
use kiln::torch::state_dict::StateDict;
use kiln::train::Training;
use kiln::tune::{Compile, DeviceKey, RecordFile, Settings, cache_folder, target_of, tune};
use kiln::{
    DEFAULT_BATCH, Device, DeviceOptions, ModelOptions, Options, Precision, Preferences, Records, Target,
    batch_symbols,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{array_of_graph, graph_tensor_of};
use crate::error::{Kind, Raise, detached};
use crate::plan::Plan;
use crate::training::TrainingSettings;

/// Where in the cache the command and this package keep what they measure.
const RECORDS: &str = "records.ktune";

/// A model definition with its weights.
#[pyclass(module = "kiln._kiln")]
pub(crate) struct Model {
    model: kiln::Model,
    /// The model as it computes in training, where it was exported twice.
    in_training: Option<kiln::graph::Graph>,
}

/// How a model is read.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Reading {
    dims: BTreeMap<String, Size>,
    values: BTreeMap<String, Vec<f64>>,
    /// The same as arrays, whose types are those of the inputs.
    arrays: BTreeMap<String, Py<PyAny>>,
    cut_at: Vec<String>,
    lenient: bool,
    inputs: Vec<String>,
    arguments: Vec<String>,
    lenient_imports: bool,
    root: Option<PathBuf>,
    seed: u64,
}

/// What a symbolic dimension is.
#[derive(FromPyObject)]
enum Size {
    Number(i64),
    Text(String),
}

impl Reading {
    fn options(self, py: Python<'_>) -> PyResult<ModelOptions> {
        let dim = |(name, size): (String, Size)| {
            let found = match &size {
                Size::Number(number) if *number >= 0 => Some(Dim::from(*number)),
                Size::Text(text) => text.parse::<Dim>().ok(),
                Size::Number(_) => None,
            };
            let found = found.ok_or_else(|| {
                Kind::Input.with(format!(
                    "the size of `{name}` should be a positive number, a name or an expression"
                ))
            })?;
            Ok((name, found))
        };
        let dims: BTreeMap<String, Dim> = self.dims.into_iter().map(dim).collect::<PyResult<_>>()?;
        let mut values = BTreeMap::new();
        for (name, numbers) in self.values {
            values.insert(name, InputValue::Numbers(numbers));
        }
        for (name, array) in self.arrays {
            let tensor = graph_tensor_of(&name, array.bind(py))?;
            values.insert(name, InputValue::Tensor(tensor));
        }
        let onnx = kiln::onnx::ImportOptions {
            dims: dims.clone(),
            lenient: self.lenient,
            cut_at: self.cut_at,
            values,
        };
        let source = kiln::torch::ImportOptions {
            args: self.arguments,
            inputs: self.inputs,
            dims,
            lenient_imports: self.lenient_imports,
            root: self.root,
            seed: self.seed,
            ..Default::default()
        };
        Ok(ModelOptions { onnx, source })
    }
}

/// What a plan is compiled for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Compiling {
    max: BTreeMap<String, u32>,
    target: String,
    precision: String,
    precise: Option<bool>,
    /// Seconds to measure kernels for, on this device.
    tune: Option<f64>,
}

impl Compiling {
    /// How long to measure, if at all.
    fn seconds(&self) -> PyResult<Option<f64>> {
        match self.tune {
            Some(seconds) if !(seconds > 0.0 && seconds <= 86_400.0) => Err(Kind::Input
                .with(format!("`tune` is {seconds}, which is no number of seconds up to 86400 (a day)"))),
            Some(_) if self.target != "auto" => Err(Kind::Input.with(format!(
                "kernels are measured on the device of this machine: `tune` goes with the target `auto`, not with `{}`",
                self.target
            ))),
            seconds => Ok(seconds),
        }
    }

    fn options(self, graph: &kiln::graph::Graph) -> PyResult<Options> {
        let precision = match &*self.precision {
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            other => return Err(Kind::Input.with(format!("`{other}` is no precision; use `f32` or `f16`"))),
        };
        let (target, records) = target(&self.target, precision)?;
        let mut max = self.max;
        for symbol in batch_symbols(graph) {
            max.entry(symbol).or_insert(DEFAULT_BATCH);
        }
        let preferences = Preferences { precise: self.precise, records, ..Preferences::default() };
        Ok(Options { target, max, preferences, precision, separate: false })
    }
}

/// A target by name; `auto` is the device of this machine, with what was measured on it.
fn target(name: &str, precision: Precision) -> PyResult<(Target, Records)> {
    if let Some(target) = kiln::named_target(name, precision) {
        return Ok((target, Records::default()));
    }
    if name != "auto" {
        let known: Vec<String> = Target::names().map(|(name, _)| format!("`{name}`")).collect();
        return Err(
            Kind::Input.with(format!("there is no target `{name}`; use `auto`, {}", known.join(", ")))
        );
    }
    let Ok(device) = kiln::default_device() else { return Ok((Target::portable(), Records::default())) };
    let file = cache_folder().and_then(|folder| RecordFile::read(&folder.join(RECORDS)).ok());
    let records = file.map(|file| file.records(&DeviceKey::of(&device))).unwrap_or_default();
    Ok((target_of(&device).0, records))
}

/// Measures kernels on the device of this machine for so many seconds, keeps what was found and adds it to the options.
fn measure(
    seconds: Option<f64>,
    options: &mut Options,
    program: &str,
    compile: &Compile<'_>,
) -> PyResult<()> {
    let Some(seconds) = seconds else { return Ok(()) };
    let capabilities = kiln::default_device().or_raise()?;
    let device =
        Device::open(&DeviceOptions::from_env(), &kiln::requirements_of(&capabilities)).or_raise()?;
    let settings = Settings { seconds, ..Settings::default() };
    let found = tune(&device, compile, options, program, &settings, &mut ()).or_raise()?;
    found.apply(&mut options.preferences.records);
    if let Some(folder) = cache_folder().filter(|_| !found.contests.is_empty()) {
        let kept = RecordFile::add_to(&folder.join(RECORDS), &DeviceKey::of(&capabilities), &found);
        kept.map_err(kiln::Error::from).or_raise()?;
    }
    Ok(())
}

#[pymethods]
impl Model {
    /// Reads a file.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf, options: Reading) -> PyResult<Self> {
        let options = options.options(py)?;
        if is_plan(&path) {
            return Err(Kind::Model.with(format!(
                "`{}` is a compiled plan, which does not contain its layers: `kiln.Plan.load` reads it",
                path.display()
            )));
        }
        let model = detached(py, || kiln::Model::read(&path, &options))?.or_raise()?;
        Ok(Self { model, in_training: None })
    }

    /// Reads an ONNX file that is in memory. Only the parameters in `trainable` are trained, if there are any; `training` is the
    /// same model as it computes in training.
    #[staticmethod]
    #[pyo3(signature = (data, options, trainable = None, training = None))]
    fn from_onnx(
        py: Python<'_>,
        data: &[u8],
        options: Reading,
        trainable: Option<Vec<String>>,
        training: Option<&[u8]>,
    ) -> PyResult<Self> {
        let options = options.options(py)?.onnx;
        let read = |bytes: &[u8]| kiln::Model::from_onnx(bytes, &options);
        let (model, training) = detached(py, || (read(data), training.map(read)))?;
        let (mut model, training) = (model.or_raise()?, training.transpose().or_raise()?);
        if let Some(trainable) = trainable {
            // Running statistics are no parameters, and change unless somebody freezes them.
            let statistics = kiln::train::statistics(&model.graph);
            let states = model.graph.states().iter().map(|id| model.graph.value(*id).name.clone());
            model.frozen =
                states.filter(|name| !trainable.contains(name) && !statistics.contains(name)).collect();
        }
        Ok(Self { model, in_training: training.map(|other| other.graph) })
    }

    /// Loads a state dict from a file; what did not fit is returned as text.
    fn load_weights(&mut self, py: Python<'_>, path: PathBuf, partial: bool) -> PyResult<String> {
        let model = &mut self.model;
        let fit = detached(py, || model.load_weights(&path, partial))?.or_raise()?;
        Ok(if fit.is_perfect() { String::new() } else { fit.to_string() })
    }

    /// Takes weights by name.
    fn load_state_dict(&mut self, weights: &Bound<'_, PyDict>, partial: bool) -> PyResult<String> {
        let mut dict = StateDict::new();
        for (name, value) in weights {
            let name: String = name.extract()?;
            dict.insert(name.clone(), graph_tensor_of(&name, &value)?);
        }
        let Self { model, in_training } = self;
        let fit =
            dict.load_into(&mut model.graph, &model.names, partial).map_err(kiln::Error::from).or_raise()?;
        if let Some(graph) = in_training {
            // States are the same, and those that only one of both has stay as they are.
            dict.load_into(graph, &Names::default(), true).map_err(kiln::Error::from).or_raise()?;
        }
        self.model.untrained = false;
        Ok(if fit.is_perfect() { String::new() } else { fit.to_string() })
    }

    /// The weights by PyTorch's names.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let weights = PyDict::new(py);
        for (name, tensor) in self.model.state_dict().iter() {
            weights.set_item(name, array_of_graph(py, tensor)?)?;
        }
        Ok(weights)
    }

    /// Compiles a plan that answers.
    fn compile(&self, py: Python<'_>, options: Compiling) -> PyResult<Plan> {
        let compiled = detached(py, || {
            let seconds = options.seconds()?;
            let mut options = options.options(&self.model.graph)?;
            let compile = |options: &Options| Ok(kiln::compile(&self.model.graph, options)?);
            measure(seconds, &mut options, "inference", &compile)?;
            kiln::compile(&self.model.graph, &options).map_err(kiln::Error::from).or_raise()
        })??;
        let mut plan = compiled.plan;
        plan.metadata.clone_from(&self.model.metadata);
        Ok(plan.into())
    }

    /// Compiles a plan that trains.
    fn compile_training(
        &self,
        py: Python<'_>,
        options: Compiling,
        settings: TrainingSettings,
    ) -> PyResult<Plan> {
        let plan = detached(py, || {
            let seconds = options.seconds()?;
            let mut options = options.options(&self.model.graph)?;
            let training = self.training(settings, &options)?;
            let compile =
                |options: &Options| Ok(kiln::compile_training(&self.model.graph, &training, options)?);
            measure(seconds, &mut options, if training.split { "gradients" } else { "train" }, &compile)?;
            let compiled = kiln::compile_training(&self.model.graph, &training, &options);
            compiled.map_err(kiln::Error::from).or_raise()
        })??;
        let mut plan = plan.plan;
        plan.metadata.clone_from(&self.model.metadata);
        Ok(plan.into())
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.model.warnings.clone()
    }

    /// Whether the weights are random numbers.
    #[getter]
    fn untrained(&self) -> bool {
        self.model.untrained
    }

    /// Names and first dimensions of the inputs, as text.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<String>)> {
        let graph = &self.model.graph;
        let listed = |id: &kiln::graph::ValueId| {
            let sizes = graph.ty(*id).shape.iter().map(ToString::to_string).collect();
            (graph.value(*id).name.clone(), sizes)
        };
        graph.inputs().iter().map(listed).collect()
    }

    /// Names and shapes of the states.
    #[getter]
    fn states(&self) -> Vec<(String, Vec<usize>)> {
        let graph = &self.model.graph;
        let listed = |id: &kiln::graph::ValueId| {
            (graph.value(*id).name.clone(), graph.ty(*id).static_shape().unwrap_or_default())
        };
        graph.states().iter().map(listed).collect()
    }

    /// Names of states, and the name of each that a state dict calls by another one, too.
    #[getter]
    fn aliases(&self) -> Vec<(String, String)> {
        self.model.names.aliases.clone()
    }

    /// Entries of a state dict that are no states.
    #[getter]
    fn others(&self) -> Vec<String> {
        self.model.names.others.clone()
    }
}

impl Model {
    fn training(&self, settings: TrainingSettings, options: &Options) -> PyResult<Training> {
        let mut training = settings.training()?;
        training.precision = options.precision;
        let in_training = self.model.in_training().or_raise()?;
        let own = in_training.as_ref().map_or(&self.model.frozen, |other| &other.frozen);
        training.frozen.extend(own.iter().cloned());
        training.model = in_training.map(|other| other.graph).or_else(|| self.in_training.clone());
        Ok(training)
    }
}

/// Whether a file is a compiled plan.
fn is_plan(path: &Path) -> bool {
    let mut magic = [0u8; 8];
    kiln_files::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"KILNPLAN"
}
