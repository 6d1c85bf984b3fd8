//! Samples to observe the values of a network on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use kiln::graph::{DType, Dim, Graph};
use kiln::quantize::{Feed, Feeds};
use kiln::training::data::{Dataset, Source, loose_pictures};
use kiln::training::normalize::Normalize;
use kiln::{Error, HostTensor, Model, test_data};
use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::input::{self, InputArguments, wanted_by_graph};
use crate::model::ModelArguments;
use crate::sizes::symbols_of;
use crate::training::{Observed, Recipe, observed};

/// Samples of a run, where the model takes any number.
const BATCH: usize = 8;

/// What to calibrate with.
#[derive(Args, Clone)]
pub(crate) struct CalibrationArguments {
    /// Samples to observe the network's values on: data as `kiln train --data` names it (folder:DIR, npz:FILE, csv:FILE,
    /// mnist:DIR, digits, ...), a folder of images, a folder with ONNX's `test_data_set_0`, ..., or files as `kiln run`
    /// takes them
    #[arg(long, value_name = "DATA", required = true, num_args = 1..)]
    pub calibrate: Vec<String>,
    /// Use at most so many samples, spread over the data
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
    /// Do not normalize samples of data sets
    #[arg(long)]
    pub no_normalize: bool,
}

/// The inputs of a network, and what else is known of them.
pub(crate) struct Calibration {
    /// The inputs of each run.
    pub feeds: Box<dyn Feeds>,
    /// How many samples these are.
    pub samples: usize,
    /// The largest value of each symbol.
    pub seen: BTreeMap<String, u32>,
    /// Samples with known classes, or why there are none.
    pub scored: Result<Scored, String>,
}

/// Samples with known classes.
pub(crate) struct Scored {
    /// The samples.
    pub data: Dataset,
    /// How they are normalized.
    pub normalize: Normalize,
}

/// Samples of a data set, some in each run.
struct FromData {
    data: Dataset,
    normalize: Normalize,
    input: String,
    /// The shape of a sample as the model has it.
    shape: Vec<usize>,
    batch: usize,
    /// Whether only whole batches are run.
    whole: bool,
}

impl Feeds for FromData {
    fn runs(&self) -> usize {
        if self.whole { self.data.len() / self.batch } else { self.data.len().div_ceil(self.batch) }
    }

    fn feed(&self, run: usize) -> Result<Feed, Error> {
        let first = run * self.batch;
        let end = (first + self.batch).min(self.data.len());
        let mut samples = Vec::with_capacity((end - first) * self.data.sample_len());
        for index in first..end {
            let mut sample = self.data.sample(index);
            self.normalize.apply(&mut sample, &self.data.shape);
            samples.extend(sample);
        }
        let shape = [&[end - first], &self.shape[..]].concat();
        Ok(vec![(self.input.clone(), HostTensor::new(shape, samples)?)])
    }
}

impl CalibrationArguments {
    /// The files that are read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.calibrate
            .iter()
            .flat_map(|text| {
                let behind = text.split_once([':', '=']).map(|(_, place)| PathBuf::from(place));
                [Some(PathBuf::from(text)), behind].into_iter().flatten()
            })
            .collect()
    }

    /// Reads the samples, preprocessed as the model's metadata says.
    pub(crate) fn read(&self, arguments: &ModelArguments, model: &Model) -> Result<Calibration> {
        let [text] = &self.calibrate[..] else { return self.of_files(&self.calibrate, model) };
        let folder = match text.parse::<Source>() {
            Ok(Source::Folder(folder)) => Some(folder),
            Err(_) if Path::new(text).is_dir() => Some(PathBuf::from(text)),
            Err(_) if Path::new(text).is_file() || text.contains('=') => {
                return self.of_files(std::slice::from_ref(text), model);
            }
            Ok(_) | Err(_) => None,
        };
        let Some(folder) = folder else { return self.of_data(text, arguments, model) };
        if folder.join("test_data_set_0").is_dir() {
            return self.of_test_data(&folder, &model.graph);
        }
        let loose = loose_pictures(&folder).into_diagnostic().wrap_err("--calibrate")?;
        if loose.is_empty() {
            return self.of_data(&format!("folder:{}", folder.display()), arguments, model);
        }
        let loose: Vec<String> = loose.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        self.of_files(&loose, model)
    }

    fn most(&self) -> usize {
        usize::try_from(self.samples).unwrap_or(usize::MAX)
    }

    fn of_data(&self, text: &str, arguments: &ModelArguments, model: &Model) -> Result<Calibration> {
        let graph = &model.graph;
        let &[input] = graph.inputs() else {
            bail!(
                "the model has {} inputs, and `{text}` has samples for one; a folder with `test_data_set_0` can have all",
                graph.inputs().len()
            );
        };
        // A model that says nothing of its images says how many channels they have.
        let channels = graph.ty(input).shape.get(1).and_then(Dim::as_usize);
        let is_grey = channels == Some(1) && model.metadata.preprocessing.is_none();
        let recipe = Recipe {
            model: Some(arguments.model.clone()),
            definition: arguments.definition.clone(),
            data: Some(text.to_owned()),
            grey: is_grey.then_some(true),
            no_normalize: self.no_normalize.then_some(true),
            ..Recipe::default()
        };
        let output = graph.outputs().first().map(|output| graph.ty(output.value));
        let classes = output.filter(|ty| ty.rank() > 1).and_then(|ty| ty.shape[1].as_usize());
        let Observed { data, normalize, scored } = observed(&recipe, &model.metadata, self.most(), classes)?;
        let (name, ty) = (graph.value(input).name.clone(), graph.ty(input));
        let wanted = input::wanted(&name, ty);
        let wrong = || {
            let (found, wanted) = (&data.shape, wanted.text());
            format!("samples of `{text}` have the shape {found:?}, but the input `{name}` is {wanted}")
        };
        let Some((batch, sample)) = wanted.shape.split_first().filter(|_| ty.dtype == DType::F32) else {
            bail!("{}", wrong());
        };
        let shape: Vec<usize> = match sample.iter().cloned().collect::<Result<Vec<usize>, _>>() {
            Ok(shape) => shape,
            Err(_) => data.shape.clone(),
        };
        let fits = shape.len() == sample.len()
            && shape
                .iter()
                .zip(sample)
                .all(|(size, wanted)| wanted.as_ref().is_ok_and(|n| n == size) || wanted.is_err())
            && shape.iter().product::<usize>() == data.sample_len();
        if !fits {
            bail!("{}", wrong());
        }
        normalize.check(&data.shape).into_diagnostic()?;
        let (whole, batch) = match batch {
            Ok(batch) => (true, *batch),
            Err(_) => (false, BATCH.min(data.len()).max(1)),
        };
        if batch == 0 || data.len() < batch {
            bail!("the model takes {batch} samples at once, but there are {}", data.len());
        }
        let scored = scored.map(|data| Scored { data, normalize: normalize.clone() });
        let feeds = FromData { data, normalize, input: name, shape, batch, whole };
        let seen = symbols_of(graph, &feeds.feed(0).into_diagnostic()?)?;
        let samples = if whole { feeds.runs() * batch } else { feeds.data.len() };
        Ok(Calibration { feeds: Box::new(feeds), samples, seen, scored })
    }

    fn of_test_data(&self, folder: &Path, graph: &Graph) -> Result<Calibration> {
        let names: Vec<String> = graph.inputs().iter().map(|id| graph.value(*id).name.clone()).collect();
        let sets = test_data::inputs_of_sets(folder, &names).into_diagnostic()?;
        let host =
            |(name, tensor): &(String, _)| Ok((name.clone(), kiln::to_host(tensor).into_diagnostic()?));
        let feeds = sets.iter().map(|set| set.iter().map(host).collect()).collect::<Result<Vec<Feed>>>()?;
        self.of_feeds(feeds, graph)
    }

    fn of_files(&self, texts: &[String], model: &Model) -> Result<Calibration> {
        let wanted = wanted_by_graph(&model.graph);
        // Images make batches of the size that a model asks for.
        let together = match &wanted[..] {
            [input] => input.shape.first().and_then(|size| size.clone().ok()).unwrap_or(1).max(1),
            _ => texts.len().max(1),
        };
        let mut feeds = Vec::new();
        // A rest is no batch.
        let whole = if texts.len() < together { texts.len() } else { texts.len() / together * together };
        for texts in spread(&texts[..whole], self.most().saturating_mul(together)).chunks(together) {
            let arguments =
                InputArguments { inputs: texts.to_vec(), pictures: Default::default(), normalize: false };
            feeds.push(input::read(&arguments, &wanted, &BTreeMap::new(), &model.metadata)?);
        }
        self.of_feeds(feeds, &model.graph)
    }

    fn of_feeds(&self, feeds: Vec<Feed>, graph: &Graph) -> Result<Calibration> {
        let feeds = spread(&feeds, self.most());
        let mut seen = BTreeMap::new();
        let mut samples = 0;
        for feed in &feeds {
            for (symbol, value) in symbols_of(graph, feed)? {
                let most = seen.entry(symbol).or_insert(value);
                *most = value.max(*most);
            }
            samples += feed.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(1);
        }
        if samples == 0 || seen.values().any(|size| *size == 0) {
            bail!("`{}` has no samples to observe the model on", self.calibrate.join(" "));
        }
        let scored = Err("these samples have no classes".to_owned());
        Ok(Calibration { feeds: Box::new(feeds), samples, seen, scored })
    }
}

/// At most so many of a list, spread over it.
fn spread<T: Clone>(list: &[T], most: usize) -> Vec<T> {
    let count = list.len().min(most);
    (0..count).map(|n| list[n * list.len() / count].clone()).collect()
}
