//! Every pass on every model that the oracles have, and what is fused in all of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use kiln_compile::fuse::{FuseLimits, Group, fuse};
use kiln_compile::passes;
use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Graph, Node, Op, Precision, Tensor, compare, evaluate};
use kiln_onnx::{ImportOptions, import, read_tensor_pb};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Of the largest element. What runs is f64, but folded weights are stored as f32: that rounding is what is seen here.
const TOLERANCE: f64 = 1e-6;

#[test]
fn passes_keep_the_meaning_of_every_oracle() -> Outcome {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures");
    let mut wrong = vec![];
    let mut tried = 0;
    for folder in models(&fixtures.join("ops"))?.into_iter().chain(models(&fixtures)?) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Operators that Kiln has not are the front end's to refuse.
        let Ok(imported) = import(&folder.join("model.onnx"), &ImportOptions::default()) else { continue };
        tried += 1;
        let inputs = inputs(&folder.join("test_data_set_0"), &imported.graph)?;
        if let Err(error) = passes_agree(&imported.graph, &inputs) {
            wrong.push(format!("{name}: {error}"));
        }
    }
    assert!(tried > 300, "only {tried} models could be read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// All passes one after the other, each checked; the answers are compared where a pass changed something.
fn passes_agree(graph: &Graph, inputs: &BTreeMap<String, Tensor>) -> Outcome {
    let answers = |graph: &Graph| evaluate(graph, inputs, Precision::F64).map(|run| run.outputs().to_vec());
    let expected = answers(graph)?;
    let mut graph = graph.clone();
    for (pass, run) in passes::INFERENCE {
        let after = run(&graph).map_err(|error| format!("{pass}: {error}"))?;
        after.verify().map_err(|error| format!("after {pass}: {error}"))?;
        if after != graph {
            for ((name, old), (new_name, new)) in expected.iter().zip(&answers(&after)?) {
                let same_type = old.shape() == new.shape() && old.dtype() == new.dtype();
                if name != new_name || !same_type || !close(old, new) {
                    return Err(format!("{pass} changes `{name}`").into());
                }
            }
        }
        graph = after;
    }
    Ok(())
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    compare::apart(&a, &b, f64::MIN_POSITIVE) <= TOLERANCE
}

/// What must not be a kernel of its own where something else could take it: normalization (as it is or as a factor
/// and a shift), activation, residual sum. Sums of integers are positions.
fn should_be_fused(graph: &Graph, node: &Node) -> bool {
    let by_constant = || node.inputs.iter().any(|id| graph.as_constant(*id).is_some());
    let is_one = match node.op {
        Op::BatchNorm(_) | Op::Unary(UnaryOp::Relu) | Op::Binary(BinaryOp::Add) => true,
        Op::Binary(BinaryOp::Mul) => by_constant(),
        _ => false,
    };
    is_one && graph.ty(node.outputs[0]).dtype.is_float()
}

/// Kernels that are left with nothing else in them, for networks by the start of their names. Known to fall short:
/// ConvNeXt turns channels to the front between a matrix product and the residual sum; DenseNet normalizes a
/// concatenation in front of a convolution, and anchors take only what stands behind them.
const ALONE: [(&str, usize); 2] = [("convnext_tiny", 18), ("densenet121", 62)];

/// All networks in the folder that `KILN_ORACLES` names, or those in the repository.
#[test]
fn batch_norm_relu_and_add_are_not_left_alone() -> Outcome {
    let folder = match std::env::var_os("KILN_ORACLES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures"),
    };
    for folder in models(&folder)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let graph = import(&folder.join("model.onnx"), &ImportOptions::default())?.graph;
        let graph = passes::run(passes::INFERENCE, &graph)?;
        let fusion = fuse(&graph, &FuseLimits::default());
        let all_should = |group: &&Group| {
            group.anchor.iter().chain(&group.nodes).all(|id| should_be_fused(&graph, graph.node(*id)))
        };
        let alone: Vec<&str> = fusion.groups.iter().filter(all_should).map(|g| g.name.as_str()).collect();
        let expected = ALONE.iter().find(|(start, _)| name.starts_with(start)).map_or(0, |(_, n)| *n);
        assert_eq!(alone.len(), expected, "{name}: {alone:?}");
        if name.starts_with("resnet18") {
            assert!(fusion.groups.len() <= 25, "{name} has {} groups", fusion.groups.len());
        }
    }
    Ok(())
}

/// Folders in `folder` with a model, in order.
fn models(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut folders: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    folders.retain(|path| path.join("model.onnx").is_file());
    folders.sort();
    Ok(folders)
}

fn inputs(set: &Path, graph: &Graph) -> Outcome<BTreeMap<String, Tensor>> {
    let read = |(n, id): (usize, &kiln_graph::ValueId)| {
        let bytes = std::fs::read(set.join(format!("input_{n}.pb")))?;
        Ok((graph.value(*id).name.clone(), read_tensor_pb(&bytes)?))
    };
    graph.inputs().iter().enumerate().map(read).collect()
}
