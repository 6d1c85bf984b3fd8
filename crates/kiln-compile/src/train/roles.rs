//! What the inputs of a training plan are for, so that a host need not know their names.

use kiln_plan::{Plan, Role};

use super::names::{LEARNING_RATE, MOMENTUM, TARGET, UPDATE};
use super::optimizer::Optimizer;

/// Gives the inputs of the programs that train and evaluate their roles.
pub(crate) fn name_roles(plan: &mut Plan, optimizer: &Optimizer) {
    let momentum = match optimizer {
        Optimizer::Adam { .. } | Optimizer::AdamW { .. } => Role::Beta1,
        Optimizer::Sgd { .. } | Optimizer::RmsProp { .. } | Optimizer::Adagrad { .. } => Role::Momentum,
    };
    let programs = plan.programs.iter_mut().filter(|program| program.name != "inference");
    for program in programs {
        for (role, index) in program.roles.iter_mut().zip(&program.inputs) {
            *role = match plan.tensors.get(*index).map(|tensor| tensor.name.as_str()) {
                Some(TARGET) => Role::Target,
                Some(LEARNING_RATE) => Role::LearningRate,
                Some(MOMENTUM) => momentum,
                Some(UPDATE) => Role::Update,
                Some(_) | None => Role::Data,
            };
        }
    }
}
