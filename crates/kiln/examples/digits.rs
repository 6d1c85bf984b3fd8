//! Makes `models/digits.onnx`, a small network for drawn digits that has not learned anything yet, and
//! `models/digit.png`, a digit to try it on.
//!
//! ```sh
//! cargo run --release -p kiln-cnn --example digits
//! ```

use std::error::Error;
use std::path::Path;

use kiln::graph::{Builder, Graph, Tensor};
use kiln::train::initialize;
use kiln::training::data::{Drawing, Drawn, Source, SourceOptions};

/// Three convolutions that halve the image, each with batch normalization and ReLU; the mean over what is left; a
/// linear layer.
fn network() -> Result<Graph, Box<dyn Error>> {
    let zeros = |shape: &[usize]| Tensor::f32(shape.to_vec(), vec![0.0; shape.iter().product()]);
    let mut b = Builder::new("digits");
    let mut x = b.input("image", ["N".into(), 1.into(), 28.into(), 28.into()]);
    let mut channels = 1;
    for (n, (filters, kernel)) in [(8, 5), (16, 3), (32, 3)].into_iter().enumerate() {
        let name = |part: &str| format!("{part}{}", n + 1);
        let weight =
            b.parameter(&format!("conv{}.weight", n + 1), zeros(&[filters, channels, kernel, kernel])?);
        x = b.conv2d(&name("conv"), x, weight, None, 2, kernel as i64 / 2);
        let mut state = |part: &str| -> Result<_, Box<dyn Error>> {
            Ok(b.parameter(&format!("bn{}.{part}", n + 1), zeros(&[filters])?))
        };
        let statistics = [state("weight")?, state("bias")?, state("running_mean")?, state("running_var")?];
        x = b.batch_norm(&name("bn"), x, statistics);
        x = b.relu(&name("relu"), x);
        channels = filters;
    }
    x = b.global_avg_pool2d("pool", x);
    x = b.flatten("flatten", x);
    let weight = b.parameter("fc.weight", zeros(&[10, channels])?);
    let bias = b.parameter("fc.bias", zeros(&[10])?);
    x = b.linear("fc", x, weight, Some(bias));
    b.output("scores", x);
    Ok(initialize(&b.finish()?, 0)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    std::fs::write(folder.join("digits.onnx"), kiln::onnx::export(&network()?)?)?;
    // One that is not among those the network learns from.
    let drawn = Source::Drawn(Drawing { count: 60, ..Drawn::Digits.usual() })
        .load(&SourceOptions { seed: 2026, ..SourceOptions::default() })?;
    let pixels = drawn.train.sample(3).into_iter().map(|x| (x * 255.0) as u8).collect();
    let image = image::GrayImage::from_raw(28, 28, pixels).ok_or("a digit has 28 x 28 pixels")?;
    image.save(folder.join("digit.png"))?;
    Ok(())
}
