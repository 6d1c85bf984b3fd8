//! Parameters and buffers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kiln_graph::{DType, ValueId};

use super::Init;
use crate::python::native::Native;
use crate::python::{Fault, Interpreter, Result, Value};

/// A tensor that belongs to a module: a parameter, or a buffer such as a running mean.
///
/// Its initial values are only described until they are needed: with a state dict they are not.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub init: RefCell<Init>,
    /// The constant that has the initial values, once they have been requested.
    pub known: Cell<Option<ValueId>>,
    /// The number with which they are drawn, if it is decided.
    pub number: Cell<Option<u32>>,
    /// Whether training leaves it alone.
    pub is_frozen: Cell<bool>,
    /// The state of the graph, once `forward` runs.
    pub state: Cell<Option<ValueId>>,
}

impl Parameter {
    fn value(shape: Vec<usize>, dtype: DType, init: Init, is_buffer: bool) -> Value {
        Value::Parameter(Rc::new(Self {
            shape,
            dtype,
            init: RefCell::new(init),
            known: Cell::new(None),
            number: Cell::new(None),
            is_frozen: Cell::new(is_buffer),
            state: Cell::new(None),
        }))
    }

    /// Gives other first values.
    pub(crate) fn begin(&self, init: Init) {
        *self.init.borrow_mut() = init;
        self.known.set(None);
        self.number.set(None);
    }
}

/// `nn.Parameter(data)`
pub(crate) static PARAMETER: Native = Native {
    name: "torch.nn.Parameter",
    signature: "data, requires_grad=True",
    call: |i, b| {
        let id = i.tensor(b, "data")?;
        let parameter = i.parameter_of(id, false)?;
        if let Value::Parameter(parameter) = &parameter {
            if let Some(other) = i.parameter_behind(&b.get("data")) {
                i.storage.tied.push((parameter.clone(), other));
            }
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
        Ok(Parameter::value(shape.to_vec(), DType::F32, init, is_buffer))
    }

    /// A parameter or buffer that begins with the values of a tensor.
    pub(crate) fn parameter_of(&mut self, data: ValueId, is_buffer: bool) -> Result<Value> {
        let Some(tensor) = self.graph.as_constant(data).cloned() else {
            return Err(Fault::unsupported("the initial values of a parameter have to be known"));
        };
        self.elements(tensor.len())?;
        Ok(Parameter::value(tensor.shape().to_vec(), tensor.dtype(), Init::Given(tensor), is_buffer))
    }

    /// A tensor or parameter as a value of the graph.
    pub(crate) fn optional_tensor_of(&mut self, value: &Value) -> Result<Option<ValueId>> {
        match value {
            Value::Tensor(cell) => {
                if let Some(id) = self.looked_at(value)? {
                    return self.followed(id).map(Some);
                }
                self.up_to_date(cell.get())?;
                self.followed(cell.get()).map(Some)
            }
            Value::Parameter(parameter) => self.state_of(parameter).map(Some),
            Value::Failed(fault) => Err((**fault).clone()),
            _ => Ok(None),
        }
    }

    fn state_of(&mut self, parameter: &Rc<Parameter>) -> Result<ValueId> {
        if let Some(id) = parameter.state.get() {
            // What `forward` itself has frozen has no gradient from there on.
            let is_frozen = parameter.is_frozen.get() && self.gradients.is_source(id);
            return if is_frozen { self.detached(id) } else { Ok(id) };
        }
        if self.trace.is_running {
            return Err(Fault::unsupported("this uses a parameter that does not belong to the model").help(
                "layers in a plain list or dict are not registered, and an optimizer would not train them: `nn.ModuleList([...])` and `nn.ModuleDict({...})` register them",
            ));
        }
        if let Some(id) = parameter.known.get() {
            return Ok(id);
        }
        let tensor = self.first_values(parameter)?;
        self.elements(tensor.len())?;
        self.step(tensor.len() as u64 / 16)?;
        *parameter.init.borrow_mut() = Init::Given(tensor.clone());
        let id = self.graph.constant("constant", tensor);
        parameter.known.set(Some(id));
        Ok(id)
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
                let frozen = !self.truth(&value)?;
                self.freeze(parameter, frozen)
            }
            "data" => {
                let Some(id) = self.optional_tensor_of(&value)? else {
                    return Err(Fault::type_error(format!(
                        "`data` should be a tensor, but is a {}",
                        value.type_name()
                    )));
                };
                if let Some(other) =
                    self.parameter_behind(&value).filter(|other| !Rc::ptr_eq(other, parameter))
                {
                    self.storage.tied.push((parameter.clone(), other));
                }
                self.set_values(parameter, id)
            }
            // Marks that people leave on parameters.
            _ => Ok(()),
        }
    }

    /// Gives a parameter the values of a tensor.
    pub(crate) fn set_values(&mut self, parameter: &Rc<Parameter>, id: ValueId) -> Result<()> {
        self.is_building()?;
        let Some(tensor) = self.graph.as_constant(id).cloned() else {
            return Err(Fault::unsupported("the initial values of a parameter have to be known"));
        };
        if tensor.shape() != parameter.shape {
            return Err(Fault::value(format!(
                "a parameter of shape {:?} cannot get values of shape {:?}",
                parameter.shape,
                tensor.shape()
            )));
        }
        parameter.begin(Init::Given(tensor));
        parameter.known.set(Some(id));
        Ok(())
    }

    /// Lets a parameter go without gradient, or not.
    pub(crate) fn freeze(&mut self, parameter: &Rc<Parameter>, frozen: bool) -> Result<()> {
        let is_left_alone = parameter.state.get().is_some_and(|id| !self.gradients.is_source(id));
        if is_left_alone && !frozen {
            return Err(Fault::unsupported("`requires_grad` is switched on in `forward`")
                .help("what is trained is decided in advance: in `__init__`, or in `train`"));
        }
        parameter.is_frozen.set(frozen);
        Ok(())
    }
}
