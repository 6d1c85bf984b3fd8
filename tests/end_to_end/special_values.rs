//! Elementwise functions of zeros, subnormal numbers, ones, large numbers, infinities and NaN, by the evaluator and on the
//! device, beside NumPy, ONNX's reference evaluator and PyTorch (`tests/oracles/special_values.py`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln::graph::{DType, Graph, Precision, Tensor, compare, evaluate, text};
use kiln::onnx::ImportOptions;
use kiln::{Options, torch};
use serde::Deserialize;
use serde_json::Value;

use crate::machine::{Machine, answers, text as message};

/// Inputs of the functions.
#[derive(Deserialize)]
struct Grid {
    #[serde(rename = "type")]
    dtype: String,
    x: Vec<Value>,
    #[serde(default)]
    y: Vec<Value>,
}

/// A function with its answers.
#[derive(Deserialize)]
struct Case {
    name: String,
    front: String,
    source: String,
    grid: String,
    absolute: f64,
    relative: f64,
    /// Whether the sign of a zero is part of the answer.
    signs: bool,
    expected: Vec<Value>,
    /// What is right as well, by place.
    #[serde(default)]
    also: BTreeMap<usize, Value>,
}

/// A tensor of the file.
#[derive(Deserialize)]
struct Array {
    #[serde(rename = "type")]
    dtype: String,
    shape: Vec<usize>,
    values: Vec<Value>,
}

/// A function of a whole tensor with its answer.
#[derive(Deserialize)]
struct Whole {
    name: String,
    front: String,
    source: String,
    x: Array,
    z: Array,
}

#[derive(Deserialize)]
struct Table {
    grids: BTreeMap<String, Grid>,
    cases: Vec<Case>,
    arrays: Vec<Whole>,
}

fn table() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/fixtures/special_values.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the file is committed")).expect("JSON")
}

/// A number of the file, where those that JSON has not are words.
fn double(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("inf, -inf or nan"),
        other => other.as_f64().expect("a number"),
    }
}

/// The same where one with a point is of single precision.
fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) if number.is_f64() => f64::from(double(value) as f32),
        other => double(other),
    }
}

/// A 64-bit integer has more digits than `f64`.
fn tensor(values: &[&Value], shape: &[usize], dtype: DType) -> Tensor {
    match dtype {
        DType::I64 => {
            let values = values.iter().map(|value| value.as_i64().expect("an integer"));
            Tensor::ints(values).reshaped(shape).expect("as many as the shape says")
        }
        dtype => {
            let values: Vec<f64> = values.iter().map(|value| double(value)).collect();
            Tensor::of_numbers(shape, &values, dtype).expect("as many as the shape says")
        }
    }
}

fn dtype(name: &str) -> DType {
    match name {
        "float32" => DType::F32,
        "float64" => DType::F64,
        "bool" => DType::Bool,
        "int8" => DType::I8,
        "uint8" => DType::U8,
        "int16" => DType::I16,
        "uint16" => DType::U16,
        "int32" => DType::I32,
        "uint32" => DType::U32,
        "int64" => DType::I64,
        other => panic!("`{other}` is no type of the file"),
    }
}

impl Grid {
    fn columns(&self) -> Vec<(&'static str, &[Value])> {
        let all = [("x", &self.x[..]), ("y", &self.y[..])];
        all.into_iter().filter(|(_, values)| !values.is_empty()).collect()
    }

    /// The inputs at `places` by name.
    fn at(&self, places: &[usize], shape: &[usize]) -> BTreeMap<String, Tensor> {
        let one = |(name, values): (&str, &[Value])| {
            let values: Vec<&Value> = places.iter().map(|place| &values[*place]).collect();
            (name.to_owned(), tensor(&values, shape, dtype(&self.dtype)))
        };
        self.columns().into_iter().map(one).collect()
    }

    /// Where the inputs are those at `place`, but with zeros for some subnormal numbers.
    fn flushed(&self, place: usize) -> Vec<usize> {
        if self.dtype != "float32" {
            return vec![];
        }
        let fits = |own: f64, value: f64| {
            let same = |a: f64| compare::distance(a, value) == 0.0 && !compare::signs_differ(a, value);
            same(own) || same(flushed(own))
        };
        let all = |other: &usize| {
            self.columns().iter().all(|(_, values)| fits(number(&values[place]), number(&values[*other])))
        };
        (0..self.x.len()).filter(all).collect()
    }
}

fn is_subnormal(x: f64) -> bool {
    x != 0.0 && x.abs() < f64::from(f32::MIN_POSITIVE)
}

fn flushed(x: f64) -> f64 {
    if is_subnormal(x) { 0f64.copysign(x) } else { x }
}

/// A function of inputs of one type and shape, which are called `names`, in the words of a front end.
fn graph(front: &str, source: &str, names: &[&str], dtype: DType, shape: &[usize]) -> Result<Graph, String> {
    match front {
        "graph" => {
            let inputs = names.iter().map(|name| format!("input %{name} : {dtype}{shape:?}\n"));
            text::parse(&format!("{}{source}\noutput z = %z", inputs.collect::<String>())).map_err(message)
        }
        "onnx" => {
            let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok();
            let bytes: Option<Vec<u8>> = source.as_bytes().chunks(2).map(byte).collect();
            let bytes = bytes.ok_or("no hexadecimal digits")?;
            let shapes = names.iter().map(|name| (*name, shape));
            let types = kiln::onnx::input_types(&bytes).map_err(message)?;
            let mut dims = kiln::test_data::agreed_sizes(&types, shapes);
            // Files say zero for a size that is not known, too, and an open size is at least one.
            dims.retain(|_, size| size.is(0));
            let options = ImportOptions { dims, ..ImportOptions::default() };
            Ok(kiln::onnx::import_bytes(&bytes, None, &options).map_err(message)?.graph)
        }
        _ => {
            let source = format!(
                "import math\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n    \
                 def forward(self, {}):\n        return {source}\n",
                names.join(", "),
            );
            let sample: Vec<String> = shape[1..].iter().map(ToString::to_string).collect();
            let inputs = names.iter().map(|_| sample.join(",")).collect();
            let options = torch::ImportOptions { inputs, ..Default::default() };
            Ok(torch::import_text(&source, Path::new("net.py"), &options).map_err(|e| e.report())?.graph)
        }
    }
}

/// The only output of a graph, as the evaluator has it and as the device has it.
fn both(graph: &Graph, given: &BTreeMap<String, Tensor>, machine: &Machine) -> Result<[Tensor; 2], String> {
    let evaluated = evaluate(graph, given, Precision::F32).map_err(message)?;
    let batch = given.values().next().and_then(|x| x.shape().first().copied()).unwrap_or(1);
    let batch = u32::try_from(batch).unwrap_or(1);
    let max = graph.symbols().into_iter().map(|symbol| (symbol.to_string(), batch)).collect();
    let compiled =
        kiln::compile(graph, &Options { target: machine.target.clone(), max, ..Options::default() })
            .map_err(message)?;
    let mut found = answers(&mut machine.load(&compiled)?, given)?;
    let found = found.pop_first().ok_or("there is no output")?.1;
    Ok([evaluated.outputs()[0].1.clone(), found])
}

impl Case {
    /// What is wrong with a result at `place`.
    fn check(&self, grid: &Grid, place: usize, found: f64, may_flush: bool) -> Option<String> {
        let is = |wanted: &Value| {
            let wanted = if grid.dtype == "float64" { double(wanted) } else { number(wanted) };
            compare::is_near(wanted, found, self.absolute, self.relative)
                && !(self.signs && compare::signs_differ(wanted, found))
        };
        let wanted = &self.expected[place];
        let right = is(wanted) || self.also.get(&place).is_some_and(is);
        let flushes = || {
            let of_zero = grid.flushed(place).into_iter().any(|other| is(&self.expected[other]));
            of_zero || is_subnormal(number(wanted)) && found == 0.0
        };
        if right || may_flush && flushes() {
            return None;
        }
        let given: Vec<String> = grid.columns().iter().map(|(_, values)| values[place].to_string()).collect();
        Some(format!("of {}: {found:?}, not {wanted}", given.join(", ")))
    }

    /// What is wrong with the function, by the evaluator and on the device.
    fn run(&self, grid: &Grid, machine: &Machine) -> Result<(), String> {
        let all = grid.x.len();
        // Four at a time and one by one.
        let four = all.next_multiple_of(4);
        let counts = if self.front == "graph" { vec![four, four + 1] } else { vec![all] };
        for count in counts {
            let shape = if self.front == "torch" { vec![1, count] } else { vec![count] };
            let names: Vec<&str> = grid.columns().into_iter().map(|(name, _)| name).collect();
            let graph = graph(&self.front, &self.source, &names, dtype(&grid.dtype), &shape)?;
            let places: Vec<usize> = (0..count).map(|n| n % all).collect();
            let [evaluated, found] = both(&graph, &grid.at(&places, &shape), machine)?;
            let mut wrong = vec![];
            for (who, result, may_flush) in [("evaluator", &evaluated, false), ("device", &found, true)] {
                if result.dtype() == DType::I64 {
                    let wanted: Vec<i64> =
                        places.iter().filter_map(|place| self.expected[*place].as_i64()).collect();
                    if result.to_ints().as_ref() != Some(&wanted) {
                        wrong.push(format!("{who}: {:?}, not {wanted:?}", result.to_ints()));
                    }
                    continue;
                }
                for (n, value) in result.to_f64().into_iter().enumerate() {
                    wrong.extend(self.check(grid, places[n], value, may_flush).map(|m| format!("{who} {m}")));
                }
            }
            if !wrong.is_empty() {
                let rest = wrong.len().saturating_sub(12);
                wrong.truncate(12);
                return Err(format!("{count} numbers: {} (and {rest})", wrong.join("; ")));
            }
        }
        Ok(())
    }
}

impl Array {
    fn tensor(&self) -> Tensor {
        tensor(&self.values.iter().collect::<Vec<_>>(), &self.shape, dtype(&self.dtype))
    }
}

impl Whole {
    fn run(&self, machine: &Machine) -> Result<(), String> {
        let (x, wanted) = (self.x.tensor(), self.z.tensor());
        let graph = graph(&self.front, &self.source, &["x"], x.dtype(), x.shape())?;
        let given = BTreeMap::from([("x".to_owned(), x)]);
        for (who, found) in ["evaluator", "device"].into_iter().zip(both(&graph, &given, machine)?) {
            if found.ty() != wanted.ty() {
                return Err(format!("{who}: is {}, not {}", found.ty(), wanted.ty()));
            }
            let (found, wanted) = (found.to_f64(), wanted.to_f64());
            if !wanted.iter().zip(&found).all(|(a, b)| compare::is_near(*a, *b, 1e-6, 1e-5)) {
                return Err(format!("{who}: {found:?}, not {wanted:?}"));
            }
        }
        Ok(())
    }
}

/// What PyTorch refuses, too, with words of the message.
const REFUSED: &[(&str, &str)] = &[
    ("F.pad(x, (5, 0), mode='circular')", "padding by 5 and 0 repeats more than the 4 elements there are"),
    ("F.pad(x, (-2, 4), mode='circular')", "padding by -2 and 4 repeats more than the 2 elements there are"),
    ("torch.amax(torch.zeros(2, 0), dim=1)", "the largest of no elements is not defined"),
    ("torch.zeros(2, 0).min(dim=1)[0]", "the smallest of no elements is not defined"),
    ("torch.norm(torch.zeros(2, 0), p=math.inf, dim=1)", "the largest of no elements is not defined"),
];

#[test]
fn what_pytorch_refuses_of_unusual_tensors() {
    for (source, words) in REFUSED {
        let message = graph("torch", source, &["x"], DType::F32, &[3, 4]).expect_err(source);
        assert!(message.contains(words), "{source}: {message}");
    }
}

/// Reductions over nothing, sums of exponentials of infinities, and what is repeated where an end is cropped.
#[test]
fn functions_of_unusual_tensors() {
    let machine = Machine::open();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let without = |whole: &Whole| !machine.target.int64 && whole.x.dtype == "int64";
    let mut wrong = vec![];
    for whole in table().arrays.iter().filter(|whole| whole.name.contains(&only) && !without(whole)) {
        if let Err(message) = whole.run(&machine) {
            wrong.push(format!("{} ({}): {message}", whole.name, whole.front));
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn elementwise_functions_of_special_values() {
    let machine = Machine::open();
    let Table { grids, cases, .. } = table();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let without = |case: &Case| {
        !machine.target.int64 && (case.grid.contains("int64") || case.name.contains("i64"))
            || !machine.target.float64 && case.grid.contains("f64")
    };
    let chosen: Vec<&Case> =
        cases.iter().filter(|case| case.name.contains(&only) && !without(case)).collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(vec![]);
    // Drivers compile each on one processor.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(message) = case.run(&grids[&case.grid], &machine) {
                        let message = format!("{} ({}): {message}", case.name, case.front);
                        wrong.lock().expect("no thread panics with it").push(message);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread panics with it");
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// The lines between which the page is generated.
const MARKS: [&str; 2] = ["<!-- made by the test `special_values` with KILN_WRITE -->", "<!-- end -->"];

/// What the tables of the page show, as the inputs stand in the file.
const SHOWN: [&str; 10] =
    ["\"-inf\"", "-3e38", "-1.0", "-0.0", "0.0", "1e-40", "1.0", "3e38", "\"inf\"", "\"nan\""];
const SHOWN_PAIRS: [[&str; 2]; 13] = [
    ["0.0", "0.0"],
    ["0.0", "-1.0"],
    ["-0.0", "-3.0"],
    ["-1.0", "\"inf\""],
    ["2.0", "\"-inf\""],
    ["-2.0", "0.5"],
    ["3e38", "2.0"],
    ["\"inf\"", "0.0"],
    ["\"inf\"", "\"inf\""],
    ["\"inf\"", "\"-inf\""],
    ["1.0", "\"nan\""],
    ["\"nan\"", "0.0"],
    ["\"nan\"", "2.0"],
];
const SHOWN_CASTS: [&str; 11] = [
    "\"-inf\"",
    "-1e20",
    "-1.5",
    "-0.5",
    "0.5",
    "127.0",
    "255.0",
    "65536.0",
    "2147483648.0",
    "\"inf\"",
    "\"nan\"",
];

/// A number for people.
fn shown(value: &Value) -> String {
    let x = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => return number.to_string(),
        other => number(other),
    };
    match x.abs() {
        _ if x.is_nan() => "NaN".into(),
        size if size.is_infinite() || size == 0.0 => format!("{x}"),
        size if !(1e-3..1e6).contains(&size) => {
            let text = format!("{x:.3e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => format!("{x:.5}").trim_end_matches('0').trim_end_matches('.').into(),
    }
}

/// How far off a function may be, in words.
fn allowed(case: &Case) -> String {
    match (case.absolute, case.relative) {
        (0.0, 0.0) => "nothing".into(),
        (absolute, relative) => format!("{absolute:e} + {relative:e} of it"),
    }
}

/// A table of the functions of a front end on one grid; columns are places of the grid.
fn rows(title: &str, grid: &Grid, cases: &[&Case], columns: &[Vec<&str>]) -> String {
    let place = |wanted: &Vec<&str>| {
        let own = grid.columns();
        let is = |n: usize| {
            own.iter().zip(wanted).all(|((_, values), wanted)| {
                let wanted: Value = serde_json::from_str(wanted).expect("JSON");
                let (a, b) = (number(&values[n]), number(&wanted));
                compare::distance(a, b) == 0.0 && !compare::signs_differ(a, b)
            })
        };
        (0..grid.x.len()).find(|n| is(*n)).unwrap_or_else(|| panic!("{wanted:?} is not in the file"))
    };
    let words: Vec<String> = columns
        .iter()
        .map(|column| {
            let values = column.iter().map(|word| shown(&serde_json::from_str(word).expect("JSON")));
            values.collect::<Vec<_>>().join(", ")
        })
        .collect();
    let places: Vec<usize> = columns.iter().map(place).collect();
    let mut text = format!("\n| {title} | {} | may be off by | -0 |\n", words.join(" | "));
    text += &format!("|{}\n", " --- |".repeat(columns.len() + 3));
    for case in cases {
        let results: Vec<String> = places.iter().map(|n| shown(&case.expected[*n])).collect();
        let signs = if case.signs { "yes" } else { "" };
        text += &format!("| `{}` | {} | {} | {signs} |\n", case.name, results.join(" | "), allowed(case));
    }
    text
}

/// The tables of `docs/special-values.md`.
fn page(Table { grids, cases, .. }: &Table) -> String {
    let of = |front: &str, grid: &str, casts: bool| -> Vec<&Case> {
        let chosen = cases.iter().filter(|case| case.front == front && case.grid == grid);
        chosen.filter(|case| case.name.starts_with("cast") == casts).collect()
    };
    let single = |words: &'static [&'static str]| words.iter().map(|word| vec![*word]).collect::<Vec<_>>();
    let pairs: Vec<Vec<&str>> = SHOWN_PAIRS.iter().map(|pair| pair.to_vec()).collect();
    let (one, two, cast) = (&grids["one"], &grids["two"], &grids["cast"]);
    [
        "\n## Functions of one number\n".to_owned(),
        rows("graph", one, &of("graph", "one", false), &single(&SHOWN)),
        rows("ONNX", one, &of("onnx", "one", false), &single(&SHOWN)),
        rows("PyTorch", one, &of("torch", "one", false), &single(&SHOWN)),
        "\n## Functions of two numbers\n".into(),
        rows("graph", two, &of("graph", "two", false), &pairs),
        rows("ONNX", two, &of("onnx", "two", false), &pairs),
        rows("PyTorch", two, &of("torch", "two", false), &pairs),
        "\n## Casts of floats\n".into(),
        rows("graph", cast, &of("graph", "cast", true), &single(&SHOWN_CASTS)),
        "\n".into(),
    ]
    .concat()
}

#[test]
fn the_page_shows_what_is_tested() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/special-values.md");
    let text = std::fs::read_to_string(&path).expect("docs/special-values.md is committed");
    let [begin, end] = MARKS;
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?)));
    let (before, (made, after)) =
        parts.expect("docs/special-values.md has the marks between which it is made");
    let wanted = page(&table());
    if made == wanted {
        return;
    }
    if std::env::var_os("KILN_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}"))
            .expect("docs/special-values.md can be written");
        return;
    }
    panic!("docs/special-values.md is not what the oracle gives; this test with KILN_WRITE=1 writes it");
}
