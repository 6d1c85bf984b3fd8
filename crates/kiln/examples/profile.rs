//! Time per kernel of a model: `cargo run --release -p kiln --example profile -- model.onnx [batch]`.

use std::time::Instant;

use kiln::{HostTensor, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which model?")?;
    let batch: u32 = std::env::args().nth(2).map_or(Ok(1), |n| n.parse())?;
    let target = kiln::target_for(&kiln::default_device()?);
    let graph = kiln::onnx::import(path.as_ref(), &Default::default())?.graph;
    let start = Instant::now();
    let max = graph.symbols().iter().map(|s| (s.to_string(), batch)).collect();
    let compiled = kiln::compile(&graph, &kiln::Options { target, max })?;
    println!("compiled in {:.0} ms, {:?}", start.elapsed().as_secs_f64() * 1e3, compiled.memory);
    let start = Instant::now();
    let mut session = Session::open(&compiled.plan)?;
    let plan = session.plan().clone();
    let symbols: Vec<i64> = plan.symbols.iter().map(|_| batch.into()).collect();
    let inputs: Vec<(String, HostTensor)> = plan.programs[0]
        .inputs
        .iter()
        .map(|n| {
            let tensor = &plan.tensors[*n];
            let shape: Vec<usize> = tensor.shape.iter().map(|d| d.eval(&symbols) as usize).collect();
            (tensor.name.clone(), HostTensor::zeros(tensor.dtype, shape))
        })
        .collect();
    let inputs: Vec<(&str, &HostTensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    session.run(&inputs)?;
    println!(
        "first answer after {:.0} ms, {} dispatches",
        start.elapsed().as_secs_f64() * 1e3,
        plan.programs[0].dispatches.len()
    );
    let mut times: Vec<f64> = (0..20)
        .map(|_| {
            let start = Instant::now();
            session.run(&inputs).map(|_| start.elapsed().as_secs_f64() * 1e3)
        })
        .collect::<Result<_, _>>()?;
    times.sort_by(f64::total_cmp);
    println!("median {:.2} ms, best {:.2} ms", times[10], times[0]);
    let profile = session.profile(&plan.programs[0].name, &inputs, 5)?;
    let sum: f64 = profile.kernels.iter().map(|k| k.seconds).sum();
    println!("kernels together {:.2} ms, first to last {:.2} ms", sum * 1e3, profile.seconds * 1e3);
    if std::env::var("WGSL").is_ok() {
        println!("{}", plan.shaders[plan.programs[0].dispatches[1].shader].wgsl)
    }
    let mut kernels = profile.kernels.clone();
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for k in kernels.iter().take(40) {
        println!(
            "{:8.3} ms {:6.1} GF/s  {} [{}]",
            k.seconds * 1e3,
            k.flops as f64 / k.seconds * 1e-9,
            k.name,
            k.shader
        );
    }
    Ok(())
}
