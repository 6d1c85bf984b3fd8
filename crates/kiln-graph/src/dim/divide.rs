//! Division of dimensions, and the smaller of two.

use std::sync::Arc;

use super::{Atom, Bounds, Dim};

/// A quotient of two sums has no more terms.
const MOST_STEPS: usize = 64;

impl Dim {
    /// `floor(self / divisor)`. Terms that divide evenly are taken out, so `floor((4*N + 3) / 2)` is `2*N + 1`, and
    /// quotients of quotients are one quotient.
    ///
    /// # Panics
    /// If `divisor` is not positive; attributes from files are checked before they become divisors.
    pub fn floor_div(&self, divisor: i64) -> Self {
        assert!(divisor > 0, "division of a dimension by {divisor}");
        if divisor == 1 {
            return self.clone();
        }
        let mut whole = Vec::new();
        let mut rest = Vec::new();
        for (atoms, c) in &self.terms {
            let (q, r) = (c.div_euclid(divisor), c.rem_euclid(divisor));
            if r == 0 {
                whole.push((atoms.clone(), q));
            } else if atoms.is_empty() {
                whole.push((vec![], q));
                rest.push((vec![], r));
            } else {
                rest.push((atoms.clone(), *c));
            }
        }
        let rest = Self::from_terms(rest);
        if rest.as_const().is_none() {
            let (dividend, divisor) = rest.without_common_factor(divisor);
            match dividend.one_quotient(divisor) {
                Some(quotient) => whole.extend(quotient.terms),
                None if divisor == 1 => whole.extend(dividend.terms),
                None => whole.push((vec![Atom::FloorDiv(Arc::new(dividend), divisor)], 1)),
            }
        }
        Self::from_terms(whole)
    }

    /// `floor((g*a + b) / (g*n))` is `floor((a + floor(b/g)) / n)`.
    fn without_common_factor(self, divisor: i64) -> (Self, i64) {
        let variable = self.terms.iter().filter(|(atoms, _)| !atoms.is_empty());
        let common = variable.fold(divisor, |g, (_, c)| gcd(g, *c));
        if common <= 1 {
            return (self, divisor);
        }
        let terms = self.terms.into_iter().map(|(atoms, c)| (atoms, c.div_euclid(common)));
        (Self::from_terms(terms), divisor / common)
    }

    /// `floor((floor(a/m) + b) / n)` as `floor((a + b*m) / (m*n))`, if this is such a sum and the numbers fit.
    fn one_quotient(&self, divisor: i64) -> Option<Self> {
        let (constant, variable): (Vec<_>, Vec<_>) =
            self.terms.iter().partition(|(atoms, _)| atoms.is_empty());
        let [(atoms, 1)] = variable.as_slice() else { return None };
        let [Atom::FloorDiv(dividend, inner)] = atoms.as_slice() else { return None };
        let shift = constant.first().map_or(0, |(_, c)| *c).checked_mul(*inner)?;
        let divisor = inner.checked_mul(divisor).filter(|divisor| i32::try_from(*divisor).is_ok())?;
        Some((Dim::clone(dividend) + shift.into()).floor_div(divisor))
    }

    /// `ceil(self / divisor)`; see [`Dim::floor_div`].
    pub fn ceil_div(&self, divisor: i64) -> Self {
        (self.clone() + Dim::from(divisor - 1)).floor_div(divisor)
    }

    /// What dividing by `divisor` leaves: from 0 to `divisor - 1`.
    pub fn remainder(&self, divisor: i64) -> Self {
        self.clone() - &self.floor_div(divisor) * &divisor.into()
    }

    /// The smaller of two dimensions; one of them where that is so for all values of the symbols.
    pub fn smaller(&self, other: &Dim) -> Self {
        let bounds = Bounds::default();
        if other.never_below(self, bounds) {
            return self.clone();
        }
        if self.never_below(other, bounds) {
            return other.clone();
        }
        let (a, b) = if self < other { (self, other) } else { (other, self) };
        Self::from_terms([(vec![Atom::Min(Arc::new(a.clone()), Arc::new(b.clone()))], 1)])
    }

    /// The larger of two dimensions: their sum without the smaller one.
    pub fn larger(&self, other: &Dim) -> Self {
        self.clone() + other.clone() - self.smaller(other)
    }

    /// `self / divisor` if that is exact for every value of the symbols: `(512*N) / N`, `(H*W+W) / (H+1)`. By long
    /// division of polynomials in the atoms, ordered by degree first.
    pub fn exact_div(&self, divisor: &Dim) -> Option<Self> {
        let (lead_atoms, lead) = divisor.leading()?;
        let (mut rest, mut quotient) = (self.clone(), Vec::new());
        for _ in 0..MOST_STEPS {
            let Some((atoms, c)) = rest.leading() else { return Some(Self::from_terms(quotient)) };
            let c = c.checked_div(lead).filter(|_| c.checked_rem(lead) == Some(0))?;
            let mut left = atoms.to_vec();
            for atom in lead_atoms {
                left.remove(left.iter().position(|a| a == atom)?);
            }
            let term = Self { terms: vec![(left, c)] };
            rest = rest - &term * divisor;
            quotient.extend(term.terms);
        }
        None
    }

    /// The symbol and its value for which a dimension of the form `a*S + b` is `size`.
    pub(crate) fn solved(&self, size: i64) -> Option<(Arc<str>, i64)> {
        let (constant, variable): (Vec<_>, Vec<_>) =
            self.terms.iter().partition(|(atoms, _)| atoms.is_empty());
        let [(atoms, factor)] = variable.as_slice() else { return None };
        let [Atom::Symbol(symbol)] = atoms.as_slice() else { return None };
        let rest = size.checked_sub(constant.first().map_or(0, |(_, c)| *c))?;
        (rest.checked_rem(*factor) == Some(0)).then_some((symbol.clone(), rest.checked_div(*factor)?))
    }

    /// The term of the highest degree; of several, the first.
    fn leading(&self) -> Option<(&[Atom], i64)> {
        let highest = self.terms.iter().map(|(atoms, _)| atoms.len()).max()?;
        let (atoms, c) = self.terms.iter().find(|(atoms, _)| atoms.len() == highest)?;
        Some((atoms, *c))
    }

    /// The dimension without a number and symbols that all its terms have as factors: whether it is zero does not change.
    pub(crate) fn primitive(&self) -> Self {
        let common = self.terms.iter().fold(0, |g, (_, c)| gcd(g, *c));
        let mut terms = self.terms.clone();
        if common > 1 {
            terms.iter_mut().for_each(|(_, c)| *c /= common);
        }
        let first = terms.first().map(|(atoms, _)| atoms.clone()).unwrap_or_default();
        for symbol in first.into_iter().filter(|atom| matches!(atom, Atom::Symbol(_))) {
            let places: Option<Vec<usize>> =
                terms.iter().map(|(atoms, _)| atoms.iter().position(|a| *a == symbol)).collect();
            for ((atoms, _), place) in terms.iter_mut().zip(places.into_iter().flatten()) {
                atoms.remove(place);
            }
        }
        Self::from_terms(terms)
    }
}

/// The greatest common divisor; of zero and a number, its absolute value.
pub(super) fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(1)
}
