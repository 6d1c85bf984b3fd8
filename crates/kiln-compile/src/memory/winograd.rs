//! Winograd's minimal filtering: windows of three elements along both axes with fewer products than elements.
//!
//! A tile of `m` results along an axis needs `m + 2` elements of the input, and `m + 2` products instead of `3 m`: the results
//! are coefficients of the product of two polynomials, which follow from its values at `m + 1` points and at infinity (S.
//! Winograd, *Arithmetic Complexity of Computations*, 1980; A. Lavin and S. Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, 2016). The input, the weights and the products are transformed along one axis and then along the other.
//!
//! With four results, the points are 0, ±√½ and ±√2 instead of the usual 0, ±1 and ±2: coefficients, which are powers
//! of the points and differences of their squares, are of similar size then, and rounding errors are a quarter.

use kiln_graph::Tensor;

use super::packed::PackedShape;
use crate::element::WordOf;

/// Taps along an axis.
pub(crate) const TAPS: usize = 3;

/// A way to filter: by how many results a tile has along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winograd {
    /// 16 products for 4 results: 2.25 times fewer than taps.
    Two,
    /// 36 products for 16 results: 4 times fewer.
    Four,
}

impl Winograd {
    /// Both, from the one with the fewest products.
    pub(crate) const ALL: [Self; 2] = [Self::Four, Self::Two];

    /// Results of a tile along an axis.
    pub(crate) fn results(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Elements of the input along an axis.
    pub(crate) fn size(self) -> usize {
        self.results() + TAPS - 1
    }

    /// Products of a tile, for a channel in and a channel out.
    pub(crate) fn products(self) -> usize {
        self.size() * self.size()
    }

    /// What transforms weights along an axis: for each finite point, its powers divided by the product of its distances from
    /// the others; for infinity, the last weight. `shaders/winograd.wgsl` has the same as code.
    fn of_weights(self) -> Vec<[f64; TAPS]> {
        let (near, far) = (0.5f64.sqrt(), 2f64.sqrt());
        let points = match self {
            Self::Two => vec![0.0, 1.0, -1.0],
            Self::Four => vec![0.0, near, -near, far, -far],
        };
        // At zero the distances are taken without their sign, as the transform of the input has it.
        let row = |point: &f64| {
            let others = points.iter().filter(|other| *other != point);
            let distances: f64 = others.map(|other| point - other).product();
            let scale = if *point == 0.0 { distances.abs() } else { distances };
            [1.0, *point, point * point].map(|power| power / scale)
        };
        points.iter().map(row).chain([[0.0, 0.0, 1.0]]).collect()
    }

    /// Weights `[out, in, 3, 3]` as one matrix for each product: `[products * out, in]`.
    pub(crate) fn transformed(self, weights: &Tensor) -> Option<Tensor> {
        let [outputs, inputs, TAPS, TAPS] = *weights.shape() else { return None };
        let (rows, size) = (self.of_weights(), self.size());
        let given = weights.to_f64();
        let mut out = vec![0f32; self.products() * outputs * inputs];
        for (channels, taps) in given.chunks_exact(TAPS * TAPS).enumerate() {
            // Along the width, then along the height.
            let along = |row: &[f64; TAPS], at: usize| {
                row.iter().enumerate().map(|(tap, factor)| factor * taps[at * TAPS + tap]).sum::<f64>()
            };
            for (b, row) in rows.iter().enumerate() {
                let lines: [f64; TAPS] = std::array::from_fn(|at| along(row, at));
                for (a, row) in rows.iter().enumerate() {
                    let sum: f64 = row.iter().zip(lines).map(|(factor, line)| factor * line).sum();
                    out[(a * size + b) * outputs * inputs + channels] = sum as f32;
                }
            }
        }
        Tensor::f32([self.products() * outputs, inputs], out).ok()
    }

    /// Transformed weights as panels for tiles of `width` columns: of each product by themselves.
    pub(crate) fn panels(self, width: usize) -> PackedShape {
        let groups = self.products();
        PackedShape { groups, column_axis: 0, k_axes: vec![1], width, word_of: WordOf::Columns }
    }
}
