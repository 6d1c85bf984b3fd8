//! The quantized network.

use std::collections::{HashMap, HashSet};

use kiln_graph::functions::quantization::{self, Steps};
use kiln_graph::ops::Conv;
use kiln_graph::{DType, Data, Formula, Graph, GraphError, NodeId, Op, Rewriter, Tensor, ValueId};

use super::layers::channel_axis;
use super::numbers::{self, Range};
use super::{Layer, Network, QuantizeError, Quantized};
use crate::passes::constant::along_axis;

impl Network {
    /// The ranges of points with those that share their scale.
    fn shared(&self, ranges: &[Range]) -> HashMap<ValueId, Range> {
        let mut classes: HashMap<usize, Range> = HashMap::new();
        for (point, range) in self.points.iter().zip(ranges) {
            let shared = classes.entry(point.class).or_insert(Range::NONE);
            *shared = shared.with(*range);
        }
        self.points.iter().map(|point| (point.value, classes[&point.class])).collect()
    }

    /// Checks that all points have ranges that integers can stand for.
    pub fn check(&self, ranges: &[Range]) -> Result<(), QuantizeError> {
        for (point, range) in self.points.iter().zip(ranges) {
            if !(range.low.is_finite() && range.high.is_finite()) {
                let what = if *range == Range::NONE { "no elements" } else { "infinities or NaN" };
                return Err(QuantizeError::NotFinite { name: point.name.clone(), what });
            }
        }
        Ok(())
    }

    /// The network with integers where values and weights are quantized; `ranges` are those of the points, in order.
    pub fn quantized(&self, ranges: &[Range]) -> Result<Quantized, QuantizeError> {
        self.check(ranges)?;
        let steps = self.shared(ranges).into_iter().map(|(id, range)| (id, range.steps())).collect();
        let mut writer =
            Writer { graph: &self.graph, rewriter: Rewriter::new(&self.graph)?, steps, raw: vec![] };
        let products: HashMap<NodeId, &Layer> = self.layers.iter().map(|layer| (layer.node, layer)).collect();
        let biases: HashSet<NodeId> = self.layers.iter().filter_map(|layer| layer.bias).collect();
        for id in self.graph.inputs() {
            writer.quantize(*id)?;
        }
        for id in self.graph.node_ids() {
            if let Some(layer) = products.get(&id) {
                writer.layer(layer)?;
            } else if !biases.contains(&id) {
                writer.rewriter.copy(id)?;
            }
            let made = products.get(&id).and_then(|layer| layer.bias).map_or(id, |bias| bias);
            for output in &self.graph.node(made).outputs {
                writer.quantize(*output)?;
            }
        }
        writer.finish(&self.layers)
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    rewriter: Rewriter<'a>,
    /// Scale and zero point of points.
    steps: HashMap<ValueId, (f32, u8)>,
    /// Points as they are before they are quantized.
    raw: Vec<(ValueId, ValueId)>,
}

impl Writer<'_> {
    /// Whoever reads a point from now on reads what its integers stand for.
    fn quantize(&mut self, id: ValueId) -> Result<(), GraphError> {
        let Some(&(scale, zero)) = self.steps.get(&id) else { return Ok(()) };
        if self.raw.iter().any(|(known, _)| *known == id) {
            return Ok(());
        }
        let raw = self.rewriter.get(id)?;
        let name = &self.graph.value(id).name;
        let graph = &mut self.rewriter.graph;
        let steps = Steps {
            scale: graph.constant(format!("{name}.scale"), Tensor::scalar(scale)),
            zero: Some(graph.constant(format!("{name}.zero_point"), Tensor::number(zero.into(), DType::U8))),
        };
        let integers = quantization::quantize(
            &mut Formula::new(graph, format!("{name}.quantized")),
            raw,
            steps,
            DType::U8,
        )?;
        let mut f = Formula::new(graph, format!("{name}.dequantized"));
        let new = quantization::dequantize(&mut f, integers, steps, DType::F32)?;
        self.raw.push((id, raw));
        self.rewriter.map(id, new);
        Ok(())
    }

    /// A product with its bias.
    fn layer(&mut self, layer: &Layer) -> Result<(), QuantizeError> {
        let node = self.graph.node(layer.node);
        let &[input, weight] = &node.inputs[..] else { return Ok(()) };
        let name = self.graph.value(weight).name.clone();
        let not_finite = || QuantizeError::NotFinite { name: name.clone(), what: "infinities or NaN" };
        let tensor = self.graph.as_constant(weight).ok_or_else(not_finite)?;
        let bias = layer.bias.and_then(|bias| self.bias(layer.node, bias));
        let numbers = bias.as_ref().map_or(&[][..], |(_, numbers)| &numbers[..]);
        let of_input = self.steps.get(&input).map_or(1.0, |(scale, _)| *scale);
        let axis = weight_axis(&node.op, tensor.shape().len());
        let each = scale_for_each(&node.op);
        let found = numbers::weight(tensor, axis, each, numbers, of_input).ok_or_else(not_finite)?;
        let x = self.rewriter.get(input)?;
        let graph = &mut self.rewriter.graph;
        let mut line = vec![1; tensor.shape().len()];
        line[axis] = found.scales.len();
        let shape = if found.scales.len() == 1 { vec![] } else { line };
        let scale = constant(graph, format!("{name}.scale"), &shape, Data::F32(found.scales.clone()))?;
        let integers = graph.constant(format!("{name}.quantized"), found.integers);
        let mut f = Formula::new(graph, format!("{name}.dequantized"));
        let weight = quantization::dequantize(&mut f, integers, Steps { scale, zero: None }, DType::F32)?;
        let product = graph.apply1(node.name.clone(), node.op.clone(), &[x, weight])?;
        self.rewriter.map(node.outputs[0], product);
        let (Some(add), Some((name, numbers))) = (layer.bias, bias) else { return Ok(()) };
        let scales: Vec<f32> = found.scales.iter().map(|scale| scale * of_input).collect();
        let behind = self.graph.ty(node.outputs[0]).rank() - 1 - channel_axis(self.graph, node);
        let graph = &mut self.rewriter.graph;
        let shape = |count: usize| [vec![count], vec![1; behind]].concat();
        let integers = numbers::bias(&numbers, &scales);
        let of_scales = if scales.len() == 1 { vec![] } else { shape(scales.len()) };
        let scale = constant(graph, format!("{name}.scale"), &of_scales, Data::F32(scales))?;
        let integers =
            constant(graph, format!("{name}.quantized"), &shape(integers.len()), Data::I32(integers))?;
        let mut f = Formula::new(graph, format!("{name}.dequantized"));
        let bias = quantization::dequantize(&mut f, integers, Steps { scale, zero: None }, DType::F32)?;
        let node = self.graph.node(add);
        let sum = graph.apply1(node.name.clone(), node.op.clone(), &[product, bias])?;
        self.rewriter.map(node.outputs[0], sum);
        Ok(())
    }

    /// The name and the numbers of a bias, one for each channel.
    fn bias(&self, product: NodeId, add: NodeId) -> Option<(String, Vec<f64>)> {
        let product = self.graph.node(product);
        let value = product.outputs[0];
        let bias = self.graph.node(add).inputs.iter().copied().find(|id| *id != value)?;
        let (rank, axis) = (self.graph.ty(value).rank(), channel_axis(self.graph, product));
        let numbers = along_axis(self.graph.as_constant(bias)?, rank, axis)?;
        let channels = self.graph.ty(value).shape[axis].as_usize()?;
        let numbers = if let [number] = numbers[..] { vec![number; channels] } else { numbers };
        Some((self.graph.value(bias).name.clone(), numbers))
    }

    fn finish(mut self, layers: &[Layer]) -> Result<Quantized, QuantizeError> {
        // Results, and what is compared, are what was computed.
        for (id, raw) in &self.raw {
            self.rewriter.map(*id, *raw);
        }
        let ends = layers.iter().map(|layer| self.rewriter.get(layer.end)).collect::<Result<_, _>>()?;
        Ok(Quantized { graph: self.rewriter.finish()?, ends })
    }
}

fn constant(graph: &mut Graph, name: String, shape: &[usize], data: Data) -> Result<ValueId, GraphError> {
    let tensor = Tensor::new(shape, data).map_err(|error| GraphError::Invalid(error.to_string()))?;
    Ok(graph.constant(name, tensor))
}

/// The axis of a weight whose indices are channels or columns of the result.
fn weight_axis(op: &Op, rank: usize) -> usize {
    if let Op::MatMul(op) = op { rank - if op.transpose_b { 2 } else { 1 } } else { 0 }
}

/// Whether a weight has a scale for each output. In ONNX, those of a transposed convolution belong to an output of all groups
/// together.
fn scale_for_each(op: &Op) -> bool {
    let Op::Conv(Conv { input_dilations, groups, .. }) = op else { return true };
    *groups == 1 || input_dilations.iter().all(|step| *step == 1)
}
