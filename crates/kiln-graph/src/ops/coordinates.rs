//! Where the elements of a resized axis come from.
//!
//! Which element is the nearest one is decided by rounding, so it depends on the arithmetic in which places are computed:
//! of 14 elements made two, the second one is number 7, but in 32 bits `1 / (2 / 14)` is less. Both engines compute in 32
//! bits, ONNX Runtime with `place / scale` and PyTorch with `place * step`, and neither agrees with exact arithmetic for
//! all sizes. What is written here gives what they give, for every size (`tests/oracles/resize_oracles.py`).

use super::{CoordinateMode, NearestMode};

/// One axis that is resized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizedAxis {
    /// Elements of the input, at least one.
    pub from: usize,
    /// Elements of the output.
    pub to: usize,
    /// The scale, if the model gives one; else it is `to / from`.
    pub scale: Option<f64>,
}

impl ResizedAxis {
    /// Whether every element stays where it is.
    pub fn is_same(self) -> bool {
        self.from == self.to && self.scale.is_none_or(|scale| scale == 1.0)
    }

    /// The scale in 32 bits, as ONNX Runtime has it.
    pub fn scale_f32(self) -> f32 {
        self.scale.map_or(self.to as f32 / self.from as f32, |scale| scale as f32)
    }

    /// From one element of the output to the next, in 32 bits, as PyTorch has it.
    fn step_f32(self) -> f32 {
        self.scale.map_or(self.from as f32 / self.to as f32, |scale| (1.0 / scale) as f32)
    }

    /// The position of output `out` in the input, which may be outside of it.
    pub fn place(self, mode: CoordinateMode, out: usize) -> f64 {
        let (out, from, to) = (out as f64, self.from as f64, self.to as f64);
        // Products first, so that whole results are exact.
        let scaled = |numerator: f64| self.scale.map_or(numerator * from / to, |scale| numerator / scale);
        match mode {
            CoordinateMode::PytorchHalfPixel if self.to == 1 => 0.0,
            CoordinateMode::HalfPixel | CoordinateMode::PytorchHalfPixel => scaled(out + 0.5) - 0.5,
            // Scales play no part: the last element is that of the output.
            CoordinateMode::AlignCorners if self.to == 1 => 0.0,
            CoordinateMode::AlignCorners => out * (from - 1.0) / (to - 1.0),
            CoordinateMode::Asymmetric | CoordinateMode::PytorchNearest => scaled(out),
            CoordinateMode::PytorchNearestExact => scaled(out + 0.5),
        }
    }

    /// The same in 32 bits, step by step as the engines compute it.
    pub fn place_f32(self, mode: CoordinateMode, out: usize) -> f32 {
        let place = out as f32;
        match mode {
            CoordinateMode::PytorchHalfPixel | CoordinateMode::AlignCorners if self.to == 1 => 0.0,
            CoordinateMode::HalfPixel | CoordinateMode::PytorchHalfPixel => {
                (place + 0.5) / self.scale_f32() - 0.5
            }
            CoordinateMode::AlignCorners => place * (self.from - 1) as f32 / (self.to - 1) as f32,
            CoordinateMode::Asymmetric => place / self.scale_f32(),
            // PyTorch has paths of their own for these two.
            CoordinateMode::PytorchNearest if self.to == self.from => place,
            CoordinateMode::PytorchNearest if self.to == 2 * self.from => place * 0.5,
            CoordinateMode::PytorchNearest => place * self.step_f32(),
            CoordinateMode::PytorchNearestExact => (place + 0.5) * self.step_f32(),
        }
    }

    /// The element of the input that is nearest to each of the output.
    pub fn nearest(self, mode: CoordinateMode, rounding: NearestMode) -> Vec<usize> {
        if self.is_same() {
            return (0..self.to).collect();
        }
        let last = self.from.saturating_sub(1);
        (0..self.to).map(|out| rounding.element(self.place_f32(mode, out), last)).collect()
    }

    /// For each element of the output the one of the input before it, and the share of the next one.
    pub fn between(self, mode: CoordinateMode) -> Vec<(usize, f64)> {
        let last = self.from.saturating_sub(1);
        let between = |out| {
            let place = self.place(mode, out).clamp(0.0, last as f64);
            (place as usize, place.fract())
        };
        (0..self.to).map(between).collect()
    }
}

impl NearestMode {
    /// The element, at most `last`, that is nearest to a place. What is nearly a half is one, as ONNX Runtime has it.
    pub fn element(self, place: f32, last: usize) -> usize {
        const NEARLY: f32 = 1e-6;
        let below = place.floor();
        let half = (place - below - 0.5).abs() < NEARLY;
        let element = match self {
            NearestMode::Floor => below,
            NearestMode::Ceil => place.ceil(),
            NearestMode::RoundPreferFloor if half => below,
            NearestMode::RoundPreferCeil if half => below + 1.0,
            NearestMode::RoundPreferFloor | NearestMode::RoundPreferCeil => place.round(),
        };
        // What is negative becomes zero.
        (element as usize).min(last)
    }
}
