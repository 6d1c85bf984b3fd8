//! Fine-tuning in a program that has no compiler: a training plan, batches, the loss.
//!
//! ```sh
//! kiln compile net.onnx --max N=32 --train adam -o net.train.kplan
//! cargo run --release -p kiln-cnn-runtime --example fine_tune -- net.train.kplan
//! ```
//!
//! The batches here are made up; a program would have its user's. Afterwards the plan's program `inference` has the new
//! weights, and the states can be read by name to be kept.

use std::error::Error;

use kiln_runtime::{HostTensor, Plan, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a plan made by `kiln compile --train`")?;
    let plan = Plan::load(&path)?;
    let program = plan.program("train").ok_or("the plan does not train")?;
    let names: Vec<&str> = program.inputs.iter().map(|index| plan.tensors[*index].name.as_str()).collect();
    let shape =
        plan.tensors[program.inputs[0]].shape_at(&[4]).ok_or("the plan has other symbols than the batch")?;
    let classes = {
        let inference = plan.program("inference").ok_or("the plan has no program `inference`")?;
        let scores = plan.tensors[inference.outputs[0].tensor].shape_at(&[4]).unwrap_or_default();
        scores.get(1).copied().unwrap_or(1)
    };
    let samples: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
    let samples = HostTensor::new(shape.clone(), samples)?;
    let target =
        HostTensor::new([shape[0]], (0..shape[0]).map(|i| (i % classes) as i32).collect::<Vec<i32>>())?;
    let (lr, momentum) = (HostTensor::new([], vec![0.01f32])?, HostTensor::new([], vec![0.9f32])?);
    let mut inputs = vec![(names[0], &samples), ("target", &target), ("lr", &lr)];
    if names.contains(&"momentum") {
        inputs.push(("momentum", &momentum));
    }
    // A recipe that accumulates gradients asks when the optimizer is to step: here, with each batch.
    let update = HostTensor::new([], vec![1f32])?;
    if names.contains(&"update") {
        inputs.push(("update", &update));
    }
    let mut session = Session::open(&plan)?;
    for step in 0..10 {
        let outputs = session.run_program("train", &inputs)?;
        println!("step {step}: loss {:.4}", outputs.get("loss")?.as_f32()?[0]);
    }
    let outputs = session.run_program("inference", &inputs[..1])?;
    for (name, scores) in outputs.iter() {
        println!("{name}: {:?}", scores.shape());
    }
    let states: Vec<usize> = plan.states().map(|(index, _)| index).collect();
    let kept = states.into_iter().map(|index| session.read_tensor(index)).collect::<Result<Vec<_>, _>>()?;
    println!("{} states to keep", kept.len());
    Ok(())
}
