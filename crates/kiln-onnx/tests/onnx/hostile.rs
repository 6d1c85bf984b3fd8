//! Damaged and hostile files end in an error. The messages for what people run into are a table beside the tests of
//! the whole road; here is what nobody would write by hand.

use std::path::Path;

use kiln_onnx::proto::{
    AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
};
use kiln_onnx::{ImportError, ImportOptions, TensorError, import_bytes, read_tensor_pb};

use crate::control::{INT64, body, graph, with};
use crate::fixtures::fixtures;
use crate::models::{bytes, linear, node};

fn sound() -> ModelProto {
    linear(vec![node("Relu", "act", &["hidden"], "y")], 4)
}

fn import(content: &[u8], directory: Option<&Path>) -> Result<(), ImportError> {
    import_bytes(content, directory, &ImportOptions::default()).map(|_| ())
}

/// Where the file is cut between two fields, what is left may be a model; elsewhere it never is.
#[test]
fn cut_anywhere() {
    let whole = bytes(&sound());
    import(&whole, None).expect("the whole file is sound");
    let graph_ends = whole.len() - 4;
    for length in 0..graph_ends {
        assert!(import(&whole[..length], None).is_err(), "the first {length} bytes are taken for a model");
    }
}

#[test]
fn any_byte_changed() {
    let whole = bytes(&sound());
    for at in 0..whole.len() {
        for change in [0x01, 0x08, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            // It may still be a model, with another name or weight; that it comes back is what counts.
            let _ = import(&damaged, None);
        }
    }
}

#[test]
fn a_tensor_cut_anywhere() {
    let path = fixtures("ops/abs/test_data_set_0/input_0.pb");
    let whole = std::fs::read(path).expect("the fixtures are committed");
    read_tensor_pb(&whole).expect("the whole file is sound");
    for length in 0..whole.len() {
        // An empty message is one, of a type that there is not.
        assert!(read_tensor_pb(&whole[..length]).is_err(), "the first {length} bytes are taken for a tensor");
    }
}

/// Sizes are not believed: no memory is asked for before the bytes are there.
#[test]
fn sizes_that_are_none() {
    let sizes: [&[i64]; 5] = [&[-8, 4], &[1 << 40, 1 << 40], &[i64::MAX, 0], &[i64::MIN], &[1 << 39]];
    for dims in sizes {
        let mut model = sound();
        let graph = model.graph.as_mut().expect("it has one");
        graph.initializer[0].dims = dims.to_vec();
        let error = import(&bytes(&model), None).expect_err("no size of a tensor");
        assert!(
            matches!(error, ImportError::Tensor(TensorError::Dims { .. } | TensorError::Length { .. })),
            "{dims:?}: {error}"
        );
        assert!(error.to_string().contains("`fc.weight`"), "{error}");
    }
}

/// Where weights of other files are looked for, and what is said of those that are not there.
#[test]
fn external_data() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external");
    let folder = root.join("model");
    std::fs::create_dir_all(&folder).expect("a writable folder");
    std::fs::write(root.join("secret.bin"), [0; 128]).expect("a writable folder");
    std::fs::write(folder.join("weights.bin"), [0; 128]).expect("a writable folder");
    std::fs::write(folder.join("short.bin"), [0; 100]).expect("a writable folder");
    #[cfg(unix)]
    {
        let link = folder.join("link.bin");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(root.join("secret.bin"), link).expect("a symbolic link");
    }
    let absolute = root.join("secret.bin").display().to_string();
    let outside = "outside of the model's directory";
    let mut table = vec![
        (vec![("location", "weights.bin")], ""),
        (vec![("location", "weights.bin"), ("length", "128")], ""),
        (vec![("location", "weights.bin"), ("length", "64")], "needs 128 bytes, but 64 are stated"),
        (vec![("location", "weights.bin"), ("offset", "-1")], "offset of its external data is `-1`"),
        (vec![("location", "weights.bin"), ("offset", "18446744073709551615")], "which has only 128"),
        (vec![("location", "short.bin")], "which has only 100"),
        (vec![("location", "absent.bin")], "cannot be read"),
        (vec![("location", "../secret.bin")], outside),
        (vec![("location", &absolute)], outside),
        (vec![], "no file is named"),
    ];
    if cfg!(unix) {
        table.push((vec![("location", "link.bin")], outside));
    }
    for (entries, words) in table {
        let mut model = sound();
        let tensor = &mut model.graph.as_mut().expect("it has one").initializer[0];
        tensor.float_data.clear();
        tensor.data_location = 1;
        tensor.external_data = entries
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: (*key).into(), value: (*value).into() })
            .collect();
        let message =
            import(&bytes(&model), Some(&folder)).map_or_else(|e| e.to_string(), |()| String::new());
        assert!(message.contains(words) && message.is_empty() == words.is_empty(), "{entries:?}: {message}");
    }
}

fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>().try_into().expect("a size");
    let (dims, float_data) = (dims.to_vec(), vec![0.5; count]);
    TensorProto { name: name.into(), dims, data_type: 1, float_data, ..TensorProto::default() }
}

fn whole(name: &str, number: i64) -> TensorProto {
    let int64_data = vec![number];
    TensorProto { name: name.into(), data_type: INT64, int64_data, ..TensorProto::default() }
}

/// A loop of `count` steps around `content`.
fn around(count: &str, content: GraphProto, output: &str) -> NodeProto {
    with(node("Loop", "again", &[count, "", "hidden"], output), graph("body", content))
}

/// A model that ends in `last`, with these initializers.
fn with_tensors(last: Vec<NodeProto>, tensors: Vec<TensorProto>) -> Vec<u8> {
    let mut model = linear(last, 4);
    model.graph.as_mut().expect("it has one").initializer.extend(tensors);
    bytes(&model)
}

/// A few hundred bytes that ask for gigabytes.
#[test]
fn more_than_stands_in_the_file() {
    let hidden = AttributeProto {
        name: "hidden_size".into(),
        r#type: AttributeType::Int.into(),
        i: Some(2),
        ..AttributeProto::default()
    };
    let lstm = with(node("LSTM", "lstm", &["sequence", "w", "r"], "ignored"), hidden);
    let weights = vec![floats("sequence", &[1024, 1, 2]), floats("w", &[1, 8, 2]), floats("r", &[1, 8, 2])];
    let again = node("HannWindow", "window", &["size"], "ignored");
    let window = node("HannWindow", "window", &["size"], "ignored");
    let steps = || whole("count", 1024);
    let repeated = |content: NodeProto, more: Vec<TensorProto>| {
        let last = around("count", body("state", vec![content]), "y");
        with_tensors(vec![last], more.into_iter().chain([steps()]).collect())
    };
    let relu = node("Relu", "", &["hidden"], "y");
    let table = [
        (
            repeated(lstm, weights),
            "`again` (LSTM): written out so far, the graph is larger than 262144 nodes",
        ),
        (
            repeated(again, vec![whole("size", 1 << 22)]),
            "`again` (HannWindow): written out so far, the graph is larger than 1024 MiB of constants",
        ),
        (
            with_tensors(vec![window, relu], vec![whole("size", 1 << 24)]),
            "a window of 16777216 is not supported",
        ),
    ];
    for (content, words) in table {
        let message = import(&content, None).expect_err("it is too large").to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}

/// What a graph within a graph brings along is there once, however often both are repeated.
#[test]
fn initializers_of_repeated_graphs() {
    let inner = GraphProto {
        initializer: vec![floats("own", &[4])],
        ..body("next", vec![node("Add", "add", &["state", "own"], "next")])
    };
    let outer = body("inner", vec![around("one", inner, "inner")]);
    let last = around("count", outer, "y");
    let content = with_tensors(vec![last], vec![whole("count", 100), whole("one", 1)]);
    let imported = import_bytes(&content, None, &ImportOptions::default()).expect("a hundred steps");
    let own = imported.graph.values().iter().filter(|value| value.name == "own");
    assert_eq!(own.count(), 1);
}
