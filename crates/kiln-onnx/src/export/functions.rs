//! Nodes that belong together as functions of the model, so that viewers show them as one node that can be opened.
//!
//! ```text
//! y = Conv(x, w), z = Relu(y)      z = kiln.fused.conv1_relu(x, w), and a function conv1_relu
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};

use kiln_graph::{Graph, NodeId};

use super::writer::Writer;
use crate::proto::{
    AttributeProto, AttributeType, FunctionProto, NodeProto, OperatorSetIdProto, TensorProto,
};

/// The domain of the functions.
pub(super) const DOMAIN: &str = "kiln.fused";

/// Longest name of a function; what is beyond is of no use to anyone.
const LONGEST: usize = 80;

/// Nodes that become a function.
#[derive(Clone, Debug)]
pub struct FunctionOf {
    /// What the call is named; the function's name is made of it.
    pub name: String,
    /// Its nodes; only the values of the last one are read by others.
    pub nodes: Vec<NodeId>,
}

/// Which function each node of the graph is in.
pub(super) fn owners(graph: &Graph, functions: &[FunctionOf]) -> Vec<Option<usize>> {
    let mut owners = vec![None; graph.nodes().len()];
    for (n, function) in functions.iter().enumerate() {
        for id in &function.nodes {
            owners[id.index()] = Some(n);
        }
    }
    owners
}

/// Moves nodes into functions and calls these instead. `owner_of` is the function of each node that was written; `results` are
/// names that have to be there afterwards.
pub(super) fn extract(
    writer: &mut Writer<'_>,
    owner_of: &[Option<usize>],
    functions: &[FunctionOf],
    results: &HashSet<String>,
    opset: &OperatorSetIdProto,
) -> Vec<FunctionProto> {
    let nodes = std::mem::take(&mut writer.nodes);
    let mut readers: HashMap<String, HashSet<Option<usize>>> = HashMap::new();
    for (n, node) in nodes.iter().enumerate() {
        let owner = owner_of.get(n).copied().flatten();
        for name in &node.input {
            readers.entry(name.clone()).or_default().insert(owner);
        }
    }
    let mut last = vec![None; functions.len()];
    for (n, owner) in owner_of.iter().enumerate() {
        if let Some(owner) = owner {
            last[*owner] = Some(n);
        }
    }
    let mut bodies: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut taken = HashSet::new();
    let mut made = Vec::new();
    for (n, node) in nodes.into_iter().enumerate() {
        let Some(owner) = owner_of.get(n).copied().flatten() else {
            writer.nodes.push(node);
            continue;
        };
        bodies.entry(owner).or_default().push(node);
        if last[owner] != Some(n) {
            continue;
        }
        let body = bodies.remove(&owner).unwrap_or_default();
        let is_read_outside = |name: &String| {
            results.contains(name)
                || readers.get(name).is_some_and(|all| all.iter().any(|reader| *reader != Some(owner)))
        };
        let own =
            |name: &str| readers.get(name).is_some_and(|all| all.iter().all(|reader| *reader == Some(owner)));
        let (own, rest) = writer.initializers.drain(..).partition(|tensor| own(&tensor.name));
        writer.initializers = rest;
        let name = unique(&functions[owner].name, &mut taken);
        let called = writer.node_name(&functions[owner].name);
        let (call, function) = function(&name, called, body, own, &is_read_outside, opset);
        writer.nodes.push(call);
        made.push(function);
    }
    made
}

/// A function and the node that calls it.
fn function(
    name: &str,
    called: String,
    body: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    is_read_outside: &dyn Fn(&String) -> bool,
    opset: &OperatorSetIdProto,
) -> (NodeProto, FunctionProto) {
    let mut node: Vec<NodeProto> = constants.into_iter().map(constant).collect();
    let mut known: HashSet<String> = node.iter().flat_map(|node| node.output.clone()).collect();
    known.insert(String::new());
    let (mut input, mut output) = (vec![], vec![]);
    for part in &body {
        input.extend(part.input.iter().filter(|name| known.insert((*name).clone())).cloned());
        known.extend(part.output.iter().cloned());
        output.extend(part.output.iter().filter(|name| is_read_outside(name)).cloned());
    }
    node.extend(body);
    let call = NodeProto {
        input: input.clone(),
        output: output.clone(),
        name: called,
        op_type: name.into(),
        domain: DOMAIN.into(),
        ..NodeProto::default()
    };
    let function = FunctionProto {
        name: name.into(),
        input,
        output,
        node,
        opset_import: vec![opset.clone()],
        domain: DOMAIN.into(),
        ..FunctionProto::default()
    };
    (call, function)
}

/// A constant inside of a function, which has no initializers.
fn constant(tensor: TensorProto) -> NodeProto {
    let value = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor.into(),
        t: Some(TensorProto { name: String::new(), ..tensor.clone() }),
        ..AttributeProto::default()
    };
    NodeProto {
        output: vec![tensor.name.clone()],
        name: tensor.name,
        op_type: "Constant".into(),
        attribute: vec![value],
        ..NodeProto::default()
    }
}

/// A name of letters, digits and underscores that nothing has.
fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|part| !part.is_empty());
    let mut plain: String = parts.collect::<Vec<_>>().join("_").chars().take(LONGEST).collect();
    if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert_str(0, "kernel_");
    }
    let mut wanted = plain.clone();
    for n in 2.. {
        if taken.insert(wanted.clone()) {
            break;
        }
        wanted = format!("{plain}_{n}");
    }
    wanted
}
