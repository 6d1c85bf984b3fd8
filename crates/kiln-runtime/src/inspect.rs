//! Inspection: running a program up to some dispatch and reading any tensor in row-major order.
//! This is how a wrong kernel is found.

use kiln_plan::Tensor;

use crate::error::RuntimeError;
use crate::outputs::Readback;
use crate::session::{Session, physical_bytes};
use crate::symbols;
use crate::tensor::{HostTensor, shape_text};

impl Session {
    /// Sets the inputs of a program and runs its dispatches up to and with number `last`. If that is within a loop, of
    /// this the first step is run.
    pub fn run_until(
        &mut self,
        program: &str,
        inputs: &[(&str, &HostTensor)],
        last: usize,
    ) -> Result<(), RuntimeError> {
        let index = self.program_index(program)?;
        let count = self.program(index)?.dispatches.len();
        if last >= count {
            return Err(RuntimeError::NoSuchDispatch { wanted: last, program: program.to_string(), count });
        }
        self.set_inputs(index, inputs)?;
        self.submit_and_wait(index, 0..last + 1)
    }

    /// Runs one more dispatch of a program with the inputs it has; one of several in a loop as in its first step.
    pub fn run_dispatch(&mut self, program: &str, dispatch: usize) -> Result<(), RuntimeError> {
        let index = self.program_index(program)?;
        let count = self.program(index)?.dispatches.len();
        if dispatch >= count {
            let (wanted, program) = (dispatch, program.to_string());
            return Err(RuntimeError::NoSuchDispatch { wanted, program, count });
        }
        self.runs += 1;
        self.submit_and_wait(index, dispatch..dispatch + 1)
    }

    fn submit_and_wait(&self, index: usize, dispatches: std::ops::Range<usize>) -> Result<(), RuntimeError> {
        let submission = self.submit_dispatches(index, dispatches)?;
        self.device.wait(Some(submission), self.options.timeout)
    }

    /// The index of the first tensor of this name.
    pub fn find_tensor(&self, name: &str) -> Option<usize> {
        self.plan.tensors.iter().position(|tensor| tensor.name == name)
    }

    /// What a tensor of the plan holds now, dense and in row-major order however it is stored. Sizes are those of
    /// the program that ran last.
    pub fn read_tensor(&mut self, index: usize) -> Result<HostTensor, RuntimeError> {
        let values = self.values();
        let tensor = symbols::tensor(&self.plan, index)?.clone();
        let size = physical_bytes(&self.plan, &tensor, &values)?;
        let (shape, strides) = places(&tensor, &values)?;
        let parts = [(self.buffer(tensor.place.buffer)?, tensor.place.offset, size)];
        let readback = Readback::start(self, self.encoder(), &parts)?;
        let element = element_size(&tensor);
        readback.wait(self, |bytes| {
            if tensor.layout.is_dense() {
                let bytes = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).unwrap_or_default();
                return HostTensor::from_device(tensor.dtype, tensor.storage, shape, bytes);
            }
            let mut dense = Vec::with_capacity(bytes.len());
            for_each_offset(&shape, &strides, 0, &mut |offset| {
                dense.extend_from_slice(
                    bytes.get(offset * element..(offset + 1) * element).unwrap_or_default(),
                );
            });
            HostTensor::from_device(tensor.dtype, tensor.storage, shape, &dense)
        })
    }

    /// Overwrites a tensor of the plan: state to go on with. Sizes are those of the program that ran last.
    pub fn write_tensor(&mut self, index: usize, host: &HostTensor) -> Result<(), RuntimeError> {
        let values = self.values();
        let tensor = symbols::tensor(&self.plan, index)?;
        let (shape, strides) = places(tensor, &values)?;
        if host.dtype() != tensor.dtype {
            let (found, expected) = (host.dtype().name(), tensor.dtype.name());
            return Err(RuntimeError::InputType { name: tensor.name.clone(), found, expected });
        }
        if host.shape() != shape {
            let (found, expected) = (shape_text(host.shape()), shape_text(&shape));
            return Err(RuntimeError::InputShape { name: tensor.name.clone(), found, expected });
        }
        let bytes = host.to_device(&tensor.name, tensor.storage)?;
        if tensor.layout.is_dense() {
            return self.write(tensor, &bytes);
        }
        let size = usize::try_from(physical_bytes(&self.plan, tensor, &values)?).unwrap_or(0);
        let mut stored = vec![0; size];
        let element = element_size(tensor);
        let mut elements = bytes.chunks_exact(element);
        for_each_offset(&shape, &strides, 0, &mut |offset| {
            let place = stored.get_mut(offset * element..(offset + 1) * element);
            if let Some((to, from)) = place.zip(elements.next()) {
                to.copy_from_slice(from);
            }
        });
        self.write(tensor, &stored)
    }
}

/// Bytes of an element in memory.
fn element_size(tensor: &Tensor) -> usize {
    usize::try_from(tensor.storage.size()).unwrap_or(1)
}

fn places(tensor: &Tensor, values: &[i64]) -> Result<(Vec<usize>, Vec<usize>), RuntimeError> {
    let shape = tensor.shape_at(values);
    let found = shape.and_then(|shape| tensor.layout.strides(&shape).map(|(strides, _)| (shape, strides)));
    found.ok_or_else(|| RuntimeError::Size {
        what: format!("the size of tensor `{}`", tensor.name),
        value: -1,
        symbols: format!("symbols {values:?}"),
    })
}

/// Visits the elements in row-major order with the place of each; one level of recursion for each dimension.
fn for_each_offset(shape: &[usize], strides: &[usize], base: usize, visit: &mut dyn FnMut(usize)) {
    match (shape, strides) {
        ([size, shape @ ..], [stride, strides @ ..]) => {
            for i in 0..*size {
                for_each_offset(shape, strides, base + i * stride, visit);
            }
        }
        _ => visit(base),
    }
}
