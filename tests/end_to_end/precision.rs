//! Networks of 32-bit floats whose weights and activations are kept in 16 bits.

use std::collections::BTreeMap;

use kiln::graph::{DType, Data, Op, Precision as Arithmetic, Tensor, compare, evaluate, text};
use kiln::plan::{BufferKind, Storage};
use kiln::test_data::{self, DataSet};
use kiln::{CompileError, Compiled, Graph, Options, Precision, Target};

use crate::fixtures::{folder, models};
use crate::machine::{Machine, answers};
use crate::numbers::noise;
use crate::skip::skipped;

/// Of a network, relative to its largest output: a rounding is off by up to 5e-4, and there are some dozens.
const TOLERANCE: f64 = 5e-3;

/// The device of this machine, if its memory may hold 16-bit floats.
pub(crate) fn machine() -> Option<Machine> {
    let machine = Machine::open();
    if !machine.target.float16 {
        skipped(&format!("{} has no 16-bit floats in memory", machine.device.capabilities().name));
        return None;
    }
    Some(machine)
}

fn options(target: &Target, max: BTreeMap<String, u32>, precision: Precision) -> Options {
    Options { target: target.clone(), max, precision, ..Options::default() }
}

fn compiled(graph: &Graph, target: &Target, precision: Precision) -> Compiled {
    let max = graph.symbols().into_iter().map(|symbol| (symbol.to_string(), 3)).collect();
    kiln::compile(graph, &options(target, max, precision)).expect("a plan")
}

/// How far the device is from `wanted`, relative to its largest element.
fn apart(found: &Tensor, wanted: &Tensor) -> f64 {
    compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3)
}

/// All committed networks, against the answers of other engines and against f64; and against the evaluator, which rounds
/// where the device rounds.
fn networks(target: Option<Target>) {
    let Some(machine) = machine() else { return };
    let target = target.map_or(machine.target.clone(), |target| Target { float16: true, ..target });
    let (mut wrong, mut rounded_values) = (Vec::new(), 0);
    for (name, path) in models(&folder("")) {
        let graph = kiln::onnx::import(&path.join("model.onnx"), &Default::default()).expect(&name).graph;
        let sets: Vec<DataSet> =
            test_data::Folder::open(&path).and_then(|data| data.data_sets(&graph)).expect(&name);
        let max = test_data::largest_symbols(&graph, &sets).expect(&name);
        let compiled = kiln::compile(&graph, &options(&target, max, Precision::F16)).expect(&name);
        let rounded = &compiled.programs[0].graph;
        rounded_values += rounded.value_ids().filter(|id| rounded.ty(*id).dtype == DType::F16).count();
        let mut session = machine.load(&compiled).expect(&name);
        for set in &sets {
            let given: BTreeMap<String, Tensor> = set.inputs.iter().cloned().collect();
            let found = answers(&mut session, &given).expect(&name);
            let exact = evaluate(&graph, &given, Arithmetic::F64).expect(&name);
            let rounded = evaluate(rounded, &given, Arithmetic::F32).expect(&name);
            for (((output, wanted), (_, exact)), (_, rounded)) in
                set.outputs.iter().zip(exact.outputs()).zip(rounded.outputs())
            {
                let found = &found[output];
                assert_eq!(found.dtype(), wanted.dtype(), "{name}: {output}");
                for (what, off) in [
                    ("the other engine", apart(found, wanted)),
                    ("f64", apart(found, exact)),
                    ("the evaluator", apart(found, rounded)),
                ] {
                    if off > TOLERANCE {
                        wrong.push(format!("{name}: {output} is {off:.1e} from {what}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rounded_values > 50, "only {rounded_values} values are kept in 16 bits");
}

#[test]
fn networks_in_16_bits() {
    networks(None);
}

/// The kernels for GPUs, which any device can run.
#[test]
fn networks_in_16_bits_as_on_a_gpu() {
    networks(Some(Target::portable()));
}

/// The kernels for CPU adapters without subgroups.
#[test]
fn networks_in_16_bits_as_without_subgroups() {
    networks(Some(Target::cpu()));
}

fn constant(name: &str, shape: &[usize], seed: u64) -> String {
    let numbers = noise(seed, shape.iter().product());
    format!("const @{name} : f32{shape:?} = {numbers:?}\n")
}

/// A residual block with a concatenation, an attention over channels, pooling and a linear layer.
fn block() -> Graph {
    let source = [
        "graph block\ninput %x : f32[N, 8, 9, 8]\n".to_owned(),
        constant("a", &[16, 8, 3, 3], 1),
        constant("b", &[16, 16, 3, 3], 2),
        constant("s", &[16, 16, 1, 1], 3),
        constant("l", &[20, 5], 4),
        "%c = conv(%x, @a) pads=[[1, 1], [1, 1]]\n%r = relu(%c)\n%d = conv(%r, @b) pads=[[1, 1], [1, 1]]\n\
         %e = add(%d, %r)\n%f = relu(%e)\n%m = reduce_mean(%f) axes=[2, 3] keep_dims\n%n = conv(%m, @s)\n\
         %g = sigmoid(%n)\n%h = mul(%f, %g)\n%p = max_pool(%h) kernel=[2, 2] strides=[2, 2]\n\
         %q = avg_pool(%h) kernel=[2, 2] strides=[2, 2]\n%t = concat(%p, %q) axis=1\n\
         %v = slice(%t) axes=[[1, 4, 20, 1]]\n%w = reduce_mean(%v) axes=[2, 3]\n%y = matmul(%w, @l)\n\
         %z = softmax(%y) axis=1\noutput y = %y\noutput z = %z\noutput t = %t\n"
            .to_owned(),
    ];
    text::parse(&source.concat()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_lies_between_kernels_has_16_bits() {
    let Some(machine) = machine() else { return };
    let graph = block();
    let half = compiled(&graph, &machine.target, Precision::F16);
    let full = compiled(&graph, &machine.target, Precision::F32);
    // The casts are part of kernels, or none at all.
    let count = |compiled: &Compiled| compiled.plan.programs[0].dispatches.len();
    assert_eq!(count(&half), count(&full), "{}", half.programs[0].fusion.display(&half.programs[0].graph));
    let size = |compiled: &Compiled, kind: BufferKind| -> u64 {
        compiled.plan.buffers.iter().filter(|buffer| buffer.kind == kind).map(|buffer| buffer.size).sum()
    };
    let weights = [&half, &full].map(|compiled| size(compiled, BufferKind::Weights));
    assert!(weights[0] * 100 < weights[1] * 55, "{weights:?} bytes of weights");
    let x = Tensor::new([3, 8, 9, 8], Data::F32(noise(9, 3 * 8 * 72).iter().map(|x| *x as f32).collect()));
    let given = BTreeMap::from([("x".to_owned(), x.expect("as many"))]);
    let mut session = machine.load(&half).expect("a session");
    let found = answers(&mut session, &given).expect("a run");
    let exact = evaluate(&graph, &given, Arithmetic::F64).expect("values");
    for (name, wanted) in exact.outputs() {
        assert_eq!(found[name].dtype(), DType::F32, "{name}");
        let off = apart(&found[name], wanted);
        assert!(off < TOLERANCE, "{name} is off by {off:.1e}");
        assert!(off > 0.0, "{name} was not rounded at all");
    }
}

/// What a class, a place or a count is computed from keeps its digits: next to 1000, 16-bit floats are 0.5 apart.
#[test]
fn places_keep_their_digits() {
    let Some(machine) = machine() else { return };
    let source = "input %x : f32[2, 6]\nconst @w : f32[6, 6] = [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, \
                  0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]\n%m = matmul(%x, @w)\n%r = reshape(%m) shape=[12]\n\
                  %i = arg_max(%m) axis=1\n%c = cast(%r) to=i32\n%s = matmul(%m, @w)\noutput i = %i\noutput c = %c\noutput s = %s";
    let graph = text::parse(source).expect("a graph");
    let numbers: Vec<f32> = (0..12i16).map(|n| 1000.0 + f32::from(n * 7 % 12) / 8.0).collect();
    let x = Tensor::new([2, 6], Data::F32(numbers)).expect("as many");
    let given = BTreeMap::from([("x".to_owned(), x)]);
    let compiled = compiled(&graph, &machine.target, Precision::F16);
    let found = answers(&mut machine.load(&compiled).expect("a session"), &given).expect("a run");
    let exact = evaluate(&graph, &given, Arithmetic::F64).expect("values");
    for (name, wanted) in exact.outputs() {
        assert_eq!(found[name].to_f64(), wanted.to_f64(), "{name}");
    }
}

/// Weights that 16 bits cannot hold stay as they are, and numbers of 8 bits are packed as ever.
#[test]
fn weights_that_do_not_fit_are_kept() {
    let Some(machine) = machine() else { return };
    for (scale, storage) in [(1.0, Storage::F16), (1e6, Storage::F32), (1e-9, Storage::F32)] {
        let numbers: Vec<f64> = noise(4, 1024).iter().map(|x| x * scale).collect();
        let source = format!(
            "input %x : f32[5, 32]\nconst @w : f32[32, 32] = {numbers:?}\n%y = matmul(%x, @w)\noutput y = %y"
        );
        let graph = text::parse(&source).expect("a graph");
        let compiled = compiled(&graph, &machine.target, Precision::F16);
        let weights = compiled.plan.buffers.iter().find(|buffer| buffer.kind == BufferKind::Weights);
        let size = weights.expect("weights").size;
        assert_eq!(size >= 1024 * 4, storage == Storage::F32, "{scale:e}: {size} bytes");
        let x = Tensor::new([5, 32], Data::F32(noise(2, 160).iter().map(|x| *x as f32).collect()))
            .expect("as many");
        let given = BTreeMap::from([("x".to_owned(), x)]);
        let found = answers(&mut machine.load(&compiled).expect("a session"), &given).expect("a run");
        let exact = evaluate(&graph, &given, Arithmetic::F64).expect("values");
        let off = compare::apart(&exact.outputs()[0].1.to_f64(), &found["y"].to_f64(), 0.0);
        assert!(off < TOLERANCE, "{scale:e}: off by {off:.1e}");
    }
}

#[test]
fn a_target_without_16_bits_is_refused() {
    let error =
        kiln::compile(&block(), &options(&Target::portable(), [("N".into(), 1)].into(), Precision::F16));
    let error = error.expect_err("no such memory");
    assert!(matches!(error, CompileError::NoHalves { .. }), "{error}");
    assert!(error.to_string().contains("`portable`"), "{error}");
}

/// Rounding is where the graph says, and all that is left of it: kernels for one precision compute as those for the other.
#[test]
fn only_casts_are_added() {
    let target = Target { float16: true, ..Target::lavapipe() };
    let [half, full] =
        [Precision::F16, Precision::F32].map(|precision| compiled(&block(), &target, precision));
    let names = |compiled: &Compiled| -> Vec<&'static str> {
        let ops = compiled.programs[0].graph.nodes().iter().map(|node| &node.op);
        ops.filter(|op| !matches!(op, Op::Cast(_))).map(Op::name).collect()
    };
    assert_eq!(names(&half), names(&full));
}
