//! Whether dimensions are always equal, or never.
//!
//! A sum of products of symbols and of their quotients by numbers is a quasi-polynomial: for symbols of given remainders it is
//! a polynomial. One that is zero at as many places of each class as its degree requires is zero everywhere, so that a
//! finite number of evaluations is a proof (Ehrhart's theory of quasi-polynomials has the background).

use std::sync::Arc;

use super::divide::gcd;
use super::{Atom, Bindings, Bounds, Dim};

/// More evaluations are not made; then nothing is known.
const MOST_EVALUATIONS: i64 = 1 << 14;

/// More minima are not looked into.
const MOST_MINIMA: usize = 4;

impl Dim {
    /// Whether the two are equal for all values of the symbols. Where this is false, they may still be for some.
    pub fn always_equals(&self, other: &Dim) -> bool {
        self == other || (self.clone() - other.clone()).primitive().is_zero()
    }

    /// Whether the two differ for all values of the symbols. Where this is false, they may still for some.
    pub fn never_equals(&self, other: &Dim, bounds: Bounds<'_>) -> bool {
        let difference = (self.clone() - other.clone()).primitive();
        let interval = difference.interval(bounds);
        // `2*N` is no odd number.
        let variable = difference.terms.iter().filter(|(atoms, _)| !atoms.is_empty());
        let common = variable.fold(0, |g, (_, c)| gcd(g, *c));
        let constant = difference.terms.iter().find(|(atoms, _)| atoms.is_empty()).map_or(0, |(_, c)| *c);
        interval.low > 0 || interval.high < 0 || common > 0 && constant % common != 0
    }

    /// Whether the value is at least that of `other`, for all values of the symbols.
    pub fn never_below(&self, other: &Dim, bounds: Bounds<'_>) -> bool {
        (self.clone() - other.clone()).never_negative(bounds, MOST_MINIMA)
    }

    /// Whether the value is never negative. A minimum that is subtracted is at most each of its sides.
    fn never_negative(&self, bounds: Bounds<'_>, depth: usize) -> bool {
        if self.interval(bounds).low >= 0 {
            return true;
        }
        let subtracted = self.terms.iter().find_map(|(atoms, c)| match atoms.as_slice() {
            [Atom::Min(a, b)] if *c < 0 => Some(([a, b], atoms.clone(), *c)),
            _ => None,
        });
        let (Some((sides, atoms, c)), Some(depth)) = (subtracted, depth.checked_sub(1)) else { return false };
        let rest = self.clone() - Dim { terms: vec![(atoms, c)] };
        sides.into_iter().any(|side| (rest.clone() + &**side * &c.into()).never_negative(bounds, depth))
    }

    fn is_zero(&self) -> bool {
        if let Some(value) = self.as_const() {
            return value == 0;
        }
        let symbols = self.symbols();
        let Some(counts) = symbols.iter().map(|symbol| self.places(symbol)).collect::<Option<Vec<i64>>>()
        else {
            return false;
        };
        let all = counts.iter().fold(1i64, |all, count| all.saturating_mul(*count));
        all <= MOST_EVALUATIONS && self.is_zero_at(&symbols, &counts, &mut Bindings::new())
    }

    /// Whether the value is zero where each symbol has each value from one to its count.
    fn is_zero_at(&self, symbols: &[Arc<str>], counts: &[i64], at: &mut Bindings) -> bool {
        let (Some((symbol, symbols)), Some((count, counts))) = (symbols.split_first(), counts.split_first())
        else {
            return self.eval(at) == Ok(0);
        };
        (1..=*count).all(|value| {
            at.insert(symbol.clone(), value);
            self.is_zero_at(symbols, counts, at)
        })
    }

    /// At how many places in a row the value has to be zero to be zero for every value of `symbol`; nothing for what is no
    /// quasi-polynomial, or one of a long period.
    fn places(&self, symbol: &Arc<str>) -> Option<i64> {
        let (degree, period) = self.degree_and_period(symbol)?;
        period.checked_mul(degree + 1).filter(|places| *places <= MOST_EVALUATIONS)
    }

    fn degree_and_period(&self, symbol: &Arc<str>) -> Option<(i64, i64)> {
        let (mut degree, mut period) = (0, 1i64);
        for (atoms, _) in &self.terms {
            let mut here = 0;
            for atom in atoms {
                match atom {
                    Atom::Symbol(name) | Atom::Count(name) => here += i64::from(name == symbol),
                    Atom::FloorDiv(dim, divisor) => {
                        let (inner, repeats) = dim.degree_and_period(symbol)?;
                        here += inner;
                        if dim.symbols().contains(symbol) {
                            let repeats = repeats.checked_mul(*divisor)?;
                            period = (period / gcd(period, repeats).max(1)).checked_mul(repeats)?;
                        }
                    }
                    Atom::Min(..) => return None,
                }
            }
            degree = degree.max(here);
        }
        Some((degree, period))
    }
}
