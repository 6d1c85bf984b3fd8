//! What a network has learned of few numbers: a fitted curve, predicted numbers against true ones, classes over a plane.

use base64::Engine;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::axis::{Axis, Scale};
use super::plot::{COLOURS, Mark, Plot};
use super::samples::{name, spread};
use crate::data::{Dataset, Targets};
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::landscape::Landscape;

/// Samples that are drawn, and charts of outputs.
const MOST_DOTS: usize = 800;
const MOST_OUTPUTS: usize = 12;

/// Words for the axes.
pub(super) struct Names<'a> {
    /// The numbers of a sample, where they have names.
    pub features: &'a [String],
    /// The classes.
    pub classes: &'a [String],
}

impl Names<'_> {
    fn feature(&self, number: usize) -> String {
        self.features.get(number).cloned().unwrap_or_else(|| match number {
            0 => "first number of a sample".into(),
            _ => "second number of a sample".into(),
        })
    }
}

/// The numbers that are to be learned, and how many a sample has.
fn values(data: &Dataset) -> Option<(&[f32], usize)> {
    match &data.targets {
        Targets::Values { shape, values } => Some((values, shape.iter().product::<usize>().max(1))),
        Targets::Classes { .. } | Targets::Whole { .. } => None,
    }
}

/// The curve that a network has fitted to numbers, for each output.
pub(super) fn curves(landscape: &Landscape, data: &Dataset, names: &Names<'_>) -> Vec<String> {
    let (Landscape::Line { at, answers }, Some((wanted, each))) = (landscape, values(data)) else {
        return vec![];
    };
    let curve = |(output, answers): (usize, &Vec<f64>)| {
        let dots: Vec<(f64, f64, bool)> = spread(data.len(), MOST_DOTS)
            .filter_map(|n| {
                let x = data.sample(n).first().copied()?;
                Some((f64::from(x), f64::from(*wanted.get(n * each + output)?), false))
            })
            .collect();
        let line: Vec<(f64, f64)> = at.iter().map(|x| f64::from(*x)).zip(answers.iter().copied()).collect();
        let line: Vec<(f64, f64)> = line.into_iter().filter(|(_, y)| y.is_finite()).collect();
        let ys = dots.iter().map(|dot| dot.1).chain(line.iter().map(|point| point.1));
        let (x, y) = (
            Axis::around(at.iter().map(|x| f64::from(*x)), Scale::Linear)?,
            Axis::around(ys, Scale::Linear)?,
        );
        let marks = vec![
            Mark::Dots { points: dots, colour: 7, name: "samples".into() },
            Mark::Line { points: line, colour: 1, name: "network".into(), thin: false },
        ];
        let across = names.feature(0);
        let title = titled("Fitted curve", output, answers_of(landscape));
        Some(Plot { title: &title, across: &across, up: "target", x, y, marks, shape: 0.5 }.svg())
    };
    answers.iter().take(MOST_OUTPUTS).enumerate().filter_map(curve).collect()
}

fn answers_of(landscape: &Landscape) -> usize {
    match landscape {
        Landscape::Line { answers, .. } => answers.len(),
        Landscape::Plane { .. } => 0,
    }
}

fn titled(what: &str, output: usize, outputs: usize) -> String {
    if outputs > 1 { format!("{what}, output {output}") } else { what.into() }
}

/// Predicted numbers against true ones, for each output.
pub(super) fn against(data: &Dataset, evaluation: &Evaluation) -> Vec<String> {
    let Some((wanted, each)) = values(data).filter(|(wanted, _)| wanted.len() == evaluation.answers.len())
    else {
        return vec![];
    };
    let chart = |output: usize| {
        let at = |n: usize| {
            (f64::from(wanted[n * each + output]), f64::from(evaluation.answers[n * each + output]))
        };
        let dots = spread(data.len(), MOST_DOTS).map(at).filter(|(x, y)| x.is_finite() && y.is_finite());
        let dots: Vec<(f64, f64, bool)> = dots.map(|(x, y)| (x, y, false)).collect();
        let both = Axis::around(dots.iter().flat_map(|(x, y, _)| [*x, *y]), Scale::Linear)?;
        let line = vec![(both.low, both.low), (both.high, both.high)];
        let marks = vec![
            Mark::Line { points: line, colour: 7, name: "equal".into(), thin: true },
            Mark::Dots { points: dots, colour: 0, name: "validation samples".into() },
        ];
        let title = titled("Predicted against true", output, each);
        Some(
            Plot { title: &title, across: "true", up: "predicted", x: both, y: both, marks, shape: 0.7 }
                .svg(),
        )
    };
    (0..each.min(MOST_OUTPUTS)).filter_map(chart).collect()
}

/// What a network takes each point of a plane for, and some samples; those that are taken for something else stand out.
pub(super) fn surface(
    landscape: &Landscape,
    data: &Dataset,
    names: &Names<'_>,
) -> Result<Option<String>, TrainError> {
    let Landscape::Plane { ranges, side, chances } = landscape else { return Ok(None) };
    let Targets::Classes { labels, .. } = &data.targets else { return Ok(None) };
    let axis =
        |[low, high]: [f32; 2]| Axis { low: f64::from(low), high: f64::from(high), scale: Scale::Linear };
    let (x, y) = (axis(ranges[0]), axis(ranges[1]));
    let taken_at = |a: f64, b: f64| {
        let place = |share: f64| ((share * (*side - 1) as f64).round() as usize).min(*side - 1);
        chances.get(place(y.place(b)) * side + place(x.place(a))).map(|chances| best(chances))
    };
    let classes = chances.first().map_or(0, Vec::len);
    let mut marks = vec![Mark::Picture(picture(*side, chances)?)];
    for class in 0..classes {
        let dot = |n: usize| {
            let (a, b) = match data.sample(n)[..] {
                [a, b] => (f64::from(a), f64::from(b)),
                _ => return None,
            };
            let is_own = usize::try_from(*labels.get(n)?).ok() == Some(class);
            is_own.then(|| (a, b, taken_at(a, b) != Some(class)))
        };
        let points: Vec<_> = spread(data.len(), MOST_DOTS).filter_map(dot).collect();
        marks.push(Mark::Dots {
            points,
            colour: class,
            name: format!("class {}", name(names.classes, class)),
        });
    }
    let (across, up) = (names.feature(0), names.feature(1));
    Ok(Some(Plot { title: "Decision surface", across: &across, up: &up, x, y, marks, shape: 0.62 }.svg()))
}

fn best(chances: &[f64]) -> usize {
    (0..chances.len()).max_by(|a, b| chances[*a].total_cmp(&chances[*b])).unwrap_or(0)
}

/// Each point in the colour of its likeliest class, the stronger the likelier it is.
fn picture(side: usize, chances: &[Vec<f64>]) -> Result<String, TrainError> {
    let mut pixels = Vec::with_capacity(side * side * 4);
    // Pictures begin at the top.
    for row in chances.chunks(side).rev() {
        for chances in row {
            let class = best(chances);
            let colour = COLOURS[class % COLOURS.len()];
            let part = |at: usize| u8::from_str_radix(&colour[at..at + 2], 16).unwrap_or(0);
            let least = 1.0 / chances.len().max(2) as f64;
            let share = (chances.get(class).copied().unwrap_or(least) - least) / (1.0 - least);
            pixels.extend([part(1), part(3), part(5), (20.0 + 110.0 * share.clamp(0.0, 1.0)).round() as u8]);
        }
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, side as u32, side as u32, ExtendedColorType::Rgba8)
        .map_err(|error| TrainError::Setting(format!("an image cannot be written: {error}")))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(png))
}
