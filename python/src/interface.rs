//! What programs of a plan take and give, as plain data for Python.

use std::collections::BTreeMap;

use kiln::plan::{Plan, Program, Role, Tensor};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::Kind;

/// A `kiln.Tensor`: name, NumPy's name of the element type, sizes (numbers, or expressions over symbols), role.
type Listed<'py> = Bound<'py, PyAny>;

/// A program by name; the first if none is named.
pub(crate) fn program<'a>(plan: &'a Plan, name: Option<&str>) -> PyResult<&'a Program> {
    let found = match name {
        Some(name) => plan.program(name),
        None => plan.programs.first(),
    };
    found.ok_or_else(|| {
        let there: Vec<_> = plan.programs.iter().map(|program| format!("`{}`", program.name)).collect();
        Kind::Input.with(format!(
            "there is no program {:?}; the plan has {}",
            name.unwrap_or_default(),
            there.join(", ")
        ))
    })
}

/// The inputs of a program.
pub(crate) fn inputs<'py>(py: Python<'py>, plan: &Plan, name: Option<&str>) -> PyResult<Vec<Listed<'py>>> {
    let program = program(plan, name)?;
    let pairs = program.inputs.iter().zip(&program.roles);
    let found = pairs.filter_map(|(index, role)| Some((plan.tensors.get(*index)?, *role)));
    found.map(|(tensor, role)| listed(py, plan, &tensor.name, tensor, role_name(role))).collect()
}

/// The outputs of a program.
pub(crate) fn outputs<'py>(py: Python<'py>, plan: &Plan, name: Option<&str>) -> PyResult<Vec<Listed<'py>>> {
    let outputs = program(plan, name)?.outputs.iter();
    let found = outputs.filter_map(|output| Some((&output.name, plan.tensors.get(output.tensor)?)));
    found.map(|(name, tensor)| listed(py, plan, name, tensor, "output")).collect()
}

/// The states of a plan.
pub(crate) fn states<'py>(py: Python<'py>, plan: &Plan) -> PyResult<Vec<Listed<'py>>> {
    plan.states().map(|(_, tensor)| listed(py, plan, &tensor.name, tensor, "state")).collect()
}

/// The largest values of symbols.
pub(crate) fn symbols(plan: &Plan) -> BTreeMap<String, u32> {
    plan.symbols.iter().map(|symbol| (symbol.name.clone(), symbol.max)).collect()
}

fn listed<'py>(
    py: Python<'py>,
    plan: &Plan,
    name: &str,
    tensor: &Tensor,
    role: &'static str,
) -> PyResult<Listed<'py>> {
    let size = |dim: &kiln::Expr| match dim.as_const() {
        Some(size) => Ok(size.into_pyobject(py)?.into_any()),
        None => Ok(dim.text(&plan.symbols).into_pyobject(py)?.into_any()),
    };
    let shape = tensor.shape.iter().map(size).collect::<PyResult<Vec<_>>>()?;
    let class = py.import("kiln._types")?.getattr("Tensor")?;
    class.call1((name, dtype_name(tensor), PyTuple::new(py, shape)?, role))
}

fn dtype_name(tensor: &Tensor) -> &'static str {
    use kiln::DType as T;
    match tensor.dtype {
        T::F32 => "float32",
        T::F16 => "float16",
        T::F64 => "float64",
        T::I32 => "int32",
        T::I64 => "int64",
        T::I16 => "int16",
        T::I8 => "int8",
        T::U8 => "uint8",
        T::U16 => "uint16",
        T::U32 => "uint32",
        T::Bool => "bool",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Data => "data",
        Role::Target => "target",
        Role::LearningRate => "learning rate",
        Role::Momentum => "momentum",
        Role::Beta1 => "beta1",
        Role::Update => "update",
    }
}
