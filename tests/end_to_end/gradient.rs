//! Every gradient rule, in the middle of a graph: against finite differences of the evaluator in f64, on the device
//! against the evaluator, and against PyTorch.
//!
//! The graphs are the committed models of one node. What is differentiated is not the node alone: something that is
//! not linear comes before it and behind it, and its inputs are read a second time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::machine::{Machine, answers, text};
use crate::numbers::noise;
use crate::skip::skipped;
use kiln::graph::ops::{BinaryOp, Reduce, ReduceKind, UnaryOp};
use kiln::graph::{
    DType, Data, EvaluateOptions, Graph, GraphError, Op, Precision, Tensor, ValueId, compare, evaluate_with,
};
use kiln::{Options, Target, test_data};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures").join(name)
}

fn folders(parent: &str) -> Vec<PathBuf> {
    models_in(&folder(parent))
}

fn models_in(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).expect("the models are there");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    folders.retain(|folder| folder.to_string_lossy().contains(&only));
    folders
}

/// A graph to differentiate, and a point.
struct Case {
    name: String,
    graph: Graph,
    /// The floating point inputs and states: what is differentiated by.
    sources: Vec<String>,
    /// All inputs and states.
    at: BTreeMap<String, Tensor>,
}

impl Case {
    fn evaluate(&self, graph: &Graph, at: &BTreeMap<String, Tensor>, precision: Precision) -> Vec<Vec<f64>> {
        let states = graph.states().iter().map(|id| graph.value(*id).name.clone());
        let states = states.map(|name| (name.clone(), at[&name].clone())).collect();
        let inputs = graph.inputs().iter().map(|id| graph.value(*id).name.clone());
        let inputs = inputs.map(|name| (name.clone(), at[&name].clone())).collect();
        let options = EvaluateOptions { states, ..EvaluateOptions::new(precision) };
        let found = evaluate_with(graph, &inputs, &options).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        found.outputs().iter().map(|(_, tensor)| tensor.to_f64()).collect()
    }
}

/// `x + sin(x) / 20`, which stays where functions like the logarithm are defined.
fn bend(graph: &mut Graph, x: ValueId) -> Result<ValueId, GraphError> {
    let share = graph.constant("share", Tensor::scalar(0.05f32));
    let wave = graph.apply1("bend", Op::Unary(UnaryOp::Sin), &[x])?;
    let wave = graph.apply1("bend", Op::Binary(BinaryOp::Mul), &[wave, share])?;
    graph.apply1("bend", Op::Binary(BinaryOp::Add), &[x, wave])
}

/// The sum of `sin(x) * weights`, with the graph's only use of any element.
fn weighted(graph: &mut Graph, x: ValueId, seed: u64) -> Result<ValueId, GraphError> {
    let shape = graph.ty(x).shape.clone();
    let wave = graph.apply1("weigh", Op::Unary(UnaryOp::Sin), &[x])?;
    // Weights along the last dimension that is a number; the batch is a symbol.
    let sizes: Vec<usize> = shape
        .iter()
        .enumerate()
        .map(|(axis, dim)| dim.as_usize().filter(|_| axis > 0).unwrap_or(1))
        .collect();
    let count = sizes.iter().product();
    let weights = noise(seed, count).into_iter().map(|x| x as f32).collect();
    let weights = graph.constant("weights", Tensor::f32(sizes, weights).expect("as many as the shape says"));
    let product = graph.apply1("weigh", Op::Binary(BinaryOp::Mul), &[wave, weights])?;
    let axes = (0..shape.len()).collect();
    graph.apply1("weigh", Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false }), &[product])
}

/// The model in `folder` with a loss, or nothing if it has nothing to differentiate.
fn case(folder: &Path) -> Option<Case> {
    let name = folder.file_name()?.to_string_lossy().into_owned();
    // Inputs on which sizes depend are known beforehand.
    let data = test_data::Folder::open(folder).ok()?;
    let values = data.known_inputs().ok()?;
    let options = kiln::onnx::ImportOptions { values, ..Default::default() };
    let model = kiln::onnx::import(&folder.join("model.onnx"), &options).ok()?.graph;
    let sets = data.data_sets(&model).ok()?;
    around(name, &model, sets.last()?.inputs.iter().cloned().collect())
}

/// A model between what is not linear, with a loss, or nothing if it has nothing to differentiate.
fn around(name: String, model: &Graph, mut at: BTreeMap<String, Tensor>) -> Option<Case> {
    let mut graph = Graph::new(name.clone());
    let mut new: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let mut sources = Vec::new();
    let mut losses = Vec::new();
    for (seed, id) in (0u64..).zip(model.value_ids()) {
        let value = model.value(id);
        let source = match &value.def {
            kiln::graph::Def::Input => graph.input(value.name.clone(), value.ty.clone()),
            kiln::graph::Def::State(first) => {
                at.insert(value.name.clone(), first.clone());
                graph.state(value.name.clone(), first.clone())
            }
            kiln::graph::Def::Constant(tensor) => {
                new.insert(id, graph.constant(value.name.clone(), tensor.clone()));
                continue;
            }
            kiln::graph::Def::Node { .. } => continue,
        };
        let source = source.expect("as in the model");
        new.insert(id, source);
        // Many inputs are drawn with ties, where a maximum has no derivative.
        if value.ty.dtype == DType::F32 {
            let tensor = &at[&value.name];
            let shift = noise(seed, tensor.len());
            let old = tensor.to_f64();
            let moved = old.iter().zip(shift).map(|(x, n)| (x * (1.0 + 0.003 * n) + 1e-4) as f32).collect();
            let tensor = Tensor::f32(tensor.shape().to_vec(), moved).expect("the same shape");
            at.insert(value.name.clone(), tensor);
            sources.push(value.name.clone());
            new.insert(id, bend(&mut graph, source).ok()?);
            losses.push(weighted(&mut graph, source, seed).ok()?);
        }
    }
    for node in model.nodes() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| new[id]).collect();
        let outputs = graph.apply(node.name.clone(), node.op.clone(), &inputs).expect("as in the model");
        new.extend(node.outputs.iter().copied().zip(outputs));
    }
    let outputs = model.outputs().iter().map(|output| new[&output.value]);
    let outputs: Vec<ValueId> = outputs.filter(|id| graph.ty(*id).dtype == DType::F32).collect();
    if outputs.is_empty() || sources.is_empty() {
        return None;
    }
    for (seed, id) in (100..).zip(outputs) {
        losses.push(weighted(&mut graph, id, seed).ok()?);
    }
    let total = losses.into_iter().reduce(|a, b| {
        graph.apply1("total", Op::Binary(BinaryOp::Add), &[a, b]).expect("numbers can be added")
    });
    graph.output("loss", total?).expect("the only output");
    Some(Case { name, graph, sources, at })
}

impl Case {
    fn differentiated(&self) -> Result<Graph, GraphError> {
        let names: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        kiln::differentiate::differentiate(&self.graph, "loss", &names)
    }

    /// Compares with central differences along two directions for each source.
    fn check(&self) -> Result<(), String> {
        let graph = self.differentiated().map_err(|e| e.to_string())?;
        graph.verify().map_err(|e| e.to_string())?;
        let found = self.evaluate(&graph, &self.at, Precision::F64);
        for (n, source) in self.sources.iter().enumerate() {
            let tensor = &self.at[source];
            for seed in [11, 12] {
                let direction = noise(seed + n as u64, tensor.len());
                let loss = |step: f64| {
                    let moved = tensor.to_f64().iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                    let moved =
                        Tensor::new(tensor.shape().to_vec(), Data::F64(moved)).expect("the same shape");
                    let mut at = self.at.clone();
                    at.insert(source.clone(), moved);
                    self.evaluate(&self.graph, &at, Precision::F64)[0][0]
                };
                let step = 1e-5;
                let numeric = (loss(step) - loss(-step)) / (2.0 * step);
                let parts: Vec<f64> = found[n + 1].iter().zip(&direction).map(|(g, d)| g * d).collect();
                let exact: f64 = parts.iter().sum();
                let scale = parts.iter().map(|x| x.abs()).sum::<f64>().max(1e-3);
                let apart = (numeric - exact).abs();
                if apart.is_nan() || apart > 1e-5 * scale {
                    return Err(format!("along `{source}`: {exact:e}, but differences give {numeric:e}"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in folders("ops") {
        let Some(case) = case(&folder) else { continue };
        seen += 1;
        if let Err(message) = case.check() {
            wrong.push(format!("{}: {message}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 200 || std::env::var_os("KILN_ONLY").is_some(), "only {seen} models were differentiated");
}

/// What no file of a model has: variances as operators of their own, over the axes that have a kernel and over others.
#[test]
fn gradients_of_variances() {
    let machine = Machine::open();
    for axes in ["[0, 2, 3] keep_dims", "[1]", "[0, 1, 2, 3]"] {
        let text = format!(
            "graph net\ninput %x : f32[3, 4, 5, 2]\n%y = reduce_variance(%x) axes={axes}\noutput y = %y\n"
        );
        let model = kiln_graph::text::parse(&text).expect("a graph");
        let x = noise(7, 120).into_iter().map(|x| x as f32 + 2.0).collect();
        let x = Tensor::f32(vec![3, 4, 5, 2], x).expect("as many as the shape says");
        let case = around(axes.into(), &model, [("x".to_owned(), x)].into()).expect("a case");
        case.check().unwrap_or_else(|message| panic!("{axes}: {message}"));
        let (apart, output) = on_device(&case, &machine).expect("a run");
        assert!(apart <= 2e-5, "{axes}: {output} is off by {apart:e}");
    }
}

/// Cases of the published tests with a point at which there is no derivative, or none that differences find.
const NOT_SMOOTH: &[&str] = &[
    // Outside of the function's domain, or at its end.
    "test_acos",
    "test_asin",
    "test_atanh",
    "test_castlike_DOUBLE_to_FLOAT",
    "test_castlike_DOUBLE_to_FLOAT_expanded",
    "test_castlike_FLOAT16_to_FLOAT",
    "test_castlike_FLOAT16_to_FLOAT_expanded",
    "test_mod_float_edge_cases_fmod_0_float32",
    "test_reduce_log_sum_empty_set",
    "test_reduce_log_sum_empty_set_expanded",
    "test_reduce_log_sum_exp_empty_set",
    "test_reduce_log_sum_exp_empty_set_expanded",
    "test_reduce_max_empty_set",
    "test_reduce_min_empty_set",
    // Where a selection hides a division of zero by zero, its gradient does not, as in PyTorch: rows in which everything is
    // masked, and the very first step.
    "test_adam",
    "test_adam_multiple",
    "test_attention_23_boolmask_fullymasked_row_nan_robustness_expanded",
    "test_attention_23_fullymasked_qk_matmul_output_mode3_zero_expanded",
    "test_attention_24_fullymasked_qk_matmul_output_mode3_zero_expanded",
    "test_attention_4d_causal_nonpad_negative_offset_structural_empty_expanded",
    "test_attention_4d_softcap_neginf_mask",
    "test_attention_4d_softcap_neginf_mask_expanded",
    "test_attention_4d_softcap_neginf_mask_poison",
    "test_attention_4d_softcap_neginf_mask_poison_expanded",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal_expanded",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal_expanded",
    "test_attention_causal_boolmask_nan_robustness_expanded",
    "test_attention_local_window_gqa_rank4_mask_expanded",
    // Running statistics have no gradient.
    "test_batchnorm_epsilon_training_mode",
    "test_batchnorm_example_training_mode",
    // Too near to a kink, or too steep, for differences.
    "test_l2normalization_axis_0",
    "test_maxpool_2d_strides",
    "test_maxpool_3d_default",
    "test_pow",
    "test_pow_example",
    "test_pow_types_float32_int32",
    "test_pow_types_float32_int64",
    "test_pow_types_float32_uint32",
    "test_reduce_prod_default_axes_keepdims_example",
    "test_reduce_prod_default_axes_keepdims_random",
    "test_tan",
];

/// The same for the tests that the ONNX project publishes, which have every operator.
#[test]
fn gradients_of_the_published_tests() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../onnx-suite");
    let suite = std::env::var_os("KILN_ONNX_SUITE").map_or(target, PathBuf::from).join("node");
    if !suite.is_dir() {
        skipped(&format!("there is no `{}`; scripts/onnx-suite makes it", suite.display()));
        return;
    }
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in models_in(&suite) {
        let Some(case) = case(&folder) else { continue };
        seen += 1;
        match (case.check(), NOT_SMOOTH.contains(&case.name.as_str())) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => wrong.push(format!("{}: is as it should be, but listed", case.name)),
            (Err(message), false) => wrong.push(format!("{}: {message}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 1000 || std::env::var_os("KILN_ONLY").is_some(), "only {seen} models were differentiated");
}

/// A graph of gradients with everything it reads.
pub(crate) struct Differentiated {
    pub name: String,
    pub graph: Graph,
    /// All inputs and states.
    pub at: BTreeMap<String, Tensor>,
}

/// The committed models of one node, differentiated.
pub(crate) fn differentiated_models() -> impl Iterator<Item = Differentiated> {
    folders("ops").into_iter().filter_map(|folder| case(&folder)).map(|case| {
        let graph = case.differentiated().expect("gradients");
        Differentiated { name: case.name, graph, at: case.at }
    })
}

/// The largest difference between what a device and the evaluator make of the gradients, relative to the largest
/// element of each.
fn on_device(case: &Case, machine: &Machine) -> Result<(f64, String), String> {
    let graph = case.differentiated().map_err(text)?;
    // States stay states for the evaluator, and become constants of the plan.
    let mut known = Graph::new(case.name.clone());
    let mut new: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for id in graph.value_ids() {
        let value = graph.value(id);
        let made = match &value.def {
            kiln::graph::Def::Input => known.input(value.name.clone(), value.ty.clone()).map_err(text)?,
            kiln::graph::Def::State(_) => {
                known.state(value.name.clone(), case.at[&value.name].clone()).map_err(text)?
            }
            kiln::graph::Def::Constant(tensor) => known.constant(value.name.clone(), tensor.clone()),
            kiln::graph::Def::Node { .. } => continue,
        };
        new.insert(id, made);
    }
    for node in graph.nodes() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| new[id]).collect();
        let outputs = known.apply(node.name.clone(), node.op.clone(), &inputs).map_err(text)?;
        new.extend(node.outputs.iter().copied().zip(outputs));
    }
    for output in graph.outputs() {
        known.output(output.name.clone(), new[&output.value]).map_err(text)?;
    }
    let max = known.symbols().into_iter().map(|symbol| (symbol.to_string(), 3)).collect();
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let mut session = machine.load(&kiln::compile(&known, &options).map_err(text)?)?;
    let inputs = known.inputs().iter().map(|id| &known.value(*id).name);
    let found = answers(&mut session, inputs.map(|name| (name, &case.at[name])))?;
    let expected = case.evaluate(&graph, &case.at, Precision::F64);
    let mut worst = (0f64, String::new());
    for (output, expected) in known.outputs().iter().zip(expected) {
        let apart = compare::apart(&expected, &found[&output.name].to_f64(), 1e-3);
        if apart > worst.0 {
            worst = (apart, output.name.clone());
        }
    }
    Ok(worst)
}

fn check_on_device(target: Option<Target>) {
    let own = Machine::open();
    let machine = Machine { target: target.unwrap_or(own.target), ..own };
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for folder in folders("ops") {
        let Some(case) = case(&folder) else { continue };
        seen += 1;
        match on_device(&case, &machine) {
            Ok((worst, _)) if worst <= 1e-4 => {}
            Ok((worst, output)) => wrong.push(format!("{}: {output} is off by {worst:.1e}", case.name)),
            Err(message) => {
                wrong.push(format!("{}: {}", case.name, message.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 200 || std::env::var_os("KILN_ONLY").is_some(), "only {seen} models were differentiated");
}

#[test]
fn gradients_on_the_device() {
    check_on_device(None);
}

/// The kernels for GPUs, which any device can run.
#[test]
fn gradients_as_on_a_gpu() {
    check_on_device(Some(Target::default()));
}

/// The kernels for CPU adapters without subgroups.
#[test]
fn gradients_as_without_subgroups() {
    check_on_device(Some(Target::cpu()));
}

/// The largest difference from what PyTorch computed, relative to the largest element of each gradient; of the model as
/// it is, or after it was written and read again.
fn beside_pytorch(folder: &Path, written: bool) -> Result<f64, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let imported = kiln::onnx::import(&folder.join("model.onnx"), &Default::default());
    let mut graph = imported.map_err(|e| text(&e))?.graph;
    if written {
        let file = kiln::onnx::export(&graph).map_err(|e| text(&e))?;
        graph = kiln::onnx::import_bytes(&file, None, &Default::default()).map_err(|e| text(&e))?.graph;
    }
    let set = test_data::Folder::open(folder)
        .and_then(|data| data.data_sets(&graph))
        .map_err(|e| text(&e))?
        .swap_remove(0);
    let floats = graph.inputs().iter().enumerate().filter(|(_, id)| graph.ty(**id).dtype == DType::F32);
    let floats: Vec<(usize, &str)> = floats.map(|(n, id)| (n, graph.value(*id).name.as_str())).collect();
    let file = |n: usize| folder.join(&set.name).join(format!("gradient_{n}.pb"));
    let wanted: Vec<(usize, &str)> = floats.into_iter().filter(|(n, _)| file(*n).is_file()).collect();
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    let graph = kiln::differentiate::differentiate(&graph, "loss", &names).map_err(|e| text(&e))?;
    let inputs = set.inputs.iter().cloned().collect();
    let options = EvaluateOptions::new(Precision::F32);
    let found = evaluate_with(&graph, &inputs, &options).map_err(|e| text(&e))?;
    let mut worst = 0f64;
    for ((n, _), (_, found)) in wanted.iter().zip(&found.outputs()[1..]) {
        let bytes = std::fs::read(file(*n)).map_err(|e| text(&e))?;
        let expected = kiln::onnx::read_tensor_pb(&bytes).map_err(|e| text(&e))?;
        let difference = test_data::difference(&expected, found).ok_or("another shape")?;
        worst = worst.max(difference.relative);
    }
    Ok(worst)
}

#[test]
fn gradients_are_those_of_pytorch() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in folders("gradients") {
        seen += 1;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (written, how) in [(false, ""), (true, " (written and read again)")] {
            match beside_pytorch(&folder, written) {
                Ok(worst) if worst <= 1e-5 => {}
                Ok(worst) => wrong.push(format!("{name}{how}: off by {worst:.1e}")),
                Err(message) => wrong.push(format!("{name}{how}: {message}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 80 || std::env::var_os("KILN_ONLY").is_some(), "only {seen} models were differentiated");
}

/// What another engine would read means the same. Gradients of maxima are scattered in ONNX, which is not read back.
#[test]
fn gradients_survive_export() {
    let mut seen = 0;
    for folder in folders("gradients") {
        let name = folder.display();
        let model =
            kiln::onnx::import(&folder.join("model.onnx"), &Default::default()).expect("a model").graph;
        let set = test_data::Folder::open(&folder)
            .and_then(|data| data.data_sets(&model))
            .expect("known answers")
            .swap_remove(0);
        let floats = model.inputs().iter().filter(|id| model.ty(**id).dtype == DType::F32);
        let names: Vec<&str> = floats.map(|id| model.value(*id).name.as_str()).collect();
        let graph = kiln::differentiate::differentiate(&model, "loss", &names).expect("gradients");
        let file = kiln::onnx::export(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = match kiln::onnx::import_bytes(&file, None, &Default::default()) {
            Ok(imported) => imported.graph,
            Err(error) if error.to_string().contains("not supported") => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        let inputs: BTreeMap<String, Tensor> = set.inputs.iter().cloned().collect();
        let options = EvaluateOptions::new(Precision::F64);
        let before = evaluate_with(&graph, &inputs, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let after = evaluate_with(&again, &inputs, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        for ((output, a), (_, b)) in before.outputs().iter().zip(after.outputs()) {
            let difference = test_data::difference(a, b).unwrap_or_else(|| panic!("{name}: {output}"));
            assert!(difference.relative <= 1e-9, "{name}: {output} differs by {:e}", difference.relative);
        }
        seen += 1;
    }
    assert!(seen > 80 || std::env::var_os("KILN_ONLY").is_some(), "only {seen} graphs could be read back");
}
