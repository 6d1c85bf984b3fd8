//! A network, what is to be quantized in it, and what comes of it.

use kiln_graph::{Graph, GraphError, NodeId, ValueId};

use crate::passes::PassError;

/// A network cannot be quantized.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// It cannot be prepared.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// It cannot be written down.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// It is quantized already.
    #[error("`{node}` quantizes already; give the network in floating point")]
    Quantized {
        /// The node.
        node: String,
    },
    /// Nothing would become smaller.
    #[error("there is no layer to quantize: {reasons}")]
    Nothing {
        /// What there is instead.
        reasons: String,
    },
    /// A layer to keep does not exist.
    #[error("no layer is called `{name}`; the layers are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// Numbers that have no range.
    #[error("`{name}` has {what}, which no range of integers stands for")]
    NotFinite {
        /// The value or weight.
        name: String,
        /// What it has.
        what: &'static str,
    },
}

/// A layer that is quantized: a product with a weight, its bias and the activation behind it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The name of the product.
    pub name: String,
    /// The operator.
    pub op: &'static str,
    /// The product.
    pub(super) node: NodeId,
    /// The addition of its bias, if that is quantized, too.
    pub(super) bias: Option<NodeId>,
    /// What the activation gives.
    pub(super) end: ValueId,
}

/// A layer that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The name of the product.
    pub name: String,
    /// The operator.
    pub op: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// A value that is quantized.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name.
    pub name: String,
    pub(super) value: ValueId,
    /// Points with the same number have one scale: what lies between them only moves elements.
    pub(super) class: usize,
}

/// A network with what is to be quantized in it.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) graph: Graph,
    pub(super) layers: Vec<Layer>,
    pub(super) kept: Vec<Kept>,
    pub(super) points: Vec<Point>,
}

/// A network with other outputs: its own, if wanted, and those of values inside of it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The network.
    pub graph: Graph,
    /// The outputs of values inside of it, in order.
    pub inside: Vec<String>,
}

impl Network {
    /// The layers that are quantized, in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers that are not.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// The values whose ranges are needed.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The network whose outputs are the values whose ranges are needed.
    pub fn at_points(&self) -> Result<Observed, QuantizeError> {
        let values: Vec<ValueId> = self.points.iter().map(|point| point.value).collect();
        observed(&self.graph, &values, false)
    }

    /// The network with the results of its layers as outputs beside its own.
    pub fn at_layers(&self) -> Result<Observed, QuantizeError> {
        let values: Vec<ValueId> = self.layers.iter().map(|layer| layer.end).collect();
        observed(&self.graph, &values, true)
    }
}

/// A quantized network.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The network.
    pub graph: Graph,
    /// What its layers give, in their order.
    pub(super) ends: Vec<ValueId>,
}

impl Quantized {
    /// The network with the results of its layers as outputs beside its own, before they are quantized.
    pub fn at_layers(&self) -> Result<Observed, QuantizeError> {
        observed(&self.graph, &self.ends, true)
    }
}

fn observed(graph: &Graph, values: &[ValueId], own: bool) -> Result<Observed, QuantizeError> {
    let mut graph = graph.clone();
    if !own {
        graph.clear_outputs();
    }
    let mut inside = Vec::with_capacity(values.len());
    for (n, value) in values.iter().enumerate() {
        // No value of the network is called so: outputs have names of their own.
        let mut name = format!("observed {n}");
        while graph.outputs().iter().any(|output| output.name == name) {
            name.push('~');
        }
        graph.output(name.clone(), *value)?;
        inside.push(name);
    }
    Ok(Observed { graph, inside })
}
