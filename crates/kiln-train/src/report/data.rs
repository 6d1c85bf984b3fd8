//! A page about a data set: samples as they are and as training sees them, how many there are of each class, what was skipped.

use std::sync::Arc;

use minijinja::{Environment, Value, context};

use super::samples::{SHOWN, samples, spread};
use crate::augment::{Augmentation, fit};
use crate::data::{Dataset, Samples, Splits, Targets};
use crate::error::TrainError;
use crate::loader::{Loader, TargetForm, changed_shape};
use crate::normalize::Normalize;

/// The page about data that is called `title`.
pub fn data_page(
    title: &str,
    splits: &Splits,
    augmentations: &[Augmentation],
    seed: u64,
) -> Result<String, TrainError> {
    let mut environment = Environment::new();
    let failed = |error: minijinja::Error| TrainError::Setting(format!("the page cannot be made: {error:#}"));
    environment.add_template("data.html", include_str!("data.html")).map_err(failed)?;
    let page = environment.get_template("data.html").map_err(failed)?;
    let parts = [
        ("training", Some(&splits.train)),
        ("validation", splits.validation.as_ref()),
        ("test", splits.test.as_ref()),
    ];
    let parts = parts.into_iter().filter_map(|(name, data)| Some((name, data?)));
    let sizes: Vec<Value> = parts
        .map(|(name, data)| {
            context! { name, count => data.len(), shape => format!("{:?}", data.shape), classes => classes(data) }
        })
        .collect();
    let augmented = match augmentations {
        [] => vec![],
        some => samples(&augmented(&splits.train, some, seed)?)?,
    };
    page.render(context! {
        title,
        sizes,
        samples => samples(&splits.train)?,
        augmented,
        values => range(&splits.train),
        skipped => splits.skipped.len(),
        reasons => splits.skipped.reasons().to_vec(),
    })
    .map_err(failed)
}

/// How many samples there are of each class, and how many that is of the most frequent one.
fn classes(data: &Dataset) -> Vec<Value> {
    let Targets::Classes { labels, names, .. } = &data.targets else { return vec![] };
    let mut counts = vec![0u64; names.len()];
    for label in labels {
        if let Some(count) = usize::try_from(*label).ok().and_then(|label| counts.get_mut(label)) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let row = |(name, count): (&String, u64)| {
        context! { name, count, share => format!("{:.1}", 100.0 * count as f64 / most) }
    };
    names.iter().zip(counts).map(row).collect()
}

/// The smallest and the largest number of the samples that are shown, or pixels.
fn range(data: &Dataset) -> String {
    match &data.samples {
        Samples::Bytes(_) => "pixels from 0 to 255".into(),
        Samples::Floats(all) => {
            let (low, high) =
                all.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
            format!("numbers from {low} to {high}")
        }
    }
}

/// The samples that are shown, as the loader of a training changes them.
fn augmented(data: &Dataset, augmentations: &[Augmentation], seed: u64) -> Result<Dataset, TrainError> {
    let shown: Vec<usize> = spread(data.len(), SHOWN).collect();
    let data = data.subset(&shown);
    let input = changed_shape(&data.shape, augmentations, None)?;
    let target = match &data.targets {
        Targets::Classes { shape, .. } => TargetForm::Classes(shape.clone()),
        Targets::Values { shape, .. } | Targets::Whole { shape, .. } => TargetForm::Values(shape.clone()),
    };
    let targets = data.targets.clone();
    let loader = Loader {
        batch: data.len(),
        data: Arc::new(data),
        drop_last: false,
        shuffle: false,
        augmentations: augmentations.to_vec(),
        fit: fit(augmentations),
        normalize: Normalize::default(),
        target,
        input: input.clone(),
        seed,
        workers: 1,
    };
    let batch = loader.epoch(0, 0).next().transpose()?;
    let numbers = batch.map(|batch| batch.samples.to_f64()).unwrap_or_default();
    let samples = Samples::Floats(numbers.into_iter().map(|x| x as f32).collect());
    Ok(Dataset { shape: input, samples, targets })
}
