//! Inputs from files (images, `.npy`, `.pb`), or generated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use kiln::graph::{Dim, Graph, TensorType};
use kiln::plan::{InputSource, Metadata, Preprocessing};
use kiln::training::data::read_columns;
use kiln::training::npy::{self, Array, Elements};
use kiln::{HostTensor, Plan};
use miette::{IntoDiagnostic, Result, bail, miette};

use crate::picture::{self, PictureArguments};

/// Inputs larger than this are not generated: no device supports a buffer that large.
const MOST_MADE_UP: usize = 1 << 30;

/// Where inputs come from.
#[derive(Args, Clone)]
pub(crate) struct InputArguments {
    /// Inputs: FILE, `zeros` or `random`, with NAME= in front where the model has several. Files are images
    /// (PNG, JPEG; several form a batch), tables (`.csv` with a line of names), `.npy` or ONNX's `.pb`
    #[arg(value_name = "[NAME=]INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub pictures: PictureArguments,
    /// Apply the mean and deviation to `.npy` and `.pb` inputs, too, which are used unchanged otherwise
    #[arg(long)]
    pub normalize: bool,
}

impl InputArguments {
    /// The files that may be read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let words = self.inputs.iter().flat_map(|input| {
            let behind_name = input.split_once('=').map(|(_, file)| file);
            [Some(input.as_str()), behind_name]
        });
        words.flatten().map(PathBuf::from).collect()
    }
}

/// What is known of an input: its name, and sizes where they are numbers.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The name.
    pub name: String,
    /// The element type.
    pub dtype: kiln::DType,
    /// Sizes; a symbol where it is not a number.
    pub shape: Vec<Result<usize, String>>,
}

impl Wanted {
    /// `f32[N, 3, 224, 224]`
    pub(crate) fn text(&self) -> String {
        let dims: Vec<String> = self
            .shape
            .iter()
            .map(|dim| match dim {
                Ok(n) => n.to_string(),
                Err(symbol) => symbol.clone(),
            })
            .collect();
        format!("{}[{}]", self.dtype.name(), dims.join(", "))
    }

    fn size(&self, axis: usize) -> Option<u32> {
        self.shape.get(axis)?.as_ref().ok().and_then(|n| u32::try_from(*n).ok())
    }
}

/// The inputs of a graph.
pub(crate) fn wanted_by_graph(graph: &Graph) -> Vec<Wanted> {
    graph.inputs().iter().map(|id| wanted(&graph.value(*id).name, graph.ty(*id))).collect()
}

/// What is known of an input of this type.
pub(crate) fn wanted(name: &str, ty: &TensorType) -> Wanted {
    let shape = ty.shape.iter().map(|dim| dim.as_usize().ok_or_else(|| dim.to_string())).collect();
    Wanted { name: name.to_owned(), dtype: kiln::host_dtype(ty.dtype), shape }
}

/// The inputs of a plan.
pub(crate) fn wanted_by_plan(plan: &Plan) -> Vec<Wanted> {
    let inputs = plan.programs.first().map_or(&[][..], |program| &program.inputs);
    let input = |n: &usize| {
        let tensor = plan.tensors.get(*n)?;
        let size = |dim: &kiln::Expr| {
            let number = dim.as_const().and_then(|n| usize::try_from(n).ok());
            number.ok_or_else(|| dim.text(&plan.symbols))
        };
        Some(Wanted {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.iter().map(size).collect(),
        })
    };
    inputs.iter().filter_map(input).collect()
}

/// How inputs become tensors.
struct Feed {
    preprocessing: Preprocessing,
    /// Whether tensors from files are normalized, too.
    normalize: bool,
}

/// Reads all inputs, preprocessed as flags or else the model's metadata say; `symbols` gives sizes to generated
/// inputs.
pub(crate) fn read(
    arguments: &InputArguments,
    wanted: &[Wanted],
    symbols: &BTreeMap<String, u32>,
    metadata: &Metadata,
) -> Result<Vec<(String, HostTensor)>> {
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for text in &arguments.inputs {
        let named = text.split_once('=').filter(|(name, _)| wanted.iter().any(|w| w.name == *name));
        if let (None, Some((name, _))) = (named, text.split_once('='))
            && !Path::new(text).exists()
        {
            let names: Vec<String> = wanted.iter().map(|w| format!("`{}`", w.name)).collect();
            bail!("the model has no input `{name}`; it has {}", names.join(", "));
        }
        match (named, wanted) {
            (Some((name, source)), _) => sources.entry(name).or_default().push(source),
            (None, [only]) => sources.entry(&only.name).or_default().push(text),
            (None, _) => {
                let names: Vec<String> = wanted.iter().map(|w| format!("{}=...", w.name)).collect();
                bail!("`{text}` should say which input it is for: {}", names.join(", "));
            }
        }
    }
    let preprocessing = arguments.pictures.preprocessing(metadata)?;
    let feed = Feed { preprocessing, normalize: arguments.normalize };
    wanted
        .iter()
        .map(|input| {
            let sources = sources.remove(input.name.as_str()).unwrap_or_default();
            if sources.is_empty() {
                bail!(
                    "the input `{}` ({}) is missing; give a file, `zeros` or `random`",
                    input.name,
                    input.text()
                );
            }
            Ok((input.name.clone(), one(&sources, input, symbols, &feed)?))
        })
        .collect()
}

fn one(sources: &[&str], input: &Wanted, symbols: &BTreeMap<String, u32>, feed: &Feed) -> Result<HostTensor> {
    let extension = |source: &str| {
        Path::new(source)
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase)
            .unwrap_or_default()
    };
    let [source] = sources else {
        return pictures(sources, input, &feed.preprocessing);
    };
    match *source {
        "zeros" => Ok(HostTensor::zeros(input.dtype, made_up(input, symbols)?)),
        "random" => random(input, symbols),
        file => match extension(file).as_str() {
            "npy" => as_it_stands(file, npy(Path::new(file))?, feed),
            "csv" => table(Path::new(file), input, &feed.preprocessing),
            "pb" => {
                let bytes = kiln_files::read(Path::new(file))
                    .map_err(|error| miette!("cannot read `{file}`: {error}"))?;
                let tensor =
                    kiln::onnx::read_tensor_pb(&bytes).map_err(|error| miette!("`{file}`: {error}"))?;
                as_it_stands(file, kiln::to_host(&tensor).into_diagnostic()?, feed)
            }
            _ => pictures(sources, input, &feed.preprocessing),
        },
    }
}

/// Sizes of an input that was not given: symbols as given, else 1.
fn made_up(input: &Wanted, symbols: &BTreeMap<String, u32>) -> Result<Vec<usize>> {
    let size = |dim: &Result<usize, String>| match dim {
        Ok(size) => *size,
        Err(size) => {
            // An expression of symbols, each as given or 1.
            let dim: Dim = size.parse().unwrap_or_else(|()| Dim::from(1));
            let bound = dim.symbols().into_iter().map(|symbol| {
                let value = symbols.get(&*symbol).map_or(1, |n| i64::from(*n));
                (symbol, value)
            });
            dim.eval(&bound.collect()).ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(1)
        }
    };
    let shape: Vec<usize> = input.shape.iter().map(size).collect();
    let count = shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    if count.is_none_or(|count| count > MOST_MADE_UP) {
        bail!(
            "the input `{}` would be {shape:?}, more than {MOST_MADE_UP} numbers; reduce `--max`",
            input.name
        );
    }
    Ok(shape)
}

/// Numbers from -1 to 1 (or 0 to 9, or booleans) that are the same each time.
fn random(input: &Wanted, symbols: &BTreeMap<String, u32>) -> Result<HostTensor> {
    let shape = made_up(input, symbols)?;
    let count: usize = shape.iter().product();
    // A linear congruential generator; constants by Knuth, "The Art of Computer Programming", 3.3.4.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut floats = || (0..count).map(|_| 2.0 * next() - 1.0).collect::<Vec<f32>>();
    let digit = |x: &f32| ((x + 1.0) * 5.0) as u8;
    let tensor = match input.dtype {
        kiln::DType::F32 => HostTensor::new(shape, floats()),
        kiln::DType::F64 => HostTensor::new(shape, floats().into_iter().map(f64::from).collect::<Vec<_>>()),
        kiln::DType::F16 => {
            HostTensor::new(shape, floats().into_iter().map(kiln::f16::from_f32).collect::<Vec<_>>())
        }
        kiln::DType::I32 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).into()).collect::<Vec<i32>>())
        }
        kiln::DType::I64 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).into()).collect::<Vec<i64>>())
        }
        kiln::DType::U8 => HostTensor::new(shape, floats().iter().map(digit).collect::<Vec<u8>>()),
        kiln::DType::I8 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).cast_signed()).collect::<Vec<i8>>())
        }
        kiln::DType::U16 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).into()).collect::<Vec<u16>>())
        }
        kiln::DType::I16 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).into()).collect::<Vec<i16>>())
        }
        kiln::DType::U32 => {
            HostTensor::new(shape, floats().iter().map(|x| digit(x).into()).collect::<Vec<u32>>())
        }
        kiln::DType::Bool => HostTensor::new(shape, floats().iter().map(|x| *x > 0.0).collect::<Vec<bool>>()),
    };
    tensor.into_diagnostic()
}

fn pictures(files: &[&str], input: &Wanted, preprocessing: &Preprocessing) -> Result<HostTensor> {
    if input.shape.len() != 4 || input.dtype != kiln::DType::F32 {
        bail!(
            "the input `{}` is {}, which is not a batch of images [N, C, H, W]; give a `.npy` or `.pb` file",
            input.name,
            input.text()
        );
    }
    let channels = input.size(1).unwrap_or(3) as usize;
    let size = input.size(2).zip(input.size(3));
    let mut data = Vec::new();
    let mut first: Option<[usize; 3]> = None;
    for file in files {
        let path = PathBuf::from_str(file).into_diagnostic()?;
        let (pixels, shape) = picture::read(&path, channels, size, preprocessing)?;
        if *first.get_or_insert(shape) != shape {
            bail!(
                "`{file}` is {} x {} pixels, unlike the images before it; `--resize` brings them to one size",
                shape[2],
                shape[1]
            );
        }
        data.extend(pixels);
    }
    let [c, h, w] = first.unwrap_or_default();
    HostTensor::new([files.len(), c, h, w], data).into_diagnostic()
}

/// A tensor from a file: what the model takes, or, if that is asked for, numbers to be normalized.
fn as_it_stands(file: &str, tensor: HostTensor, feed: &Feed) -> Result<HostTensor> {
    let Preprocessing { mean, std, .. } = &feed.preprocessing;
    if mean.is_empty() && std.is_empty() {
        return Ok(tensor);
    }
    if !feed.normalize {
        note!("note: `{file}` is used unchanged; `--normalize` applies the mean and deviation of the inputs");
        return Ok(tensor);
    }
    let Ok(values) = tensor.as_f32() else {
        bail!("`{file}` is {}; --normalize is for f32", tensor.dtype().name());
    };
    let mut values = values.to_vec();
    let shape = tensor.shape().to_vec();
    // Channels are the second dimension, and so are the columns of a table.
    let each: usize = shape.iter().skip(2).product::<usize>().max(1);
    let channels = shape.get(1).copied().unwrap_or(1).max(1);
    for (n, values) in values.chunks_mut(each).enumerate() {
        feed.preprocessing.normalize(n % channels, values);
    }
    HostTensor::new(shape, values).into_diagnostic()
}

/// The rows of a table, with the columns that the model names, or all.
fn table(path: &Path, input: &Wanted, preprocessing: &Preprocessing) -> Result<HostTensor> {
    if input.shape.len() != 2 || input.dtype != kiln::DType::F32 {
        bail!("the input `{}` is {}, which is not a batch of rows [N, columns]", input.name, input.text());
    }
    let known = match &preprocessing.source {
        InputSource::Table { columns } => &columns[..],
        InputSource::Pictures(_) | InputSource::Numbers => &[],
    };
    let (columns, mut values) = read_columns(path, known).into_diagnostic()?;
    for row in values.chunks_mut(columns.max(1)) {
        for (column, value) in row.iter_mut().enumerate() {
            preprocessing.normalize(column, std::slice::from_mut(value));
        }
    }
    HostTensor::new([values.len() / columns.max(1), columns], values).into_diagnostic()
}

fn npy(path: &Path) -> Result<HostTensor> {
    let Array { shape, elements } = npy::read_file(path).into_diagnostic()?;
    let tensor = match elements {
        Elements::Bool(values) => HostTensor::new(shape, values),
        Elements::U8(values) => HostTensor::new(shape, values),
        Elements::I8(values) => HostTensor::new(shape, values),
        Elements::U16(values) => HostTensor::new(shape, values),
        Elements::I16(values) => HostTensor::new(shape, values),
        Elements::U32(values) => HostTensor::new(shape, values),
        Elements::I32(values) => HostTensor::new(shape, values),
        Elements::I64(values) => HostTensor::new(shape, values),
        Elements::F16(values) => HostTensor::new(shape, values),
        Elements::F32(values) => HostTensor::new(shape, values),
        Elements::F64(values) => HostTensor::new(shape, values),
        Elements::U64(_) => {
            bail!(
                "`{}` has elements of type u8, unsigned integers of 64 bits; i8 can be read",
                path.display()
            )
        }
    };
    tensor.into_diagnostic()
}
