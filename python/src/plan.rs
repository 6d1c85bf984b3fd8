//! Compiled plans.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{Raise, detached};
use crate::interface;

/// A compiled network: kernels, memory, weights.
#[pyclass(frozen, module = "kiln._kiln")]
pub(crate) struct Plan {
    pub plan: Arc<kiln::Plan>,
}

impl From<kiln::Plan> for Plan {
    fn from(plan: kiln::Plan) -> Self {
        Self { plan: Arc::new(plan) }
    }
}

type Listed<'py> = Vec<Bound<'py, PyAny>>;

#[pymethods]
impl Plan {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let plan = detached(py, || kiln::Plan::load(&path))?;
        plan.map_err(|error| crate::error::Kind::Plan.with(format!("`{}`: {error}", path.display())))
            .map(Self::from)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        detached(py, || kiln::Plan::read(data))?.or_raise().map(Self::from)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || self.plan.save(&path))?.or_raise()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || self.plan.to_bytes())?.or_raise()?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let class = py.get_type::<Self>().getattr("from_bytes")?;
        Ok((class, (self.to_bytes(py)?,)))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.plan.name
    }

    #[getter]
    fn target(&self) -> &str {
        &self.plan.target
    }

    #[getter]
    fn programs(&self) -> Vec<String> {
        self.plan.programs.iter().map(|program| program.name.clone()).collect()
    }

    #[getter]
    fn max(&self) -> BTreeMap<String, u32> {
        interface::symbols(&self.plan)
    }

    #[getter]
    fn metadata(&self) -> BTreeMap<String, String> {
        self.plan.metadata.to_properties()
    }

    #[getter]
    fn classes(&self) -> Vec<String> {
        self.plan.metadata.classes.clone()
    }

    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::inputs(py, &self.plan, None)
    }

    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::outputs(py, &self.plan, None)
    }

    #[pyo3(signature = (program = None))]
    fn inputs_of<'py>(&self, py: Python<'py>, program: Option<&str>) -> PyResult<Listed<'py>> {
        interface::inputs(py, &self.plan, program)
    }

    #[pyo3(signature = (program = None))]
    fn outputs_of<'py>(&self, py: Python<'py>, program: Option<&str>) -> PyResult<Listed<'py>> {
        interface::outputs(py, &self.plan, program)
    }

    #[getter]
    fn states<'py>(&self, py: Python<'py>) -> PyResult<Listed<'py>> {
        interface::states(py, &self.plan)
    }
}
