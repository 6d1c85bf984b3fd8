//! Two interleaved half circles, which no straight line separates: scikit-learn's `make_moons`.

use std::f32::consts::PI;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::{Dataset, Samples, Targets};
use super::normal;

/// Standard deviation of what is added to either coordinate.
const NOISE: f32 = 0.1;

/// `(cos t, sin t)` above and `(1 - cos t, 0.5 - sin t)` below, with `t` in equal steps from 0 to pi: half of `count`
/// points each, shuffled.
pub(super) fn draw(count: usize, noise: Option<f32>, random: &mut ChaCha8Rng) -> Dataset {
    let noise = noise.unwrap_or(NOISE);
    let upper = count / 2;
    let mut points: Vec<([f32; 2], i32)> = (0..count)
        .map(|i| {
            let (place, places, class) =
                if i < upper { (i, upper, 0) } else { (i - upper, count - upper, 1) };
            #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
            let (sin, cos) = (place as f32 / (places - 1).max(1) as f32 * PI).sin_cos();
            (if class == 0 { [cos, sin] } else { [1.0 - cos, 0.5 - sin] }, class)
        })
        .collect();
    points.shuffle(random);
    let (points, labels): (Vec<_>, Vec<_>) = points.into_iter().unzip();
    let samples = points.into_iter().flatten().map(|x| x + noise * normal(random)).collect();
    let names = vec!["upper".to_owned(), "lower".to_owned()];
    Dataset {
        shape: vec![2],
        samples: Samples::Floats(samples),
        targets: Targets::Classes { shape: vec![], labels, names },
    }
}
