//! Arithmetic of elements that follow from shapes.
//!
//! Models compute such elements in integers or in 32-bit floats. The latter are followed as fractions where no rounding
//! can change what is read off in the end by `Floor`, `Ceil` or a conversion: products with binary fractions of a few
//! digits are exact for sizes below 2^14, and a single division by another number stays on the right side of every integer for sizes
//! below 2^24 divided by it. What would be rounded in between is not followed.

use super::{Element, Relation, Truth, compare, is_binary};
use crate::dim::{Bounds, Dim};
use crate::ops::{BinaryOp, UnaryOp};
use crate::tensor::DType;

/// Numerators of factors are below this, so that a product with a size below 2^14 has 24 binary digits.
const MOST_NUMERATOR: f64 = 1024.0;
/// Denominators of factors are up to this.
const MOST_DENOMINATOR: i64 = 1 << 16;

/// A float as an element, if it is a binary fraction of a few digits.
pub(super) fn ratio(value: f64) -> Option<Element> {
    binary_fraction(value).map(|(numerator, denominator)| Element::Ratio(numerator.into(), denominator))
}

/// Numerator and denominator of a binary fraction of so few digits that its product with a size below 2^14 is exact in 32
/// bits.
pub fn binary_fraction(value: f64) -> Option<(i64, i64)> {
    let mut denominator = 1i64;
    while denominator <= MOST_DENOMINATOR {
        let scaled = value * denominator as f64;
        if scaled.fract() == 0.0 {
            let fits = scaled.abs() < MOST_NUMERATOR || denominator == 1 && scaled.abs() < 16_777_216.0;
            // Exact: a whole number of that size.
            return fits.then_some((scaled as i64, denominator));
        }
        denominator *= 2;
    }
    None
}

/// Both elements as integers with the same denominator.
pub(super) fn common(a: &Element, b: &Element) -> Option<(Dim, Dim)> {
    match (a, b) {
        (Element::Int(a), Element::Int(b)) => Some((a.clone(), b.clone())),
        (Element::Ratio(a, p), Element::Ratio(b, q)) => {
            let exact = p == q || is_binary(*p) && is_binary(*q);
            exact.then(|| (a * &(*q).into(), b * &(*p).into()))
        }
        (Element::Int(_) | Element::Ratio(..) | Element::Truth(_), _) => None,
    }
}

/// The element as another type.
pub(super) fn cast(element: &Element, to: DType) -> Option<Element> {
    let nonnegative = |dim: &Dim| dim.interval(Bounds::default()).low >= 0;
    match (to, element) {
        (DType::I64 | DType::I32, Element::Int(_)) => Some(element.clone()),
        (DType::I64 | DType::I32, Element::Ratio(dim, 1)) => Some(Element::Int(dim.clone())),
        // Towards zero.
        (DType::I64 | DType::I32, Element::Ratio(dim, denominator)) => {
            nonnegative(dim).then(|| Element::Int(dim.floor_div(*denominator)))
        }
        (DType::I64 | DType::I32, Element::Truth(Truth::Known(value))) => {
            Some(Element::Int(i64::from(*value).into()))
        }
        (DType::F32 | DType::F64, Element::Int(dim)) => Some(Element::Ratio(dim.clone(), 1)),
        (DType::F32 | DType::F64, Element::Ratio(..)) => Some(element.clone()),
        (DType::Bool, Element::Truth(_)) => Some(element.clone()),
        (DType::Bool, Element::Int(dim) | Element::Ratio(dim, _)) => {
            Some(Element::Truth(Truth::equal(dim, &0.into(), true)))
        }
        _ => None,
    }
}

/// An elementwise function.
pub(super) fn unary(op: UnaryOp, element: &Element) -> Option<Element> {
    let low = |dim: &Dim| dim.interval(Bounds::default()).low;
    match (op, element) {
        (UnaryOp::Not, Element::Truth(truth)) => Some(Element::Truth(truth.not())),
        (UnaryOp::Neg, Element::Int(dim)) => Some(Element::Int(Dim::from(0) - dim.clone())),
        (UnaryOp::Neg, Element::Ratio(dim, denominator)) => {
            Some(Element::Ratio(Dim::from(0) - dim.clone(), *denominator))
        }
        (UnaryOp::Abs | UnaryOp::Relu, Element::Int(dim) | Element::Ratio(dim, _)) if low(dim) >= 0 => {
            Some(element.clone())
        }
        (UnaryOp::Floor, Element::Ratio(dim, denominator)) => {
            Some(Element::Ratio(dim.floor_div(*denominator), 1))
        }
        (UnaryOp::Ceil, Element::Ratio(dim, denominator)) => {
            Some(Element::Ratio(dim.ceil_div(*denominator), 1))
        }
        (UnaryOp::Round, Element::Ratio(_, 1)) => Some(element.clone()),
        _ => None,
    }
}

/// An elementwise function of two elements.
pub(super) fn binary(op: BinaryOp, a: &Element, b: &Element) -> Option<Element> {
    let truth = |relation, a, b| compare(a, relation, b).map(Element::Truth);
    match op {
        BinaryOp::Equal => truth(Relation::Equal, a, b),
        BinaryOp::GreaterOrEqual => truth(Relation::AtLeast, a, b),
        BinaryOp::LessOrEqual => truth(Relation::AtLeast, b, a),
        BinaryOp::Less => compare(a, Relation::AtLeast, b).map(|truth| Element::Truth(truth.not())),
        BinaryOp::Greater => compare(b, Relation::AtLeast, a).map(|truth| Element::Truth(truth.not())),
        BinaryOp::And | BinaryOp::Or => logic(op, a, b),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::Rem
        | BinaryOp::Min
        | BinaryOp::Max
        | BinaryOp::ClampMin
        | BinaryOp::ClampMax => match (a, b) {
            (Element::Int(a), Element::Int(b)) => integers(op, a, b).map(Element::Int),
            (Element::Ratio(..), Element::Ratio(..)) => fractions(op, a, b),
            _ => None,
        },
        BinaryOp::Pow
        | BinaryOp::Xor
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => None,
    }
}

fn logic(op: BinaryOp, a: &Element, b: &Element) -> Option<Element> {
    let (Element::Truth(a), Element::Truth(b)) = (a, b) else { return None };
    // What decides alone: false of `and`, true of `or`.
    let decisive = op == BinaryOp::Or;
    let truth = match (a, b) {
        (Truth::Known(value), other) | (other, Truth::Known(value)) => {
            if *value == decisive {
                Truth::Known(decisive)
            } else {
                other.clone()
            }
        }
        (open, _) if a == b => open.clone(),
        (open, _) => Truth::Open(open.size()?.clone()),
    };
    Some(Element::Truth(truth))
}

fn integers(op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
    let low = |dim: &Dim| dim.interval(Bounds::default()).low;
    match op {
        BinaryOp::Add => Some(a.clone() + b.clone()),
        BinaryOp::Sub => Some(a.clone() - b.clone()),
        BinaryOp::Mul => Some(a * b),
        BinaryOp::Div => {
            if let (Some(a), Some(b)) = (a.as_const(), b.as_const()) {
                return a.checked_div(b).map(Dim::from);
            }
            if let Some(exact) = a.exact_div(b) {
                return Some(exact);
            }
            let divisor = b.as_const().filter(|b| *b > 0)?;
            if low(a) >= 0 {
                return Some(a.floor_div(divisor));
            }
            // Of what is never positive, truncation rounds up: `-(x/2)`.
            let negative = Dim::from(0) - a.clone();
            (low(&negative) >= 0).then(|| Dim::from(0) - negative.floor_div(divisor))
        }
        BinaryOp::Mod | BinaryOp::Rem => {
            let divisor = b.as_const().filter(|b| *b > 0)?;
            // C's remainder has the sign of the dividend.
            (op == BinaryOp::Mod || low(a) >= 0).then(|| a.remainder(divisor))
        }
        BinaryOp::Min | BinaryOp::ClampMax => Some(a.smaller(b)),
        BinaryOp::Max | BinaryOp::ClampMin => Some(a.larger(b)),
        _ => None,
    }
}

fn fractions(op: BinaryOp, a: &Element, b: &Element) -> Option<Element> {
    let (Element::Ratio(x, p), Element::Ratio(y, q)) = (a, b) else { return None };
    let exact = is_binary(*p) && is_binary(*q);
    let made = |dim: Dim, denominator: i64| {
        (denominator <= MOST_DENOMINATOR).then_some(Element::Ratio(dim, denominator))
    };
    match op {
        BinaryOp::Mul if exact && (x.as_const().is_some() || y.as_const().is_some()) => {
            reduced(x * y, p.checked_mul(*q)?)
        }
        BinaryOp::Div => {
            if *p == 1
                && *q == 1
                && let Some(quotient) = x.exact_div(y)
            {
                return made(quotient, 1);
            }
            let divisor = y.as_const().filter(|y| *y > 0 && exact)?;
            reduced(x * &(*q).into(), p.checked_mul(divisor)?)
        }
        BinaryOp::Add | BinaryOp::Sub if exact => {
            let (x, y) = common(a, b)?;
            reduced(if op == BinaryOp::Add { x + y } else { x - y }, p.checked_mul(*q)?)
        }
        BinaryOp::Min | BinaryOp::ClampMax if p == q => made(integers(BinaryOp::Min, x, y)?, *p),
        BinaryOp::Max | BinaryOp::ClampMin if p == q => made(integers(BinaryOp::Max, x, y)?, *p),
        BinaryOp::Mod | BinaryOp::Rem if *p == 1 && *q == 1 => made(integers(op, x, y)?, 1),
        _ => None,
    }
}

/// A fraction in lowest terms, as far as numbers tell.
fn reduced(mut numerator: Dim, mut denominator: i64) -> Option<Element> {
    while denominator > 1 && numerator.remainder(2).is(0) && denominator % 2 == 0 {
        numerator = numerator.floor_div(2);
        denominator /= 2;
    }
    if let Some(whole) = numerator.exact_div(&denominator.into()) {
        (numerator, denominator) = (whole, 1);
    }
    (denominator <= MOST_DENOMINATOR).then_some(Element::Ratio(numerator, denominator))
}
