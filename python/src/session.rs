//! Plans on a device.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln::torch::state_dict::StateDict;
use kiln::training::{Progress, checkpoint};
use kiln::{Device, DeviceOptions, HostTensor, Outputs};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::arrays::{array_of, tensor_of};
use crate::error::{Kind, Raise, detached};
use crate::interface;
use crate::plan::Plan;

/// A plan on a device.
#[pyclass(frozen, subclass, module = "kiln._kiln")]
pub(crate) struct Session {
    session: Mutex<kiln::Session>,
    /// Without the weights.
    interface: Vec<Taken>,
    device: String,
}

type Listed<'py> = Vec<Bound<'py, PyAny>>;

/// What a program takes.
struct Taken {
    program: String,
    inputs: Vec<String>,
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, kiln::Session> {
        // A run that ended in a defect has not changed what the next one needs.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self, program: Option<&str>) -> PyResult<&Taken> {
        let found = match program {
            Some(name) => self.interface.iter().find(|taken| taken.program == name),
            None => self.interface.first(),
        };
        found.ok_or_else(|| {
            let there: Vec<_> = self.interface.iter().map(|taken| format!("`{}`", taken.program)).collect();
            let wanted = program.unwrap_or_default();
            Kind::Input.with(format!("there is no program `{wanted}`; the plan has {}", there.join(", ")))
        })
    }

    /// Runs without the interpreter's lock; other threads wait for the session, not for the interpreter.
    fn answers(&self, py: Python<'_>, program: &str, inputs: &[(String, HostTensor)]) -> PyResult<Outputs> {
        detached(py, || {
            let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            self.lock().run_program(program, &inputs)
        })?
        .or_raise()
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python<'_>, plan: &Plan) -> PyResult<Self> {
        let plan = &plan.plan;
        let session = detached(py, || {
            let mut device = Device::open(&DeviceOptions::from_env(), &plan.requirements)?;
            if let Some(folder) = kiln::tune::cache_folder() {
                device.keep_pipelines(&folder.join("pipelines"));
            }
            kiln::Session::load(&device, plan)
        })?
        .or_raise()?;
        let names = |indices: &[usize]| {
            indices.iter().filter_map(|index| Some(plan.tensors.get(*index)?.name.clone())).collect()
        };
        let taken = |program: &kiln::plan::Program| Taken {
            program: program.name.clone(),
            inputs: names(&program.inputs),
        };
        let interface = plan.programs.iter().map(taken).collect();
        let device = session.device().capabilities().name.clone();
        Ok(Self { session: Mutex::new(session), interface, device })
    }

    #[pyo3(signature = (inputs, program = None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyDict>,
        program: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let taken = self.taken(program)?;
        let mut tensors = Vec::with_capacity(inputs.len());
        for (name, value) in inputs {
            let name = name
                .cast::<PyString>()
                .map_err(|_| Kind::Input.with(format!("an input is named by a string, not by {name}")))?;
            let name = name.to_str()?.to_owned();
            let tensor = tensor_of(&name, &value)?;
            tensors.push((name, tensor));
        }
        let outputs = PyDict::new(py);
        for (name, tensor) in self.answers(py, &taken.program, &tensors)? {
            outputs.set_item(name, array_of(py, tensor)?)?;
        }
        Ok(outputs)
    }

    #[pyo3(signature = (*inputs))]
    fn __call__<'py>(&self, py: Python<'py>, inputs: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let taken = self.taken(None)?;
        if inputs.len() != taken.inputs.len() {
            let names: Vec<_> = taken.inputs.iter().map(|name| format!("`{name}`")).collect();
            return Err(Kind::Input.with(format!(
                "the network takes {} inputs ({}), {} are given",
                taken.inputs.len(),
                names.join(", "),
                inputs.len()
            )));
        }
        let pairs = taken.inputs.iter().zip(inputs);
        let tensors = pairs
            .map(|(name, value)| Ok((name.clone(), tensor_of(name, &value)?)))
            .collect::<PyResult<Vec<_>>>()?;
        let outputs = self.answers(py, &taken.program, &tensors)?;
        let mut arrays =
            outputs.into_iter().map(|(_, tensor)| array_of(py, tensor)).collect::<PyResult<Vec<_>>>()?;
        match arrays.len() {
            1 => Ok(arrays.remove(0)),
            _ => Ok(PyTuple::new(py, arrays)?.into_any()),
        }
    }

    fn read_state<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let tensor = detached(py, || {
            let mut session = self.lock();
            let index = session.plan().state(name).map(|(index, _)| index);
            index.map(|index| session.read_tensor(index))
        })?;
        array_of(py, tensor.ok_or_else(|| no_state(name))?.or_raise()?)
    }

    fn write_state(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let tensor = tensor_of(name, value)?;
        let done = detached(py, || {
            let mut session = self.lock();
            let index = session.plan().state(name).map(|(index, _)| index);
            index.map(|index| session.write_tensor(index, &tensor))
        })?;
        done.ok_or_else(|| no_state(name))?.or_raise()
    }

    /// Writes all states and how far the training is, as the command's checkpoints.
    fn save_checkpoint(
        &self,
        py: Python<'_>,
        path: PathBuf,
        step: u64,
        epoch: u64,
        notes: BTreeMap<String, String>,
    ) -> PyResult<()> {
        detached(py, || {
            let mut session = self.lock();
            let mut known = session.metadata().to_properties();
            known.extend(notes);
            let progress = Progress { step, epoch, ..Progress::default() };
            checkpoint::save(&mut session, &path, &progress, &known)
        })?
        .map_err(kiln::Error::from)
        .or_raise()
    }

    /// Reads a checkpoint into the states: the step, the epoch, and what else was noted.
    fn load_checkpoint(
        &self,
        py: Python<'_>,
        path: PathBuf,
    ) -> PyResult<(u64, u64, BTreeMap<String, String>)> {
        let read = || {
            let found = checkpoint::Checkpoint::read(&path).map_err(|error| error.of(&path))?;
            let notes = StateDict::metadata_of(&path)?;
            found.restore(&mut self.lock())?;
            Ok::<_, kiln::Error>((found.progress.step, found.progress.epoch, notes))
        };
        detached(py, read)?.or_raise()
    }

    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::inputs(py, self.lock().plan(), None)
    }

    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::outputs(py, self.lock().plan(), None)
    }

    #[pyo3(signature = (program = None))]
    fn inputs_of<'py>(&self, py: Python<'py>, program: Option<&str>) -> PyResult<Listed<'py>> {
        interface::inputs(py, self.lock().plan(), program)
    }

    #[pyo3(signature = (program = None))]
    fn outputs_of<'py>(&self, py: Python<'py>, program: Option<&str>) -> PyResult<Listed<'py>> {
        interface::outputs(py, self.lock().plan(), program)
    }

    #[getter]
    fn states<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::states(py, self.lock().plan())
    }

    #[getter]
    fn max(&self) -> BTreeMap<String, u32> {
        interface::symbols(self.lock().plan())
    }

    #[getter]
    fn metadata(&self) -> BTreeMap<String, String> {
        self.lock().metadata().to_properties()
    }

    #[getter]
    fn classes(&self) -> Vec<String> {
        self.lock().metadata().classes.clone()
    }

    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    #[getter]
    fn programs(&self) -> Vec<String> {
        self.interface.iter().map(|taken| taken.program.clone()).collect()
    }
}

fn no_state(name: &str) -> PyErr {
    Kind::Weights.with(format!("the plan has no state `{name}`"))
}

/// The devices of this machine, the one first that is used: its name, kind and backend.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> PyResult<Vec<(String, String, String)>> {
    let found = detached(py, || kiln::adapters(&DeviceOptions::from_env()))?.or_raise()?;
    let listed = found.into_iter().map(|device| {
        (device.name.clone(), format!("{:?}", device.kind).to_lowercase(), device.backend.to_string())
    });
    Ok(listed.collect())
}
