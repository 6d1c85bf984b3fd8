//! Which initializers are weights, and which are numbers that an operator needs to know.

use std::collections::{HashMap, HashSet};

use kiln_graph::Tensor;

use super::is_standard;
use super::ops::{self, Support};
use super::order::each_read;
use crate::proto::{GraphProto, NodeProto};

/// How the initializers of a graph are used.
#[derive(Default)]
pub(crate) struct Uses<'a> {
    /// Every name that is read.
    pub(crate) read: HashSet<&'a str>,
    /// Names an operator takes as a weight.
    weights: HashSet<&'a str>,
    /// Names that are read as data somewhere, not only as a number that has to be known.
    data: HashSet<&'a str>,
    /// Names that something other than DequantizeLinear reads.
    otherwise: HashSet<&'a str>,
    /// Names that are given on under another name.
    renamed: HashMap<&'a str, &'a str>,
}

impl<'a> Uses<'a> {
    pub(crate) fn of(graph: &'a GraphProto) -> Self {
        let mut uses = Self::default();
        for node in &graph.node {
            uses.node(node);
        }
        uses.read.extend(graph.output.iter().map(|o| o.name.as_str()));
        uses.otherwise.extend(graph.output.iter().map(|o| o.name.as_str()));
        // A weight under a second name is still a weight. Last first, as names are given on in order.
        for node in graph.node.iter().rev() {
            if let (Some(from), Some(to)) = (node.input.first(), node.output.first())
                && uses.renamed.contains_key(to.as_str())
            {
                if uses.weights.contains(to.as_str()) {
                    uses.weights.insert(from);
                }
                if uses.data.contains(to.as_str()) {
                    uses.data.insert(from);
                }
            }
        }
        uses
    }

    fn node(&mut self, node: &'a NodeProto) {
        let dequantizes = node.op_type == "DequantizeLinear";
        each_read(node, &mut |name| {
            self.read.insert(name);
            if !dequantizes {
                self.otherwise.insert(name);
            }
        });
        if node.op_type == "Identity" && is_standard(&node.domain) {
            if let (Some(from), Some(to)) = (node.input.first(), node.output.first()) {
                self.renamed.insert(to, from);
            }
            return;
        }
        let operator = match ops::support(&node.domain, &node.op_type, super::OPSETS.1) {
            Support::Yes(operator) => Some(operator),
            Support::TooNew(_) | Support::Gone(_) | Support::LeftOut(_) | Support::No => None,
        };
        for (i, name) in node.input.iter().enumerate() {
            if operator.is_some_and(|o| o.weights.contains(&i)) {
                self.weights.insert(name);
            }
            if !operator.is_some_and(|o| o.constants.contains(&i) || o.fixed.contains(&i)) {
                self.data.insert(name);
            }
        }
    }

    /// Whether nothing but DequantizeLinear reads the initializer `name`.
    pub(crate) fn is_only_dequantized(&self, name: &str) -> bool {
        self.read.contains(name) && !self.otherwise.contains(name)
    }

    /// Whether the initializer `name` is a parameter that training could change.
    pub(crate) fn is_weight(&self, name: &str, tensor: &Tensor) -> bool {
        tensor.dtype().is_float()
            && (self.weights.contains(name) || self.data.contains(name) && !tensor.shape().is_empty())
    }
}
