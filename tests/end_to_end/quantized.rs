//! Quantized networks and their operators against ONNX Runtime: `tests/oracles/quantized_oracles.py` makes the models.
//!
//! A result that lies in the middle between two numbers may be rounded to either, so each is allowed the step of its last
//! quantization, as `step.txt` says. Nearly all are equal, though, and that is held as well.

use std::path::Path;

use kiln::Target;

use crate::fixtures::{folder, models, run};
use crate::machine::Machine;

/// Of the largest magnitude, where there is no quantization behind the last sum.
const TOLERANCE: f64 = 1e-4;

fn step(path: &Path) -> f64 {
    let text = std::fs::read_to_string(path.join("step.txt")).expect("each model has a step");
    text.trim().parse().expect("a step is a number")
}

/// Runs all models; as many as `inexact` may differ by a step.
fn check(target: Option<Target>, inexact: usize) {
    let own = Machine::open();
    let machine = Machine { target: target.unwrap_or(own.target), ..own };
    let (mut wrong, mut near) = (vec![], vec![]);
    for (name, path) in models(&folder("quantized")) {
        match run(&path, &machine) {
            Ok(worst) if worst.relative <= TOLERANCE => {}
            Ok(worst) if worst.absolute <= step(&path) * 1.001 => near.push(name),
            Ok(worst) => wrong.push(format!("{name}: off by {:.1e}", worst.absolute)),
            Err(message) => wrong.push(format!("{name}: {message}")),
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(near.len() <= inexact, "{} are off by a step: {}", near.len(), near.join(", "));
}

#[test]
fn quantized() {
    check(None, 6);
}

/// The kernels for GPUs, which any device can run.
#[test]
fn quantized_as_on_a_gpu() {
    check(Some(Target::default()), 6);
}
