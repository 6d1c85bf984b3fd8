//! What the tests in a browser need: every committed model as a plan with the answers of other engines, and the trainings of
//! PyTorch as plans with their batches. Usage: `web_plans FOLDER`.
//!
//! Of each model there is NAME.kplan and NAME.json: the data sets, elements as base64. A list of all is in `index.json`.

#[path = "../end_to_end/batches.rs"]
mod batches;
#[path = "../end_to_end/numbers.rs"]
#[allow(dead_code, reason = "the weights are for other tests")]
mod numbers;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use kiln::graph::{Graph, Tensor};
use kiln::plan::DType;
use kiln::test_data::{self, DataSet};
use kiln::train::{Loss, Training};
use kiln::{Compiled, HostTensor, Options, Target};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: web_plans FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures");
    let target = Target::swiftshader();
    let (mut answers, mut trainings) = (BTreeMap::new(), Vec::new());
    for group in ["", "ops", "loops", "detection"] {
        for path in models(&fixtures.join(group))? {
            let name = if group.is_empty() { stem(&path) } else { format!("{group}-{}", stem(&path)) };
            answers.insert(name.clone(), answer(&path, &folder.join(&name), &target)?);
        }
    }
    let mut traces: Vec<PathBuf> = std::fs::read_dir(fixtures.join("traces"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    traces.sort();
    for path in traces {
        let name = stem(&path);
        let graph = kiln::onnx::import(&fixtures.join(&name).join("model.onnx"), &Default::default())?.graph;
        let trace: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for (rule, optimizer, lr, momentum) in batches::optimizers() {
            let expected = &trace["optimizers"][rule];
            if expected.is_null() {
                continue;
            }
            let training =
                Training { show_gradients: true, ..Training::new(Loss::cross_entropy(), optimizer) };
            let max = [("N".to_owned(), u32::try_from(batches::BATCH)?)].into();
            let options = Options { target: target.clone(), max, ..Options::default() };
            let file = format!("trace-{name}-{rule}");
            save(&kiln::compile_training(&graph, &training, &options)?, &folder.join(&file))?;
            let steps = expected["losses"].as_array().ok_or("losses")?.len();
            let batch = |step| {
                let (input, target) = batches::batch(&graph, &training, step as u64);
                Ok(json!({ "input": json_of(&input)?, "target": json_of(&target)? }))
            };
            let value = json!({
                "lr": lr,
                "momentum": momentum,
                "batches": (0..steps).map(batch).collect::<Result<Vec<_>>>()?,
                "expected": expected,
                "gradients": trace["gradients"],
            });
            std::fs::write(folder.join(&file).with_extension("json"), value.to_string())?;
            trainings.push(file);
        }
    }
    // A training that keeps averages of its weights.
    let graph = kiln::onnx::import(&fixtures.join("net/model.onnx"), &Default::default())?.graph;
    let training =
        Training { ema: Some(0.5), ..Training::new(Loss::cross_entropy(), kiln::train::Optimizer::sgd()) };
    let max = [("N".to_owned(), u32::try_from(batches::BATCH)?)].into();
    let options = Options { target, max, ..Options::default() };
    save(&kiln::compile_training(&graph, &training, &options)?, &folder.join("averages"))?;
    let index = json!({ "answers": answers, "trainings": trainings });
    std::fs::write(folder.join("index.json"), index.to_string())?;
    Ok(())
}

/// Writes a model's plan and data sets; why it has none, if it cannot be compiled for the target.
fn answer(path: &Path, to: &Path, target: &Target) -> Result<Option<String>> {
    let graph = kiln::onnx::import(&path.join("model.onnx"), &Default::default())?.graph;
    let sets = test_data::Folder::open(path)?.data_sets(&graph)?;
    let options = Options { target: target.clone(), max: largest(&graph, &sets)?, ..Options::default() };
    let compiled = match kiln::compile(&graph, &options) {
        Ok(compiled) => compiled,
        Err(error) => return Ok(Some(error.to_string())),
    };
    save(&compiled, to)?;
    let tensors = |tensors: &[(String, Tensor)]| -> Result<Value> {
        let list = tensors.iter().map(|(name, tensor)| Ok((name.clone(), json_of(&kiln::to_host(tensor)?)?)));
        Ok(Value::Object(list.collect::<Result<_>>()?))
    };
    let sets = sets.iter().map(|set| -> Result<Value> {
        let inputs: Vec<_> = set.inputs.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        let outputs: Vec<_> =
            set.outputs.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Ok(json!({ "inputs": tensors(&inputs)?, "outputs": tensors(&outputs)? }))
    });
    let sets = sets.collect::<Result<Vec<_>>>()?;
    std::fs::write(to.with_extension("json"), json!(sets).to_string())?;
    Ok(None)
}

fn largest(graph: &Graph, sets: &[DataSet]) -> Result<BTreeMap<String, u32>> {
    Ok(test_data::largest_symbols(graph, sets)?)
}

fn save(compiled: &Compiled, to: &Path) -> Result<()> {
    Ok(compiled.plan.save(to.with_extension("kplan"))?)
}

/// The models in a folder.
fn models(parent: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(parent)? {
        let path = entry?.path();
        if path.join("model.onnx").is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn json_of(tensor: &HostTensor) -> Result<Value> {
    let bytes: Vec<u8> = match tensor.dtype() {
        DType::F32 => tensor.as_f32()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        // As a page gets them.
        DType::F16 => tensor.as_f16()?.iter().flat_map(|x| f32::from(*x).to_le_bytes()).collect(),
        DType::F64 => tensor.as_f64()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I32 => tensor.as_i32()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I64 => tensor.as_i64()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::U8 => tensor.as_u8()?.to_vec(),
        DType::I8 => tensor.as_i8()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::U16 => tensor.as_u16()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I16 => tensor.as_i16()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::U32 => tensor.as_u32()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::Bool => tensor.as_bool()?.iter().map(|x| u8::from(*x)).collect(),
    };
    Ok(json!({ "dtype": tensor.dtype().name(), "shape": tensor.shape(), "data": base64(&bytes) }))
}

/// Bytes as base64 writes them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let three = |part: &[u8]| {
        let word =
            part.iter().chain(&[0; 2]).take(3).fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        let digit = |n: usize| {
            if n > part.len() { '=' } else { char::from(DIGITS[word >> (18 - 6 * n) & 63]) }
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(three).collect()
}
