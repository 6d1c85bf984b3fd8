//! Dimensions: exact integer arithmetic over numbers and symbols.
//!
//! One graph serves every batch size, so a dimension may be a symbol (`N`) or an expression over symbols
//! (`4*N`, `floor((H+1)/2)`). Expressions are kept in a normal form, a sum of products with integer
//! coefficients in which a division that does not come out even is an atom of its own. Two dimensions that
//! are equal for that reason compare equal, and shape rules need no solver.
//!
//! Symbols stand for integers of at least one. Arithmetic saturates instead of wrapping: a product beyond
//! `i64` stays absurdly large and is refused by [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) where a type is made. So is an
//! expression of more than some hundred atoms, which no network has, but a file that means harm may ask for.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// Values of symbols, as a person gives them when running (`N = 8`).
pub type Bindings = BTreeMap<Arc<str>, i64>;

/// The longest expression.
const MAX_WEIGHT: usize = 256;

/// A factor of a term.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A named symbol.
    Symbol(Arc<str>),
    /// `floor(dim / divisor)` with a divisor of at least two.
    FloorDiv(Arc<Dim>, i64),
}

/// A dimension: a sum of terms, each a coefficient times a product of atoms.
///
/// Terms are sorted by their atoms, coefficients are never zero, and the empty product is the constant term.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Dim {
    terms: Vec<(Vec<Atom>, i64)>,
}

impl Dim {
    /// The dimension named `name`.
    pub fn symbol(name: impl Into<Arc<str>>) -> Self {
        Self { terms: vec![(vec![Atom::Symbol(name.into())], 1)] }
    }

    /// The number, if the dimension has no symbol in it.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [(atoms, value)] if atoms.is_empty() => Some(*value),
            _ => None,
        }
    }

    /// The number as a size, if it is one.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_const().and_then(|value| usize::try_from(value).ok())
    }

    /// Whether this is the number `value`.
    pub fn is(&self, value: i64) -> bool {
        self.as_const() == Some(value)
    }

    /// The terms: `(atoms, coefficient)`; no atoms is the constant term.
    pub fn terms(&self) -> &[(Vec<Atom>, i64)] {
        &self.terms
    }

    /// How long the expression is: its terms and atoms, and those in its divisions.
    pub fn weight(&self) -> usize {
        let atom = |atom: &Atom| match atom {
            Atom::Symbol(_) => 1,
            Atom::FloorDiv(dim, _) => 1 + dim.weight(),
        };
        self.terms.iter().map(|(atoms, _)| 1 + atoms.iter().map(atom).sum::<usize>()).sum()
    }

    /// The dimension, or a number that is absurdly large if it is an absurdly long expression.
    fn bounded(self) -> Self {
        if self.weight() <= MAX_WEIGHT { self } else { Self { terms: vec![(vec![], i64::MAX)] } }
    }

    fn from_terms(terms: impl IntoIterator<Item = (Vec<Atom>, i64)>) -> Self {
        let mut sum: BTreeMap<Vec<Atom>, i64> = BTreeMap::new();
        for (mut atoms, coefficient) in terms {
            atoms.sort();
            let entry = sum.entry(atoms).or_insert(0);
            *entry = entry.saturating_add(coefficient);
        }
        Self { terms: sum.into_iter().filter(|(_, c)| *c != 0).collect() }.bounded()
    }

    /// `floor(self / divisor)`. Terms that divide evenly are taken out, so `floor((4*N + 3) / 2)` is `2*N + 1`.
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
            whole.push((vec![Atom::FloorDiv(Arc::new(rest), divisor)], 1));
        }
        Self::from_terms(whole)
    }

    /// `ceil(self / divisor)`; see [`Dim::floor_div`].
    pub fn ceil_div(&self, divisor: i64) -> Self {
        (self.clone() + Dim::from(divisor - 1)).floor_div(divisor)
    }

    /// `self / divisor` if that is exact for every value of the symbols and the divisor is a single term
    /// (a number, a product): `(512*N) / N`, `(N*H) / 1`.
    pub fn exact_div(&self, divisor: &Dim) -> Option<Self> {
        let [(by, coefficient)] = divisor.terms.as_slice() else {
            return (self == divisor).then(|| Dim::from(1));
        };
        let mut out = Vec::new();
        for (atoms, c) in &self.terms {
            let quotient = c.checked_div(*coefficient).filter(|_| c.checked_rem(*coefficient) == Some(0))?;
            let mut left = atoms.clone();
            for atom in by {
                left.remove(left.iter().position(|a| a == atom)?);
            }
            out.push((left, quotient));
        }
        Some(Self::from_terms(out))
    }

    /// The value under `bindings`; the error is the name of a symbol without one.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, Arc<str>> {
        let mut sum = 0i64;
        for (atoms, coefficient) in &self.terms {
            let mut product = *coefficient;
            for atom in atoms {
                product = product.saturating_mul(match atom {
                    Atom::Symbol(name) => *bindings.get(name).ok_or_else(|| name.clone())?,
                    Atom::FloorDiv(dim, divisor) => dim.eval(bindings)?.div_euclid(*divisor),
                });
            }
            sum = sum.saturating_add(product);
        }
        Ok(sum)
    }

    /// Adds the symbols that occur to `into`, in order of first sight, each once.
    pub fn collect_symbols(&self, into: &mut Vec<Arc<str>>) {
        for atom in self.terms.iter().flat_map(|(atoms, _)| atoms) {
            match atom {
                Atom::Symbol(name) => {
                    if !into.contains(name) {
                        into.push(name.clone());
                    }
                }
                Atom::FloorDiv(dim, _) => dim.collect_symbols(into),
            }
        }
    }
}

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

/// The product of dimensions; one for none.
pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Dim {
    dims.into_iter().fold(Dim::from(1), |acc, d| &acc * d)
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.as_const() {
            return write!(f, "{value}");
        }
        // The constant sorts first (no atoms) but reads better last.
        let (constant, rest): (Vec<_>, Vec<_>) = self.terms.iter().partition(|(atoms, _)| atoms.is_empty());
        for (i, (atoms, c)) in rest.into_iter().chain(constant).enumerate() {
            let sign = if *c < 0 { "-" } else { "+" };
            if i > 0 || *c < 0 {
                f.write_str(sign)?;
            }
            let magnitude = c.unsigned_abs();
            if atoms.is_empty() {
                write!(f, "{magnitude}")?;
                continue;
            }
            if magnitude != 1 {
                write!(f, "{magnitude}*")?;
            }
            for (j, atom) in atoms.iter().enumerate() {
                if j > 0 {
                    f.write_str("*")?;
                }
                match atom {
                    Atom::Symbol(name) => f.write_str(name)?,
                    Atom::FloorDiv(dim, divisor) => write!(f, "floor(({dim})/{divisor})")?,
                }
            }
        }
        Ok(())
    }
}
