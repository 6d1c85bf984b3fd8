//! Inputs given by the caller, matched with those of the program: names, types, shapes, and values derived from the
//! shapes.

use std::collections::{HashMap, HashSet};

use kiln_plan::{Plan, Program, Tensor};

use crate::error::RuntimeError;
use crate::load;
use crate::session::{Bound, Session, physical_bytes};
use crate::steps;
use crate::symbols::{self, expected_shape, values_text};
use crate::tensor::HostTensor;

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
        let shapes: Vec<_> = given.iter().map(|(index, _, host)| (*index, host.shape())).collect();
        let symbols = symbols::bind(&self.plan, program, &shapes)?;
        let known = self.programs.get(index).and_then(|ready| ready.bound.as_ref());
        let changed = known.is_none_or(|bound| bound.symbols != symbols);
        if changed {
            symbols::check_guards(&self.plan, program, &symbols)?;
        }
        // Everything is converted before anything is written: an error leaves the session as it was.
        let converted = given
            .into_iter()
            .map(|(_, tensor, host)| Ok((tensor, host.to_device(&tensor.name, tensor.storage)?)))
            .collect::<Result<Vec<_>, RuntimeError>>()?;
        let update = if changed { Some(self.bound(index, symbols)?) } else { None };
        for (tensor, bytes) in converted {
            self.write(tensor, &bytes)?;
        }
        if let Some((bound, params)) = update {
            self.rebind(index, bound, &params);
        }
        self.last = Some(index);
        Ok(())
    }

    /// Makes a program ready for other values of the symbols.
    pub(crate) fn rebind(&mut self, index: usize, bound: Bound, params: &[u8]) {
        let Some(ready) = self.programs.get_mut(index) else { return };
        if let Some(buffer) = &ready.params {
            self.device.queue.write_buffer(buffer, 0, params);
        }
        ready.bound = Some(bound);
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

type Given<'a> = (usize, &'a Tensor, &'a HostTensor);

/// Each input of the program with the tensor given for it.
fn match_inputs<'a>(
    plan: &'a Plan,
    program: &Program,
    inputs: &[(&str, &'a HostTensor)],
) -> Result<Vec<Given<'a>>, RuntimeError> {
    let wanted = program
        .inputs
        .iter()
        .map(|index| Ok((*index, symbols::tensor(plan, *index)?)))
        .collect::<Result<Vec<_>, RuntimeError>>()?;
    let names: HashSet<&str> = wanted.iter().map(|(_, tensor)| tensor.name.as_str()).collect();
    let mut given: HashMap<&str, &HostTensor> = HashMap::with_capacity(inputs.len());
    for (name, host) in inputs {
        if !names.contains(name) {
            let there = wanted.iter().map(|(_, tensor)| tensor.name.clone()).collect();
            return Err(RuntimeError::NoSuchInput { wanted: (*name).to_string(), there });
        }
        if given.insert(name, host).is_some() {
            return Err(RuntimeError::InputTwice { name: (*name).to_string() });
        }
    }
    let find = |(index, tensor): (usize, &'a Tensor)| {
        let host = given.get(tensor.name.as_str()).copied().ok_or_else(|| RuntimeError::MissingInput {
            name: tensor.name.clone(),
            expected: describe(plan, tensor),
        })?;
        if host.dtype() != tensor.dtype {
            let (found, expected) = (host.dtype().name(), tensor.dtype.name());
            return Err(RuntimeError::InputType { name: tensor.name.clone(), found, expected });
        }
        Ok((index, tensor, host))
    };
    wanted.into_iter().map(find).collect()
}

pub(crate) fn missing_input(plan: &Plan, program: &Program) -> RuntimeError {
    let tensor = program.inputs.first().and_then(|index| plan.tensors.get(*index));
    RuntimeError::MissingInput {
        name: tensor.map(|tensor| tensor.name.clone()).unwrap_or_default(),
        expected: tensor.map(|tensor| describe(plan, tensor)).unwrap_or_default(),
    }
}

/// `f32 of shape [N, 3, 32, 32] (N up to 64)`.
fn describe(plan: &Plan, tensor: &Tensor) -> String {
    format!("{} of shape {}", tensor.dtype.name(), expected_shape(plan, tensor))
}
