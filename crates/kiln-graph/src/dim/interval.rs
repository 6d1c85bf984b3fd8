//! Bounds of dimensions.

use std::sync::Arc;

use super::{Atom, Bindings, Dim};

/// The least and the largest value; saturated at the ends of `i64`, which stand for "unbounded".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The least value.
    pub low: i64,
    /// The largest value.
    pub high: i64,
}

/// What symbols and counts can be: at least one and zero, and at most their maximum where one is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds<'a> {
    /// The maxima.
    pub max: Option<&'a Bindings>,
}

impl Bounds<'_> {
    fn of(self, name: &Arc<str>, low: i64) -> Interval {
        let max = self.max.and_then(|max| max.get(name));
        Interval { low, high: max.copied().unwrap_or(i64::MAX) }
    }
}

impl Interval {
    fn point(value: i64) -> Self {
        Self { low: value, high: value }
    }

    fn add(self, other: Self) -> Self {
        // An unbounded end stays one, whatever is added.
        let end = |a: i64, b: i64, unbounded: i64| {
            if a == unbounded || b == unbounded { unbounded } else { a.saturating_add(b) }
        };
        Self { low: end(self.low, other.low, i64::MIN), high: end(self.high, other.high, i64::MAX) }
    }

    fn times(self, other: Self) -> Self {
        let products = [
            self.low.saturating_mul(other.low),
            self.low.saturating_mul(other.high),
            self.high.saturating_mul(other.low),
            self.high.saturating_mul(other.high),
        ];
        let least = products.into_iter().min().unwrap_or(i64::MIN);
        Self { low: least, high: products.into_iter().max().unwrap_or(i64::MAX) }
    }

    fn within(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

impl Dim {
    /// Bounds of the value. They are tight for sums of terms that all grow with the symbols; elsewhere they may be wide.
    pub fn interval(&self, bounds: Bounds<'_>) -> Interval {
        let plain = self.sum_of_bounds(bounds);
        if self.terms.iter().all(|(atoms, c)| *c >= 0 || atoms.is_empty()) {
            return plain;
        }
        match self.without_quotients() {
            // `c*m*floor(x/m)` is `c*x` without `c` times a remainder, so that `x` can cancel.
            Some((sum, remainders)) => {
                let rest = remainders.into_iter().map(|(factor, most)| {
                    factor.sum_of_bounds(bounds).times(Interval { low: 0, high: most })
                });
                let start = sum.sum_of_bounds(bounds);
                plain.within(rest.fold(start, Interval::add))
            }
            None => plain,
        }
    }

    /// The largest value where no symbol exceeds its maximum, or a bound of it.
    pub fn upper(&self, max: &Bindings) -> i64 {
        let bounds = Bounds { max: Some(max) };
        let bound = self.interval(bounds).high;
        if self.grows(bounds) { self.eval(max).unwrap_or(bound).min(bound) } else { bound }
    }

    fn sum_of_bounds(&self, bounds: Bounds<'_>) -> Interval {
        self.terms.iter().fold(Interval::point(0), |sum, (atoms, c)| {
            let atoms = atoms.iter().map(|atom| atom.interval(bounds));
            sum.add(atoms.fold(Interval::point(*c), Interval::times))
        })
    }

    /// The sum with quotients by a factor of their coefficient written out, and what is missing from it: pairs of a
    /// factor and the largest value of the remainder that it multiplies. Nothing, if there is no such quotient.
    fn without_quotients(&self) -> Option<(Dim, Vec<(Dim, i64)>)> {
        let (mut sum, mut remainders) = (Dim::from(0), Vec::new());
        for (atoms, c) in &self.terms {
            let quotient = atoms.iter().enumerate().find_map(|(i, atom)| match atom {
                Atom::FloorDiv(dividend, divisor) if c % divisor == 0 => Some((i, dividend, *divisor)),
                Atom::FloorDiv(..) | Atom::Symbol(_) | Atom::Count(_) | Atom::Min(..) => None,
            });
            let Some((i, dividend, divisor)) = quotient else {
                sum = sum + Dim { terms: vec![(atoms.clone(), *c)] };
                continue;
            };
            let mut others = atoms.clone();
            others.remove(i);
            let factor = Dim { terms: vec![(others, c / divisor)] };
            sum = sum + &factor * dividend;
            remainders.push((Dim::from(0) - factor, divisor - 1));
        }
        (!remainders.is_empty()).then_some((sum, remainders))
    }

    /// Whether a larger symbol never makes the value smaller.
    fn grows(&self, bounds: Bounds<'_>) -> bool {
        let atom = |atom: &Atom| match atom {
            Atom::Symbol(_) | Atom::Count(_) => true,
            Atom::FloorDiv(dim, _) => dim.grows(bounds) && dim.interval(bounds).low >= 0,
            Atom::Min(a, b) => {
                let positive = |dim: &Dim| dim.grows(bounds) && dim.interval(bounds).low >= 0;
                positive(a) && positive(b)
            }
        };
        let single = |atoms: &[Atom]| match atoms {
            // Alone, a quotient may be negative.
            [Atom::FloorDiv(dim, _)] => dim.grows(bounds),
            [Atom::Min(a, b)] => a.grows(bounds) && b.grows(bounds),
            all => all.iter().all(atom),
        };
        self.terms.iter().all(|(atoms, c)| atoms.is_empty() || *c >= 0 && single(atoms))
            || self.grows_by_steps(bounds)
    }

    /// Whether one more of any symbol adds at least nothing, for polynomials.
    fn grows_by_steps(&self, bounds: Bounds<'_>) -> bool {
        let polynomial =
            self.terms.iter().flat_map(|(atoms, _)| atoms).all(|atom| matches!(atom, Atom::Symbol(_)));
        polynomial
            && self.symbols().into_iter().all(|symbol| {
                let next = Dim::symbol(symbol.clone()) + 1.into();
                let step = self.substitute(&[(symbol, next)].into()) - self.clone();
                step.interval(bounds).low >= 0
            })
    }
}

impl Atom {
    fn interval(&self, bounds: Bounds<'_>) -> Interval {
        match self {
            Atom::Symbol(name) => bounds.of(name, 1),
            Atom::Count(name) => bounds.of(name, 0),
            Atom::FloorDiv(dim, divisor) => {
                let Interval { low, high } = dim.interval(bounds);
                let unless = |end: i64, unbounded: i64| {
                    if end == unbounded { end } else { end.div_euclid(*divisor) }
                };
                Interval { low: unless(low, i64::MIN), high: unless(high, i64::MAX) }
            }
            Atom::Min(a, b) => {
                let (a, b) = (a.interval(bounds), b.interval(bounds));
                Interval { low: a.low.min(b.low), high: a.high.min(b.high) }
            }
        }
    }
}
