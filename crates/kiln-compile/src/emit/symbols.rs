//! Symbolic sizes as expressions over the symbols of a plan.

use std::sync::Arc;

use kiln_graph::{Atom, Bindings, Bounds, Dim, Graph};
use kiln_plan::{Expr, Factor, Guard, Param, Relation, Symbol, Term};

use crate::lower::program::Lowered;
use crate::memory::buffer::STEP;
use crate::wgsl::params::Uniform;

/// The symbols of a plan: those of all its programs.
pub(super) struct Symbols<'a> {
    names: Vec<Arc<str>>,
    max: &'a Bindings,
}

impl<'a> Symbols<'a> {
    /// The symbols of `programs`, in order of first sight, with their largest values.
    pub(super) fn new(programs: &[Lowered], max: &'a Bindings) -> Self {
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in programs.iter().flat_map(|program| &program.symbols) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self { names, max }
    }

    /// The symbols of a graph.
    pub(super) fn of_graph(graph: &Graph, max: &'a Bindings) -> Self {
        Self { names: graph.symbols(), max }
    }

    /// The symbols as the plan lists them.
    pub(super) fn list(&self) -> Vec<Symbol> {
        let largest = |name| self.max.get(name).and_then(|n| u32::try_from(*n).ok()).unwrap_or(1);
        self.names.iter().map(|name| Symbol { name: name.to_string(), max: largest(name) }).collect()
    }

    /// A size.
    pub(super) fn expr(&self, dim: &Dim) -> Expr {
        let terms = dim.terms().iter().map(|(atoms, coefficient)| Term {
            coefficient: *coefficient,
            factors: atoms
                .iter()
                .map(|atom| match atom {
                    Atom::Symbol(name) => {
                        // All symbols of a graph are in the shapes of its inputs; the verifier sees to that. A step is
                        // the symbol behind them.
                        let step = (**name == *STEP).then_some(self.names.len());
                        let listed = self.names.iter().position(|n| n == name);
                        Factor::Symbol(listed.or(step).unwrap_or(usize::MAX))
                    }
                    // Bounds have taken the place of counts.
                    Atom::Count(_) => Factor::Symbol(usize::MAX),
                    Atom::FloorDiv(dim, divisor) => Factor::FloorDiv(self.expr(dim), *divisor),
                    Atom::Min(a, b) => Factor::Min(self.expr(a), self.expr(b)),
                })
                .collect(),
        });
        Expr { terms: terms.collect() }
    }

    /// The conditions of a graph that not all sizes up to the maxima meet.
    pub(super) fn guards(&self, guards: &[kiln_graph::Guard]) -> Vec<Guard> {
        let bounds = Bounds { max: Some(self.max) };
        let open = guards.iter().filter(|guard| !guard.always_holds(bounds));
        open.map(|guard| Guard {
            node: guard.node.clone(),
            left: self.expr(&guard.left),
            relation: match guard.relation {
                kiln_graph::Relation::Equal => Relation::Equal,
                kiln_graph::Relation::NotEqual => Relation::NotEqual,
                kiln_graph::Relation::AtLeast => Relation::AtLeast,
            },
            right: self.expr(&guard.right),
        })
        .collect()
    }

    /// A word of a kernel's parameters.
    pub(super) fn param(&self, word: &Uniform) -> Param {
        match word {
            Uniform::Int(dim) => Param::Int(self.expr(dim)),
            Uniform::Float(value) => Param::Float(*value),
        }
    }

    /// Bytes of a buffer at the maximum of all symbols; nothing is so small that it cannot be bound.
    pub(super) fn largest(&self, bytes: &Dim) -> u64 {
        u64::try_from(self.maximum(bytes)).unwrap_or(0).max(16)
    }

    /// The maximum of a dimension.
    pub(super) fn maximum(&self, dim: &Dim) -> i64 {
        dim.upper(self.max)
    }
}
