//! Dimensions: exact integer arithmetic over numbers and symbols.
//!
//! One graph serves every batch size, so a dimension may be a symbol (`N`) or an expression over symbols
//! (`4*N`, `floor((H+1)/2)`). Expressions are kept in a normal form, a sum of products with integer
//! coefficients in which a division that does not come out even is an atom of its own. Two dimensions that
//! are equal for that reason compare equal; what else shape rules need, they ask [`Guards`](crate::Guards).
//!
//! Dividing twice is dividing once (`floor((floor(a/m)+b)/n)` is `floor((a+b*m)/(m*n))`), and a remainder is what a division
//! leaves (`H mod 7` is `H-7*floor(H/7)`). Where the normal form is not enough, [`Dim::always_equals`] decides, and
//! [`Dim::interval`] bounds.
//!
//! Symbols stand for integers of at least one. A count ([`Atom::Count`]) is a size that the data of a run decide: an integer of at
//! least zero, of which nothing is assumed. Arithmetic saturates instead of wrapping: a product beyond
//! `i64` stays absurdly large and is refused by [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) where a type is made. So is an
//! expression of more than a thousand atoms, which no network has, but a file that means harm may ask for.

mod divide;
mod interval;
mod operators;
mod prove;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use interval::{Bounds, Interval};

/// Values of symbols, as a person gives them when running (`N = 8`).
pub type Bindings = BTreeMap<Arc<str>, i64>;

/// The longest expression: what a detector finds in each of some hundred classes, added up.
const MAX_WEIGHT: usize = 1024;

/// A factor of a term.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A named symbol.
    Symbol(Arc<str>),
    /// A number that a node finds in its data, named after the node.
    Count(Arc<str>),
    /// `floor(dim / divisor)` with a divisor of at least two.
    FloorDiv(Arc<Dim>, i64),
    /// The smaller of two dimensions that differ by no known number, in order.
    Min(Arc<Dim>, Arc<Dim>),
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

    /// The number of elements that the node called `name` finds in its data.
    pub fn count(name: impl Into<Arc<str>>) -> Self {
        Self { terms: vec![(vec![Atom::Count(name.into())], 1)] }
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
            Atom::Symbol(_) | Atom::Count(_) => 1,
            Atom::FloorDiv(dim, _) => 1 + dim.weight(),
            Atom::Min(a, b) => 1 + a.weight() + b.weight(),
        };
        self.terms.iter().map(|(atoms, _)| 1 + atoms.iter().map(atom).sum::<usize>()).sum()
    }

    /// The dimension, or a number that is absurdly large if it is an absurdly long expression.
    fn bounded(self) -> Self {
        // What is absurdly large stays it, whatever is added.
        let absurd = self.terms.iter().any(|(_, coefficient)| *coefficient == i64::MAX);
        if !absurd && self.weight() <= MAX_WEIGHT { self } else { Self { terms: vec![(vec![], i64::MAX)] } }
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

    /// The value under `bindings`; the error is the name of a symbol without one.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, Arc<str>> {
        let mut sum = 0i64;
        for (atoms, coefficient) in &self.terms {
            let mut product = *coefficient;
            for atom in atoms {
                product = product.saturating_mul(match atom {
                    Atom::Symbol(name) | Atom::Count(name) => {
                        *bindings.get(name).ok_or_else(|| name.clone())?
                    }
                    Atom::FloorDiv(dim, divisor) => dim.eval(bindings)?.div_euclid(*divisor),
                    Atom::Min(a, b) => a.eval(bindings)?.min(b.eval(bindings)?),
                });
            }
            sum = sum.saturating_add(product);
        }
        Ok(sum)
    }

    /// Adds the symbols and counts that occur to `into`, in order of first sight, each once.
    pub fn collect_symbols(&self, into: &mut Vec<Arc<str>>) {
        for atom in self.terms.iter().flat_map(|(atoms, _)| atoms) {
            match atom {
                Atom::Symbol(name) | Atom::Count(name) => {
                    if !into.contains(name) {
                        into.push(name.clone());
                    }
                }
                Atom::FloorDiv(dim, _) => dim.collect_symbols(into),
                Atom::Min(a, b) => {
                    a.collect_symbols(into);
                    b.collect_symbols(into);
                }
            }
        }
    }

    /// The symbols and counts that occur.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        let mut symbols = Vec::new();
        self.collect_symbols(&mut symbols);
        symbols
    }

    /// The counts that occur.
    pub fn counts(&self) -> Vec<Arc<str>> {
        let mut counts = Vec::new();
        for atom in self.terms.iter().flat_map(|(atoms, _)| atoms) {
            match atom {
                Atom::Symbol(_) => {}
                Atom::Count(name) => counts.push(name.clone()),
                Atom::FloorDiv(dim, _) => counts.extend(dim.counts()),
                Atom::Min(a, b) => counts.extend(a.counts().into_iter().chain(b.counts())),
            }
        }
        counts.sort();
        counts.dedup();
        counts
    }

    /// Whether the data of a run decide it.
    pub fn is_counted(&self) -> bool {
        !self.counts().is_empty()
    }

    /// The dimension with others in place of symbols and counts.
    pub fn substitute(&self, of: &BTreeMap<Arc<str>, Dim>) -> Self {
        let atom = |atom: &Atom| match atom {
            Atom::Symbol(name) => of.get(name).cloned().unwrap_or_else(|| Dim::symbol(name.clone())),
            Atom::Count(name) => of.get(name).cloned().unwrap_or_else(|| Dim::count(name.clone())),
            Atom::FloorDiv(dim, divisor) => dim.substitute(of).floor_div(*divisor),
            Atom::Min(a, b) => a.substitute(of).smaller(&b.substitute(of)),
        };
        self.terms.iter().fold(Dim::from(0), |sum, (atoms, coefficient)| {
            sum + atoms.iter().fold(Dim::from(*coefficient), |product, factor| &product * &atom(factor))
        })
    }
}

impl std::str::FromStr for Dim {
    type Err = ();

    /// The inverse of `Display`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        crate::text::dims::parse(&text).ok_or(())
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
                    Atom::Count(name) => write!(f, "count({name})")?,
                    Atom::FloorDiv(dim, divisor) => write!(f, "floor(({dim})/{divisor})")?,
                    Atom::Min(a, b) => write!(f, "min({a},{b})")?,
                }
            }
        }
        Ok(())
    }
}
