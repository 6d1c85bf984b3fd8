//! Inputs given by the caller, matched with those of the program: names, types, shapes, and values derived from the
//! shapes.

use std::collections::{HashMap, HashSet};

use kiln_plan::{Plan, Program, Tensor};

use crate::error::RuntimeError;
use crate::session::{Bound, Ready, Session, physical_bytes};
use crate::symbols::{self, expected_shape, values_text};
use crate::tensor::HostTensor;
use crate::{load, memory, steps};

impl Session {
    /// Copies the inputs to where the program expects them, and computes what depends on their shapes if it is
    /// different from the last time.
    pub(crate) fn set_inputs(
        &mut self,
        index: usize,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<(), RuntimeError> {
        let program = self.program(index)?;
        let given = match_inputs(&self.plan, program, inputs)?;
        for (_, tensor, host) in &given {
            check_type(tensor, host)?;
        }
        let shapes: Vec<_> = given.iter().map(|(index, _, host)| (*index, host.shape())).collect();
        let update = self.update(index, &shapes)?;
        // Everything is converted before anything is written: an error leaves the session as it was.
        let converted = given
            .into_iter()
            .map(|(_, tensor, host)| Ok((tensor, host.to_device(&tensor.name, tensor.storage)?)))
            .collect::<Result<Vec<_>, RuntimeError>>()?;
        for (tensor, bytes) in converted {
            self.write(tensor, &bytes)?;
        }
        if let Some((bound, params)) = update {
            self.rebind(index, bound, &params)?;
        }
        self.last = Some(index);
        self.runs += 1;
        Ok(())
    }

    /// What the shapes of the inputs change, if they are others than those of the last time.
    pub(crate) fn update(
        &self,
        index: usize,
        shapes: &[(usize, &[usize])],
    ) -> Result<Option<(Bound, Vec<u8>)>, RuntimeError> {
        let program = self.program(index)?;
        let symbols = symbols::bind(&self.plan, program, shapes)?;
        let known = self.programs.get(index).and_then(|ready| ready.bound.as_ref());
        if known.is_some_and(|bound| bound.symbols == symbols) {
            return Ok(None);
        }
        symbols::check_guards(&self.plan, program, &symbols)?;
        self.bound(index, symbols).map(Some)
    }

    /// Makes a program ready for other values of the symbols.
    pub(crate) fn rebind(&mut self, index: usize, bound: Bound, params: &[u8]) -> Result<(), RuntimeError> {
        if self.programs.get(index).is_some_and(|ready| ready.recorded) {
            // Commands that are yet to be submitted read the parameters that there are.
            let program = self.program(index)?;
            let fresh = memory::guarded(&self.device, "binding buffers", self.report.total_bytes, || {
                Ready::new(&self.device, &self.plan, program, &self.kernels, &self.buffers)
            })?;
            self.programs[index] = fresh;
        }
        let Some(ready) = self.programs.get_mut(index) else { return Ok(()) };
        if let Some(buffer) = &ready.params {
            self.device.queue.write_buffer(buffer, 0, params);
        }
        ready.bound = Some(bound);
        Ok(())
    }

    /// What follows from values of the symbols: workgroup counts and the bytes of all parameters.
    pub(crate) fn bound(&self, index: usize, symbols: Vec<i64>) -> Result<(Bound, Vec<u8>), RuntimeError> {
        let program = self.program(index)?;
        let ready = self.programs.get(index).ok_or_else(|| self.no_program(&index.to_string()))?;
        for tensor in &self.plan.tensors {
            physical_bytes(&self.plan, tensor, &symbols)?;
        }
        let places = &ready.params_places;
        let steps = steps::counts(&self.plan, program, places, &symbols)?;
        let bytes = load::params_bytes(program, places, &steps, ready.params_size, &symbols)?;
        let mut workgroups = Vec::with_capacity(program.dispatches.len());
        let (mut total, limit) = (0u128, self.options.limits.workgroups);
        for (dispatch, repeat) in program.dispatches.iter().zip(steps::repeats(program)) {
            let times = repeat.and_then(|n| steps.get(n)).copied().unwrap_or(1);
            let mut counts = [0; 3];
            for (count, expr) in counts.iter_mut().zip(&dispatch.workgroups) {
                let value = expr.eval(&symbols);
                *count = u16::try_from(value).map(u32::from).map_err(|_| RuntimeError::Size {
                    what: format!("the number of workgroups of `{}`", dispatch.name),
                    value,
                    symbols: values_text(&self.plan, &symbols),
                })?;
            }
            workgroups.push(counts);
            // The plan was checked with all symbols at their maximum; counts can fall as symbols grow.
            let of_step = counts.map(u128::from).iter().product::<u128>();
            total = total.saturating_add(of_step.saturating_mul(times.into()));
            if total > u128::from(limit) {
                return Err(RuntimeError::Work { dispatch: dispatch.name.clone(), count: total, limit });
            }
        }
        Ok((Bound { symbols, workgroups, steps }, bytes))
    }
}

/// An input of a program, by its index and its tensor, with what is given for it.
pub(crate) type Given<'a, T> = (usize, &'a Tensor, T);

/// Each input of the program with what is given for it.
pub(crate) fn match_inputs<'a, T: Copy>(
    plan: &'a Plan,
    program: &Program,
    inputs: &[(&str, T)],
) -> Result<Vec<Given<'a, T>>, RuntimeError> {
    let wanted = program
        .inputs
        .iter()
        .map(|index| Ok((*index, symbols::tensor(plan, *index)?)))
        .collect::<Result<Vec<_>, RuntimeError>>()?;
    let names: HashSet<&str> = wanted.iter().map(|(_, tensor)| tensor.name.as_str()).collect();
    let mut given: HashMap<&str, T> = HashMap::with_capacity(inputs.len());
    for (name, input) in inputs {
        if !names.contains(name) {
            let there = wanted.iter().map(|(_, tensor)| tensor.name.clone()).collect();
            return Err(RuntimeError::NoSuchInput { wanted: (*name).to_string(), there });
        }
        if given.insert(name, *input).is_some() {
            return Err(RuntimeError::InputTwice { name: (*name).to_string() });
        }
    }
    let find = |(index, tensor): (usize, &'a Tensor)| {
        let input = given.get(tensor.name.as_str()).copied();
        let input = input.ok_or_else(|| RuntimeError::MissingInput {
            name: tensor.name.clone(),
            expected: describe(plan, tensor),
        })?;
        Ok((index, tensor, input))
    };
    wanted.into_iter().map(find).collect()
}

/// Whether a tensor of the host has the elements that an input takes.
pub(crate) fn check_type(tensor: &Tensor, host: &HostTensor) -> Result<(), RuntimeError> {
    if host.dtype() == tensor.dtype {
        return Ok(());
    }
    let (found, expected) = (host.dtype().name(), tensor.dtype.name());
    Err(RuntimeError::InputType { name: tensor.name.clone(), found, expected })
}

pub(crate) fn missing_input(plan: &Plan, program: &Program) -> RuntimeError {
    let tensor = program.inputs.first().and_then(|index| plan.tensors.get(*index));
    RuntimeError::MissingInput {
        name: tensor.map(|tensor| tensor.name.clone()).unwrap_or_default(),
        expected: tensor.map(|tensor| describe(plan, tensor)).unwrap_or_default(),
    }
}

/// `f32 of shape [N, 3, 32, 32] (N up to 64)`.
pub(crate) fn describe(plan: &Plan, tensor: &Tensor) -> String {
    format!("{} of shape {}", tensor.dtype.name(), expected_shape(plan, tensor))
}
