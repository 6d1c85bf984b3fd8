//! What is written can be read again, and keeps the user's names. That it means the same is tested with the other
//! forms of a graph.

use kiln_graph::Dim;
use kiln_onnx::proto::{DimensionValue, TypeValue, ValueInfoProto};
use kiln_onnx::{ImportOptions, export, export_model, import, import_bytes};

use crate::fixtures::{fixtures, models_in};

fn dims(info: &ValueInfoProto) -> Vec<String> {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return vec![];
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    dims.map(|dim| match &dim.value {
        Some(DimensionValue::Value(n)) => n.to_string(),
        Some(DimensionValue::Param(name)) => name.clone(),
        None => "?".into(),
    })
    .collect()
}

#[test]
fn names_and_symbols_are_kept() {
    for (name, folder) in models_in(&fixtures("")) {
        let graph =
            import(&folder.join("model.onnx"), &ImportOptions::default()).expect("a sound model").graph;
        let proto = export_model(&graph).unwrap_or_else(|e| panic!("{name}: {e}")).graph.expect("a graph");
        let wanted = |shape: &[Dim]| shape.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(proto.input.len(), graph.inputs().len(), "{name}");
        for (info, id) in proto.input.iter().zip(graph.inputs()) {
            assert_eq!(
                (&info.name, dims(info)),
                (&graph.value(*id).name, wanted(&graph.ty(*id).shape)),
                "{name}"
            );
        }
        assert_eq!(proto.output.len(), graph.outputs().len(), "{name}");
        for (info, output) in proto.output.iter().zip(graph.outputs()) {
            assert_eq!(
                (&info.name, dims(info)),
                (&output.name, wanted(&graph.ty(output.value).shape)),
                "{name}"
            );
        }
        for id in graph.states() {
            let weight = &graph.value(*id).name;
            assert!(proto.initializer.iter().any(|t| t.name == *weight), "{name}: {weight} is missing");
        }
    }
}

/// Nothing is gained or lost on the way out and in.
#[test]
fn weights_stay_weights() {
    for (name, folder) in models_in(&fixtures("")) {
        let graph =
            import(&folder.join("model.onnx"), &ImportOptions::default()).expect("a sound model").graph;
        let file = export(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = import_bytes(&file, None, &ImportOptions::default());
        let again = again.unwrap_or_else(|e| panic!("{name}: {e}")).graph;
        let states = |graph: &kiln_graph::Graph| {
            let mut names: Vec<String> =
                graph.states().iter().map(|id| graph.value(*id).name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(states(&again), states(&graph), "{name}");
    }
}
