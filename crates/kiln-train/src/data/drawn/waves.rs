//! A curve to be learned from points near it.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::{Dataset, Samples, Targets};
use super::normal;

/// Standard deviation of what is added to the curve.
const NOISE: f32 = 0.1;

/// `sin(2 pi x)` with noise, for `x` anywhere from -1 to 1.
pub(super) fn draw(count: usize, noise: Option<f32>, random: &mut ChaCha8Rng) -> Dataset {
    let noise = noise.unwrap_or(NOISE);
    let (samples, values) = (0..count)
        .map(|_| {
            let x = random.random_range(-1.0f32..=1.0);
            (x, (TAU * x).sin() + noise * normal(random))
        })
        .unzip();
    Dataset {
        shape: vec![1],
        samples: Samples::Floats(samples),
        targets: Targets::Values { shape: vec![1], values },
    }
}
