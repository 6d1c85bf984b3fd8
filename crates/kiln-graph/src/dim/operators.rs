//! Sums, differences and products of dimensions.

use std::ops::{Add, Mul, Sub};

use super::{Dim, MAX_WEIGHT};

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Self::from_terms([(vec![], value)])
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        Self::from(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i32> for Dim {
    fn from(value: i32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::symbol(name)
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(self, other: Dim) -> Dim {
        Self::from_terms(self.terms.into_iter().chain(other.terms))
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(self, other: Dim) -> Dim {
        let minus = other.terms.into_iter().map(|(atoms, c)| (atoms, c.saturating_neg()));
        Self::from_terms(self.terms.into_iter().chain(minus))
    }
}

impl Mul for &Dim {
    type Output = Dim;
    fn mul(self, other: &Dim) -> Dim {
        if self.terms.len().saturating_mul(other.terms.len()) > MAX_WEIGHT {
            return Dim { terms: vec![(vec![], i64::MAX)] };
        }
        Dim::from_terms(self.terms.iter().flat_map(|(a, x)| {
            other.terms.iter().map(move |(b, y)| (a.iter().chain(b).cloned().collect(), x.saturating_mul(*y)))
        }))
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        &self * &other
    }
}
