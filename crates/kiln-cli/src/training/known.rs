//! A model's metadata, combined with flags and data.

use kiln::model::known_metadata;
use kiln::plan::{
    Channels, InputSource, Measure, Metadata, Pictures, Preprocessing, Provenance, Resize, Targets, Task,
};
use kiln::train::Loss;
use kiln::training::augment::Fit;
use kiln::training::data::{Dataset, Samples, Source, Splits, Targets as Answers, column_names};
use kiln::training::normalize::Normalize;
use kiln::training::{Evaluation, Progress};
use miette::Result;

use super::{Recipe, Setup, metadata_beside};
use crate::definition::{is_plan, report};
use crate::model::load_plan;

impl Recipe {
    /// The model's metadata before it is read: from its own file, from that of its weights, or from the recipe.
    pub(crate) fn known(&self) -> Result<Metadata> {
        let weights = self.definition.weights.as_deref();
        let mut metadata = match &self.model {
            Some(path) if is_plan(path) => load_plan(path)?.metadata,
            Some(path) => known_metadata(path, weights).map_err(report)?,
            None => Metadata::default(),
        };
        if let (true, Some((_, beside))) = (metadata.is_empty(), weights.and_then(metadata_beside)) {
            metadata = beside;
        }
        if metadata.is_empty() {
            metadata = Metadata::from_properties(&self.metadata).map_err(|error| report(error.into()))?;
        }
        Ok(metadata)
    }

    /// Writes the recipe's preprocessing of samples into metadata. The model file's own metadata takes precedence over
    /// a table that was written for it earlier.
    pub(crate) fn describe(&self, metadata: &mut Metadata) -> Result<()> {
        if metadata.is_empty() {
            *metadata = Metadata::from_properties(&self.metadata).map_err(|error| report(error.into()))?;
        }
        let said = self.mean.is_some() || self.std.is_some() || self.no_normalize == Some(true);
        if !said && self.resize.is_none() && self.grey != Some(true) {
            return Ok(());
        }
        let old = metadata.preprocessing.take();
        let source = match old.as_ref().map(|old| &old.source) {
            Some(source @ (InputSource::Table { .. } | InputSource::Numbers)) => source.clone(),
            Some(InputSource::Pictures(_)) | None => InputSource::Pictures(self.pictures(old.as_ref())),
        };
        let (mut mean, mut std) = old.map(|old| (old.mean, old.std)).unwrap_or_default();
        if said {
            mean = self.mean.clone().unwrap_or_default();
            std = self.std.clone().unwrap_or_default();
        }
        metadata.preprocessing = Some(Preprocessing { source, mean, std });
        Ok(())
    }

    /// How images of folders are read: as the recipe says, else as the model says.
    pub(crate) fn pictures(&self, known: Option<&Preprocessing>) -> Pictures {
        let mut pictures = match known.map(|known| &known.source) {
            Some(InputSource::Pictures(pictures)) => pictures.clone(),
            Some(InputSource::Table { .. } | InputSource::Numbers) | None => Pictures::default(),
        };
        if let Some(grey) = self.grey {
            pictures.channels = match pictures.channels {
                _ if grey => Channels::Grey,
                Channels::Grey => Channels::Rgb,
                colours => colours,
            };
        }
        if let Some(side) = self.resize.and_then(|side| u32::try_from(side).ok()) {
            let (resize, crop) = (Some(Resize::Shorter(side)), Some([side, side]));
            let differs = (pictures.resize.is_some() || pictures.crop.is_some())
                && (pictures.resize, pictures.crop) != (resize, crop);
            if differs {
                note!("note: --resize differs from the model's metadata and takes precedence");
            }
            pictures = Pictures { resize, crop, ..pictures };
        }
        pictures
    }

    /// How samples are normalized: as the recipe says, else as the model says, else by the training data. A model
    /// that is only evaluated was not trained on the data it is given.
    pub(crate) fn normalize(&self, known: &Metadata, learned: Option<&Dataset>) -> Normalize {
        let known = known.preprocessing.as_ref().map(Normalize::as_known);
        let said = match (&self.mean, &self.std) {
            _ if self.no_normalize == Some(true) => Some(Normalize::default()),
            (None, None) => None,
            (mean, std) => Some(Normalize {
                mean: mean.clone().unwrap_or_default(),
                std: std.clone().unwrap_or_default(),
            }),
        };
        match (said, known) {
            (Some(said), Some(known)) => {
                if !said.is_like(&known) {
                    note!("note: samples are normalized by {said}, where the model says {known}");
                }
                said
            }
            (Some(normalize), None) | (None, Some(normalize)) => normalize,
            (None, None) => learned.map_or_else(Normalize::default, Normalize::of),
        }
    }

    /// How the samples of a model that is only evaluated are normalized. Assumptions are printed.
    pub(crate) fn normalize_known(&self, known: &Metadata, splits: &Splits) -> Normalize {
        // If there is a test part, the training part is probably what the model was trained on.
        let learned = splits.validation().map(|_| &splits.train);
        let normalize = self.normalize(known, learned);
        let said = self.mean.is_some() || self.std.is_some() || self.no_normalize == Some(true);
        if !said && known.preprocessing.is_none() {
            let assumed = match learned {
                Some(_) => {
                    format!(
                        "{normalize} are computed from the training samples, and `--no-normalize` turns this off"
                    )
                }
                None => "they are used unchanged, and `--mean` and `--std` normalize them".into(),
            };
            note!("note: the model does not say how its samples are normalized; {assumed}");
        }
        normalize
    }
}

/// The metadata of a trained model.
pub(super) fn describe(
    setup: &Setup,
    recipe: &Recipe,
    progress: &Progress,
    evaluation: Option<&Evaluation>,
) -> Metadata {
    let Setup { model, training, train, normalize, .. } = setup;
    let (data, loss) = (&train.data, loss_name(&training.loss));
    let Normalize { mean, std } = normalize.clone();
    let table = match recipe.source() {
        Ok(Source::Csv(path)) => column_names(&path),
        Ok(_) | Err(_) => None,
    };
    let source = match (&data.samples, &data.shape[..]) {
        (Samples::Bytes(_), [channels @ (1 | 3), _, _]) => {
            let read = recipe.pictures(None);
            let channels = if *channels == 1 { Channels::Grey } else { read.channels };
            // Only folders are resized.
            let folder = matches!(recipe.source(), Ok(Source::Folder(_)));
            let read = if folder { read } else { Pictures::default() };
            let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            let read = match setup.validation.as_ref().and_then(|validation| validation.fit) {
                Some(Fit::Crop([height, width])) => {
                    Pictures { crop: Some([side(height), side(width)]), ..read }
                }
                Some(Fit::Resize([height, width])) => Pictures {
                    resize: Some(Resize::Shorter(side(height.max(width)))),
                    crop: Some([side(height), side(width)]),
                    ..read
                },
                None => read,
            };
            InputSource::Pictures(Pictures { channels, ..read })
        }
        (Samples::Floats(_), [_]) if table.is_some() => {
            InputSource::Table { columns: table.iter().flat_map(|(columns, _)| columns.clone()).collect() }
        }
        (Samples::Bytes(_) | Samples::Floats(_), _) => InputSource::Numbers,
    };
    let classes = data.class_names().unwrap_or_default().to_vec();
    let mut outputs = model.outputs().iter();
    let output = match &training.output {
        Some(name) => outputs.find(|output| output.name == *name),
        None => outputs.next(),
    };
    let per_place = output.is_some_and(|output| model.ty(output.value).rank() > 2);
    let task = match (&data.targets, loss) {
        (Answers::Classes { .. }, _) if per_place => Task::Segmentation,
        (Answers::Classes { .. }, _) => Task::Classification,
        (_, "bce") => Task::MultiLabel,
        _ => Task::Regression,
    };
    let measures = evaluation.into_iter().flat_map(|evaluation| {
        let scores = evaluation.scores;
        let all = [
            ("loss", Some(scores.loss)),
            ("accuracy", scores.accuracy),
            ("f1", scores.f1),
            ("auc", scores.auc),
        ];
        all.into_iter().filter_map(|(name, value)| {
            let value = value.filter(|value| value.is_finite())?;
            Some(Measure { name: name.to_owned(), value })
        })
    });
    Metadata {
        task: Some(task),
        classes,
        preprocessing: Some(Preprocessing { source, mean, std }),
        // The scale of targets is part of the trained weights.
        targets: table
            .filter(|_| task == Task::Regression)
            .map(|(_, target)| Targets { names: vec![target], ..Targets::default() }),
        provenance: Some(Provenance {
            producer: concat!("kiln ", env!("CARGO_PKG_VERSION")).into(),
            data: named(recipe),
            loss: loss.to_owned(),
            epochs: progress.epoch,
            steps: progress.step,
            measures: measures.collect(),
        }),
    }
}

/// What a loss is called, as flags call it.
fn loss_name(loss: &Loss) -> &'static str {
    match loss {
        Loss::CrossEntropy { .. } => "cross-entropy",
        Loss::Nll { .. } => "nll",
        Loss::Mse => "mse",
        Loss::L1 => "l1",
        Loss::SmoothL1 { .. } => "smooth-l1",
        Loss::BceWithLogits => "bce",
    }
}

/// The data's name, without its path on this machine.
fn named(recipe: &Recipe) -> String {
    let Some(data) = &recipe.data else { return String::new() };
    match data.split_once(':') {
        Some((kind, place)) => {
            let last = std::path::Path::new(place).file_name().map(|name| name.to_string_lossy());
            format!("{kind}:{}", last.unwrap_or_default())
        }
        None => data.clone(),
    }
}
