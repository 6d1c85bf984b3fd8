//! What a trained network answers where there are no samples: along one number, and over the plane of two.

use kiln_runtime::HostTensor;

use crate::data::{Dataset, Targets};
use crate::error::TrainError;
use crate::metrics::chances;
use crate::normalize::Normalize;
use crate::trainer::Trainer;

/// Points along a line, and along each side of a plane.
const ALONG: usize = 240;
const SIDE: usize = 96;

/// The answers of a network whose samples are one or two numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Landscape {
    /// Numbers, by one number.
    Line {
        /// Where the network was asked.
        at: Vec<f32>,
        /// For each output its answers.
        answers: Vec<Vec<f64>>,
    },
    /// Probabilities of classes, by two numbers.
    Plane {
        /// From where to where the first number goes, and the second one.
        ranges: [[f32; 2]; 2],
        /// Points along each side.
        side: usize,
        /// The probability of each class at each point; the first number varies fastest.
        chances: Vec<Vec<f64>>,
    },
}

/// Asks a network, if its samples in `data` are one or two numbers.
pub fn landscape(
    trainer: &mut Trainer,
    data: &Dataset,
    normalize: &Normalize,
) -> Result<Option<Landscape>, TrainError> {
    let is_one_class = matches!(&data.targets, Targets::Classes { shape, .. } if shape.is_empty());
    match (data.sample_len(), &data.targets) {
        (1, Targets::Values { .. }) => {
            let [low, high] = range(data, 0, 0.0);
            let at: Vec<f32> = between(low, high, ALONG).collect();
            let rows = ask(trainer, data, normalize, at.iter().map(|x| vec![*x]))?;
            let outputs = rows.first().map_or(0, Vec::len);
            let answers = (0..outputs).map(|n| rows.iter().map(|row| row[n]).collect()).collect();
            Ok(Some(Landscape::Line { at, answers }))
        }
        (2, Targets::Classes { .. }) if is_one_class => {
            let ranges = [range(data, 0, 0.08), range(data, 1, 0.08)];
            let [across, up] = ranges;
            let points = between(up[0], up[1], SIDE)
                .flat_map(|y| between(across[0], across[1], SIDE).map(move |x| vec![x, y]));
            let rows = ask(trainer, data, normalize, points)?;
            let chances = rows.iter().map(|scores| chances(scores)).collect();
            Ok(Some(Landscape::Plane { ranges, side: SIDE, chances }))
        }
        (_, Targets::Classes { .. } | Targets::Values { .. } | Targets::Whole { .. }) => Ok(None),
    }
}

/// Evenly spaced numbers.
fn between(low: f32, high: f32, count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(move |n| low + (high - low) * n as f32 / (count - 1) as f32)
}

/// The smallest and the largest of a number of the samples, with some room.
fn range(data: &Dataset, number: usize, room: f32) -> [f32; 2] {
    let all = (0..data.len()).filter_map(|index| data.sample(index).get(number).copied());
    let (low, high) =
        all.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let room = (high - low) * room;
    [low - room, high + room]
}

/// What the network answers at some points, each a row.
fn ask(
    trainer: &mut Trainer,
    data: &Dataset,
    normalize: &Normalize,
    points: impl Iterator<Item = Vec<f32>>,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let interface = trainer.interface().clone();
    let batch = interface.largest_batch.max(1);
    let points: Vec<Vec<f32>> = points.collect();
    let mut rows = Vec::with_capacity(points.len());
    for some in points.chunks(batch) {
        let mut samples = Vec::with_capacity(batch * data.sample_len());
        // A plan may be for full batches only.
        for point in some.iter().chain(std::iter::repeat(&some[some.len() - 1])).take(batch) {
            let mut point = point.clone();
            normalize.apply(&mut point, &data.shape);
            samples.extend(point);
        }
        let samples = HostTensor::new([&[batch], &interface.input_shape[..]].concat(), samples)?;
        let outputs = trainer.session().run_program("inference", &[(interface.input.as_str(), &samples)])?;
        let answers = outputs.get(&interface.output)?.to_f64();
        let each = (answers.len() / batch).max(1);
        rows.extend(answers.chunks(each).take(some.len()).map(<[f64]>::to_vec));
    }
    Ok(rows)
}
