//! Functions that a model brings along: the body of one call, with the call's attributes filled in.

use std::collections::{HashMap, HashSet};

use crate::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

/// The functions of a model, by domain, name and overload.
pub(crate) struct Functions(HashMap<(String, String, String), FunctionProto>);

impl Functions {
    pub(crate) fn of(model: &mut ModelProto) -> Self {
        let functions = std::mem::take(&mut model.functions);
        let key = |f: &FunctionProto| (f.domain.clone(), f.name.clone(), f.overload.clone());
        Self(functions.into_iter().map(|f| (key(&f), f)).collect())
    }

    /// The function that `node` calls, if it calls one.
    pub(crate) fn get(&self, node: &NodeProto) -> Option<&FunctionProto> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(node.domain.clone(), node.op_type.clone(), node.overload.clone()))
    }
}

/// The nodes of `function` for a call with these attributes.
pub(crate) fn body(function: &FunctionProto, call: &NodeProto) -> Vec<NodeProto> {
    let mut given: HashMap<&str, &AttributeProto> =
        function.attribute_proto.iter().map(|a| (a.name.as_str(), a)).collect();
    given.extend(call.attribute.iter().map(|a| (a.name.as_str(), a)));
    let mut nodes = function.node.clone();
    fill(&mut nodes, &given);
    // What the call leaves out, its readers leave out.
    let is_given = |place: usize| call.input.get(place).is_some_and(|name| !name.is_empty());
    let formal = function.input.iter().enumerate();
    let omitted: HashSet<&str> =
        formal.filter(|(place, _)| !is_given(*place)).map(|(_, name)| name.as_str()).collect();
    if !omitted.is_empty() {
        leave_out(&mut nodes, &omitted);
    }
    nodes
}

/// Takes the names of inputs that are not there from the nodes that read them, those in graphs of nodes included.
fn leave_out(nodes: &mut [NodeProto], omitted: &HashSet<&str>) {
    for node in nodes {
        node.input.iter_mut().filter(|name| omitted.contains(name.as_str())).for_each(String::clear);
        for attribute in &mut node.attribute {
            let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            graphs.for_each(|GraphProto { node, .. }| leave_out(node, omitted));
        }
    }
}

/// Replaces references to the function's attributes by their values. One that is not given is left out, so that
/// the operator's own default applies.
fn fill(nodes: &mut [NodeProto], given: &HashMap<&str, &AttributeProto>) {
    for node in nodes {
        node.attribute.retain_mut(|attribute| {
            if attribute.ref_attr_name.is_empty() {
                let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
                graphs.for_each(|GraphProto { node, .. }| fill(node, given));
                return true;
            }
            let Some(value) = given.get(attribute.ref_attr_name.as_str()) else { return false };
            let name = std::mem::take(&mut attribute.name);
            *attribute = AttributeProto { name, ..(*value).clone() };
            true
        });
    }
}
