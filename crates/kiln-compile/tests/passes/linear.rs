//! A network twice as long takes about twice as long.

use std::time::Instant;

use kiln_compile::fuse::{FuseLimits, fuse};
use kiln_compile::passes;
use kiln_graph::{Builder, Graph, GraphError, Tensor};

/// Pairs of a convolution and a batch normalization, in a row.
fn chain(pairs: usize) -> Result<Graph, GraphError> {
    let mut b = Builder::new("chain");
    let mut x = b.input("x", ["N".into(), 1.into(), 4.into(), 4.into()]);
    for n in 0..pairs {
        let weight = b.parameter(&format!("conv{n}.weight"), one(&[1, 1, 1, 1])?);
        x = b.conv2d(&format!("conv{n}"), x, weight, None, 1, 0);
        let mut statistics = vec![];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            statistics.push(b.parameter(&format!("bn{n}.{part}"), one(&[1])?));
        }
        let [weight, bias, mean, var] = statistics[..] else { continue };
        x = b.batch_norm(&format!("bn{n}"), x, [weight, bias, mean, var]);
    }
    b.output("y", x);
    b.finish()
}

fn one(shape: &[usize]) -> Result<Tensor, GraphError> {
    Tensor::f32(shape, vec![1.0]).map_err(|e| GraphError::Invalid(e.to_string()))
}

/// Eight times the length may take sixteen times as long, which leaves room for noise; squares would take 64 times.
#[test]
fn time_grows_with_the_length() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = |pairs| -> Result<f64, Box<dyn std::error::Error>> {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            let graph = passes::inference(&chain(pairs)?)?;
            assert_eq!(fuse(&graph, &FuseLimits::default()).groups.len(), pairs);
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let (short, long) = (seconds(500)?, seconds(4000)?);
    println!("500 pairs: {short:.3} s, 4,000 pairs: {long:.3} s");
    assert!(long < 16.0 * short, "500 pairs take {short:.3} s, 4,000 take {long:.3} s");
    Ok(())
}
