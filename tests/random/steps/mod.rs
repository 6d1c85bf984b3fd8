//! Steps by which a graph grows. A step takes values that are there, or makes inputs and weights that suit it, and adds
//! an operator; where that cannot be, it does nothing.

mod integers;
mod lines;
mod movement;
mod pointwise;
mod windows;

use kiln::graph::{DType, Dim, product};

use crate::dice::Dice;
use crate::sketch::{At, Sketch};

/// A step; `None` where it could not be made.
type Step = fn(&mut Sketch, &mut Dice<'_>) -> Option<At>;

/// All steps, the simplest first, and how often each is taken.
const STEPS: &[(usize, Step)] = &[
    (12, pointwise::unary),
    (16, pointwise::binary),
    (4, pointwise::select),
    (7, pointwise::cast),
    (9, movement::transpose),
    (9, movement::reshape),
    (4, movement::expand),
    (8, movement::slice),
    (7, movement::concat),
    (6, movement::pad),
    (5, movement::gather),
    (3, movement::gather_elements),
    (4, movement::scatter),
    (10, lines::matmul),
    (5, lines::softmax),
    (8, lines::reduce),
    (3, lines::arg_reduce),
    (3, lines::sort),
    (16, windows::conv),
    (7, windows::pool),
    (4, windows::resize),
    (5, windows::batch_norm),
    (8, integers::binary),
    (4, integers::logic),
    (3, integers::counted),
    (1, windows::dropout),
    (4, pointwise::double),
    (2, pointwise::many),
];

/// Sizes where kernels have seams: around the widths of vectors, tiles and subgroups.
const SIZES: [usize; 10] = [2, 3, 1, 5, 8, 7, 9, 16, 17, 13];

/// Takes the step that the dice say.
pub(crate) fn step(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let total = STEPS.iter().map(|(weight, _)| weight).sum();
    let mut at = dice.below(total);
    for (weight, step) in STEPS {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return step(sketch, dice),
        }
    }
    None
}

/// A shape of so many dimensions, of at most `most` elements.
pub(crate) fn shape(dice: &mut Dice<'_>, rank: usize, most: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (0..rank).map(|_| dice.of(&SIZES)).collect();
    while sizes.iter().product::<usize>() > most {
        let largest = (0..rank).max_by_key(|axis| sizes[*axis]).unwrap_or(0);
        sizes[largest] = if sizes[largest] > 3 { sizes[largest] / 2 } else { sizes[largest] - 1 };
    }
    sizes
}

/// An input of the graph of so many dimensions; the first of several is the batch, and with two
/// symbols the third is another one.
pub(crate) fn input(
    sketch: &mut Sketch,
    dice: &mut Dice<'_>,
    dtype: DType,
    rank: usize,
    symbols: usize,
) -> At {
    let most = if sketch.smooth { 120 } else { 2400 };
    let sizes = shape(dice, rank, most);
    let mut dims: Vec<Dim> = sizes.iter().map(|size| Dim::from(*size)).collect();
    if rank > 1 {
        dims[0] = if symbols > 0 { "N".into() } else { Dim::from(dice.of(&[1, 2, 3, 1])) };
    }
    if rank > 2 && symbols > 1 && dice.odds(60) {
        dims[2] = "M".into();
    }
    sketch.input(dtype, dims)
}

/// A floating point value of one of these numbers of dimensions; an input, if there is none.
fn float(sketch: &mut Sketch, dice: &mut Dice<'_>, ranks: &[usize]) -> At {
    let found = sketch.pick(dice, |known| known.is_float() && ranks.contains(&known.rank()));
    found.unwrap_or_else(|| {
        let rank = dice.of(ranks);
        let symbols = sketch.graph.symbols().len();
        input(sketch, dice, DType::F32, rank, symbols)
    })
}

/// An axis whose size is a number.
fn fixed_axis(sketch: &Sketch, dice: &mut Dice<'_>, x: At) -> Option<usize> {
    let dims = &sketch.values[x].dims;
    let fixed: Vec<usize> = (0..dims.len()).filter(|axis| dims[*axis].as_const().is_some()).collect();
    (!fixed.is_empty()).then(|| dice.of(&fixed))
}

fn elements(dims: &[Dim]) -> Dim {
    product(dims)
}
