//! Integer expressions over a plan's symbols, evaluated when the batch size is known.

/// A sum of terms. Mirrors the dimensions of the graph, with symbols as indices into
/// [`Plan::symbols`](crate::Plan::symbols).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expr {
    /// The terms; none is zero.
    pub terms: Vec<Term>,
}

/// A coefficient times a product of factors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// The coefficient.
    pub coefficient: i64,
    /// The factors; none is one.
    pub factors: Vec<Factor>,
}

/// A factor of a [`Term`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Factor {
    /// The value of a symbol, by index.
    Symbol(usize),
    /// `floor(expr / divisor)`, the divisor at least 1.
    FloorDiv(Expr, i64),
}

impl Expr {
    /// A number.
    pub fn constant(value: i64) -> Self {
        let terms = if value == 0 { vec![] } else { vec![Term { coefficient: value, factors: vec![] }] };
        Self { terms }
    }

    /// The number, if no symbol occurs.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [term] if term.factors.is_empty() => Some(term.coefficient),
            _ => None,
        }
    }

    /// The value for the given values of the symbols. Saturates instead of overflowing; a symbol index without
    /// a value counts as zero, which a checked plan does not contain.
    pub fn eval(&self, symbols: &[i64]) -> i64 {
        self.terms.iter().fold(0i64, |sum, term| {
            let product = term.factors.iter().fold(term.coefficient, |product, factor| {
                product.saturating_mul(match factor {
                    Factor::Symbol(index) => symbols.get(*index).copied().unwrap_or(0),
                    Factor::FloorDiv(expr, divisor) => expr.eval(symbols).div_euclid((*divisor).max(1)),
                })
            });
            sum.saturating_add(product)
        })
    }
}
