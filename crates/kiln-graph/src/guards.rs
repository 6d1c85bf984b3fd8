//! What sizes have to be for a graph to mean what it says.
//!
//! Where two sizes have to agree and neither is known, a shape rule asks the [`Guards`] of its graph. What always holds needs
//! no guard, and what never holds is an error. Anything else is assumed, as exporters do (`torch.export` specializes in the same
//! way): sizes are equal, and no size is one. The assumption is recorded, and whoever runs the graph checks it against
//! the sizes of a run.
//!
//! An assumption is also knowledge. A symbol that has to equal another symbol or a number is replaced by it, and of two
//! expressions that have to be equal the simpler one stands for both from then on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::dim::{Bindings, Bounds, Dim};
use crate::tensor::TensorType;

/// How two sizes are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// They are equal.
    Equal,
    /// They differ.
    NotEqual,
    /// The left one is at least the right one.
    AtLeast,
}

impl Relation {
    /// Whether it holds between two numbers.
    pub fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::NotEqual => left != right,
            Relation::AtLeast => left >= right,
        }
    }

    /// The operator, as Python writes it.
    pub fn sign(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::AtLeast => ">=",
        }
    }
}

/// A condition on the symbols of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// The name of the first node that needs it.
    pub node: String,
    /// The left side.
    pub left: Dim,
    /// What has to hold between the sides.
    pub relation: Relation,
    /// The right side.
    pub right: Dim,
}

impl Guard {
    /// Whether it holds for these values; the error is the name of a symbol without one.
    pub fn holds(&self, symbols: &Bindings) -> Result<bool, Arc<str>> {
        Ok(self.relation.holds(self.left.eval(symbols)?, self.right.eval(symbols)?))
    }

    /// Whether it holds for all values within `bounds`.
    pub fn always_holds(&self, bounds: Bounds<'_>) -> bool {
        match self.relation {
            Relation::Equal => self.left.always_equals(&self.right),
            Relation::NotEqual => self.left.never_equals(&self.right, bounds),
            Relation::AtLeast => self.left.never_below(&self.right, bounds),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.relation.sign(), self.right)
    }
}

/// A symbol that is not one any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unified {
    /// The node that needs it.
    pub node: String,
    /// The symbol.
    pub symbol: Arc<str>,
    /// What it is: a number or another symbol.
    pub dim: Dim,
}

/// The conditions of a graph, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guards {
    list: Vec<Guard>,
    unified: Vec<Unified>,
    /// Expressions that equal a simpler one.
    simpler: BTreeMap<Dim, Dim>,
    /// The symbols of inputs in order of first sight: of two that are equal the first one is kept.
    order: Vec<Arc<str>>,
    /// Symbols of which nothing is assumed.
    free: Vec<Arc<str>>,
    /// The node that asks; none where nothing may be assumed.
    node: Option<String>,
}

impl Guards {
    /// The conditions.
    pub fn list(&self) -> &[Guard] {
        &self.list
    }

    /// Symbols that were replaced.
    pub fn unified(&self) -> &[Unified] {
        &self.unified
    }

    /// Whether nothing was assumed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.unified.is_empty()
    }

    /// Notes the symbols of an input.
    pub(crate) fn see(&mut self, ty: &TensorType) {
        for dim in &ty.shape {
            dim.collect_symbols(&mut self.order);
        }
    }

    /// From here on nothing is assumed of `symbol`: what needs that is an error.
    pub(crate) fn keep_free(&mut self, symbol: Arc<str>) {
        self.free.push(symbol);
    }

    /// Whether something may be assumed about this difference of two sizes: nothing of what the data decide.
    fn may_assume(&self, difference: &Dim) -> bool {
        self.node.is_some()
            && !difference.is_counted()
            && !difference.symbols().iter().any(|symbol| self.free.contains(symbol))
    }

    /// From here on `node` asks.
    pub(crate) fn ask_for(&mut self, node: Option<&str>) {
        self.node = node.map(String::from);
    }

    /// The dimension without symbols that were replaced.
    pub fn replaced(&self, dim: &Dim) -> Dim {
        if self.unified.is_empty() { dim.clone() } else { dim.substitute(&self.replacements()) }
    }

    /// The simplest dimension that is known to equal `dim`.
    pub fn canonical(&self, dim: &Dim) -> Dim {
        let mut dim = self.replaced(dim);
        // Each step leads to a simpler one.
        while let Some(simpler) = self.simpler.get(&dim) {
            dim = simpler.clone();
        }
        dim
    }

    /// The same, for all dimensions of a type.
    pub fn canonical_type<'a>(&self, ty: &'a TensorType) -> Cow<'a, TensorType> {
        if self.unified.is_empty() && self.simpler.is_empty() {
            return Cow::Borrowed(ty);
        }
        Cow::Owned(TensorType::new(ty.dtype, ty.shape.iter().map(|dim| self.canonical(dim))))
    }

    fn replacements(&self) -> BTreeMap<Arc<str>, Dim> {
        self.unified.iter().map(|unified| (unified.symbol.clone(), unified.dim.clone())).collect()
    }

    /// That `a` equals `b`: the dimension that stands for both. Nothing, if it cannot be.
    pub fn equal(&mut self, a: &Dim, b: &Dim) -> Option<Dim> {
        if a == b {
            return Some(a.clone());
        }
        let (a, b) = (self.canonical(a), self.canonical(b));
        if a == b || a.always_equals(&b) {
            return Some(simplest(a, b));
        }
        let difference = (a.clone() - b.clone()).primitive();
        if a.never_equals(&b, Bounds::default()) || !self.may_assume(&difference) {
            return None;
        }
        self.assume(Relation::Equal, &a, &b);
        match self.solved(&difference) {
            Some((symbol, dim)) => self.unify(symbol, dim),
            None => self.learn(&a, &b),
        }
        Some(simplest(self.canonical(&a), self.canonical(&b)))
    }

    /// That two shapes are equal: whether they can be.
    pub(crate) fn same_shape(&mut self, a: &[Dim], b: &[Dim]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.equal(a, b).is_some())
    }

    /// That two types are equal: whether they can be.
    pub(crate) fn same_type(&mut self, a: &TensorType, b: &TensorType) -> bool {
        a.dtype == b.dtype && self.same_shape(&a.shape, &b.shape)
    }

    /// That `a` differs from `b`: whether it can be.
    pub fn differ(&mut self, a: &Dim, b: &Dim) -> bool {
        let (a, b) = (self.canonical(a), self.canonical(b));
        if a.never_equals(&b, Bounds::default()) || self.knows(Relation::NotEqual, &a, &b) {
            return true;
        }
        if a.always_equals(&b) || !self.may_assume(&(a.clone() - b.clone())) {
            return false;
        }
        self.assume(Relation::NotEqual, &a, &b);
        true
    }

    /// That `a` is at least `b`: whether it can be.
    pub fn at_least(&mut self, a: &Dim, b: &Dim) -> bool {
        let (a, b) = (self.canonical(a), self.canonical(b));
        let bounds = Bounds::default();
        if a.never_below(&b, bounds) || self.knows(Relation::AtLeast, &a, &b) {
            return true;
        }
        let never = b.never_below(&(a.clone() + 1.into()), bounds);
        if never || !self.may_assume(&(a.clone() - b.clone())) {
            return false;
        }
        self.assume(Relation::AtLeast, &a, &b);
        self.learn(&a.smaller(&b), &b);
        true
    }

    /// Takes over what the body of a loop assumes; the first condition that cannot hold, if there is one.
    pub(crate) fn adopt(&mut self, body: &Guards) -> Option<String> {
        for Unified { symbol, dim, .. } in &body.unified {
            if self.equal(&Dim::symbol(symbol.clone()), dim).is_none() {
                return Some(format!("{symbol} to be {dim}"));
            }
        }
        let failed = body.list.iter().find(|guard| !match guard.relation {
            Relation::Equal => self.equal(&guard.left, &guard.right).is_some(),
            Relation::NotEqual => self.differ(&guard.left, &guard.right),
            Relation::AtLeast => self.at_least(&guard.left, &guard.right),
        });
        failed.map(ToString::to_string)
    }

    fn knows(&self, relation: Relation, left: &Dim, right: &Dim) -> bool {
        self.list.iter().any(|g| g.relation == relation && g.left == *left && g.right == *right)
    }

    fn assume(&mut self, relation: Relation, left: &Dim, right: &Dim) {
        if !self.knows(relation, left, right) {
            let (left, right) = (left.clone(), right.clone());
            self.list.push(Guard { node: self.node.clone().unwrap_or_default(), left, relation, right });
        }
    }

    /// The symbol that is determined by a difference that is zero, and what it is: a number or a symbol that came earlier.
    fn solved(&self, difference: &Dim) -> Option<(Arc<str>, Dim)> {
        let mut symbols = difference.symbols();
        symbols.sort_by_key(|symbol| self.order.iter().position(|s| s == symbol));
        let last = symbols.last()?.clone();
        let here = Dim::symbol(last.clone());
        // The other side, where the symbol has a factor of one.
        let rest = [here.clone() - difference.clone(), here + difference.clone()];
        rest.into_iter()
            .find(|rest| {
                let fits = rest.as_const().is_some_and(|value| value >= 1);
                let symbol = matches!(rest.terms(), [(atoms, 1)] if matches!(atoms.as_slice(), [crate::Atom::Symbol(_)]));
                (fits || symbol) && !rest.symbols().contains(&last)
            })
            .map(|rest| (last, rest))
    }

    fn unify(&mut self, symbol: Arc<str>, dim: Dim) {
        let replacement = [(symbol.clone(), dim.clone())].into();
        for unified in &mut self.unified {
            unified.dim = unified.dim.substitute(&replacement);
        }
        self.unified.push(Unified { node: self.node.clone().unwrap_or_default(), symbol, dim });
        let list = std::mem::take(&mut self.list);
        for guard in list {
            let (left, right) = (guard.left.substitute(&replacement), guard.right.substitute(&replacement));
            let guard = Guard { left, right, ..guard };
            let known =
                |g: &Guard| (g.relation, &g.left, &g.right) == (guard.relation, &guard.left, &guard.right);
            if !guard.always_holds(Bounds::default()) && !self.list.iter().any(known) {
                self.list.push(guard);
            }
        }
        let simpler = std::mem::take(&mut self.simpler);
        for (from, to) in simpler {
            self.learn(&from.substitute(&replacement), &to.substitute(&replacement));
        }
    }

    fn learn(&mut self, a: &Dim, b: &Dim) {
        let (a, b) = (self.canonical(a), self.canonical(b));
        if a == b {
            return;
        }
        let to = simplest(a.clone(), b.clone());
        let from = if to == a { b } else { a };
        self.simpler.insert(from, to);
    }
}

/// The simpler of two: a number, else the shorter expression, else the first in the order of expressions.
fn simplest(a: Dim, b: Dim) -> Dim {
    let key = |dim: &Dim| (dim.as_const().is_none(), dim.weight());
    match key(&a).cmp(&key(&b)).then_with(|| a.cmp(&b)) {
        std::cmp::Ordering::Greater => b,
        std::cmp::Ordering::Less | std::cmp::Ordering::Equal => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking() -> Guards {
        let mut guards = Guards::default();
        guards.see(&TensorType::f32(["N".into(), "H".into(), "W".into()]));
        guards.ask_for(Some("add"));
        guards
    }

    #[test]
    fn what_is_proven_needs_no_guard() {
        let mut guards = asking();
        let h = || Dim::from("H");
        let halves = h().floor_div(2) + h().ceil_div(2);
        assert_eq!(guards.equal(&halves, &h()), Some(h()));
        assert_eq!(guards.equal(&h(), &(h() + 1.into())), None);
        assert_eq!(guards.equal(&(&h() * &2.into()), &7.into()), None, "an even number is not 7");
        assert!(guards.at_least(&h(), &1.into()) && guards.differ(&h(), &0.into()));
        assert!(guards.is_empty(), "{guards:?}");
    }

    #[test]
    fn an_assumption_is_recorded_once_and_known_from_then_on() {
        let mut guards = asking();
        let h = Dim::from("H");
        let twice = &h.ceil_div(2) * &2.into();
        assert_eq!(guards.equal(&twice, &h), Some(h.clone()));
        assert_eq!(guards.equal(&h, &twice), Some(h.clone()));
        let text: Vec<String> = guards.list().iter().map(Guard::to_string).collect();
        assert_eq!(text, ["2*floor((H+1)/2) == H"]);
        assert_eq!(guards.canonical(&twice), h);
    }

    #[test]
    fn a_symbol_that_is_determined_is_replaced() {
        let mut guards = asking();
        let (n, h, w) = (Dim::from("N"), Dim::from("H"), Dim::from("W"));
        assert_eq!(guards.equal(&(&n * &w), &(&n * &h)), Some(&n * &h));
        assert_eq!(guards.canonical(&w), h, "the first symbol is kept");
        assert_eq!(guards.equal(&(h.clone() + 1.into()), &5.into()), Some(5.into()));
        assert_eq!((guards.canonical(&w), guards.canonical(&h)), (4.into(), 4.into()));
        assert_eq!(guards.list(), []);
        let names: Vec<&str> = guards.unified().iter().map(|unified| &*unified.symbol).collect();
        assert_eq!(names, ["W", "H"]);
    }

    #[test]
    fn nothing_is_assumed_of_what_the_data_decide() {
        let mut guards = asking();
        let (count, h) = (Dim::count("nz"), Dim::from("H"));
        assert!(guards.at_least(&count, &0.into()) && guards.at_least(&count, &count.smaller(&300.into())));
        assert!(guards.differ(&(count.clone() + 1.into()), &0.into()));
        assert!(!guards.differ(&count, &1.into()) && !guards.differ(&count, &0.into()));
        assert!(!guards.at_least(&count, &1.into()) && !guards.at_least(&h, &count));
        assert_eq!(guards.equal(&count, &h), None);
        assert_eq!(
            guards.equal(&(&count * &2.into()), &(count.clone() + count.clone())),
            Some(&count * &2.into())
        );
        assert!(guards.is_empty(), "{guards:?}");
    }

    #[test]
    fn nothing_is_assumed_where_nobody_asks() {
        let mut guards = Guards::default();
        assert_eq!(guards.equal(&"H".into(), &"W".into()), None);
        assert!(!guards.differ(&"H".into(), &1.into()) && !guards.at_least(&"H".into(), &2.into()));
    }
}
