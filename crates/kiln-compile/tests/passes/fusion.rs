//! What becomes one kernel.

use kiln_compile::fuse::{FuseLimits, fuse};
use kiln_compile::passes;
use kiln_graph::Op;

use crate::models;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn resnet18_leaves_no_batch_norm_relu_or_add_alone() -> Outcome {
    let graph = passes::run(passes::INFERENCE, &models::resnet18(8, 64)?)?;
    let fusion = fuse(&graph, &FuseLimits::default());
    assert!(fusion.groups.iter().all(|group| group.anchor.is_some()), "an elementwise node is alone");
    assert!(!graph.nodes().iter().any(|node| matches!(node.op, Op::BatchNorm(_))));
    assert!(fusion.groups.len() <= 25);
    insta::assert_snapshot!(fusion.display(&graph).to_string());
    Ok(())
}
