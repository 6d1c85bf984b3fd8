//! Samples as pictures: some of the training data with their labels, and validation samples that were taken for something else.

use std::collections::BTreeMap;

use base64::Engine;
use image::RgbImage;
use minijinja::{Value, context};

use super::pictures;
use crate::data::{Dataset, Targets};
use crate::error::TrainError;
use crate::evaluate::Evaluation;

/// Training samples that are shown.
pub(super) const SHOWN: usize = 24;
/// Mistakes that are shown, and those of one kind: a rare kind is to be seen, too.
const MOST_MISTAKES: usize = 96;
const MOST_OF_A_KIND: usize = 8;
/// Sides of a picture that is not a thumbnail any more.
const LARGEST: usize = 256;
/// Numbers of a sample that are shown, where it is no picture.
const MOST_NUMBERS: usize = 8;

/// A sample as a picture: gray or coloured, from its smallest to its largest number where these are no pixels. `None` where it is
/// no image.
fn picture(data: &Dataset, index: usize) -> Option<RgbImage> {
    let [channels @ (1 | 3), height, width] = *data.shape.as_slice() else { return None };
    if height * width == 0 || height.max(width) > LARGEST {
        return None;
    }
    let values = data.sample(index);
    let (low, high) = values.iter().fold((0f32, 1f32), |(low, high), x| (low.min(*x), high.max(*x)));
    let level = |x: f32| ((x - low) / (high - low) * 255.0).round() as u8;
    Some(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = |channel: usize| values[(channel * height + y as usize) * width + x as usize];
        image::Rgb(std::array::from_fn(|c| level(at(if channels == 3 { c } else { 0 }))))
    }))
}

fn encoded(data: &Dataset, index: usize) -> Result<Option<String>, TrainError> {
    let Some(picture) = picture(data, index) else { return Ok(None) };
    let bytes = pictures::png(&picture)?;
    Ok(Some(base64::engine::general_purpose::STANDARD.encode(bytes)))
}

/// The class of each sample, where it has one.
fn classes(data: &Dataset) -> Option<(&[String], &[i32])> {
    match &data.targets {
        Targets::Classes { shape, labels, names } if shape.is_empty() => Some((names, labels)),
        Targets::Classes { .. } | Targets::Values { .. } | Targets::Whole { .. } => None,
    }
}

/// What a class is called: its number, where it has no name.
pub(super) fn name(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// Numbers of at most so many samples, from all over the data.
pub(super) fn spread(samples: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = samples.min(most);
    (0..count).map(move |n| n * samples / count)
}

/// Samples from all over the data, with their labels.
pub(super) fn samples(data: &Dataset) -> Result<Vec<Value>, TrainError> {
    let mut shown = Vec::with_capacity(SHOWN);
    for index in spread(data.len(), SHOWN) {
        let Some(picture) = encoded(data, index)? else { return Ok(vec![]) };
        let label = match (classes(data), &data.targets) {
            (Some((names, labels)), _) => labels
                .get(index)
                .and_then(|label| usize::try_from(*label).ok())
                .map_or_else(|| "no class".to_owned(), |class| name(names, class)),
            (None, Targets::Values { shape, values }) if shape.iter().product::<usize>() == 1 => {
                values.get(index).map_or_else(String::new, |value| format!("{value:.3}"))
            }
            (None, _) => String::new(),
        };
        shown.push(context! { picture, label });
    }
    Ok(shown)
}

/// A sample that was taken for another class.
struct Mistake {
    label: usize,
    predicted: usize,
    index: usize,
    /// Probabilities of the actual and of the predicted class.
    chances: Option<[f32; 2]>,
}

impl Mistake {
    /// The cross-entropy of the sample; without probabilities, mistakes stay in their order.
    fn loss(&self) -> f32 {
        self.chances.map_or(0.0, |[actual, _]| -actual.ln())
    }

    /// What is said below its picture.
    fn words(&self, names: &[String]) -> Value {
        let percent = |chance: f32| match chance * 100.0 {
            share if share < 0.1 => "below 0.1 %".to_owned(),
            share => format!("{share:.1} %"),
        };
        context! {
            index => self.index,
            actual => name(names, self.label),
            taken => name(names, self.predicted),
            chances => self.chances.map(|[actual, taken]| [percent(actual), percent(taken)]),
            loss => self.chances.map(|_| format!("{:.2}", self.loss())),
        }
    }
}

/// Samples that were taken for another class, those with the largest loss first.
fn wrong(data: &Dataset, evaluation: &Evaluation, has_chances: bool) -> Vec<Mistake> {
    let Some((_, labels)) = classes(data) else { return vec![] };
    if labels.len() != evaluation.predicted.len() {
        return vec![];
    }
    let mut wrong: Vec<Mistake> = Vec::new();
    for (index, (label, predicted)) in labels.iter().zip(&evaluation.predicted).enumerate() {
        let chances = evaluation.chances.get(index).copied().filter(|_| has_chances);
        match usize::try_from(*label) {
            Ok(label) if label != *predicted => {
                wrong.push(Mistake { label, predicted: *predicted, index, chances });
            }
            Ok(_) | Err(_) => {}
        }
    }
    wrong.sort_by(|a, b| b.loss().total_cmp(&a.loss()));
    wrong
}

/// The samples whose loss is the largest of those that were taken for another class: as pictures, or with their numbers.
pub(super) fn worst(
    data: &Dataset,
    evaluation: &Evaluation,
    has_chances: bool,
) -> Result<Vec<Value>, TrainError> {
    let Some((names, _)) = classes(data).filter(|_| has_chances) else { return Ok(vec![]) };
    let mut shown = Vec::new();
    for mistake in wrong(data, evaluation, has_chances).iter().take(SHOWN) {
        let picture = encoded(data, mistake.index)?;
        let numbers: Vec<String> = match (&picture, data.shape.len()) {
            (None, 1) => {
                data.sample(mistake.index).iter().take(MOST_NUMBERS).map(|x| format!("{x:.4}")).collect()
            }
            _ => vec![],
        };
        shown.push(context! { picture, numbers, words => mistake.words(names) });
    }
    Ok(shown)
}

/// Samples that were taken for another class as pictures, those of one kind together.
pub(super) fn mistakes(
    data: &Dataset,
    evaluation: &Evaluation,
    has_chances: bool,
) -> Result<Vec<Value>, TrainError> {
    let Some((names, _)) = classes(data) else { return Ok(vec![]) };
    let mut kinds: BTreeMap<(usize, usize), Vec<Mistake>> = BTreeMap::new();
    for mistake in wrong(data, evaluation, has_chances) {
        kinds.entry((mistake.label, mistake.predicted)).or_default().push(mistake);
    }
    // The most frequent kinds first.
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.len()));
    let (mut shown, mut room) = (vec![], MOST_MISTAKES);
    for ((label, predicted), kind) in kinds {
        let mut pictures = Vec::new();
        for mistake in kind.iter().take(MOST_OF_A_KIND.min(room)) {
            let Some(picture) = encoded(data, mistake.index)? else { return Ok(vec![]) };
            pictures.push(context! { picture, words => mistake.words(names) });
        }
        room -= pictures.len();
        let (actual, taken) = (name(names, label), name(names, predicted));
        shown.push(
            context! { id => format!("m-{label}-{predicted}"), actual, taken, count => kind.len(), pictures },
        );
        if room == 0 {
            break;
        }
    }
    Ok(shown)
}
