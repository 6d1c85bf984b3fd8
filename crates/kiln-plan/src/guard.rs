//! Conditions on the symbols of a program: what the compiler had to assume of sizes that are known only in a run.

use std::fmt;

use crate::{Expr, Symbol};

/// How far values that fit are looked for.
const MOST_STEPS: i64 = 1 << 12;
/// Up to this a number is recognized of which all multiples fit.
const MOST_MULTIPLE: i64 = 512;
/// So many multiples are tried.
const TRIED: i64 = 16;

/// How two sizes are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// They are equal.
    Equal,
    /// They differ.
    NotEqual,
    /// The left one is at least the right one.
    AtLeast,
}

/// A condition that the sizes of a run have to meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The layer that needs it.
    pub node: String,
    /// The left side.
    pub left: Expr,
    /// What has to hold between the sides.
    pub relation: Relation,
    /// The right side.
    pub right: Expr,
}

impl Guard {
    /// Whether it holds for these values of the symbols.
    pub fn holds(&self, symbols: &[i64]) -> bool {
        let (left, right) = (self.left.eval(symbols), self.right.eval(symbols));
        match self.relation {
            Relation::Equal => left == right,
            Relation::NotEqual => left != right,
            Relation::AtLeast => left >= right,
        }
    }

    /// Whether it depends on the symbol of this index.
    pub fn mentions(&self, symbol: usize) -> bool {
        self.left.mentions(symbol) || self.right.mentions(symbol)
    }

    /// The condition with the names of the symbols: `2*floor((H) / 2) == H`.
    pub fn text(&self, symbols: &[Symbol]) -> String {
        let sign = match self.relation {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::AtLeast => ">=",
        };
        format!("{} {sign} {}", self.left.text(symbols), self.right.text(symbols))
    }
}

/// Values of a symbol that meet all conditions, the other symbols as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// A number of which every multiple fits, at least two.
    pub multiple_of: Option<i64>,
    /// The nearest one below.
    pub below: Option<i64>,
    /// The nearest one above, up to the maximum.
    pub above: Option<i64>,
}

impl Fitting {
    /// Looks around the value that the symbol `index` has in `values`.
    pub fn around(guards: &[Guard], values: &[i64], index: usize, max: i64) -> Self {
        let value = values.get(index).copied().unwrap_or(0);
        let multiple_of = multiple_of(guards, values, index, max).filter(|m| value % m != 0);
        let mut fits = fits(guards, values, index, max);
        let (below, above) = match multiple_of {
            Some(m) => {
                let below = value / m * m;
                (Some(below).filter(|n| fits(*n)), Some(below + m).filter(|n| fits(*n)))
            }
            None => {
                let below = (value.saturating_sub(MOST_STEPS).max(1)..value).rev().find(|n| fits(*n));
                let last = value.saturating_add(MOST_STEPS).min(max);
                (below, (value.saturating_add(1)..=last).find(|n| fits(*n)))
            }
        };
        Self { multiple_of, below, above }
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.below.is_none() && self.above.is_none()
    }
}

/// A number of at least two of which every multiple fits, near the value that the symbol `index` has in `values`; one, if
/// every value does.
pub fn multiple_of(guards: &[Guard], values: &[i64], index: usize, max: i64) -> Option<i64> {
    let value = values.get(index).copied().unwrap_or(0);
    let mut fits = fits(guards, values, index, max);
    (1..=MOST_MULTIPLE.min(max / 2)).find(|m| {
        // Around the value, so that a lower bound on it does not hide the multiple.
        let middle = (value / m).max(1);
        let around = (middle - TRIED).max(1)..=middle + TRIED;
        let multiples = around.map(|k| k.saturating_mul(*m)).filter(|n| *n <= max && n * 2 >= value);
        let mut multiples = multiples.peekable();
        let first = multiples.peek().copied();
        // A lower bound is no multiple: numbers behind multiples would fit, too.
        let next_fits = *m > 1 && first.is_some_and(|first| fits(first + 1));
        first.is_some() && !next_fits && multiples.all(&mut fits)
    })
}

/// Whether a value of a symbol fits.
fn fits(guards: &[Guard], values: &[i64], index: usize, max: i64) -> impl FnMut(i64) -> bool {
    let mut values = values.to_vec();
    move |candidate: i64| {
        if let Some(slot) = values.get_mut(index) {
            *slot = candidate;
        }
        (1..=max).contains(&candidate) && guards.iter().all(|guard| guard.holds(&values))
    }
}

/// `320 and 352`
impl fmt::Display for Fitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.below, self.above) {
            (Some(below), Some(above)) => write!(f, "{below} and {above}"),
            (Some(one), None) | (None, Some(one)) => write!(f, "{one}"),
            (None, None) => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Factor, Term};

    fn term(coefficient: i64, factors: Vec<Factor>) -> Term {
        Term { coefficient, factors }
    }

    /// `by*floor((H + plus) / by) == H`
    fn even(by: i64, plus: i64) -> Guard {
        let h = || term(1, vec![Factor::Symbol(0)]);
        let mut dividend = vec![h()];
        if plus != 0 {
            dividend.push(term(plus, vec![]));
        }
        let quotient = Factor::FloorDiv(Expr { terms: dividend }, by);
        let left = Expr { terms: vec![term(by, vec![quotient])] };
        let right = Expr { terms: vec![h()] };
        Guard { node: "add".into(), left, relation: Relation::Equal, right }
    }

    #[test]
    fn multiples_are_recognized() {
        let guards = [even(32, 0)];
        let fitting = Fitting::around(&guards, &[333], 0, 1024);
        assert_eq!(fitting, Fitting { multiple_of: Some(32), below: Some(320), above: Some(352) });
        assert_eq!(fitting.to_string(), "320 and 352");
        let fitting = Fitting::around(&guards, &[333], 0, 340);
        assert_eq!(fitting, Fitting { multiple_of: Some(32), below: Some(320), above: None });
        let fitting = Fitting::around(&[even(4, 0), even(6, 0)], &[13], 0, 100);
        assert_eq!(fitting, Fitting { multiple_of: Some(12), below: Some(12), above: Some(24) });
    }

    #[test]
    fn other_conditions_are_searched() {
        let at_least = Guard {
            relation: Relation::AtLeast,
            left: Expr { terms: vec![term(1, vec![Factor::Symbol(0)])] },
            right: Expr::constant(7),
            node: "slice".into(),
        };
        let fitting = Fitting::around(std::slice::from_ref(&at_least), &[3], 0, 100);
        assert_eq!(fitting, Fitting { multiple_of: None, below: None, above: Some(7) });
        assert!(Fitting::around(&[at_least], &[3], 0, 5).is_empty());
    }
}
