//! 16-bit floats: held in 16 bits where the device can, computed with in 32, rounded as the evaluator rounds.

use std::collections::BTreeMap;

use half::f16;
use kiln::graph::functions::{self, normalization};
use kiln::graph::ops::{BinaryOp, UnaryOp};
use kiln::graph::{
    DType, Data, Dim, Formula, GraphError, Op, Precision, Tensor, TensorType, ValueId, compare, evaluate,
    text,
};
use kiln::plan::Storage;
use kiln::{Compiled, Graph, Options, Target};

use crate::gradient::{Differentiated, differentiated_models};
use crate::machine::{Machine, answers};
use crate::numbers::noise;
use crate::skip::skipped;

/// The device of this machine, and a target with and one without 16-bit floats in memory.
fn targets() -> (Machine, Vec<Target>) {
    let machine = Machine::open();
    let target = machine.target.clone();
    if !target.float16 {
        let name = &machine.device.capabilities().name;
        skipped(&format!("{name} has no 16-bit floats in memory: only tried in 32 bits"));
        return (machine, vec![target]);
    }
    (machine, vec![Target { float16: false, ..target.clone() }, target])
}

fn compiled(source: &str, target: &Target) -> Compiled {
    let graph = text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let options = Options { target: target.clone(), max: BTreeMap::new(), ..Options::default() };
    kiln::compile(&graph, &options).unwrap_or_else(|e| panic!("{e}\n{source}"))
}

fn run(machine: &Machine, compiled: &Compiled, given: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let mut session = machine.load(compiled).expect("a session");
    answers(&mut session, given).expect("a run")
}

fn halves(values: &[f16], shape: &[usize]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F16(values.to_vec())).expect("as many as the shape says")
}

/// All 65,536 of them, but NaN, of which there is one.
fn all() -> Vec<f16> {
    (0..=u16::MAX).map(f16::from_bits).map(|x| if x.is_nan() { f16::NAN } else { x }).collect()
}

#[test]
fn every_half_comes_through() {
    let (machine, targets) = targets();
    // By fours, and one by one.
    for shape in [[256usize, 256], [65_536, 1]] {
        let [rows, columns] = shape;
        let source = format!(
            "input %x : f16[{rows}, {columns}]\n%t = transpose(%x) perm=[1, 0]\n%a = abs(%t)\n%f = cast(%x) to=f32\n\
             output t = %t\noutput a = %a\noutput f = %f"
        );
        let given = BTreeMap::from([("x".to_owned(), halves(&all(), &shape))]);
        let graph = text::parse(&source).expect("a graph");
        let wanted = evaluate(&graph, &given, Precision::F32).expect("values");
        for target in &targets {
            let found = run(&machine, &compiled(&source, target), &given);
            for (name, wanted) in wanted.outputs() {
                for (a, b) in found[name].to_f64().iter().zip(wanted.to_f64()) {
                    let same = a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits();
                    assert!(same, "{name}: {a:e} for {b:e}, 16 bits in memory: {}", target.float16);
                }
            }
        }
    }
}

/// Numbers that lie between two halves: in the middle, and just beside it.
fn between() -> Vec<f32> {
    let mut numbers = vec![65_519.996, 65_520.0, 65_536.0, 1e9, f32::INFINITY, 0.0, -0.0, 1e-12];
    for bits in (0..0x7c00u16).step_by(7) {
        let (low, high) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1));
        if high.is_finite() {
            let middle = f32::midpoint(low, high.to_f32());
            numbers.extend([middle, middle.next_down(), middle.next_up()]);
        }
    }
    numbers.extend(numbers.clone().iter().map(|x| -x));
    numbers.resize(numbers.len().next_multiple_of(4), 1.0);
    numbers
}

#[test]
fn results_are_rounded_to_the_nearest_half() {
    let (machine, targets) = targets();
    let numbers = between();
    for shape in [[numbers.len() / 4, 4], [numbers.len(), 1]] {
        let [rows, columns] = shape;
        let source = format!("input %x : f32[{rows}, {columns}]\n%h = cast(%x) to=f16\noutput h = %h");
        let x = Tensor::new(shape.to_vec(), Data::F32(numbers.clone())).expect("as many as the shape says");
        let given = BTreeMap::from([("x".to_owned(), x)]);
        for target in &targets {
            let found = run(&machine, &compiled(&source, target), &given);
            let Data::F16(found) = found["h"].data() else { panic!("halves") };
            for (x, found) in numbers.iter().zip(found) {
                let wanted = f16::from_f32(*x);
                assert_eq!(*found, wanted, "{x:e}, 16 bits in memory: {}", target.float16);
            }
        }
    }
}

/// Twice, so that only the rounding of what is stored is left to find.
#[test]
fn what_is_stored_is_rounded_to_the_nearest_half() {
    let (machine, targets) = targets();
    let numbers: Vec<f16> = (0..1024u16).map(|n| f16::from_bits(0x3c00 + n)).collect();
    for shape in [[256, 4], [1024, 1]] {
        let [rows, columns] = shape;
        let source = format!(
            "input %x : f16[{rows}, {columns}]\nconst @c : f16[] = [1.0009766]\n%h = mul(%x, @c)\noutput h = %h"
        );
        let given = BTreeMap::from([("x".to_owned(), halves(&numbers, &shape))]);
        for target in &targets {
            let found = run(&machine, &compiled(&source, target), &given);
            let Data::F16(found) = found["h"].data() else { panic!("halves") };
            for (x, found) in numbers.iter().zip(found) {
                let wanted = f16::from_f32(x.to_f32() * 1.000_976_6);
                assert_eq!(*found, wanted, "{x}, 16 bits in memory: {}", target.float16);
            }
        }
    }
}

/// A function of a value.
type Function = fn(&mut Formula<'_>, ValueId) -> Result<ValueId, GraphError>;

/// Their squares overflow from 256 on, and are zeros below 2e-4.
#[test]
fn what_squares_in_between_needs_no_small_numbers() {
    let functions: [(&str, Function); 6] = [
        ("normalize", |f, x| normalization::normalize(f, x, &[3], 1e-12)),
        ("group_norm", |f, x| normalization::group_norm(f, x, 2, 1e-12)),
        ("rms_norm", |f, x| normalization::rms_norm(f, x, &[1], 1e-12)),
        ("local_response_norm", |f, x| normalization::local_response_norm(f, x, [1, 1], 1e-4, 0.75, 1.0)),
        ("l2_norm", |f, x| functions::reduce::l2_norm(f, x, &[2, 3], true)),
        ("deviation", |f, x| {
            let tenth = f.with(BinaryOp::Mul, x, 0.1)?;
            let variance = functions::reduce::variance(f, tenth, &[1], true, 1.0)?;
            f.unary(UnaryOp::Sqrt, variance)
        }),
    ];
    let (machine, targets) = targets();
    let shape = [2, 8, 3, 6];
    for scale in [2e3, 2e-4] {
        let numbers: Vec<f16> =
            noise(5, shape.iter().product()).iter().map(|x| f16::from_f64(x * scale)).collect();
        let given = BTreeMap::from([("x".to_owned(), halves(&numbers, &shape))]);
        for (name, function) in functions {
            if name == "deviation" && scale < 1.0 {
                continue;
            }
            let mut graph = Graph::new(name);
            let ty = TensorType::new(DType::F16, shape.map(Dim::from).to_vec());
            let x = graph.input("x", ty).expect("a new name");
            let y = function(&mut Formula::new(&mut graph, name), x).expect("a formula");
            graph.output("y", y).expect("a new name");
            assert_eq!(graph.ty(y).dtype, DType::F16, "{name}");
            let exact = evaluate(&graph, &given, Precision::F64).expect("values");
            let rounded = evaluate(&graph, &given, Precision::F32).expect("values");
            let off = |found: &Tensor| compare::apart(&exact.outputs()[0].1.to_f64(), &found.to_f64(), 0.0);
            let evaluated = off(&rounded.outputs()[0].1);
            assert!(evaluated < 5e-3, "{name} of {scale}: the evaluator is off by {evaluated:.1e}");
            for target in &targets {
                let options = Options { target: target.clone(), max: BTreeMap::new(), ..Options::default() };
                let compiled = kiln::compile(&graph, &options).expect("a plan");
                let off = off(&run(&machine, &compiled, &given)["y"]);
                assert!(
                    off < 5e-3,
                    "{name} of {scale} is off by {off:.1e}, 16 bits in memory: {}",
                    target.float16
                );
            }
        }
    }
}

/// The graph with 16 bits wherever it has 32-bit floats, and what it reads; nothing if an operator wants more.
fn halved(graph: &Graph, at: &BTreeMap<String, Tensor>) -> Option<(Graph, BTreeMap<String, Tensor>)> {
    let known = graph.with_data().to_string().replace("f32", "f16");
    let graph = text::parse(&known).ok()?;
    let half = |id: &ValueId| {
        let name = graph.value(*id).name.clone();
        let tensor = &at[&name];
        let tensor = match tensor.dtype() {
            DType::F32 => Tensor::of_numbers(tensor.shape().to_vec(), &tensor.to_f64(), DType::F16),
            _ => Ok(tensor.clone()),
        };
        Some((name, tensor.ok()?))
    };
    let inputs = graph.inputs().iter().map(half).collect::<Option<_>>()?;
    Some((graph, inputs))
}

/// How far `found` is from `wanted`, relative to its largest element.
fn apart(found: &Tensor, wanted: &Tensor) -> f64 {
    compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3)
}

/// Runs every committed model of one node with its gradients in 16 bits. What the device makes of it may be as far from
/// what f64 does as the evaluator is, which rounds after each operator, and a little more.
///
/// For another target only those in which kernels differ; `least` says how many there are at least.
fn check_models(like: Option<Target>, least: usize) {
    let (machine, targets) = targets();
    let Some(target) = targets.into_iter().find(|target| target.float16) else { return };
    let (int64, float64, float16) = (target.int64, target.float64, target.float16);
    let only_tiles = like.is_some();
    let target = Target { int64, float64, float16, ..like.unwrap_or(target) };
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for Differentiated { name, graph, at } in differentiated_models() {
        let Some((graph, at)) = halved(&graph, &at) else { continue };
        let in_tiles = |op: &Op| matches!(op, Op::Conv(_) | Op::ConvGradWeight(_) | Op::MatMul(_));
        if only_tiles && !graph.nodes().iter().any(|node| in_tiles(&node.op)) {
            continue;
        }
        let max = graph.symbols().into_iter().map(|symbol| (symbol.to_string(), 3)).collect();
        let Ok(rounded) = evaluate(&graph, &at, Precision::F32) else { continue };
        let exact = evaluate(&graph, &at, Precision::F64).expect("as in f32");
        let compiled =
            match kiln::compile(&graph, &Options { target: target.clone(), max, ..Options::default() }) {
                Ok(compiled) => compiled,
                Err(error) => {
                    wrong.push(format!("{name}: {error}"));
                    continue;
                }
            };
        seen += 1;
        let found = run(&machine, &compiled, &at);
        for ((output, rounded), (_, exact)) in rounded.outputs().iter().zip(exact.outputs()) {
            let (own, allowed) = (apart(&found[output], exact), apart(rounded, exact));
            if own > 2.0 * allowed + 5e-3 {
                wrong.push(format!("{name}: {output} is off by {own:.1e}, the evaluator's by {allowed:.1e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen >= least, "only {seen} models can be tried in 16 bits");
}

#[test]
fn models_and_gradients() {
    check_models(None, 400);
}

/// The kernels for GPUs, which any device can run.
#[test]
fn models_and_gradients_as_on_a_gpu() {
    check_models(Some(Target::portable()), 50);
}

/// The kernels for CPU adapters without subgroups.
#[test]
fn models_and_gradients_as_without_subgroups() {
    check_models(Some(Target::cpu()), 50);
}

#[test]
fn a_network_takes_half_the_memory() {
    let (_, targets) = targets();
    let source = "input %x : f16[3, 8, 9, 8]\nconst @w : f16[8, 8, 3, 3] = fill(0.1)\n\
                  %c = conv(%x, @w) pads=[[1, 1], [1, 1]]\n%r = relu(%c)\noutput r = %r";
    let sizes: Vec<u64> = targets
        .iter()
        .map(|target| {
            let plan = compiled(source, target).plan;
            let wanted = if target.float16 { Storage::F16 } else { Storage::F32 };
            assert!(plan.tensors.iter().all(|tensor| tensor.storage == wanted), "{:?}", plan.tensors);
            plan.buffers.iter().map(|buffer| buffer.size).sum()
        })
        .collect();
    if let [full, half] = sizes[..] {
        // Buffers are rounded up to 256 bytes.
        assert!(half * 2 <= full + 1024, "{half} bytes and {full}");
    }
}

/// As for 32 bits, sums begin with a bias.
#[test]
fn kernels_are_those_of_32_bits() {
    let (_, targets) = targets();
    let source = "input %x : f16[3, 8, 9, 8]\nconst @w : f16[8, 8, 3, 3] = fill(0.1)\nconst @b : f16[8, 1, 1] = fill(1)\n\
                  %c = conv(%x, @w) pads=[[1, 1], [1, 1]]\n%s = add(%c, @b)\n%r = relu(%s)\noutput r = %r";
    for target in targets {
        let names = |source: &str| -> Vec<String> {
            compiled(source, &target).plan.shaders.iter().map(|shader| shader.name.clone()).collect()
        };
        assert_eq!(names(source), names(&source.replace("f16", "f32")));
    }
}

/// Next to 1, halves are 0.001 apart: what is added here would be lost.
#[test]
fn small_updates_of_a_state_add_up() {
    let source =
        "input %x : f16[5]\nstate @s : f16[5] = fill(1)\n%n = add(@s, %x)\nupdate @s = %n\noutput n = %n";
    let graph = text::parse(source).expect("a graph");
    let (machine, targets) = targets();
    let given = halves(&[f16::from_f32(1e-4); 5], &[5]);
    let given = kiln::to_host(&given).expect("a tensor");
    for target in targets {
        let options = Options { target: target.clone(), max: BTreeMap::new(), ..Options::default() };
        let compiled = kiln::compile_programs(&[("step", &graph)], &options).expect("a plan");
        let mut session = machine.load(&compiled).expect("a session");
        for _ in 0..50 {
            session.run_program("step", &[("x", &given)]).expect("a run");
        }
        let outputs = session.run_program("step", &[("x", &given)]).expect("a run");
        let found = outputs.get("n").expect("the output").to_f64();
        assert!(found.iter().all(|x| (x - 1.0051).abs() < 5e-4), "{found:?}");
    }
}

#[test]
fn counting_in_halves() {
    let (machine, targets) = targets();
    let source = "input %x : f16[3]\n%i = iota() shape=[3] axis=0 dtype=f16\n%y = add(%x, %i)\noutput y = %y";
    let given = BTreeMap::from([("x".to_owned(), halves(&[f16::ONE; 3], &[3]))]);
    for target in &targets {
        assert_eq!(run(&machine, &compiled(source, target), &given)["y"].to_f64(), [1.0, 2.0, 3.0]);
    }
}

/// A state has more digits than 16 bits hold. What is chosen from it has them, too, or it would equal no element.
#[test]
fn the_largest_of_a_state_is_one_of_its_elements() {
    let source = "input %x : f16[2, 6]\nstate @s : f16[2, 6] = [1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2]\n%n = add(@s, %x)\n\
                  %t = transpose(@s) perm=[1, 0]\n%m = reduce_max(%t) axes=[0] keep_dims\n\
                  %e = equal(%t, %m)\n%l = reduce_min(@s) axes=[0, 1] keep_dims\n%f = equal(@s, %l)\n\
                  const @one : f16[] = [1]\nconst @zero : f16[] = [0]\n%c = select(%e, @one, @zero)\n\
                  %d = select(%f, @one, @zero)\n%i = reduce_sum(%c) axes=[0, 1]\n%j = reduce_sum(%d) axes=[0, 1]\n\
                  update @s = %n\noutput i = %i\noutput j = %j";
    let graph = text::parse(source).expect("a graph");
    let (machine, targets) = targets();
    let given = kiln::to_host(&halves(&[f16::from_f32(1e-4); 12], &[2, 6])).expect("a tensor");
    for target in targets {
        let options = Options { target: target.clone(), max: BTreeMap::new(), ..Options::default() };
        let compiled = kiln::compile_programs(&[("step", &graph)], &options).expect("a plan");
        let mut session = machine.load(&compiled).expect("a session");
        for step in 0..3 {
            let outputs = session.run_program("step", &[("x", &given)]).expect("a run");
            for (name, wanted) in [("i", 2.0), ("j", 1.0)] {
                let found = outputs.get(name).expect("the output").to_f64();
                assert_eq!(found, [wanted], "{name} in step {step}, 16 bits in memory: {}", target.float16);
            }
        }
    }
}
