//! Where the elements of a resized axis come from.
//!
//! Where sizes are numbers, this is computed here and kept as a table: drivers' division is not exact, and the nearest
//! element depends on the last bit. Of sizes that are symbols the kernel computes it with integers.

use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode, ResizedAxis};
use kiln_graph::{Bindings, Dim, binary_fraction};
use kiln_plan::Storage;

use crate::memory::values::Values;

/// How a kernel finds the elements of an axis.
pub(super) enum Source {
    /// Every element stays where it is.
    Same,
    /// In the table, from this place on.
    Table(usize),
    /// By arithmetic.
    Ratio(Ratio),
}

/// The place of element `i` is `(i * factor + shift) / divisor`, exactly.
pub(super) struct Ratio {
    /// See the type.
    pub factor: Dim,
    /// See the type.
    pub shift: Dim,
    /// See the type.
    pub divisor: Dim,
}

impl Ratio {
    /// Without a scale, or with one that is the ratio of the sizes.
    fn of(mode: CoordinateMode, from: &Dim, to: &Dim) -> Self {
        // In lowest terms where one size is a multiple of the other: the products are to fit into 32 bits.
        let (from, to) = match (to.exact_div(from), from.exact_div(to)) {
            _ if mode == CoordinateMode::AlignCorners => (from.clone() - 1.into(), to.clone() - 1.into()),
            (Some(times), _) => (1.into(), times),
            (None, Some(times)) => (times, 1.into()),
            (None, None) => (from.clone(), to.clone()),
        };
        let twice = |dim: &Dim| dim * &2.into();
        match mode {
            CoordinateMode::AlignCorners | CoordinateMode::Asymmetric | CoordinateMode::PytorchNearest => {
                Ratio { factor: from, shift: 0.into(), divisor: to }
            }
            CoordinateMode::HalfPixel | CoordinateMode::PytorchHalfPixel => {
                Ratio { factor: twice(&from), shift: from - to.clone(), divisor: twice(&to) }
            }
            CoordinateMode::PytorchNearestExact => {
                Ratio { factor: twice(&from), shift: from, divisor: twice(&to) }
            }
        }
    }

    /// The same with numbers for the symbols.
    fn bound(&self, symbols: &Bindings) -> Option<[i64; 3]> {
        let number = |dim: &Dim| dim.eval(symbols).ok();
        Some([number(&self.factor)?, number(&self.shift)?, number(&self.divisor)?])
    }

    /// What has to be rounded down to get the nearest element.
    fn nearest(self, mode: NearestMode) -> Self {
        let Ratio { factor, shift, divisor } = self;
        let twice = |dim: &Dim| dim * &2.into();
        let less = divisor.clone() - 1.into();
        match mode {
            NearestMode::Floor => Ratio { factor, shift, divisor },
            NearestMode::Ceil => Ratio { factor, shift: shift + less, divisor },
            NearestMode::RoundPreferFloor => {
                Ratio { factor: twice(&factor), shift: twice(&shift) + less, divisor: twice(&divisor) }
            }
            NearestMode::RoundPreferCeil => {
                let shift = twice(&shift) + divisor.clone();
                Ratio { factor: twice(&factor), shift, divisor: twice(&divisor) }
            }
        }
    }
}

/// What the kernel of an interpolation reads besides the input.
pub(super) struct Table {
    /// The type of its elements.
    pub element: Storage,
    /// Its elements.
    pub bytes: Vec<u8>,
    /// Entries.
    pub len: usize,
}

impl Table {
    /// Adds an axis and says where it begins.
    fn axis(&mut self, op: &Resize, axis: usize, from: usize, to: usize) -> usize {
        let begin = self.len;
        let resized = op.axis(axis, from, to);
        self.len += to;
        match op.mode {
            ResizeMode::Nearest(mode) => {
                let words = resized.nearest(op.coordinates, mode).into_iter();
                self.bytes.extend(words.flat_map(|at| u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes()));
            }
            ResizeMode::Linear => {
                let pairs = resized.between(op.coordinates).into_iter();
                #[allow(clippy::as_conversions, reason = "indices are below 2^24, shares are rounded")]
                self.bytes.extend(pairs.flat_map(|(at, share)| {
                    [at as f32, share as f32].into_iter().flat_map(f32::to_le_bytes)
                }));
            }
        }
        begin
    }
}

/// Finds out how the elements of an axis are found.
pub(super) fn source(
    values: &Values<'_>,
    op: &Resize,
    axis: usize,
    [from, to]: [&Dim; 2],
    table: &mut Table,
) -> Result<Source, String> {
    let scale = op.scales.as_ref().map(|scales| scales[axis]);
    if from == to && scale.is_none_or(|scale| scale == 1.0) {
        return Ok(Source::Same);
    }
    if let (Some(from), Some(to)) = (from.as_usize(), to.as_usize()) {
        return Ok(Source::Table(table.axis(op, axis, from, to)));
    }
    // How many elements each becomes, where that is a number.
    let times = to.exact_div(from).and_then(|times| times.as_usize());
    let aligned = op.coordinates == CoordinateMode::AlignCorners;
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    let other = scale.filter(|scale| !aligned && times.is_none_or(|times| times as f64 != *scale));
    let ratio = match other.map(|scale| (scale, binary_fraction(scale))) {
        None => Ratio::of(op.coordinates, from, to),
        Some((_, Some((numerator, denominator)))) => {
            Ratio::of(op.coordinates, &denominator.into(), &numerator.into())
        }
        Some((scale, None)) => {
            return Err(format!(
                "a size of `{from}` cannot be scaled by {scale} while it is symbolic; give it a number (`--dim`)"
            ));
        }
    };
    let ratio = match op.mode {
        ResizeMode::Nearest(mode) => ratio.nearest(mode),
        ResizeMode::Linear => ratio,
    };
    let largest = values.maximum(&(&ratio.factor * to)).saturating_add(values.maximum(&ratio.shift).max(0));
    if largest > i64::from(i32::MAX) {
        return Err(format!(
            "a size of up to {} cannot be resized to {} while it is symbolic; give it a number (`--dim`)",
            values.maximum(from),
            values.maximum(to)
        ));
    }
    if let ResizeMode::Nearest(mode) = op.mode {
        check_nearest(values, &op.axis(axis, 1, 1), op.coordinates, mode, [from, to], &ratio)?;
    }
    Ok(Source::Ratio(ratio))
}

/// The most output elements that are checked to see whether integer arithmetic finds the nearest input elements: enough
/// for doubling an axis at each of its sizes up to 5,792.
const MOST_CHECKED: i64 = 1 << 25;

/// Checks that integers find the nearest elements that other engines find in 32 bits, whatever the symbol stands for:
/// their steps and scales are rounded, which moves some elements (of 41 made from 1, of 7 made 1).
fn check_nearest(
    values: &Values<'_>,
    axis: &ResizedAxis,
    coordinates: CoordinateMode,
    mode: NearestMode,
    [from, to]: [&Dim; 2],
    ratio: &Ratio,
) -> Result<(), String> {
    let mut symbols = Vec::new();
    from.collect_symbols(&mut symbols);
    to.collect_symbols(&mut symbols);
    symbols.sort();
    symbols.dedup();
    let [symbol] = symbols.as_slice() else {
        return Err(format!(
            "which elements of `{from}` are the nearest of `{to}` is not known while both are symbolic; give one of them a number (`--dim`)"
        ));
    };
    let most = values.maximum(&Dim::symbol(symbol.clone()));
    let mut checked = 0;
    // From the largest down: what is rounded shows first where places are large.
    for value in (1..=most).rev() {
        let bound = Bindings::from([(symbol.clone(), value)]);
        let (Ok(old), Ok(new)) = (from.eval(&bound), to.eval(&bound)) else { continue };
        let (Ok(old), Ok(new)) = (usize::try_from(old), usize::try_from(new)) else { continue };
        let Some([factor, shift, divisor]) = ratio.bound(&bound).filter(|_| old > 0) else { continue };
        checked += to.eval(&bound).unwrap_or(0);
        if checked > MOST_CHECKED {
            return Err(format!(
                "that the nearest elements of `{from}` made `{to}` follow a rule is not checked for sizes as large as \
                 {symbol} = {most}; reduce its maximum (`--max`) or give it a number (`--dim`)"
            ));
        }
        let resized = ResizedAxis { from: old, to: new, ..*axis };
        let at = |i: i64| (i * factor + shift).max(0) / divisor.max(1);
        let last = i64::try_from(old).unwrap_or(i64::MAX) - 1;
        let found = resized.nearest(coordinates, mode).into_iter().map(|at| i64::try_from(at).unwrap_or(-1));
        if !(0..).zip(found).all(|(i, nearest)| at(i).min(last) == nearest) {
            return Err(format!(
                "the nearest elements of `{from}` made `{to}` follow no rule that a kernel could apply (not where \
                 {symbol} is {value}); give {symbol} a number (`--dim`)"
            ));
        }
    }
    Ok(())
}
