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
        let error = import(&bytes(&model), None).expect_err("not a valid tensor shape");
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
    // A file with a hole takes no space, whatever its size.
    std::fs::File::create(folder.join("hole.bin"))
        .and_then(|file| file.set_len(1 << 40))
        .expect("a file system with holes");
    let absolute = root.join("secret.bin").display().to_string();
    let outside = "outside of the model's directory";
    let mut table = vec![
        (vec![("location", "weights.bin")], ""),
        (vec![("location", "weights.bin"), ("length", "128")], ""),
        (vec![("location", "weights.bin"), ("length", "64")], "needs 128 bytes, but 64 are stated"),
        (vec![("location", "weights.bin"), ("offset", "-1")], "offset of its external data is `-1`"),
        (vec![("location", "weights.bin"), ("offset", "18446744073709551615")], "which has only 128"),
        (vec![("location", "short.bin")], "which has only 100"),
        (vec![("location", "hole.bin")], ""),
        (vec![("location", "absent.bin")], "cannot be read"),
        (vec![("location", ".")], "not a regular file"),
        (vec![("location", "../secret.bin")], outside),
        (vec![("location", &absolute)], outside),
        (vec![], "no file is named"),
    ];
    if cfg!(unix) {
        table.push((vec![("location", "link.bin")], outside));
        let pipe = std::process::Command::new("mkfifo").arg(folder.join("pipe.bin")).status();
        let _ = pipe.expect("every Unix has `mkfifo`");
        table.push((vec![("location", "pipe.bin")], "not a regular file"));
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

/// A tensor of floats in a file.
fn in_file(name: &str, dims: &[i64], location: &str, offset: i64) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        data_location: 1,
        external_data: vec![entry("location", location.into()), entry("offset", offset.to_string())],
        ..TensorProto::default()
    }
}

/// Many tensors on the same bytes take the memory of one; those that only overlap are counted.
#[test]
fn external_data_again_and_again() {
    const COUNT: i64 = 2000;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external-often");
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let file = |name: &str, size| {
        std::fs::File::create(folder.join(name)).and_then(|file| file.set_len(size)).expect("a file");
    };
    file("large.bin", 4 << 20);
    file("hole.bin", 1 << 40);
    let of = |tensors: Vec<TensorProto>| {
        let mut nodes = vec![];
        for (n, tensor) in tensors.iter().enumerate() {
            nodes.push(node("Identity", "", &[&tensor.name], &format!("copy{n}")));
        }
        nodes.push(node("Relu", "act", &["hidden"], "y"));
        import(&with_tensors(nodes, tensors), Some(&folder))
            .map_or_else(|e| e.to_string(), |()| String::new())
    };
    let name = |n: i64| format!("w{n}");
    let same = of((0..COUNT).map(|n| in_file(&name(n), &[1 << 20], "large.bin", 0)).collect());
    assert_eq!(same, "");
    let shifted = of((0..COUNT).map(|n| in_file(&name(n), &[1 << 19], "large.bin", 4 * n)).collect());
    assert!(shifted.contains("at most 4 times as many are read"), "{shifted}");
    let hole = of(vec![in_file("w", &[1 << 32], "hole.bin", 0)]);
    assert!(hole.contains("at most 4294967296 are read"), "{hole}");
}

/// Indices that are known are places in what they point into.
#[test]
fn indices_out_of_range() {
    let indices = |values: &[i64], dims: &[i64]| TensorProto {
        name: "indices".into(),
        dims: dims.to_vec(),
        data_type: INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    };
    // The data is 3 x 4.
    let table: &[(&str, &[i64], &[i64], &str)] = &[
        ("Gather", &[0, 2, -3], &[3], ""),
        ("Gather", &[0, 3], &[2], "index 3 (element 1 of input 1) is out of range for a dimension of 3"),
        ("Gather", &[-4], &[1], "index -4"),
        ("Gather", &[i64::MIN, i64::MAX], &[2], "index -9223372036854775808"),
        ("GatherElements", &[0, 2, 1, -3], &[1, 4], ""),
        ("GatherElements", &[0, 2, 1, 9], &[1, 4], "index 9 (element 3"),
        ("GatherND", &[2, 3, -3, -4], &[2, 2], ""),
        (
            "GatherND",
            &[2, 3, 0, 4],
            &[2, 2],
            "index 4 (element 3 of input 1) is out of range for a dimension of 4",
        ),
        ("GatherND", &[3, 3], &[1, 2], "index 3 (element 0 of input 1) is out of range for a dimension of 3"),
        ("ScatterElements", &[0, 2, 1, 5], &[1, 4], "index 5"),
        ("ScatterND", &[2, 4], &[1, 2], "index 4"),
    ];
    for (operator, values, dims, expected) in table {
        let updates =
            if *operator == "ScatterND" { floats("updates", &[1]) } else { floats("updates", dims) };
        let mut inputs = vec!["data", "indices"];
        if operator.starts_with("Scatter") {
            inputs.push("updates");
        }
        let last = vec![node(operator, "pick", &inputs, "picked"), node("Relu", "act", &["hidden"], "y")];
        let tensors = vec![floats("data", &[3, 4]), indices(values, dims), updates];
        let found =
            import(&with_tensors(last, tensors), None).map_or_else(|e| e.to_string(), |()| String::new());
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{operator}: {found}");
        assert!(found.is_empty() || found.contains("`pick`"), "{operator}: {found}");
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
    let weights = vec![floats("sequence", &[64, 1, 2]), floats("w", &[1, 8, 2]), floats("r", &[1, 8, 2])];
    let again = node("HannWindow", "window", &["size"], "ignored");
    let window = node("HannWindow", "window", &["size"], "ignored");
    let steps = || whole("count", 64);
    let repeated = |content: NodeProto, more: Vec<TensorProto>| {
        let last = around("count", body("state", vec![content]), "y");
        with_tensors(vec![last], more.into_iter().chain([steps()]).collect())
    };
    let relu = node("Relu", "", &["hidden"], "y");
    let table = [
        (
            repeated(around("count", body("state", vec![lstm]), "inner"), weights),
            "`again` (LSTM): written out so far, the graph is larger than 1024 MiB of constants",
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
    let content = with_tensors(vec![last], vec![whole("count", 60), whole("one", 1)]);
    let imported = import_bytes(&content, None, &ImportOptions::default()).expect("sixty steps");
    let own = imported.graph.values().iter().filter(|value| value.name == "own");
    assert_eq!(own.count(), 1);
}
