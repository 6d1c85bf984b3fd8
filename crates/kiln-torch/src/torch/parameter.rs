//! Parameters and buffers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kiln_graph::{DType, ValueId};

use super::Init;
use crate::python::native::Native;
use crate::python::{Fault, Interpreter, Result, Value};

/// A tensor that belongs to a module: a parameter, or a buffer such as a running mean.
///
/// Its first values are only described until somebody needs them: with a state dict nobody does.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub init: RefCell<Init>,
    /// Whether training leaves it alone.
    pub is_frozen: Cell<bool>,
    /// The state of the graph, once `forward` runs.
    pub state: Cell<Option<ValueId>>,
}

/// `nn.Parameter(data)`
pub(crate) static PARAMETER: Native = Native {
    name: "torch.nn.Parameter",
    signature: "data, requires_grad=True",
    call: |i, b| {
        let data = i.tensor(b, "data")?;
        let parameter = i.parameter_of(data, false)?;
        if let Value::Parameter(parameter) = &parameter {
            parameter.is_frozen.set(!b.bool("requires_grad")?);
        }
        Ok(parameter)
    },
};

impl Interpreter {
    /// A new parameter of a layer.
    pub(crate) fn parameter(&mut self, shape: &[usize], init: Init) -> Result<Value> {
        self.state(shape, init, false)
    }

    /// A new buffer of a layer.
    pub(crate) fn buffer(&mut self, shape: &[usize], init: Init) -> Result<Value> {
        self.state(shape, init, true)
    }

    fn state(&mut self, shape: &[usize], init: Init, is_buffer: bool) -> Result<Value> {
        let count = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).unwrap_or(usize::MAX);
        self.elements(count)?;
        Ok(Value::Parameter(Rc::new(Parameter {
            shape: shape.to_vec(),
            dtype: DType::F32,
            init: RefCell::new(init),
            is_frozen: Cell::new(is_buffer),
            state: Cell::new(None),
        })))
    }

    /// A parameter or buffer that begins with the values of a tensor.
    pub(crate) fn parameter_of(&mut self, data: ValueId, is_buffer: bool) -> Result<Value> {
        let Some(tensor) = self.graph.as_constant(data).cloned() else {
            return Err(Fault::unsupported("a parameter has to begin with values that are known"));
        };
        self.elements(tensor.len())?;
        Ok(Value::Parameter(Rc::new(Parameter {
            shape: tensor.shape().to_vec(),
            dtype: tensor.dtype(),
            init: RefCell::new(Init::Given(tensor)),
            is_frozen: Cell::new(is_buffer),
            state: Cell::new(None),
        })))
    }

    /// A tensor or parameter as a value of the graph.
    pub(crate) fn optional_tensor_of(&mut self, value: &Value) -> Result<Option<ValueId>> {
        match value {
            Value::Tensor(id) => {
                self.up_to_date(id.get())?;
                Ok(Some(id.get()))
            }
            Value::Parameter(parameter) => self.state_of(parameter).map(Some),
            Value::Failed(fault) => Err((**fault).clone()),
            _ => Ok(None),
        }
    }

    fn state_of(&mut self, parameter: &Rc<Parameter>) -> Result<ValueId> {
        if let Some(id) = parameter.state.get() {
            return Ok(id);
        }
        if self.trace.is_running {
            return Err(Fault::unsupported("this uses a parameter that does not belong to the model").help(
                "layers in a plain list or dict are not registered, and an optimizer would not train them: `nn.ModuleList([...])` and `nn.ModuleDict({...})` register them",
            ));
        }
        let tensor = self.first_values(parameter)?;
        self.elements(tensor.len())?;
        self.step(tensor.len() as u64 / 16)?;
        Ok(self.graph.constant("constant", tensor))
    }

    /// Sets an attribute of a parameter.
    pub(crate) fn set_parameter_attribute(
        &mut self,
        parameter: &Rc<Parameter>,
        name: &str,
        value: Value,
    ) -> Result<()> {
        match name {
            "requires_grad" => {
                parameter.is_frozen.set(!self.truth(&value)?);
                Ok(())
            }
            "data" => {
                let Some(id) = self.optional_tensor_of(&value)? else {
                    return Err(Fault::type_error(format!(
                        "`data` should be a tensor, but is a {}",
                        value.type_name()
                    )));
                };
                self.set_values(parameter, id)
            }
            // Marks that people leave on parameters.
            _ => Ok(()),
        }
    }

    /// Gives a parameter the values of a tensor.
    pub(crate) fn set_values(&mut self, parameter: &Rc<Parameter>, id: ValueId) -> Result<()> {
        if self.trace.is_running {
            return Err(Fault::unsupported("parameters and buffers cannot be changed in `forward`"));
        }
        let Some(tensor) = self.graph.as_constant(id).cloned() else {
            return Err(Fault::unsupported("a parameter has to begin with values that are known"));
        };
        if tensor.shape() != parameter.shape {
            return Err(Fault::value(format!(
                "a parameter of shape {:?} cannot get values of shape {:?}",
                parameter.shape,
                tensor.shape()
            )));
        }
        *parameter.init.borrow_mut() = Init::Given(tensor);
        Ok(())
    }
}
