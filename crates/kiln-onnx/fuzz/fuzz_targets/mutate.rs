//! Changes to models that leave most of their structure in place.

use std::sync::LazyLock;

use kiln_onnx::operators;
use kiln_onnx::proto::{
    AttributeProto, Dimension, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TypeValue, ValueInfoProto,
};
use libfuzzer_sys::fuzzer_mutate;
use prost::Message;

use crate::random::Random;

/// Numbers at which something may go wrong.
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    -2,
    3,
    4,
    5,
    7,
    8,
    16,
    17,
    64,
    1000,
    65_535,
    65_536,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1_000_000_000_000,
    1 << 47,
    1 << 62,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
];

/// Small numbers, with which most things still fit together.
const SMALL: &[i64] = &[0, 1, 1, 1, 2, 2, 3, 4, 5, -1, -2, 8];

const FLOATS: &[f32] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-30,
    1e30,
    f32::MAX,
    f32::MIN_POSITIVE,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

/// Attributes that occur, and what their words may be.
const ATTRIBUTES: &[&str] = &[
    "axis",
    "axes",
    "keepdims",
    "kernel_shape",
    "strides",
    "pads",
    "dilations",
    "group",
    "auto_pad",
    "ceil_mode",
    "count_include_pad",
    "mode",
    "perm",
    "to",
    "alpha",
    "beta",
    "epsilon",
    "value",
    "value_int",
    "value_ints",
    "value_float",
    "shape",
    "transA",
    "transB",
    "output_shape",
    "output_padding",
    "start",
    "end",
    "starts",
    "ends",
    "num_outputs",
    "split",
    "blocksize",
    "batch_dims",
    "allowzero",
    "noop_with_empty_axes",
    "select_last_index",
    "coordinate_transformation_mode",
    "nearest_mode",
    "exclusive",
    "reverse",
    "equation",
    "hidden_size",
    "direction",
    "activations",
    "clip",
    "layout",
    "num_groups",
    "min",
    "max",
    "scale",
    "size",
    "k",
    "largest",
    "sorted",
    "reduction",
    "ignore_index",
    "upper",
    "dtype",
    "seed",
    "antialias",
    "exclude_outside",
    "cubic_coeff_a",
    "storage_order",
    "training_mode",
    "p",
    "to",
    "then_branch",
    "else_branch",
];

const WORDS: &[&str] = &[
    "",
    "NOTSET",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "constant",
    "reflect",
    "edge",
    "wrap",
    "nearest",
    "linear",
    "bilinear",
    "cubic",
    "align_corners",
    "half_pixel",
    "asymmetric",
    "floor",
    "ceil",
    "DCR",
    "CRD",
    "mean",
    "sum",
    "none",
    "add",
    "mul",
    "forward",
    "reverse",
    "bidirectional",
    "Sigmoid",
    "ij,jk->ik",
    "...i,i...->",
    "bhwc,hkc->bhwk",
    "zeros",
    "border",
    "reflection",
];

/// Whose operators there are, and their names.
static OPERATORS: LazyLock<Vec<(&'static str, &'static str)>> =
    LazyLock::new(|| operators().into_iter().map(|one| (one.domain, one.name)).chain([("", "If")]).collect());

/// Changes `data[..size]` and gives its new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random::new(seed);
    if random.one_in(8) {
        return fuzzer_mutate(data, size, max_size);
    }
    let Ok(mut model) = ModelProto::decode(&data[..size]) else {
        return fuzzer_mutate(data, size, max_size);
    };
    for _ in 0..=random.below(3) {
        change(&mut model, &mut random);
    }
    written(&model, &mut data[..max_size]).unwrap_or(size)
}

/// The nodes of both models in one.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut random = Random::new(seed);
    let (Ok(mut model), Ok(other)) = (ModelProto::decode(one), ModelProto::decode(other)) else { return 0 };
    let (Some(graph), Some(mut second)) = (&mut model.graph, other.graph) else { return 0 };
    // What the second one's inputs are called, the first one's values may be called.
    let names = names(graph);
    for input in &second.input {
        if let Some(name) = random.of(&names).filter(|_| random.one_in(2)) {
            for read in second.node.iter_mut().flat_map(|node| &mut node.input) {
                if *read == input.name {
                    read.clone_from(&name);
                }
            }
        }
    }
    let known: Vec<String> = graph.input.iter().map(|i| i.name.clone()).collect();
    graph.input.extend(second.input.into_iter().filter(|input| !known.contains(&input.name)));
    graph.initializer.append(&mut second.initializer);
    graph.node.append(&mut second.node);
    graph.output.append(&mut second.output);
    model.functions.extend(other.functions);
    written(&model, out).unwrap_or(0)
}

fn written(model: &ModelProto, mut to: &mut [u8]) -> Option<usize> {
    let length = model.encoded_len();
    (length > 0 && length <= to.len()).then(|| model.encode(&mut to).ok().map(|()| length)).flatten()
}

/// The names of what is given or made.
fn names(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(|i| &i.name).chain(graph.initializer.iter().map(|t| &t.name));
    inputs.chain(graph.node.iter().flat_map(|n| &n.output)).cloned().collect()
}

fn number(random: &mut Random) -> i64 {
    let from = if random.one_in(3) { NUMBERS } else { SMALL };
    random.of(from).unwrap_or_default()
}

fn change(model: &mut ModelProto, random: &mut Random) {
    if random.one_in(20) {
        let version = if random.one_in(8) { number(random) } else { 7 + random.below(22) as i64 };
        match random.within(&mut model.opset_import) {
            Some(opset) => opset.version = version,
            None => model.opset_import.push(OperatorSetIdProto { domain: String::new(), version }),
        }
        return;
    }
    if random.one_in(20) {
        return functions(model, random);
    }
    let Some(graph) = &mut model.graph else { return };
    let graph = match graph.node.iter_mut().flat_map(|n| &mut n.attribute).find_map(|a| a.g.as_mut()) {
        Some(_) if random.one_in(2) => graph,
        None => graph,
        Some(inner) => inner,
    };
    match random.below(8) {
        0 => nodes(graph, random),
        1 => wires(graph, random),
        2..=4 => {
            if let Some(node) = random.within(&mut graph.node) {
                attributes(node, random);
            }
        }
        5 => declarations(graph, random),
        6 => {
            if let Some(weight) = random.within(&mut graph.initializer) {
                tensor(weight, random);
            }
        }
        _ => constants(graph, random),
    }
}

/// Part of the nodes becomes the body of a function, or a function changes.
fn functions(model: &mut ModelProto, random: &mut Random) {
    let Some(graph) = &mut model.graph else { return };
    if let Some(function) = random.within(&mut model.functions)
        && random.one_in(2)
    {
        if let Some(node) = random.within(&mut function.node) {
            match random.below(3) {
                0 => node.op_type.clone_from(&function.name),
                1 => attributes(node, random),
                _ => {
                    let again = node.clone();
                    function.node.push(again);
                }
            }
        }
        return;
    }
    let Some(node) = random.within(&mut graph.node) else { return };
    let name = ["F", "G", "Relu", "Loop"][random.below(4)];
    model.functions.push(FunctionProto {
        name: name.into(),
        input: node.input.clone(),
        output: node.output.clone(),
        attribute: node.attribute.iter().map(|a| a.name.clone()).collect(),
        node: vec![node.clone()],
        domain: "fuzz".into(),
        ..FunctionProto::default()
    });
    node.op_type = name.into();
    node.domain = "fuzz".into();
}

/// Nodes move, go and come.
fn nodes(graph: &mut GraphProto, random: &mut Random) {
    let (at, other) = (random.below(graph.node.len()), random.below(graph.node.len()));
    let outputs = names(graph);
    match random.below(7) {
        0 if !graph.node.is_empty() => drop(graph.node.remove(at)),
        1 if !graph.node.is_empty() => graph.node.swap(at, other),
        2 => {
            // The last result goes through another operator.
            let result = |name: String| {
                let declared = graph.output.iter().find(|o| o.name == name).and_then(|o| o.r#type.clone());
                ValueInfoProto { name, r#type: declared }
            };
            let from = random.of(&outputs).unwrap_or_default();
            let name = format!("v{}", graph.node.len());
            let (domain, op_type) = random.of(&OPERATORS).unwrap_or_default();
            let info = result(name.clone());
            graph.output.push(info);
            graph.node.push(NodeProto {
                input: vec![from],
                output: vec![name],
                domain: domain.into(),
                op_type: op_type.into(),
                ..NodeProto::default()
            });
        }
        3 => {
            // A branch of an `If`.
            let Some(node) = random.within(&mut graph.node) else { return };
            let body = GraphProto {
                node: vec![node.clone()],
                output: node
                    .output
                    .iter()
                    .map(|name| ValueInfoProto { name: name.clone(), r#type: None })
                    .collect(),
                ..GraphProto::default()
            };
            let condition = random.of(&outputs).unwrap_or_default();
            let branch = |name: &str| AttributeProto {
                name: name.into(),
                g: Some(body.clone()),
                r#type: 5,
                ..Default::default()
            };
            *node = NodeProto {
                input: vec![condition],
                output: node.output.clone(),
                op_type: "If".into(),
                attribute: vec![branch("then_branch"), branch("else_branch")],
                ..NodeProto::default()
            };
        }
        _ => {
            if let Some(node) = graph.node.get_mut(at) {
                let (domain, op_type) = random.of(&OPERATORS).unwrap_or_default();
                (node.domain, node.op_type) = (domain.into(), op_type.into());
            }
        }
    }
}

/// What reads what.
fn wires(graph: &mut GraphProto, random: &mut Random) {
    let names = names(graph);
    let name = random.of(&names).unwrap_or_default();
    let kind = random.below(7);
    if kind == 6 {
        return graph.output.push(ValueInfoProto { name, r#type: None });
    }
    let Some(node) = random.within(&mut graph.node) else { return };
    match kind {
        0 => drop(node.input.pop()),
        1 => node.input.push(name),
        2 => node.output.push(format!("{name}_{}", node.output.len())),
        3 => {
            if let Some(input) = random.within(&mut node.input) {
                input.clear();
            }
        }
        _ => {
            if let Some(input) = random.within(&mut node.input) {
                *input = name;
            }
        }
    }
}

fn attributes(node: &mut NodeProto, random: &mut Random) {
    let at = random.below(node.attribute.len());
    match random.below(8) {
        0 if !node.attribute.is_empty() => drop(node.attribute.remove(at)),
        1 if !node.attribute.is_empty() => {
            node.attribute[at].name = random.of(ATTRIBUTES).unwrap_or_default().into()
        }
        2 => {
            let mut new = AttributeProto {
                name: random.of(ATTRIBUTES).unwrap_or_default().into(),
                ..Default::default()
            };
            new.r#type = [1, 2, 3, 6, 7][random.below(5)];
            match new.r#type {
                1 => new.f = random.of(FLOATS),
                2 => new.i = Some(number(random)),
                3 => new.s = random.of(WORDS).map(|word| word.as_bytes().to_vec()),
                6 => new.floats = (0..random.below(4)).filter_map(|_| random.of(FLOATS)).collect(),
                _ => new.ints = (0..random.below(6)).map(|_| number(random)).collect(),
            }
            node.attribute.push(new);
        }
        _ => {
            if let Some(one) = node.attribute.get_mut(at) {
                attribute(one, random);
            }
        }
    }
}

/// Another value of an attribute, mostly of the same kind.
fn attribute(attribute: &mut AttributeProto, random: &mut Random) {
    if random.one_in(20) {
        attribute.r#type = random.below(15) as i32;
    }
    if let Some(t) = &mut attribute.t {
        return tensor(t, random);
    }
    if attribute.i.is_some() {
        attribute.i = Some(number(random));
    }
    if attribute.f.is_some() {
        attribute.f = random.of(FLOATS);
    }
    if attribute.s.is_some() {
        attribute.s = random.of(WORDS).map(|word| word.as_bytes().to_vec());
    }
    if !attribute.floats.is_empty() {
        list(&mut attribute.floats, random, |random| random.of(FLOATS).unwrap_or_default());
    }
    if !attribute.ints.is_empty() {
        list(&mut attribute.ints, random, number);
    }
}

fn list<T: Clone>(list: &mut Vec<T>, random: &mut Random, one: impl Fn(&mut Random) -> T) {
    let at = random.below(list.len());
    match random.below(6) {
        0 => list.push(one(random)),
        1 => drop(list.pop()),
        2 => list.extend_from_within(..),
        _ => {
            if let Some(place) = list.get_mut(at) {
                *place = one(random);
            }
        }
    }
    list.truncate(4096);
}

/// Shapes and types that the file declares.
fn declarations(graph: &mut GraphProto, random: &mut Random) {
    let which = if random.one_in(3) { &mut graph.output } else { &mut graph.input };
    let Some(info) = random.within(which) else { return };
    if random.one_in(10) {
        info.r#type = None;
        return;
    }
    let Some(TypeValue::Tensor(ty)) = info.r#type.as_mut().and_then(|ty| ty.value.as_mut()) else { return };
    if random.one_in(6) {
        ty.elem_type = [1, 6, 7, 9, 10, 11, 2, 3, 16, 99][random.below(10)];
        return;
    }
    let dims = &mut ty.shape.get_or_insert_default().dim;
    let value = if random.one_in(6) {
        Some(DimensionValue::Param(["N", "M", "", "n-1", "7"][random.below(5)].into()))
    } else {
        Some(DimensionValue::Value(number(random)))
    };
    list(dims, random, |_| Dimension { value: value.clone() });
}

fn tensor(tensor: &mut TensorProto, random: &mut Random) {
    match random.below(6) {
        0 => list(&mut tensor.dims, random, number),
        1 => tensor.data_type = [1, 6, 7, 9, 10, 11, 2, 3, 16, 8, 99][random.below(11)],
        2 => {
            // Another size, with the data for it.
            let dims: Vec<i64> = (0..random.below(5)).map(|_| [1, 2, 3, 4, 5][random.below(5)]).collect();
            let count = dims.iter().product::<i64>() as usize;
            let bytes = match tensor.data_type {
                1 | 6 => 4,
                7 | 11 => 8,
                10 => 2,
                _ => 1,
            };
            let old = tensor.raw_data.clone().filter(|old| !old.is_empty()).unwrap_or_else(|| vec![1]);
            tensor.raw_data = Some(old.into_iter().cycle().take(count * bytes).collect());
            (tensor.float_data, tensor.int32_data, tensor.int64_data) = (vec![], vec![], vec![]);
            tensor.dims = dims;
        }
        _ => elements(tensor, random),
    }
}

/// Other elements, as many as before.
fn elements(tensor: &mut TensorProto, random: &mut Random) {
    if let Some(raw) = &mut tensor.raw_data {
        match tensor.data_type {
            1 => {
                if let Some(place) = random.within(raw.as_chunks_mut::<4>().0) {
                    *place = random.of(FLOATS).unwrap_or_default().to_le_bytes();
                }
            }
            7 => {
                if let Some(place) = random.within(raw.as_chunks_mut::<8>().0) {
                    *place = number(random).to_le_bytes();
                }
            }
            _ => {
                if let Some(place) = random.within(raw) {
                    *place = random.below(256) as u8;
                }
            }
        }
    }
    if let Some(place) = random.within(&mut tensor.int64_data) {
        *place = number(random);
    }
    if let Some(place) = random.within(&mut tensor.int32_data) {
        *place = number(random) as i32;
    }
    if let Some(place) = random.within(&mut tensor.float_data) {
        *place = random.of(FLOATS).unwrap_or_default();
    }
}

/// An input of a node becomes a small constant: what decides sizes often is one.
fn constants(graph: &mut GraphProto, random: &mut Random) {
    let name = format!("c{}", graph.initializer.len());
    let Some(node) = random.within(&mut graph.node) else { return };
    let at = random.below(node.input.len() + 1);
    match node.input.get_mut(at) {
        Some(input) => input.clone_from(&name),
        None => node.input.push(name.clone()),
    }
    let count = random.below(5);
    let scalar = random.one_in(4);
    let mut tensor = TensorProto {
        name,
        data_type: 7,
        dims: if scalar { vec![] } else { vec![count as i64] },
        int64_data: (0..if scalar { 1 } else { count }).map(|_| number(random)).collect(),
        ..TensorProto::default()
    };
    if random.one_in(4) {
        tensor.data_type = 1;
        tensor.float_data = tensor.int64_data.drain(..).map(|i| i as f32 * 0.5).collect();
    }
    graph.initializer.push(tensor);
}
