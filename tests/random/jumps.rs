//! Functions with jumps, and whether values are near one: there, rounding decides what comes out.

use kiln::graph::ops::{ArgReduce, ArgSort, BinaryOp, PoolKind, ScatterReduction, UnaryOp};
use kiln::graph::{DType, Op};

use crate::sketch::Known;

/// What is nearer than that is near.
const MARGIN: f64 = 3e-4;
/// For what is only to be differentiated.
const FINE: f64 = 1e-5;

/// Whether a function has jumps.
pub(crate) fn has(op: &Op) -> bool {
    match op {
        Op::Unary(UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Sign) => true,
        Op::Binary(op) => compares(*op) || matches!(op, BinaryOp::Mod | BinaryOp::Rem),
        Op::Cast(cast) => !cast.to.is_float(),
        Op::ArgReduce(_) | Op::ArgSort(_) => true,
        _ => false,
    }
}

fn compares(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Equal
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
    )
}

/// Whether `op` has a jump near these operands; with `kinks`, jumps of the derivative count.
pub(crate) fn near(op: &Op, operands: &[&Known], kinks: bool) -> bool {
    let Some(x) = operands.first().filter(|x| x.dtype.is_float()) else { return false };
    match op {
        Op::Unary(UnaryOp::Floor | UnaryOp::Ceil) => x.numbers().iter().any(|x| near_integer(*x)),
        Op::Unary(UnaryOp::Round) => x.numbers().iter().any(|x| near_integer(x + 0.5)),
        Op::Unary(UnaryOp::Sign) => x.numbers().iter().any(|x| within(*x, MARGIN)),
        Op::Unary(UnaryOp::Relu | UnaryOp::Abs) => kinks && x.numbers().iter().any(|x| within(*x, FINE)),
        Op::Binary(op) if compares(*op) => {
            // What is equal by chance need not stay so when something moves.
            pairs(operands).into_iter().any(|(a, b)| kinks && a == b || within(a - b, MARGIN))
        }
        Op::Binary(BinaryOp::Mod | BinaryOp::Rem) => {
            pairs(operands).into_iter().any(|(a, b)| b.abs() < 0.1 || near_integer(a / b))
        }
        Op::Binary(BinaryOp::Max | BinaryOp::Min | BinaryOp::ClampMin | BinaryOp::ClampMax) => {
            kinks && pairs(operands).into_iter().any(|(a, b)| within(a - b, FINE))
        }
        // Towards zero: nothing happens there.
        Op::Cast(cast) if matches!(cast.to, DType::I32 | DType::I64) => {
            x.numbers().iter().any(|x| x.abs() > 0.5 && near_integer(*x))
        }
        Op::Cast(cast) if cast.to == DType::Bool => x.numbers().iter().any(|x| within(*x, MARGIN)),
        Op::ArgReduce(ArgReduce { axis, .. }) | Op::ArgSort(ArgSort { axis, .. }) => crowded_along(x, *axis),
        Op::Reduce(op) if op.kind.chooses() => kinks && crowded(&[x], FINE),
        Op::Pool(pool) if pool.kind == PoolKind::Max => kinks && crowded(&[x], FINE),
        Op::Scatter(op) if matches!(op.reduction, ScatterReduction::Max | ScatterReduction::Min) => {
            kinks && crowded(&[x, operands[2]], FINE)
        }
        _ => false,
    }
}

fn near_integer(x: f64) -> bool {
    (x - x.round()).abs() < MARGIN
}

/// Near zero, but not zero.
fn within(x: f64, margin: f64) -> bool {
    x != 0.0 && x.abs() < margin
}

/// Elements that meet, under the usual broadcasting.
fn pairs(operands: &[&Known]) -> Vec<(f64, f64)> {
    let [a, b] = [operands[0], operands[1]];
    let rank = a.rank().max(b.rank());
    let size =
        |of: &Known, axis: usize| (axis + of.rank()).checked_sub(rank).map_or(1, |axis| of.sizes[axis]);
    let sizes: Vec<usize> = (0..rank).map(|axis| size(a, axis).max(size(b, axis))).collect();
    let count: usize = sizes.iter().product();
    let place = |of: &Known, mut at: usize| {
        let (mut place, mut step) = (0, 1);
        for axis in (0..rank).rev() {
            let own = size(of, axis);
            place += at % sizes[axis] % own * step;
            at /= sizes[axis];
            step *= own;
        }
        place
    };
    let (left, right) = (a.numbers(), b.numbers());
    (0..count).map(|at| (left[place(a, at)], right[place(b, at)])).collect()
}

/// Whether any two elements of a line are near each other without being equal.
fn crowded_along(x: &Known, axis: usize) -> bool {
    let (numbers, size) = (x.numbers(), x.sizes[axis]);
    let after: usize = x.sizes[axis + 1..].iter().product();
    (0..numbers.len() / size).any(|line| {
        let first = line / after * size * after + line % after;
        let mut line: Vec<f64> = (0..size).map(|i| numbers[first + i * after]).collect();
        line.sort_by(f64::total_cmp);
        line.windows(2).any(|pair| within(pair[1] - pair[0], MARGIN / 5.0))
    })
}

/// Whether any two elements are near each other without being equal.
fn crowded(of: &[&Known], margin: f64) -> bool {
    let mut sorted: Vec<f64> = of.iter().flat_map(|x| x.numbers()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.windows(2).any(|pair| within(pair[1] - pair[0], margin))
}
