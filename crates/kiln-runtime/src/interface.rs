//! What the programs of a session take and give.

use std::fmt;

use kiln_plan::{DType, Expr, Program, Role, Storage, Tensor};

use crate::error::RuntimeError;
use crate::inputs::describe;
use crate::session::Session;

/// An input or an output of a program. Shown, it is what errors say is expected: `f32 of shape [N, 3, 32, 32] (N up to
/// 64)`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Value {
    /// The name that it is given or asked for by.
    pub name: String,
    /// Element type as the host sees it.
    pub dtype: DType,
    /// Element type on the device, where elements are dense and in row-major order.
    pub storage: Storage,
    /// The dimensions: numbers where they are fixed, otherwise `None`.
    pub shape: Vec<Option<usize>>,
    /// The dimensions as they are written: `N`, `3`, `2*H`.
    pub dimensions: Vec<String>,
    /// The largest dimensions.
    pub largest: Vec<usize>,
    /// What an input is for; `None` for outputs.
    pub role: Option<Role>,
    text: String,
}

#[cfg(test)]
impl Value {
    /// An input without a plan.
    pub(crate) fn for_tests(name: &str, dtype: DType, storage: Storage, shape: Vec<Option<usize>>) -> Self {
        let dimensions = shape.iter().map(|size| size.map_or("N".into(), |size| size.to_string())).collect();
        let largest = shape.iter().map(|size| size.unwrap_or(8)).collect();
        let (name, text) = (name.to_string(), dtype.name().to_string());
        Self { name, dtype, storage, shape, dimensions, largest, role: None, text }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Session {
    /// The names of the programs; [`Session::run`] runs the first one.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.plan.programs.iter().map(|program| program.name.as_str())
    }

    /// The inputs of the first program.
    pub fn inputs(&self) -> Vec<Value> {
        self.plan.programs.first().map(|program| self.inputs_of(program)).unwrap_or_default()
    }

    /// The outputs of the first program.
    pub fn outputs(&self) -> Vec<Value> {
        self.plan.programs.first().map(|program| self.outputs_of(program)).unwrap_or_default()
    }

    /// The inputs of a program by name.
    pub fn program_inputs(&self, program: &str) -> Result<Vec<Value>, RuntimeError> {
        Ok(self.inputs_of(self.program(self.program_index(program)?)?))
    }

    /// The outputs of a program by name.
    pub fn program_outputs(&self, program: &str) -> Result<Vec<Value>, RuntimeError> {
        Ok(self.outputs_of(self.program(self.program_index(program)?)?))
    }

    fn inputs_of(&self, program: &Program) -> Vec<Value> {
        let inputs = program.inputs.iter().zip(&program.roles);
        let tensors = inputs.filter_map(|(index, role)| Some((self.plan.tensors.get(*index)?, role)));
        tensors.map(|(tensor, role)| self.value(&tensor.name, tensor, Some(*role))).collect()
    }

    fn outputs_of(&self, program: &Program) -> Vec<Value> {
        let outputs = program.outputs.iter();
        let tensors =
            outputs.filter_map(|output| Some((&output.name, self.plan.tensors.get(output.tensor)?)));
        tensors.map(|(name, tensor)| self.value(name, tensor, None)).collect()
    }

    fn value(&self, name: &str, tensor: &Tensor, role: Option<Role>) -> Value {
        let plan = &self.plan;
        let fixed = |dim: &Expr| {
            let varies = (0..plan.symbols.len()).any(|symbol| dim.mentions(symbol));
            if varies { None } else { usize::try_from(dim.eval(&[])).ok() }
        };
        let largest: Vec<i64> = plan.symbols.iter().map(|symbol| symbol.max.into()).collect();
        Value {
            name: name.to_string(),
            dtype: tensor.dtype,
            storage: tensor.storage,
            shape: tensor.shape.iter().map(fixed).collect(),
            dimensions: tensor.shape.iter().map(|dim| dim.text(&plan.symbols)).collect(),
            largest: tensor.shape_at(&largest).unwrap_or_default(),
            role,
            text: describe(plan, tensor),
        }
    }
}
