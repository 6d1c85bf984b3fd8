//! Scales, zero points and integers.

use kiln_graph::{Data, Tensor};

/// The largest magnitude of a weight's integers; -128 is left out, so that they are symmetric.
const MOST_OF_WEIGHT: f64 = 127.0;

/// Steps of an activation.
const STEPS: f64 = 255.0;

/// Half of the largest magnitude of a bias: its sums with products stay below 2^31.
const MOST_OF_BIAS: f64 = 1_073_741_824.0;

/// Smallest and largest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest.
    pub low: f32,
    /// The largest.
    pub high: f32,
}

impl Range {
    /// Of nothing yet.
    pub const NONE: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY };

    /// Takes in numbers. With a NaN among them, the range is not finite.
    pub fn observe(&mut self, values: &[f32]) {
        for value in values {
            if value.is_nan() {
                *self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
                return;
            }
            self.low = self.low.min(*value);
            self.high = self.high.max(*value);
        }
    }

    /// The range of both.
    pub fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The scale and the zero point of integers from 0 to 255 that cover the range and zero, which has to be one of them:
    /// what is outside of a tensor is zero.
    pub(super) fn steps(self) -> (f32, u8) {
        let (low, high) = (f64::from(self.low.min(0.0)), f64::from(self.high.max(0.0)));
        let scale = smallest((high - low) / STEPS);
        if low == high {
            return (1.0, 0);
        }
        // A float as a whole number from 0 to 255.
        (scale, (-low / f64::from(scale)).round_ties_even().clamp(0.0, STEPS) as u8)
    }
}

/// As a float that is not zero and has all its digits.
fn smallest(scale: f64) -> f32 {
    (scale as f32).max(f32::MIN_POSITIVE)
}

/// A weight as integers with a scale for each output, along the dimension `axis`, or with one for all.
pub(super) struct Weight {
    pub integers: Tensor,
    pub scales: Vec<f32>,
}

/// A weight as integers. `bias` has the numbers that will be in units of the weight's scale and `of_input`, which has to be
/// large enough for that. Nothing if a number is not finite.
pub(super) fn weight(
    tensor: &Tensor,
    axis: usize,
    each: bool,
    bias: &[f64],
    of_input: f32,
) -> Option<Weight> {
    let values = tensor.to_f64();
    if !values.iter().chain(bias).all(|value| value.is_finite()) {
        return None;
    }
    let count = if each { *tensor.shape().get(axis)? } else { 1 };
    let inner: usize = tensor.shape().iter().skip(axis + 1).product();
    let output = |i: usize| if count == 1 { 0 } else { i / inner.max(1) % count };
    let mut most = vec![0f64; count];
    for (i, value) in values.iter().enumerate() {
        let most = &mut most[output(i)];
        *most = most.max(value.abs());
    }
    let scale = |(n, most): (usize, &f64)| {
        // All biases share a scale where all outputs do.
        let own = if count == bias.len() { &bias[n..=n] } else { bias };
        let bias = own.iter().map(|bias| bias.abs()).fold(0.0, f64::max);
        let least = bias / (f64::from(of_input) * MOST_OF_BIAS);
        let scale = (most / MOST_OF_WEIGHT).max(least);
        if scale == 0.0 { 1.0 } else { smallest(scale) }
    };
    let scales: Vec<f32> = most.iter().enumerate().map(scale).collect();
    let integer = |(i, value): (usize, &f64)| {
        let steps = (value / f64::from(scales[output(i)])).round_ties_even();
        steps.clamp(-MOST_OF_WEIGHT, MOST_OF_WEIGHT) as i8
    };
    let integers = Data::I8(values.iter().enumerate().map(integer).collect());
    Some(Weight { integers: Tensor::new(tensor.shape(), integers).ok()?, scales })
}

/// A bias in units of `scales`, of which there is one or one for each.
pub(super) fn bias(bias: &[f64], scales: &[f32]) -> Vec<i32> {
    let scale = |n: usize| f64::from(scales.get(n).or(scales.first()).copied().unwrap_or(1.0));
    let integer = |(n, bias): (usize, &f64)| {
        (bias / scale(n)).round_ties_even().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32
    };
    bias.iter().enumerate().map(integer).collect()
}

#[cfg(test)]
mod tests {
    use crate::quantize::numbers::{Range, bias, weight};
    use kiln_graph::{Data, Tensor};

    #[test]
    fn steps_have_zero_and_cover_the_range() {
        for (low, high, scale, zero) in [
            (0.0, 6.0, 6.0 / 255.0, 0),
            (-1.0, 1.0, 2.0 / 255.0, 127),
            (-3.0, -1.0, 3.0 / 255.0, 255),
            (2.0, 5.1, 0.02, 0),
            (0.0, 0.0, 1.0, 0),
            (0.0, 1e-44, f32::MIN_POSITIVE, 0),
        ] {
            assert_eq!(Range { low, high }.steps(), (scale, zero), "{low} {high}");
        }
    }

    #[test]
    fn weights_are_symmetric_and_leave_room_for_the_bias() {
        let tensor = Tensor::f32([2, 2], vec![1.27, -0.5, 1e-9, 0.0]).expect("four numbers");
        let found = weight(&tensor, 0, true, &[0.0, 8.0], 0.5).expect("finite numbers");
        let Data::I8(integers) = found.integers.data() else { panic!("integers") };
        assert_eq!(integers, &[127, -50, 0, 0]);
        assert_eq!(bias(&[0.0, 8.0], &[0.01, found.scales[1] * 0.5]), [0, 1 << 30]);
        let found = weight(&tensor, 0, false, &[], 0.5).expect("finite numbers");
        assert_eq!(found.scales, [0.01]);
        let wrong = Tensor::f32([1, 1], vec![f32::NAN]).expect("a number");
        assert!(weight(&wrong, 0, true, &[], 1.0).is_none());
    }
}
