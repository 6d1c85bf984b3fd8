//! `kiln export-web`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kiln::train::Training;
use kiln::training::data::{Dataset, Samples, SourceOptions, Splits, Targets};
use kiln::{Model, Plan};
use miette::{IntoDiagnostic, Result, bail, miette};
use serde_json::json;

use crate::definition::{is_recipe, note_untrained, refuse_plan};
use crate::labels;
use crate::model::{AUTO, ModelArguments, targets};
use crate::picture::PictureArguments;
use crate::progress::Progress;
use crate::table::bytes;
use crate::terminal;
use crate::training::{Recipe, step_of};

/// The player and the pages: no browser needs anything else.
const FILES: &[(&str, &str)] = &[
    ("kiln.js", include_str!("../../web/dist/kiln.js")),
    ("reader.js", include_str!("../../web/dist/reader.js")),
    ("pictures.js", include_str!("../../web/dist/pictures.js")),
    ("training.js", include_str!("../../web/dist/training.js")),
    ("demo.css", include_str!("../../web/demo/demo.css")),
    ("demo.js", include_str!("../../web/demo/demo.js")),
    ("parts.js", include_str!("../../web/demo/parts.js")),
    ("draw.js", include_str!("../../web/demo/draw.js")),
    ("classify.js", include_str!("../../web/demo/classify.js")),
    ("images.js", include_str!("../../web/demo/images.js")),
    ("numbers.js", include_str!("../../web/demo/numbers.js")),
    ("train.js", include_str!("../../web/demo/train.js")),
    ("charts.js", include_str!("../../web/demo/charts.js")),
];
const PAGE: &str = include_str!("../../web/demo/index.html");

/// Bytes of data that a page brings along.
const MOST_DATA: usize = 64 << 20;

/// Arguments of `kiln export-web`.
#[derive(Args)]
#[command(after_help = "\
The folder can be put on any static server; WebGPU needs https:// or localhost. Without `--target`, the plan is for any
device (`portable`); unless `--precise=false` is given, convolutions are not computed by Winograd's algorithm, whose weights
are up to four times as large.

Examples:
  kiln export-web resnet18.onnx --labels imagenet.txt -o page
  kiln export-web models/digits.toml --train -o page      a page that trains, with the recipe's data
  kiln export-web net.onnx --variant gpu-subgroups --variant swiftshader -o page      faster where they run
  cd page && python3 -m http.server")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The folder, which is made
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// Also compile for this target; the page takes the first plan that its device can run, that of `--target` last
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    variant: Vec<String>,
    /// A page that trains: an optimizer, or a recipe (`.toml`); the model's own recipe if nothing is said
    #[arg(long, value_name = "OPTIMIZER|RECIPE", num_args = 0..=1, default_missing_value = "")]
    train: Option<String>,
    /// What the page trains with: images of classes, as in `kiln train --data`; the recipe's if not given
    #[arg(long, value_name = "SOURCE", requires = "train")]
    data: Option<String>,
    #[command(flatten)]
    pictures: PictureArguments,
    /// Class names, one per line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compiles, and writes the folder.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut model = arguments.model.clone();
    refuse_plan(&model.model)?;
    if model.target == AUTO {
        model.target = "portable".into();
    }
    // Weights that are transformed for Winograd's algorithm are larger, and what is downloaded counts most for a page.
    model.definition.precise.get_or_insert(true);
    let progress = Progress::new("reading the model");
    let mut definition = model.read()?;
    arguments.pictures.describe(&mut definition.metadata)?;
    if let Some(path) = &arguments.labels {
        definition.metadata.classes = labels::read(path)?;
        labels::check_count(path, &definition.metadata.classes, &labels::scores_of(&definition.graph))?;
    }
    let mut settings = json!({ "title": title(&definition, &model.model) });
    let (lesson, data) = match &arguments.train {
        Some(how) => {
            let (lesson, data) = lesson(arguments, &model, &mut definition, how)?;
            settings["batch"] = json!(lesson.batch);
            settings["lr"] = json!(lesson.lr);
            settings["epochs"] = json!(lesson.epochs);
            (Some(lesson), data)
        }
        None => {
            note_untrained(&definition, &model.model);
            (None, None)
        }
    };
    progress.stage("compiling");
    let mut plans = Vec::new();
    for target in arguments.variant.iter().chain([&model.target]) {
        let model = ModelArguments { target: target.clone(), ..model.clone() };
        plans.push(compiled(&model, &definition, lesson.as_ref())?);
    }
    drop(progress);
    let folder = &arguments.output;
    let cannot = |error: std::io::Error| miette!("cannot write `{}`: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let write = |name: &str, bytes: &[u8]| kiln_files::write(&folder.join(name), bytes).map_err(cannot);
    let (mut names, mut sizes) = (Vec::new(), Vec::new());
    for plan in &plans {
        let bytes = plan.to_bytes().into_diagnostic()?;
        // Another plan has another name, so that a browser may keep each for good.
        let name = format!("model-{:08x}.kplan", crc32fast::hash(&bytes));
        write(&name, &bytes)?;
        names.push(name);
        sizes.push(bytes.len());
    }
    settings["plans"] = json!(names);
    if let Some(data) = &data {
        settings["data"] = json!("data.bin");
        write("data.bin", data)?;
    }
    for (name, text) in FILES {
        write(name, text.as_bytes())?;
    }
    // In the page, `</` could end the script that the settings are in.
    let settings = settings.to_string().replace('<', "\\u003c");
    write("index.html", PAGE.replace("{\"plans\":[]}", &settings).as_bytes())?;
    let player: usize = FILES.iter().map(|(_, text)| text.len()).sum();
    if arguments.json {
        let value = json!({
            "output": folder,
            "plans": names,
            "plan_bytes": sizes,
            "data_bytes": data.as_ref().map_or(0, Vec::len),
            "page_bytes": player + PAGE.len(),
        });
        terminal::show_json("export-web", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    showln!("{}", folder.join("index.html").display())?;
    for (plan, size) in plans.iter().zip(sizes) {
        note!("{} of plan for the target `{}`", bytes(wide(size)), plan.target);
    }
    note!(
        "{} of page; any static server will do: cd {} && python3 -m http.server",
        bytes(wide(player + PAGE.len())),
        folder.display(),
    );
    Ok(ExitCode::SUCCESS)
}

/// How a page trains.
struct Lesson {
    training: Training,
    batch: u32,
    lr: f64,
    epochs: u64,
}

/// How a page trains, and the data for it.
fn lesson(
    arguments: &Arguments,
    model: &ModelArguments,
    definition: &mut Model,
    how: &str,
) -> Result<(Lesson, Option<Vec<u8>>)> {
    let own = is_recipe(&model.model).then(|| model.model.to_string_lossy().into_owned());
    let how = if how.is_empty() { own.unwrap_or_else(|| "sgd".into()) } else { how.to_owned() };
    let recipe = match how.ends_with(".toml") {
        true => Recipe { model: Some(how.as_str().into()), ..Recipe::default() }.complete()?,
        false => Recipe::default(),
    };
    let data = arguments.data.clone().or_else(|| recipe.data.clone());
    let splits = data.map(|data| load(&data, &recipe)).transpose()?;
    if let Some(splits) = &splits {
        describe(definition, &recipe, splits);
    }
    let lesson = Lesson {
        training: model.in_precision(&step_of(definition, &how)?),
        batch: u32::try_from(recipe.batch()).into_diagnostic()?,
        lr: recipe.lr(),
        epochs: recipe.epochs.unwrap_or(4),
    };
    Ok((lesson, splits.map(|splits| packed(&splits)).transpose()?))
}

/// The plan for a target.
fn compiled(model: &ModelArguments, definition: &Model, lesson: Option<&Lesson>) -> Result<Plan> {
    let Some(Lesson { training, batch, .. }) = lesson else {
        return Ok(model.compile(definition, &Default::default())?.plan);
    };
    let mut options = model.options(&definition.graph, &Default::default())?;
    options.precision = training.precision;
    // What a page trains with is a batch, whatever a plan is usually for.
    for (name, max) in &mut options.max {
        if !model.max.iter().any(|(given, _)| given == name) {
            *max = *batch;
        }
    }
    let compiled = kiln::compile_training(&definition.graph, training, &options).into_diagnostic()?;
    Ok(Plan { metadata: definition.metadata.clone(), ..compiled.plan })
}

fn load(data: &str, recipe: &Recipe) -> Result<Splits> {
    let source: kiln::training::data::Source = data.parse().into_diagnostic()?;
    let options = SourceOptions { seed: recipe.seed.unwrap_or(0), ..SourceOptions::default() };
    source.load(&options).into_diagnostic()
}

/// What the page has to know of samples, where the model does not say it.
fn describe(definition: &mut Model, recipe: &Recipe, splits: &Splits) {
    let metadata = &mut definition.metadata;
    if metadata.classes.is_empty() {
        metadata.classes = splits.train.class_names().map(<[String]>::to_vec).unwrap_or_default();
    }
    metadata.task.get_or_insert(kiln::plan::Task::Classification);
    let channels = match splits.train.shape.first() {
        Some(1) => kiln::plan::Channels::Grey,
        Some(_) | None => kiln::plan::Channels::Rgb,
    };
    let (mean, std) = match recipe.no_normalize.unwrap_or(false) {
        true => (vec![], vec![]),
        false => splits.train.channel_statistics(),
    };
    metadata.preprocessing.get_or_insert_with(|| kiln::plan::Preprocessing {
        source: kiln::plan::InputSource::Pictures(kiln::plan::Pictures { channels, ..Default::default() }),
        mean,
        std,
    });
}

/// Data as the page reads it: the length of what follows as JSON (four bytes), the JSON, and for each part pixels and classes.
fn packed(splits: &Splits) -> Result<Vec<u8>> {
    let test = splits.test.as_ref().or(splits.validation.as_ref());
    let parts: Vec<&Dataset> = [Some(&splits.train), test].into_iter().flatten().collect();
    let counts: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let header = json!({ "shape": splits.train.shape, "counts": counts }).to_string();
    let mut bytes = u32::try_from(header.len()).into_diagnostic()?.to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    for part in parts {
        let (Samples::Bytes(pixels), Targets::Classes { labels, .. }) = (&part.samples, &part.targets) else {
            bail!("a page trains with images that have classes; this data is something else")
        };
        bytes.extend(pixels);
        for label in labels {
            bytes.push(u8::try_from(*label).map_err(|_| miette!("a page trains with at most 256 classes"))?);
        }
    }
    if bytes.len() > MOST_DATA {
        bail!(
            "the data has {}, a page takes at most 64 MiB; `digits:3000` has fewer samples",
            self::bytes(wide(bytes.len()))
        );
    }
    Ok(bytes)
}

fn title(definition: &Model, path: &Path) -> String {
    let name = &definition.graph.name;
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if name.is_empty() { stem() } else { name.clone() }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
