//! What the inputs, outputs and states of a training plan are called.

/// The input that outputs are compared with.
pub const TARGET: &str = "target";
/// The input that is the learning rate, a number.
pub const LEARNING_RATE: &str = "lr";
/// The input that is the momentum (Adam's beta1), a number; there only if the optimizer has one.
pub const MOMENTUM: &str = "momentum";
/// The input that says whether the optimizer steps, 1, or gradients are only gathered, 0; there only with accumulation.
pub const UPDATE: &str = "update";
/// The output that is the loss, a number.
pub const LOSS: &str = "loss";
/// The output that is what the loss was divided by, where that is not the number of targets: the sum of the class
/// weights of the targets that count. The loss of several batches together is their mean with these weights.
pub const LOSS_WEIGHT: &str = "loss_weight";
/// The output that is the class with the highest score for each target, where outputs are scores of classes.
pub const PREDICTED: &str = "predicted_classes";
/// The output that is the number of right answers, for losses over classes.
pub const CORRECT: &str = "correct";
/// The output that is the norm of all gradients before they are clipped, if they are.
pub const GRADIENT_NORM: &str = "gradient_norm";
/// The output of the program `gradients`, and the input of `apply`: all gradients in a row, and behind them the loss and
/// what it was divided by.
pub const GRADIENTS: &str = "gradients";
/// The output of the program `apply` that is 1 if all gradients were finite, else 0: then nothing was changed.
pub const FINITE: &str = "finite";
/// The output that is 1 if the optimizer's step was passed over, since gradients were not finite, else 0; there only where
/// activations are kept in 16 bits.
pub const SKIPPED: &str = "skipped";
/// What the loss is multiplied by before it is differentiated, where activations are kept in 16 bits: a state, and an output
/// that is what it has become.
pub const LOSS_SCALE: &str = "train.loss_scale";
/// The state that counts the steps since the loss scale has changed or a step was passed over.
pub const GOOD_STEPS: &str = "train.good_steps";
/// The state that says whether gradients of a batch that have been accumulated were not finite.
pub const OVERFLOWED: &str = "train.overflowed";
/// The state that is 1 after a step whose loss was not finite, else 0. Until it is set back, steps change nothing: whoever looks at
/// losses a few steps late finds all states as that step has left them.
pub const FAILED: &str = "train.failed";
/// The state that counts the steps of the optimizer.
pub const STEPS: &str = "train.steps";
