//! Random numbers.

use super::take;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::tensor::{DType, TensorType};

/// Uniform random numbers in `[0, 1)`, multiples of 2^-24, from a counter: the same numbers for the same state, in
/// any order of computation, on any device.
///
/// Input: `state i32[3]`; without it, these are the random numbers of a model, which exist in training only and which a
/// training step gives its state and a stream of their own. The state is two words of key (the seed) and a count that whoever uses the numbers increases. Element `i`
/// (in row-major order) is word `i % 4` of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
/// 1, 2, 3", 2011) of the counter `[i / 4, stream, state[2], 0]`, its lowest eight bits left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Random {
    /// Distinguishes the uses of one state.
    pub stream: u32,
    /// The shape of the output.
    pub shape: Vec<Dim>,
}

impl Random {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let state = match inputs {
            [] => return Ok(TensorType::f32(self.shape.iter().cloned())),
            _ => take::<1>(inputs)?[0],
        };
        if *state != TensorType::new(DType::I32, [3.into()]) {
            return Err(ShapeError::Mismatch(format!("the state should be i32[3], but is {state}")));
        }
        Ok(TensorType::f32(self.shape.iter().cloned()))
    }

    pub(crate) fn eval(&self, state: &[i64], out_shape: &[usize]) -> Vec<f32> {
        // The state is of three 32-bit words.
        let word = |n: usize| state.get(n).map_or(0, |word| *word as u32);
        let count: usize = out_shape.iter().product();
        uniform([word(0), word(1)], [self.stream, word(2), 0], count).collect()
    }
}

/// `count` numbers in `[0, 1)`, multiples of 2^-24: number `i` comes of word `i % 4` of Philox4x32-10 of the counter
/// that begins with `i / 4` and goes on with `rest`.
pub fn uniform(key: [u32; 2], rest: [u32; 3], count: usize) -> impl Iterator<Item = f32> {
    let block = move |n: usize| philox([n as u32, rest[0], rest[1], rest[2]], key);
    (0..count.div_ceil(4)).flat_map(block).take(count).map(|word| (word >> 8) as f32 / 16_777_216.0)
}

/// Philox4x32-10.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let multiply = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b);
        ((product >> 32) as u32, product as u32)
    };
    for _ in 0..10 {
        let (high0, low0) = multiply(0xd251_1f53, counter[0]);
        let (high1, low1) = multiply(0xcd9e_8d57, counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// Known answers of the authors' Random123 library (its `kat_vectors`).
    #[test]
    fn gives_the_known_answers() {
        let rows = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in rows {
            assert_eq!(philox(counter, key), answer);
        }
    }
}
