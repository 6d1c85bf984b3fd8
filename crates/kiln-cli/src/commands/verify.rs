//! `kiln verify`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kiln::graph::{DType, EvaluateOptions, Graph, Precision, Tensor, evaluate_with};
use kiln::onnx::{ImportOptions, Imported};
use kiln::test_data::{self, DataSet};
use kiln::{Compiled, HostTensor, Model, Options, Plan};
use miette::{IntoDiagnostic, Result, bail};
use serde_json::json;

use crate::definition::DefinitionArguments;
use crate::device;
use crate::model::{AUTO, ModelArguments, is_plan, load_plan, targets};
use crate::precision::PrecisionArgument;
use crate::records::RecordArguments;
use crate::sizes;
use crate::table::{Align, Table};
use crate::terminal;
use crate::tolerance::{self, Allowed, Computed, Numbers};

/// Arguments of `kiln verify`.
#[derive(Args)]
#[command(after_help = "\
A folder holds model.onnx and test_data_set_0, test_data_set_1, ... with input_0.pb, output_0.pb, ...
To verify a compiled plan in it, give the plan's path, as in net/net.kplan. One plan serves all data sets of a model. Exits with 1 if an output differs by more than the tolerance.")]
pub(crate) struct Arguments {
    /// Folders in ONNX's layout of test data, or plans (`.kplan`) in such folders
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Allowed difference, relative to the largest magnitude an output should have [default: 1e-4; 5e-3 for what is
    /// computed with 16-bit floats, 2e-2 with bfloat16; one step of 8 bits in a quantized network]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Where an output is wrong, compare every layer with the reference evaluation and name the first wrong one
    #[arg(long)]
    bisect: bool,
    /// Device to compile for
    #[arg(long, default_value = AUTO, value_parser = targets())]
    target: String,
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    precision: PrecisionArgument,
    /// Trust shape inference where the file declares other shapes, and read newer operator sets
    #[arg(long)]
    lenient: bool,
    /// Add up only the products that an operator is defined by
    #[arg(long)]
    precise: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The allowed difference of values of a type that are computed so.
    fn allowed(&self, computed: Computed, dtype: DType) -> Allowed {
        self.tolerance.map_or_else(|| Allowed::of(computed, dtype), Allowed::told)
    }
}

/// The outcome for one output of one data set.
struct Row {
    folder: String,
    set: String,
    output: String,
    /// Absolute and relative, or what went wrong.
    difference: Result<test_data::Difference, String>,
    /// The allowed difference.
    allowed: Allowed,
    first_wrong: Option<String>,
}

/// Verifies all folders.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for folder in &arguments.folders {
        let name = folder.display().to_string();
        match verify(arguments, folder, &name) {
            Ok(more) => rows.extend(more),
            Err(error) => {
                let message = crate::report::causes(&error).join(": ");
                let set = String::new();
                rows.push(Row {
                    folder: name,
                    set,
                    output: String::new(),
                    difference: Err(message),
                    allowed: Allowed::told(0.0),
                    first_wrong: None,
                });
            }
        }
    }
    let good = |row: &Row| row.difference.as_ref().is_ok_and(|d| row.allowed.admits(d));
    let failed = rows.iter().filter(|row| !good(row)).count();
    if arguments.json {
        let list: Vec<_> = rows.iter().map(|row| as_json(row, good(row))).collect();
        terminal::show_json("verify", json!({ "outputs": list }))?;
    } else if rows.iter().all(|row| row.output.is_empty()) {
        // Nothing was compared.
        let messages = rows
            .iter()
            .filter_map(|row| Some(format!("`{}`: {}", row.folder, row.difference.as_ref().err()?)));
        bail!("{}", messages.collect::<Vec<_>>().join("\n"));
    } else {
        print_rows(&rows, &good)?;
        note!("{} of {} outputs within {}", rows.len() - failed, rows.len(), limits(&rows));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What was allowed: the largest relative difference, and where it is more than usual, why.
fn limits(rows: &[Row]) -> String {
    let largest = rows.iter().map(|row| row.allowed).max_by(|a, b| a.relative.total_cmp(&b.relative));
    let Some(largest) = largest else { return "0".into() };
    let step = rows.iter().find(|row| row.allowed.absolute > 0.0 && largest.why.is_empty());
    match (largest.why, step) {
        ("", None) => format!("{:e}", largest.relative),
        ("", Some(row)) => format!("{:e}, or {}", largest.relative, row.allowed.why),
        (why, _) => format!("{:.1e} ({why})", largest.relative),
    }
}

fn verify(arguments: &Arguments, folder: &Path, name: &str) -> Result<Vec<Row>> {
    if is_plan(folder) {
        return verify_plan(arguments, folder, name);
    }
    if !folder.is_dir() {
        bail!("this is not a folder; a folder to verify has model.onnx and test_data_set_0 in it");
    }
    if !folder.join("model.onnx").exists() {
        bail!("there is no model.onnx; a folder to verify has model.onnx and test_data_set_0 in it");
    }
    let model = ModelArguments {
        model: folder.join("model.onnx"),
        definition: DefinitionArguments { precise: Some(arguments.precise), ..Default::default() },
        max: vec![],
        dim: vec![],
        input_shape: vec![],
        cut_at: vec![],
        value: vec![],
        target: arguments.target.clone(),
        records: arguments.records.clone(),
        precision: arguments.precision.clone(),
        lenient: arguments.lenient,
    };
    let data = test_data::Folder::open(folder).into_diagnostic()?;
    let values = data.known_inputs().into_diagnostic()?;
    let told: Vec<String> = values.keys().cloned().collect();
    let options = ImportOptions { values, ..model.import_options()? };
    let (imported, sets) = opened(&model, &options, &data, name)?;
    let graph = imported.graph;
    // Models that are readable only because the test data gives the values of inputs are refused by other commands.
    if !told.is_empty()
        && kiln::onnx::import(&model.model, &ImportOptions { dims: options.dims, ..model.import_options()? })
            .is_err()
    {
        let flags: Vec<String> = told.iter().map(|input| format!("`--value {input}=...`")).collect();
        note!(
            "note: {name}: the graph depends on the value of `{}`, which was taken from the test data; \
             other commands need {}",
            told.join("`, `"),
            flags.join(" ")
        );
    }
    let largest = test_data::largest_symbols(&graph, &sets).into_diagnostic()?;
    let mut computed = tolerance::of_graph(&graph);
    if imported.rounds_to_bfloat16 {
        computed.values_mut().for_each(|computed| computed.numbers = Numbers::Bfloat16);
    }
    if arguments.precision.chosen() == kiln::Precision::F16 {
        computed.values_mut().for_each(|computed| computed.numbers = computed.numbers.max(Numbers::Half));
    }
    let definition = Model::of_graph(graph);
    let compiled = model.compile(&definition, &largest)?;
    let separate = || {
        let options = Options { separate: true, ..model.options(&definition.graph, &largest)? };
        kiln::compile(&definition.graph, &options).into_diagnostic()
    };
    compare(arguments, &compiled.plan, Some(&separate), &sets, &computed, name)
}

/// The model with its data sets: with open sizes if it has them and the data sets fit what it assumes of them, else for the
/// sizes that all data sets have, if it can be read for these.
fn opened(
    model: &ModelArguments,
    options: &ImportOptions,
    data: &test_data::Folder,
    name: &str,
) -> Result<(Imported, Vec<DataSet>)> {
    let with_sets = |imported: Imported| -> Result<(Imported, Vec<DataSet>)> {
        let sets = data.data_sets(&imported.graph).into_diagnostic()?;
        Ok((imported, sets))
    };
    let open = kiln::onnx::import(&model.model, options).into_diagnostic().and_then(with_sets);
    let fits = |graph: &Graph, set: &DataSet| {
        let seen = test_data::largest_symbols(graph, std::slice::from_ref(set));
        seen.is_ok_and(|seen| sizes::fit(graph, &seen))
    };
    if open.as_ref().is_ok_and(|(imported, sets)| sets.iter().all(|set| fits(&imported.graph, set))) {
        return open;
    }
    let types =
        kiln::onnx::input_types(&kiln_files::read(&model.model).into_diagnostic()?).into_diagnostic()?;
    let inputs = data.inputs().into_diagnostic()?;
    let shapes = inputs.iter().flatten().map(|(input, tensor)| (input.as_str(), tensor.shape()));
    let dims = test_data::agreed_sizes(&types, shapes);
    if dims.is_empty() {
        return open;
    }
    let flags = sizes::flags(&dims);
    match (kiln::onnx::import(&model.model, &ImportOptions { dims, ..options.clone() }), open) {
        (Ok(imported), _) => {
            note!("note: {name}: sizes are those that all data sets have: `{flags}`");
            with_sets(imported)
        }
        // What an open model needs of sizes is said when it runs, with sizes that fit.
        (Err(_), Ok(open)) => Ok(open),
        (Err(error), Err(_)) => Err(error).into_diagnostic(),
    }
}

/// Verifies a compiled plan with the test data of its folder.
fn verify_plan(arguments: &Arguments, path: &Path, name: &str) -> Result<Vec<Row>> {
    arguments.precision.refuse_for_plan()?;
    let plan = load_plan(path)?;
    let Some(program) = plan.programs.first() else { bail!("the plan has no program") };
    let named = |index: &usize| plan.tensors.get(*index).map(|tensor| tensor.name.clone());
    let inputs: Vec<String> = program.inputs.iter().filter_map(named).collect();
    let outputs: Vec<String> = program.outputs.iter().map(|output| output.name.clone()).collect();
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let sets = test_data::data_sets(folder, &inputs, &outputs).into_diagnostic()?;
    compare(arguments, &plan, None, &sets, &tolerance::of_plan(&plan), name)
}

/// Compiles a model with every kernel as a dispatch of its own.
type Separate<'a> = &'a dyn Fn() -> Result<Compiled>;

/// Runs a plan on data sets; the model it was compiled from is needed to find the first layer that differs.
fn compare(
    arguments: &Arguments,
    plan: &Plan,
    separate: Option<Separate<'_>>,
    sets: &[DataSet],
    computed: &BTreeMap<String, Computed>,
    name: &str,
) -> Result<Vec<Row>> {
    if arguments.bisect && separate.is_none() {
        bail!("a compiled plan does not contain its layers; --bisect needs the folder with the model");
    }
    let mut session = device::load(plan)?;
    let mut rows = Vec::new();
    for set in sets {
        let inputs = host_inputs(set)?;
        let borrowed: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let outputs = session.run(&borrowed).into_diagnostic()?;
        for (output, expected) in &set.outputs {
            let found = kiln::from_host(outputs.get(output).into_diagnostic()?).into_diagnostic()?;
            let difference = test_data::difference(expected, &found)
                .ok_or_else(|| format!("is {}, but should be {}", found.ty(), expected.ty()));
            let computed = computed.get(output).copied().unwrap_or_default();
            let allowed = arguments.allowed(computed, expected.dtype());
            let wrong = !difference.as_ref().is_ok_and(|d| allowed.admits(d));
            let first_wrong = match separate.filter(|_| wrong && arguments.bisect) {
                Some(separate) => Some(bisect(&separate()?, set, arguments, computed)?),
                None => None,
            };
            let (folder, set, output) = (name.to_owned(), set.name.clone(), output.clone());
            rows.push(Row { folder, set, output, difference, allowed, first_wrong });
        }
    }
    Ok(rows)
}

fn host_inputs(set: &DataSet) -> Result<Vec<(String, HostTensor)>> {
    set.inputs
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), kiln::to_host(tensor).into_diagnostic()?)))
        .collect()
}

/// Runs dispatch by dispatch beside the reference evaluation of the same graph; finds the first dispatch
/// whose result is wrong.
fn bisect(compiled: &Compiled, set: &DataSet, arguments: &Arguments, computed: Computed) -> Result<String> {
    let [made] = &compiled.programs[..] else { return Ok("the plan has no program".into()) };
    let mut session = device::load(&compiled.plan)?;
    let expected = expected_values(&made.graph, set)?;
    let inputs = host_inputs(set)?;
    let borrowed: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let plan = session.plan().clone();
    let Some(program) = plan.programs.first() else { return Ok("the plan has no program".into()) };
    for (n, dispatch) in program.dispatches.iter().enumerate() {
        if n == 0 {
            session.run_until(&program.name, &borrowed, 0).into_diagnostic()?;
        } else {
            session.run_dispatch(&program.name, n).into_diagnostic()?;
        }
        for tensor in &dispatch.writes {
            let Some(wanted) = plan.tensors.get(*tensor).and_then(|t| expected.get(&t.name)) else {
                continue;
            };
            let found =
                kiln::from_host(&session.read_tensor(*tensor).into_diagnostic()?).into_diagnostic()?;
            // What is kept in 16 bits is compared with what was rounded to them.
            let found = match (wanted.dtype(), found.dtype()) {
                (DType::F32, DType::F16) => {
                    Tensor::of_numbers(found.shape().to_vec(), &found.to_f64(), DType::F32)
                        .into_diagnostic()?
                }
                _ => found,
            };
            match test_data::difference(wanted, &found) {
                Some(d) if arguments.allowed(computed, wanted.dtype()).admits(&d) => {}
                Some(d) => {
                    return Ok(format!(
                        "`{}` is the first that differs, by {:.1e}",
                        dispatch.name, d.relative
                    ));
                }
                // A tensor of another shape is a copy in another layout.
                None => {}
            }
        }
    }
    Ok("every layer agrees with the reference evaluation; the expected output may be wrong, or both are"
        .into())
}

/// All values of the graph by name.
fn expected_values(graph: &Graph, set: &DataSet) -> Result<BTreeMap<String, Tensor>> {
    let inputs = set.inputs.iter().cloned().collect();
    let options = EvaluateOptions { keep_all: true, ..EvaluateOptions::new(Precision::F32) };
    let evaluation = evaluate_with(graph, &inputs, &options).into_diagnostic()?;
    let named = graph.value_ids().filter_map(|id| {
        let tensor = evaluation.get(id)?.clone();
        Some((graph.value(id).name.clone(), tensor))
    });
    Ok(named.collect())
}

fn print_rows(rows: &[Row], good: &dyn Fn(&Row) -> bool) -> Result<()> {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("model", Align::Left),
        ("data", Align::Left),
        ("output", Align::Left),
        ("absolute", Align::Right),
        ("relative", Align::Right),
    ]);
    for row in rows {
        let mark = if good(row) { "ok" } else { "WRONG" }.to_owned();
        let (absolute, relative) = match &row.difference {
            Ok(d) => (format!("{:.2e}", d.absolute), format!("{:.2e}", d.relative)),
            Err(_) => ("-".into(), "-".into()),
        };
        table.row([mark, row.folder.clone(), row.set.clone(), row.output.clone(), absolute, relative]);
    }
    show!("{table}")?;
    for row in rows {
        let place = format!("{} {} {}", row.folder, row.set, row.output);
        if let Err(message) = &row.difference {
            showln!("{}: {message}", place.trim_end())?;
        }
        if let Some(layer) = &row.first_wrong {
            showln!("{}: {layer}", place.trim_end())?;
        }
    }
    Ok(())
}

fn as_json(row: &Row, good: bool) -> serde_json::Value {
    let difference = row.difference.as_ref();
    json!({
        "model": row.folder,
        "data_set": row.set,
        "output": row.output,
        "ok": good,
        "absolute": difference.ok().map(|d| d.absolute),
        "relative": difference.ok().map(|d| d.relative),
        "allowed": row.allowed.relative,
        "error": difference.err(),
        "first_wrong": row.first_wrong,
    })
}
