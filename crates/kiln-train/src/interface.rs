//! Inputs and outputs of a training plan.

use kiln_compile::train::{LEARNING_RATE, MOMENTUM, PREDICTED, TARGET, UPDATE};
use kiln_plan::DType;
use kiln_runtime::Session;

use crate::error::TrainError;
use crate::loader::TargetForm;

/// The inputs of a training plan.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The name of the model's input.
    pub input: String,
    /// Its shape without the batch.
    pub input_shape: Vec<usize>,
    /// The form of targets.
    pub target: TargetForm,
    /// Whether a step has a momentum.
    pub has_momentum: bool,
    /// Whether a step has the input `update`.
    pub accumulates: bool,
    /// The number of classes, if the model is a classifier.
    pub classes: Option<usize>,
    /// The model's output that is compared.
    pub output: String,
    /// The maximum batch.
    pub largest_batch: usize,
}

impl Interface {
    /// Reads it off a program of the plan, `train` or `evaluate`; `output` is the model's output that is compared, if it
    /// is not the first.
    pub fn of(session: &Session, program: &str, output: Option<&str>) -> Result<Self, TrainError> {
        let plan = session.plan();
        let evaluation = plan.program("evaluate").map(|program| &program.outputs[..]).unwrap_or_default();
        let output = match output {
            Some(name) => evaluation.iter().find(|output| output.name == name),
            None => evaluation.first(),
        };
        let program = plan.program(program).ok_or_else(|| {
            TrainError::Plan(format!("the plan has no program `{program}`, as those for training have"))
        })?;
        let tensors: Vec<_> = program.inputs.iter().filter_map(|index| plan.tensors.get(*index)).collect();
        let own = [TARGET, LEARNING_RATE, MOMENTUM, UPDATE];
        let inputs: Vec<_> = tensors.iter().filter(|tensor| !own.contains(&tensor.name.as_str())).collect();
        let [input] = inputs[..] else {
            return Err(TrainError::Plan(format!(
                "a model with {} inputs cannot be fed from a data set",
                inputs.len()
            )));
        };
        let target = tensors
            .iter()
            .find(|tensor| tensor.name == TARGET)
            .ok_or_else(|| TrainError::Plan("the plan's program has no input `target`".into()))?;
        let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
        let shape = |tensor: &kiln_plan::Tensor| tensor.shape_at(&largest).unwrap_or_default();
        let (input_shape, target_shape) = (shape(input), shape(target));
        if input.dtype != DType::F32 || input_shape.is_empty() {
            return Err(TrainError::Plan(format!("the input `{}` should be f32 with a batch", input.name)));
        }
        let scores = output.and_then(|output| plan.tensors.get(output.tensor)).map(shape).unwrap_or_default();
        let decides = program.outputs.iter().any(|output| output.name == PREDICTED);
        Ok(Self {
            input: input.name.clone(),
            largest_batch: input_shape[0],
            input_shape: input_shape[1..].to_vec(),
            target: match target.dtype {
                DType::I32 => TargetForm::Classes(target_shape.get(1..).unwrap_or_default().to_vec()),
                _ => TargetForm::Values(target_shape.get(1..).unwrap_or_default().to_vec()),
            },
            has_momentum: tensors.iter().any(|tensor| tensor.name == MOMENTUM),
            accumulates: tensors.iter().any(|tensor| tensor.name == UPDATE),
            // One score is between two classes.
            classes: decides.then(|| scores.get(1).copied().unwrap_or(1).max(2)),
            output: output.map(|output| output.name.clone()).unwrap_or_default(),
        })
    }
}
