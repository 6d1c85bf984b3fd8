//! A training step looked at kernel by kernel, beside the training.
//!
//! Kernels that share a dispatch write over what earlier ones among them have made, and memory that a merged kernel is done with
//! holds something else before anybody could read it. So a step is looked at in a session of its own, with a plan whose kernels
//! each have a dispatch. It begins with the training's states and hands nothing back: the training's own step is computed as if
//! nobody had looked.

use kiln_plan::Plan;
use kiln_runtime::{HostTensor, Session};

use crate::error::TrainError;

/// Makes a training's plan with a dispatch for each kernel (`Options::separate` of the compiler).
pub type Separate = Box<dyn FnMut() -> Result<Plan, TrainError> + Send>;

/// The session in which steps are looked at, once there is one.
#[derive(Default)]
pub(crate) struct Inspection {
    pub separate: Option<Separate>,
    session: Option<Session>,
}

impl Inspection {
    /// Runs a step with the states and on the device of `training`; `show` sees what each kernel has just made, if it is among the
    /// names that are `wanted`, until it has seen enough.
    pub(crate) fn step(
        &mut self,
        training: &mut Session,
        inputs: &[(&str, &HostTensor)],
        wanted: &dyn Fn(&str) -> bool,
        show: &mut dyn FnMut(&str, &HostTensor) -> bool,
    ) -> Result<(), TrainError> {
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let plan = match &mut self.separate {
                    Some(separate) => separate()?,
                    None => training.plan().clone(),
                };
                none.insert(Session::load(&training.device().clone(), &plan)?)
            }
        };
        copy_states(training, session)?;
        let Some(program) = session.plan().program("train").cloned() else {
            return Err(TrainError::Plan("the plan has no program `train`".into()));
        };
        let names: Vec<String> = session.plan().tensors.iter().map(|tensor| tensor.name.clone()).collect();
        for (n, dispatch) in program.dispatches.iter().enumerate() {
            if n == 0 {
                session.run_until("train", inputs, 0)?;
            } else {
                session.run_dispatch("train", n)?;
            }
            for index in &dispatch.writes {
                let name = names.get(*index).map_or("", String::as_str);
                if !wanted(name) {
                    continue;
                }
                let tensor = session.read_tensor(*index)?;
                if !show(name, &tensor) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Brings the states of a session into another one, whose plan was made of the same training.
fn copy_states(from: &mut Session, to: &mut Session) -> Result<(), TrainError> {
    let states: Vec<(usize, String)> =
        from.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
    let own: std::collections::BTreeMap<String, usize> =
        to.plan().states().map(|(index, tensor)| (tensor.name.clone(), index)).collect();
    for (index, name) in states {
        let Some(place) = own.get(&name) else {
            return Err(TrainError::Plan(format!("the plan that is looked at has no state `{name}`")));
        };
        let tensor = from.read_tensor(index)?;
        to.write_tensor(*place, &tensor)?;
    }
    Ok(())
}
