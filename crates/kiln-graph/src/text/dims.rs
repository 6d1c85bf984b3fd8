//! Dimensions as they are printed: `2*N+1`, `floor((H+1)/2)`.

use crate::dim::Dim;

/// Deeper expressions come from no model.
const MAX_DEPTH: usize = 32;

/// The dimension in `text`.
pub(crate) fn parse(text: &str) -> Option<Dim> {
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let dim = parser.sum()?;
    parser.rest.is_empty().then_some(dim)
}

/// Where `text` has the first character that `ends` it and is not in parentheses.
pub(super) fn end(text: &str, ends: impl Fn(char) -> bool) -> usize {
    let mut open = 0usize;
    let found = text.char_indices().find(|(_, c)| {
        match c {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        open == 0 && ends(*c)
    });
    found.map_or(text.len(), |(at, _)| at)
}

/// The dimensions of a list, which commas separate.
pub(super) fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let at = end(list, |c| c == ',');
        rest = list.get(at + 1..);
        list.get(..at)
    })
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<Dim> {
        let negative = self.eat("-");
        let first = self.product()?;
        let mut sum = if negative { Dim::from(0) - first } else { first };
        loop {
            if self.eat("+") {
                sum = sum + self.product()?;
            } else if self.eat("-") {
                sum = sum - self.product()?;
            } else {
                return Some(sum);
            }
        }
    }

    fn product(&mut self) -> Option<Dim> {
        let mut product = self.factor()?;
        while self.eat("*") {
            product = &product * &self.factor()?;
        }
        Some(product)
    }

    fn factor(&mut self) -> Option<Dim> {
        if self.eat("floor((") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let inner = self.sum()?;
            let divisor = if self.eat(")/") { self.number()? } else { return None };
            self.depth -= 1;
            return (divisor > 0 && self.eat(")")).then(|| inner.floor_div(divisor));
        }
        if self.eat("min(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let first = self.sum()?;
            let second = if self.eat(",") { self.sum()? } else { return None };
            self.depth -= 1;
            return self.eat(")").then(|| first.smaller(&second));
        }
        if self.eat("count(") {
            let count = Dim::count(self.name()?);
            return self.eat(")").then_some(count);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.number().map(Dim::from);
        }
        self.name().map(Dim::symbol)
    }

    fn name(&mut self) -> Option<&str> {
        let end = self.rest.find(|c: char| "+-*/()[], ".contains(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn number(&mut self) -> Option<i64> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_printed_is_parsed() {
        for text in [
            "0",
            "7",
            "-3",
            "N",
            "2*N+1",
            "H*N-4",
            "N+3*floor((H+1)/2)",
            "floor((H+7)/10)",
            "W+2*min(4,H)",
            "min(300,count(nz))+1",
        ] {
            assert_eq!(parse(text).map(|dim| dim.to_string()).as_deref(), Some(text));
        }
        for text in ["", "+", "2*", "floor((N)/0)", "floor((N)/2", "N M", "count()", "count(N+1)"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
