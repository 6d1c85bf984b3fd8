//! Classifies an image with a compiled plan, without a compiler: all that a host program needs.
//!
//! ```sh
//! cargo run --release -p kiln-cnn-runtime --example classify -- resnet18.kplan cat.jpg \
//!     --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --labels imagenet.txt
//! ```
//!
//! What is not said on the command line, the plan may know: its metadata has mean, deviation and the names of classes.
//!
//! The image is scaled so that it covers the plan's input and cut to it around its centre; values are
//! `(pixel / 255 - mean) / std` for each channel. One value for `--mean` or `--std` is for all channels.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use image::imageops::FilterType;
use kiln_runtime::{HostTensor, Plan, Session};

const USAGE: &str = "usage: classify PLAN IMAGE [--mean R,G,B] [--std R,G,B] [--labels FILE]";

/// What the command line says.
pub(crate) struct Arguments {
    plan: PathBuf,
    image: PathBuf,
    mean: Vec<f32>,
    std: Vec<f32>,
    labels: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|arguments| classify(&arguments)) {
        Ok(classes) => {
            for (label, share) in classes {
                println!("{:6.2} %  {label}", share * 100.0);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("classify: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let (mut files, mut mean, mut std, mut labels) = (Vec::new(), vec![], vec![], None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--mean" => mean = numbers(&value()?)?,
            "--std" => std = numbers(&value()?)?,
            "--labels" => labels = Some(value()?.into()),
            option if option.starts_with("--") => {
                return Err(format!("there is no option {option}\n{USAGE}").into());
            }
            file => files.push(PathBuf::from(file)),
        }
    }
    let [plan, image] = <[PathBuf; 2]>::try_from(files).map_err(|_| USAGE)?;
    Ok(Arguments { plan, image, mean, std, labels })
}

fn numbers(text: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let parse =
        |part: &str| part.trim().parse().map_err(|_| format!("{part:?} in {text:?} is not a number").into());
    text.split(',').map(parse).collect()
}

/// The five classes of the largest shares, the largest first.
pub(crate) fn classify(arguments: &Arguments) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    let plan = Plan::load(&arguments.plan)?;
    let labels: Vec<String> = match &arguments.labels {
        None => plan.metadata.classes.clone(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            text.lines().map(str::to_string).collect()
        }
    };
    let (input, shape) = image_input(&plan)?;
    let known = plan.metadata.preprocessing.as_ref();
    let or_known = |said: &[f32], known: Option<&Vec<f32>>| match (said, known) {
        ([], Some(known)) => known.clone(),
        (said, _) => said.to_vec(),
    };
    let mean = or_known(&arguments.mean, known.map(|known| &known.mean));
    let std = or_known(&arguments.std, known.map(|known| &known.std));
    let tensor = load_image(&arguments.image, &mean, &std, shape)?;

    let mut session = Session::open(&plan)?;
    let outputs = session.run(&[(&input, &tensor)])?;
    let (_, scores) = outputs.iter().next().ok_or("the plan has no output")?;
    let report = session.report();
    eprintln!(
        "{} on {}: loaded in {:.0} ms, first answer after {:.0} ms",
        plan.name,
        session.device().capabilities().name,
        report.seconds * 1e3,
        report.first_run_seconds.unwrap_or(0.0) * 1e3
    );
    let label = |class| labels.get(class).map_or_else(|| format!("class {class}"), String::clone);
    Ok(top(scores.as_f32()?, 5).into_iter().map(|(class, share)| (label(class), share)).collect())
}

/// The name of the plan's input and channels, height and width of the image it takes; the batch is one.
fn image_input(plan: &Plan) -> Result<(String, [usize; 3]), Box<dyn Error>> {
    let program = plan.programs.first().ok_or("the plan has no program")?;
    let input = match program.inputs.as_slice() {
        [input] => plan.tensors.get(*input).ok_or("the plan's input does not exist")?,
        several => return Err(format!("the plan has {} inputs, a classifier has one", several.len()).into()),
    };
    let ones = vec![1; plan.symbols.len()];
    match input.shape_at(&ones).as_deref() {
        Some([1, channels @ (1 | 3), height, width]) => {
            Ok((input.name.clone(), [*channels, *height, *width]))
        }
        shape => Err(format!("input `{}` of shape {shape:?} is not an image", input.name).into()),
    }
}

fn load_image(
    path: &Path,
    mean: &[f32],
    std: &[f32],
    [channels, height, width]: [usize; 3],
) -> Result<HostTensor, Box<dyn Error>> {
    let image = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let image = image.resize_to_fill(u32::try_from(width)?, u32::try_from(height)?, FilterType::Triangle);
    let rgb = image.to_rgb8();
    // Grey as Pillow has it; the crate's own has other weights.
    let luma = |[r, g, b]: [u8; 3]| {
        ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 0x8000) >> 16) as u8
    };
    let pixels: Vec<u8> =
        if channels == 1 { rgb.pixels().map(|pixel| luma(pixel.0)).collect() } else { rgb.into_raw() };
    let of = |list: &[f32], channel: usize, none: f32| match list {
        [] => Ok(none),
        [one] => Ok(*one),
        list if list.len() == channels => Ok(list[channel]),
        list => Err(format!("{} values for {channels} channels", list.len())),
    };
    let mut values = Vec::with_capacity(pixels.len());
    for channel in 0..channels {
        let (mean, std) = (of(mean, channel, 0.0)?, of(std, channel, 1.0)?);
        let channel = pixels.iter().skip(channel).step_by(channels);
        values.extend(channel.map(|pixel| (f32::from(*pixel) / 255.0 - mean) / std));
    }
    Ok(HostTensor::new([1, channels, height, width], values)?)
}

/// The largest classes with their share of the softmax.
fn top(scores: &[f32], count: usize) -> Vec<(usize, f32)> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| (score - largest).exp()).sum();
    let mut classes: Vec<_> = scores.iter().map(|score| (score - largest).exp() / sum).enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(count);
    classes
}
