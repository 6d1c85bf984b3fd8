//! Operators that have subgraphs as attributes, which are expanded in their place.

mod flex_attention;
mod looped;

use kiln_graph::ops::{Along, Concat, Loop, SliceAxis};
use kiln_graph::{DType, Dim, Formula, Graph, GraphError, MOST_UNROLLED, Op, Tensor, ValueId};

use self::looped::{CONDITION, Walk};
use super::super::cx::{invalid, unsupported};
use super::{Attributes, HashSet, ImportError, Importer, OpError, Scope, Slot, order};
use crate::proto::{GraphProto, NodeProto};

/// More nodes are not unrolled, in all steps of all graphs together.
const MAX_NODES: usize = 1 << 15;

/// An operator with graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// `If`
    Branch,
    /// `Loop`
    Loop,
    /// `Scan`, since version 9.
    Scan,
    /// `ai.onnx.preview.FlexAttention`
    FlexAttention,
}

impl Control {
    /// What `node` is in version `opset` of its operator set.
    pub(super) fn of(node: &NodeProto, opset: i64) -> Option<Self> {
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", "If") => Some(Control::Branch),
            ("" | "ai.onnx", "Loop") => Some(Control::Loop),
            ("" | "ai.onnx", "Scan") if opset >= 9 => Some(Control::Scan),
            ("ai.onnx.preview", "FlexAttention") => Some(Control::FlexAttention),
            _ => None,
        }
    }
}

/// Why an operator with subgraphs could not be expanded.
enum Stop {
    /// The operator itself is the reason.
    Op(OpError),
    /// Something in a graph is wrong.
    Import(ImportError),
    /// Something in a graph is not supported, which has been reported.
    Reported,
}

impl From<OpError> for Stop {
    fn from(error: OpError) -> Self {
        Stop::Op(error)
    }
}

impl From<GraphError> for Stop {
    fn from(error: GraphError) -> Self {
        Stop::Op(error.into())
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Stop::Import(error)
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// A graph within a node, as often as it is needed.
struct Body<'a> {
    graph: &'a GraphProto,
    /// Nodes that are the same in each iteration, until they have been expanded.
    constants: Vec<&'a NodeProto>,
    /// The other nodes, in order.
    nodes: Vec<&'a NodeProto>,
    /// The values of names in each iteration.
    shared: Vec<(&'a String, Slot)>,
}

/// The node that is expanded.
struct At<'a> {
    node: &'a NodeProto,
    name: &'a str,
    inputs: Vec<Option<ValueId>>,
    attributes: Attributes<'a>,
}

impl Importer<'_> {
    /// Writes out `node`, which is no branch.
    pub(super) fn control(
        &mut self,
        scope: &mut Scope,
        node: &NodeProto,
        name: &str,
        control: Control,
        inputs: &[Option<ValueId>],
    ) -> std::result::Result<(), ImportError> {
        if control == Control::Branch {
            return self.branch(scope, node, name, inputs);
        }
        let at = At { node, name, inputs: inputs.to_vec(), attributes: Attributes::new(&node.attribute) };
        let written = match control {
            Control::Loop => self.repeated(scope, &at),
            Control::Scan => self.scan(scope, &at),
            Control::FlexAttention | Control::Branch => self.flex_attention(scope, &at),
        };
        let operator = super::operator_name(node);
        for attribute in at.attributes.unread() {
            let reason = format!("attribute `{attribute}` is not supported");
            self.unsupported(name, &operator, scope.opset, reason);
        }
        match written {
            Ok(outputs) => {
                for (output, value) in
                    node.output.iter().zip(outputs).filter(|(output, _)| !output.is_empty())
                {
                    if let Err(error) = self.check_declared(scope, name, &operator, output, value) {
                        self.failed.get_or_insert(error);
                    }
                    scope.slots.insert(output.clone(), Slot::Value(value));
                }
                return Ok(());
            }
            Err(Stop::Op(OpError::Unsupported(reason))) => {
                self.unsupported(name, &operator, scope.opset, reason);
            }
            Err(Stop::Op(error)) => {
                self.failed.get_or_insert(error.at(name, &operator));
            }
            Err(Stop::Import(error)) => return Err(error),
            Err(Stop::Reported) => {}
        }
        self.give_up(scope, node)
    }

    /// Starts a subgraph that is unrolled `steps` times: its initializers and constants, which all iterations share.
    fn begin<'b>(&mut self, scope: &Scope, body: &'b GraphProto, steps: usize) -> Result<Body<'b>> {
        let constant = |node: &&NodeProto| super::is_standard(&node.domain) && node.op_type == "Constant";
        let (constants, nodes): (Vec<_>, Vec<_>) =
            order(&body.node)?.into_iter().map(|index| &body.node[index]).partition(constant);
        if nodes.len().saturating_mul(steps) > MAX_NODES {
            let (count, most) = (nodes.len(), MAX_NODES);
            let reason = format!(
                "{steps} iterations of {count} nodes are too many to unroll; at most {most} nodes are supported"
            );
            return unsupported(reason).map_err(Stop::Op);
        }
        let shared = self.initializers(body, scope.opset)?;
        Ok(Body { graph: body, constants, nodes, shared })
    }

    /// The results of `body` for these inputs. Its names are its own: afterwards they are what they were.
    fn body(
        &mut self,
        scope: &mut Scope,
        at: &At<'_>,
        body: &mut Body<'_>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>> {
        let formal = &body.graph.input;
        // A step without nodes takes time too, and so do its names.
        let names = 1 + formal.len() + body.shared.len();
        self.nodes = self.nodes.saturating_add(names);
        self.unrolled = self.unrolled.saturating_add(body.nodes.len());
        if self.unrolled > MAX_NODES || self.nodes > super::MAX_NODES {
            let reason = format!("subgraphs have more than {MAX_NODES} nodes once unrolled");
            return unsupported(reason).map_err(Stop::Op);
        }
        if formal.len() != inputs.len() {
            let (has, gets) = (formal.len(), inputs.len());
            return invalid(format!("its graph has {has} inputs, but gets {gets}")).map_err(Stop::Op);
        }
        let made = body.graph.node.iter().flat_map(|node| &node.output);
        let named = formal.iter().map(|input| &input.name);
        let named = named.chain(body.graph.initializer.iter().map(|tensor| &tensor.name)).chain(made);
        let names: HashSet<&String> = named.filter(|name| !name.is_empty()).collect();
        let outside: Vec<_> = names.iter().map(|name| scope.slots.remove(*name)).collect();
        let call = scope.call.replace(at.name.to_owned());
        scope.depth += 1;
        let results = self.written(scope, at, body, inputs);
        scope.depth -= 1;
        scope.call = call;
        for (name, slot) in names.into_iter().zip(outside) {
            match slot {
                Some(slot) => scope.slots.insert(name.clone(), slot),
                None => scope.slots.remove(name),
            };
        }
        let values = results?.into_iter().map(|slot| match slot {
            Slot::Value(value) => Ok(value),
            Slot::Unknown => Err(Stop::Reported),
        });
        values.collect()
    }

    fn written(
        &mut self,
        scope: &mut Scope,
        at: &At<'_>,
        body: &mut Body<'_>,
        inputs: &[ValueId],
    ) -> std::result::Result<Vec<Slot>, ImportError> {
        for (name, slot) in &body.shared {
            scope.slots.insert((*name).clone(), slot.clone());
        }
        for node in std::mem::take(&mut body.constants) {
            self.node(scope, node)?;
            for output in &node.output {
                body.shared.extend(scope.slots.get(output).map(|slot| (output, slot.clone())));
            }
        }
        for (input, value) in body.graph.input.iter().zip(inputs) {
            scope.slots.insert(input.name.clone(), Slot::Value(*value));
        }
        for node in &body.nodes {
            self.node(scope, node)?;
        }
        let outputs = body.graph.output.iter();
        outputs.map(|output| self.find(scope, &output.name, || super::describe(at.node))).collect()
    }

    /// A graph over the elements of sequences: some inputs carry a state from step to step, the others are read along
    /// an axis; some outputs are the last states, the others are put together along an axis.
    fn scan(&mut self, scope: &mut Scope, at: &At<'_>) -> Result<Vec<ValueId>> {
        let Some(body) = at.attributes.graph("body")? else {
            return invalid("it has no `body`").map_err(Stop::Op);
        };
        let Some(inputs) = at.inputs.iter().copied().collect::<Option<Vec<ValueId>>>() else {
            return invalid("an input is missing").map_err(Stop::Op);
        };
        let scanned = at.attributes.int("num_scan_inputs")?.and_then(|n| usize::try_from(n).ok());
        let carried = scanned.and_then(|scanned| inputs.len().checked_sub(scanned));
        let (Some(carried), Some(made)) = (carried, carried.and_then(|n| body.output.len().checked_sub(n)))
        else {
            return invalid("`num_scan_inputs` does not fit its inputs and the outputs of `body`")
                .map_err(Stop::Op);
        };
        let (mut states, sequences) = (inputs[..carried].to_vec(), inputs[carried..].to_vec());
        let list = |what: &str, length: usize| -> Result<Vec<i64>> {
            let given = at.attributes.ints(what)?.map_or_else(|| vec![0; length], <[i64]>::to_vec);
            if given.len() == length {
                return Ok(given);
            }
            invalid(format!("`{what}` has {} numbers; {length} are needed", given.len())).map_err(Stop::Op)
        };
        let axes = list("scan_input_axes", sequences.len())?;
        let backwards = list("scan_input_directions", sequences.len())?;
        let axes_made = list("scan_output_axes", made)?;
        let backwards_made = list("scan_output_directions", made)?;
        let mut walks = Vec::new();
        let mut steps: Option<Dim> = None;
        for ((x, axis), backwards) in sequences.iter().zip(axes).zip(backwards) {
            let shape = self.graph.ty(*x).shape.clone();
            let axis = super::super::cx::axis(axis, shape.len())?;
            let length = &shape[axis];
            let known = steps.as_ref().unwrap_or(length);
            let Some(same) = self.graph.assume(at.name, |_, guards| guards.equal(known, length)) else {
                return invalid(format!("its sequences differ in length: {known} and {length}"))
                    .map_err(Stop::Op);
            };
            steps = Some(same);
            walks.push((*x, axis, backwards != 0));
        }
        let Some(steps) = steps else {
            return unsupported("a scan over nothing is not supported").map_err(Stop::Op);
        };
        let walk = Walk {
            steps: steps.clone(),
            carried: states.clone(),
            scanned: walks
                .iter()
                .map(|(x, axis, reverse)| (*x, Along { axis: *axis, reverse: *reverse }))
                .collect(),
            stacked: axes_made.iter().zip(&backwards_made).map(|(axis, back)| (*axis, *back != 0)).collect(),
            condition: false,
        };
        if Loop::is_long(&walk.steps)
            && let Some(results) = self.looped(scope, at, body, &walk)?
        {
            return Ok(results);
        }
        let Some(steps) = steps.as_usize().filter(|n| (1..=MOST_UNROLLED).contains(n)) else {
            let reason = format!("a scan of `{steps}` iterations is not supported; 1 to {MOST_UNROLLED} are");
            return unsupported(reason).map_err(Stop::Op);
        };
        let mut body = self.begin(scope, body, steps)?;
        let mut elements = vec![Vec::with_capacity(steps); made];
        for step in 0..steps {
            let mut inputs = states;
            for (x, axis, backwards) in &walks {
                let place = if *backwards { steps - 1 - step } else { step };
                let f = &mut Formula::folding(&mut self.graph, at.name);
                let cut = SliceAxis { axis: *axis, start: place.into(), length: 1.into(), step: 1 };
                let element = f.slice(*x, vec![cut])?;
                let mut shape = f.shape(element);
                shape.remove(*axis);
                inputs.push(f.reshape(element, shape)?);
            }
            let mut outputs = self.body(scope, at, &mut body, &inputs)?;
            let results = outputs.split_off(carried);
            for (state, before) in outputs.iter().zip(&inputs) {
                let (is, was) = (self.graph.ty(*state), self.graph.ty(*before));
                if is != was {
                    let reason = format!("a state that changes from {was} to {is} is not supported");
                    return unsupported(reason).map_err(Stop::Op);
                }
            }
            states = outputs;
            elements.iter_mut().zip(results).for_each(|(list, element)| list.push(element));
        }
        for ((mut list, axis), backwards) in elements.into_iter().zip(axes_made).zip(backwards_made) {
            if backwards != 0 {
                list.reverse();
            }
            states.push(self.stacked(at, list, axis)?);
        }
        Ok(states)
    }

    /// A graph that is repeated a number of times, or as long as something is true that does not hang on data.
    fn repeated(&mut self, scope: &mut Scope, at: &At<'_>) -> Result<Vec<ValueId>> {
        let Some(body) = at.attributes.graph("body")? else {
            return invalid("it has no `body`").map_err(Stop::Op);
        };
        let known = |graph: &Graph, id: ValueId| -> Result<i64> {
            let number =
                graph.as_constant(id).and_then(Tensor::to_ints).and_then(|ints| ints.first().copied());
            number.ok_or_else(|| Stop::Op(OpError::Unsupported(CONDITION.into())))
        };
        let input = |i: usize| at.inputs.get(i).copied().flatten();
        let limit = input(0).map(|count| trips(&self.graph, count)).transpose()?;
        let states = at.inputs.iter().skip(2).copied().collect::<Option<Vec<ValueId>>>();
        let Some(mut states) = states else { return invalid("an input is missing").map_err(Stop::Op) };
        let made = body.output.len().checked_sub(states.len() + 1);
        let Some(made) = made else { return invalid("`body` has too few outputs").map_err(Stop::Op) };
        let mut goes_on = match input(1) {
            Some(condition) => condition,
            None => self.graph.constant(at.name, Tensor::number(1.0, DType::Bool)),
        };
        if let Some(steps) = &limit
            && self.graph.as_constant(goes_on).and_then(Tensor::to_ints).is_some_and(|ints| ints != [0])
            && Loop::is_long(steps)
        {
            let walk = self.counted(at, steps.clone(), states.clone(), made)?;
            if let Some(results) = self.looped(scope, at, body, &walk)? {
                return Ok(results);
            }
        }
        let limit = match &limit {
            Some(limit) => {
                Some(limit.as_const().ok_or_else(|| Stop::Op(OpError::Unsupported(CONDITION.into())))?)
            }
            None => None,
        };
        let mut elements = vec![vec![]; made];
        let least = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1);
        let mut body = self.begin(scope, body, least)?;
        for step in 0.. {
            let ends = limit.is_some_and(|limit| step >= limit);
            if ends || known(&self.graph, goes_on)? == 0 {
                break;
            }
            if usize::try_from(step).map_or(true, |step| step >= MOST_UNROLLED) {
                return unsupported(format!("more than {MOST_UNROLLED} iterations are not supported"))
                    .map_err(Stop::Op);
            }
            let number = self.graph.constant(at.name, Tensor::int(step));
            let inputs: Vec<ValueId> = [number, goes_on].into_iter().chain(states).collect();
            let mut outputs = self.body(scope, at, &mut body, &inputs)?;
            let results = outputs.split_off(inputs.len() - 1);
            goes_on = outputs.remove(0);
            states = outputs;
            elements.iter_mut().zip(results).for_each(|(list, element)| list.push(element));
        }
        for list in elements {
            if list.is_empty() {
                return unsupported("results of a loop without iterations are not supported")
                    .map_err(Stop::Op);
            }
            states.push(self.stacked(at, list, 0)?);
        }
        Ok(states)
    }

    /// Values of one shape along a new axis.
    fn stacked(&mut self, at: &At<'_>, mut list: Vec<ValueId>, axis: i64) -> Result<ValueId> {
        let f = &mut Formula::folding(&mut self.graph, at.name);
        let rank = list.first().map_or(0, |x| f.ty(*x).rank());
        let axis = super::super::cx::axis(axis, rank + 1)?;
        for element in &mut list {
            let mut shape = f.shape(*element);
            if shape.len() != rank {
                return invalid("the elements of an output differ in shape").map_err(Stop::Op);
            }
            shape.insert(axis, 1.into());
            *element = f.reshape(*element, shape)?;
        }
        Ok(f.apply(Op::Concat(Concat { axis }), &list)?)
    }
}

/// How many iterations a loop has, where that is constant or follows from sizes.
fn trips(graph: &Graph, count: ValueId) -> Result<Dim> {
    let value = graph.value(count);
    let number = graph.as_constant(count).and_then(Tensor::to_ints).and_then(|ints| ints.first().copied());
    let sizes = || value.sizes().and_then(|sizes| sizes.first().cloned());
    number.map(|number| Dim::from(number.max(0))).or_else(sizes).ok_or_else(|| {
        Stop::Op(OpError::Unsupported(
            "its number of iterations has to be constant or follow from sizes, but is computed from data"
                .into(),
        ))
    })
}
