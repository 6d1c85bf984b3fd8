//! What a group is called: the names of its nodes, without what they have in common with the first.

use kiln_graph::Node;

/// More names than these are counted instead of written.
const MAX_NAMES: usize = 5;

/// `layer1.0.conv1 + bn1 + relu` for nodes `layer1.0.conv1`, `layer1.0.bn1`, `layer1.0.bn1`, `layer1.0.relu`.
///
/// A node without a name of its own (empty, or that of a module around the first node) goes by its operator.
pub(super) fn of_group<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut full: Vec<&str> = vec![];
    let mut parts: Vec<&str> = vec![];
    for node in nodes {
        let first = full.first().copied().unwrap_or_default();
        let name = node.name.as_str();
        if full.contains(&name) {
            continue;
        }
        let around_first = first.strip_prefix(name).is_some_and(|rest| rest.starts_with(SEPARATORS));
        let part = if name.is_empty() || around_first { node.op.name() } else { relative(name, first) };
        full.push(name);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let more = parts.len().saturating_sub(MAX_NAMES);
    // "+ 1 more" would be no shorter than the name.
    if more < 2 {
        return parts.join(" + ");
    }
    format!("{} + {more} more", parts[..MAX_NAMES].join(" + "))
}

const SEPARATORS: [char; 2] = ['.', '/'];

/// `name` without the leading modules that `first` is in too.
fn relative<'a>(name: &'a str, first: &str) -> &'a str {
    let common = name.bytes().zip(first.bytes()).take_while(|(a, b)| a == b).count();
    // The bytes are those of both, so the cut is behind an ASCII character.
    let cut = name.as_bytes()[..common].iter().rposition(|b| SEPARATORS.contains(&char::from(*b)));
    cut.map_or(name, |at| &name[at + 1..])
}

#[cfg(test)]
mod tests {
    use kiln_graph::ops::UnaryOp;
    use kiln_graph::{Node, Op};

    use crate::fuse::name::of_group;

    #[test]
    fn names_are_relative_to_the_first() {
        let cases: &[(&[&str], &str)] = &[
            (&["conv1", "bn1", "bn1", "relu"], "conv1 + bn1 + relu"),
            (&["layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu"], "layer1.0.conv1 + bn1 + relu"),
            (&["layer1.0.conv2", "layer1.0", "layer1.0.relu"], "layer1.0.conv2 + relu"),
            (&["layer1.1.conv2", "layer1.0.relu"], "layer1.1.conv2 + 0.relu"),
            (&["/l/conv/Conv", "/l/relu/Relu"], "/l/conv/Conv + relu/Relu"),
            (&["", "", ""], "relu"),
            (&["features.0.0", "features.0.1"], "features.0.0 + 1"),
            (&["a", "b", "c", "d", "e", "f"], "a + b + c + d + e + f"),
            (&["a", "b", "c", "d", "e", "f", "g", "h"], "a + b + c + d + e + 3 more"),
            (&["é.conv", "è.relu"], "é.conv + è.relu"),
        ];
        for (names, expected) in cases {
            let nodes: Vec<Node> = names
                .iter()
                .map(|name| Node {
                    name: (*name).to_owned(),
                    op: Op::Unary(UnaryOp::Relu),
                    inputs: vec![],
                    outputs: vec![],
                })
                .collect();
            assert_eq!(of_group(nodes.iter()), *expected);
        }
    }
}
