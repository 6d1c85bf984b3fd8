//! Integer expressions over a plan's symbols, evaluated when the batch size is known.

use crate::Symbol;

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
    /// The smaller of two.
    Min(Expr, Expr),
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
                    Factor::Min(a, b) => a.eval(symbols).min(b.eval(symbols)),
                })
            });
            sum.saturating_add(product)
        })
    }
}

impl Expr {
    /// Whether the value depends on the symbol of this index.
    pub fn mentions(&self, symbol: usize) -> bool {
        self.terms.iter().flat_map(|term| &term.factors).any(|factor| match factor {
            Factor::Symbol(index) => *index == symbol,
            Factor::FloorDiv(dividend, _) => dividend.mentions(symbol),
            Factor::Min(a, b) => a.mentions(symbol) || b.mentions(symbol),
        })
    }

    /// The expression with the names of the symbols: `2*N + 1`, `floor((H + 2) / 2)`.
    pub fn text(&self, symbols: &[Symbol]) -> String {
        let mut text = String::new();
        for term in &self.terms {
            let sign = match (text.is_empty(), term.coefficient < 0) {
                (true, true) => "-",
                (true, false) => "",
                (false, true) => " - ",
                (false, false) => " + ",
            };
            text.push_str(sign);
            let size = term.coefficient.unsigned_abs();
            let mut parts = Vec::new();
            if size != 1 || term.factors.is_empty() {
                parts.push(size.to_string());
            }
            parts.extend(term.factors.iter().map(|factor| {
                match factor {
                    Factor::Symbol(index) => symbols
                        .get(*index)
                        .map_or_else(|| format!("symbol {index}"), |symbol| symbol.name.clone()),
                    Factor::FloorDiv(dividend, divisor) => {
                        format!("floor(({}) / {divisor})", dividend.text(symbols))
                    }
                    Factor::Min(a, b) => format!("min({}, {})", a.text(symbols), b.text(symbols)),
                }
            }));
            text.push_str(&parts.join("*"));
        }
        if text.is_empty() { "0".to_string() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value() {
        let symbols = ["N", "H"].map(|name| Symbol { name: name.to_string(), max: 8 });
        let term = |coefficient, factors| Term { coefficient, factors };
        let n = || Factor::Symbol(0);
        let h = || Factor::Symbol(1);
        let h_alone = || Expr { terms: vec![term(1, vec![h()])] };
        let padded = Expr { terms: vec![term(1, vec![h()]), term(2, vec![])] };
        let cases = [
            (Expr::constant(0), "0", 0),
            (Expr::constant(-7), "-7", -7),
            (Expr { terms: vec![term(1, vec![n()])] }, "N", 3),
            (Expr { terms: vec![term(-1, vec![n(), h()]), term(-4, vec![])] }, "-N*H - 4", -19),
            (Expr { terms: vec![term(2, vec![n()]), term(1, vec![])] }, "2*N + 1", 7),
            (Expr { terms: vec![term(3, vec![Factor::FloorDiv(padded, 2)])] }, "3*floor((H + 2) / 2)", 9),
            (Expr { terms: vec![term(1, vec![Factor::Min(Expr::constant(4), h_alone())])] }, "min(4, H)", 4),
            (Expr { terms: vec![term(i64::MAX, vec![n()])] }, "9223372036854775807*N", i64::MAX),
        ];
        for (expr, text, value) in cases {
            assert_eq!(expr.text(&symbols), text);
            assert_eq!(expr.eval(&[3, 5]), value, "{text}");
        }
    }
}
