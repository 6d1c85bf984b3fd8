//! Names of nodes in messages.
//!
//! A node should be called what its layer is called in the model's source: `layer1.0.conv1`. Exporters write that
//! down in different places:
//!
//! - PyTorch's first exporter in the node's name: `/layer1/layer1.0/conv1/Conv`;
//! - its newer one in the node's metadata: scopes `['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']`. There a
//!   convolution that swallowed its batch normalization carries the latter's scope, so its weight names it;
//! - others only in the names of the weights: `layer1.0.conv1.weight`.

use std::collections::HashSet;

use crate::proto::NodeProto;

/// Names the nodes of one graph.
#[derive(Default)]
pub(crate) struct Namer {
    /// Modules that contain others, by path: what is called directly in them is a function, not a layer.
    containers: HashSet<String>,
    unnamed: usize,
}

impl Namer {
    pub(crate) fn new(nodes: &[NodeProto]) -> Self {
        let mut containers = HashSet::new();
        for node in nodes {
            if let Some((modules, _)) = torch_path(&node.name) {
                for end in 0..modules.len() {
                    containers.insert(modules[..end].join("."));
                }
            }
        }
        Self { containers, unnamed: 0 }
    }

    /// The name for people of a node whose first weight, if it has one, is called `weight`.
    pub(crate) fn name(&mut self, node: &NodeProto, weight: Option<&str>) -> String {
        let name = self.raw(node, weight);
        if name.is_empty() {
            self.unnamed += 1;
            return format!("{}_{}", printable(&node.op_type), self.unnamed);
        }
        printable(&name)
    }

    fn raw(&self, node: &NodeProto, weight: Option<&str>) -> String {
        if let Some((modules, call)) = torch_path(&node.name) {
            let module = modules.join(".");
            if modules.is_empty() || self.containers.contains(&module) {
                return join(&module, &call.to_lowercase());
            }
            return module;
        }
        let layer = weight.and_then(|w| w.strip_suffix(".weight"));
        let fused = metadata(node, "pkg.onnxscript.rewriter.rule_name").is_some();
        let scoped = scope_name(node);
        match (layer, scoped) {
            (Some(layer), None) => layer.into(),
            (Some(layer), Some(_)) if fused => layer.into(),
            (_, Some(scoped)) => scoped,
            (None, None) => node.name.clone(),
        }
    }
}

fn join(module: &str, call: &str) -> String {
    if module.is_empty() { call.into() } else { format!("{module}.{call}") }
}

/// `/layer1/layer1.0/conv1/Conv` as the modules `layer1.0`, `conv1` and the call `Conv`. A module in a list repeats
/// the list's name, which is taken out.
fn torch_path(name: &str) -> Option<(Vec<&str>, &str)> {
    let (scopes, call) =
        name.strip_prefix('/')?.rsplit_once('/').or_else(|| Some(("", name.strip_prefix('/')?)))?;
    let mut modules: Vec<&str> = Vec::new();
    for scope in scopes.split('/').filter(|s| !s.is_empty()) {
        if let Some(last) = modules.last_mut()
            && scope.strip_prefix(*last).is_some_and(|rest| rest.starts_with('.'))
        {
            *last = scope;
            continue;
        }
        modules.push(scope);
    }
    Some((modules, call))
}

/// The layer, or the function within its module, from the metadata of PyTorch's newer exporter.
fn scope_name(node: &NodeProto) -> Option<String> {
    let scopes = python_list(metadata(node, "pkg.torch.onnx.name_scopes")?);
    let classes = python_list(metadata(node, "pkg.torch.onnx.class_hierarchy").unwrap_or_default());
    let [.., module, call] = scopes.as_slice() else { return None };
    // Calls outside of any module (the size of the batch) are named by a marker.
    if module.starts_with('_') {
        return None;
    }
    let is_layer = classes.len() == scopes.len()
        && classes[..classes.len() - 1].last().is_some_and(|class| {
            class.starts_with("torch.nn.modules.") && !class.starts_with("torch.nn.modules.container.")
        });
    Some(if is_layer && !module.is_empty() { module.clone() } else { join(module, call) })
}

fn metadata<'a>(node: &'a NodeProto, key: &str) -> Option<&'a str> {
    node.metadata_props.iter().find(|p| p.key == key).map(|p| p.value.as_str())
}

/// The elements of a list of strings as Python prints it.
fn python_list(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split(", ").map(|item| item.trim_matches(|c| c == '\'' || c == '"').to_owned()).collect()
}

/// A name that can be used in a message, a table or a line of text.
pub(crate) fn printable(name: &str) -> String {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '`' | '"' | '\\');
    if name.contains(odd) { name.replace(odd, "_") } else { name.into() }
}
