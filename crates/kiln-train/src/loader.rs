//! Batches, in an order that depends on the seed and the epoch only, made by worker threads ahead of the device.
//!
//! Everything random about a sample depends on the seed, the epoch and the sample's number, not on which thread makes
//! it or on what came before. So training that resumes in the middle of an epoch sees the same samples.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use kiln_runtime::HostTensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::augment::{Augmentation, Fit};
use crate::data::{Dataset, IGNORED, Meaning, Targets};
use crate::error::TrainError;
use crate::interface::Interface;
use crate::normalize::Normalize;

/// Samples and targets of one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, ...]`, as the model's input has it.
    pub samples: HostTensor,
    /// The targets, as the loss needs them.
    pub targets: HostTensor,
    /// Class numbers of the samples, or of their places, where there are classes.
    pub labels: Vec<i32>,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.shape().first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The form of targets that a loss needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// Class numbers of this shape for each sample: `[]` for one, `[H, W]` for one for each pixel.
    Classes(Vec<usize>),
    /// Numbers of this shape for each sample; classes become one at their place, or 0 and 1 where there is one place.
    Values(Vec<usize>),
}

/// A data set, and how batches are made of it.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The data.
    pub data: Arc<Dataset>,
    /// Samples of a batch.
    pub batch: usize,
    /// Whether the last samples are left out where they do not make a batch.
    pub drop_last: bool,
    /// Whether each epoch has another order.
    pub shuffle: bool,
    /// Random changes of the samples.
    pub augmentations: Vec<Augmentation>,
    /// The deterministic transformation of samples without augmentation, so that they have the same size.
    pub fit: Option<Fit>,
    /// Applied last.
    pub normalize: Normalize,
    /// The targets' form.
    pub target: TargetForm,
    /// The shape of the model's input without the batch.
    pub input: Vec<usize>,
    /// The seed of the order and the changes.
    pub seed: u64,
    /// Threads that make batches.
    pub workers: usize,
}

impl TargetForm {
    /// What whole numbers are where targets have this form.
    fn meaning(&self, shape: &[usize]) -> Meaning {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        match self {
            TargetForm::Values(own) if elements(own) == elements(shape) => Meaning::Values,
            TargetForm::Classes(_) | TargetForm::Values(_) => {
                Meaning::Classes { outputs: None, ignored: None }
            }
        }
    }
}

impl Loader {
    /// All samples in their order, as they are, for a model that takes what `interface` says. The fields can be changed.
    /// Whole numbers that are still undecided become what the loss compares with; where several data sets are to have
    /// the same classes, that is to be decided before ([`Splits::decided`](crate::data::Splits::decided)).
    pub fn new(data: Dataset, interface: &Interface, batch: usize) -> Self {
        let meaning = interface.target.meaning(data.targets.shape());
        // What cannot be decided is said by `check`.
        let targets = data.targets.decided_alone(meaning).unwrap_or(data.targets);
        Self {
            data: Arc::new(Dataset { targets, ..data }),
            batch: batch.clamp(1, interface.largest_batch.max(1)),
            drop_last: false,
            shuffle: false,
            augmentations: vec![],
            fit: None,
            normalize: Normalize::default(),
            target: interface.target.clone(),
            input: interface.input_shape.clone(),
            seed: 0,
            workers: 1,
        }
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        let count = self.data.len();
        if self.drop_last { count / self.batch } else { count.div_ceil(self.batch) }
    }

    /// Checks that samples and targets fit the model.
    pub fn check(&self) -> Result<(), TrainError> {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let shape = changed_shape(&self.data.shape, &self.augmentations, self.fit)?;
        if elements(&self.input) != elements(&shape) {
            return Err(TrainError::Setting(format!(
                "the model expects samples of shape {:?}, but those of the data set are {shape:?}{}",
                self.input,
                flags_for(&shape, &self.input)
            )));
        }
        self.data.check("the data").map_err(TrainError::Data)?;
        match (&self.target, &self.data.targets) {
            (TargetForm::Classes(_), Targets::Values { .. }) => Err(TrainError::Setting(
                "the loss compares with classes, but the data set has numbers; `mse` would fit, or class numbers as \
                 whole numbers"
                    .into(),
            )),
            (TargetForm::Classes(shape), Targets::Classes { shape: found, .. })
                if elements(shape) != elements(found) =>
            {
                Err(TrainError::Setting(format!(
                    "the model's output has classes of shape {shape:?} for a sample, but the targets have {found:?}"
                )))
            }
            (_, Targets::Whole { .. }) => Err(TrainError::Setting(
                "the targets are whole numbers that are neither classes nor values of the model's output".into(),
            )),
            (_, Targets::Classes { labels, .. }) if labels.iter().all(|label| *label == IGNORED) => {
                Err(TrainError::Setting("no target counts: all have the class number that is ignored".into()))
            }
            (TargetForm::Values(_), Targets::Classes { shape, .. }) if !shape.is_empty() => {
                Err(TrainError::Setting(format!(
                    "the targets are classes of shape {shape:?} for a sample; cross-entropy compares with them"
                )))
            }
            (TargetForm::Values(_), Targets::Classes { labels, .. }) if labels.contains(&IGNORED) => {
                Err(TrainError::Setting("only cross-entropy and nll leave targets out".into()))
            }
            (TargetForm::Values(shape), Targets::Values { shape: found, .. })
                if elements(shape) != elements(found) =>
            {
                Err(TrainError::Setting(format!(
                    "the model's output has shape {shape:?} for a sample, but the targets have {found:?}"
                )))
            }
            (TargetForm::Values(shape), Targets::Classes { names, .. })
                if elements(shape) != 1 && elements(shape) != names.len() =>
            {
                Err(TrainError::Setting(format!(
                    "the model's output has {} numbers for a sample, but there are {} classes",
                    elements(shape),
                    names.len()
                )))
            }
            _ if self.batches() == 0 => Err(TrainError::Setting(format!(
                "there are {} samples, too few for a batch of {}",
                self.data.len(),
                self.batch
            ))),
            _ => self.normalize.check(&self.data.shape),
        }
    }

    /// The numbers of the samples in the order of an epoch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        if self.shuffle {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(epoch);
            order.shuffle(&mut random);
        }
        order
    }

    /// The batches of epoch `epoch`, from number `first` on.
    pub fn epoch(&self, epoch: u64, first: usize) -> Batches {
        let order = Arc::new(self.order(epoch));
        let workers = self.workers.max(1);
        let mut lanes = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (send, receive) = sync_channel(2);
            let (this, order) = (self.clone(), order.clone());
            let numbers = (first + worker..self.batches()).step_by(workers);
            std::thread::spawn(move || {
                for number in numbers {
                    let end = order.len().min((number + 1) * this.batch);
                    // The rest is not needed when training has stopped.
                    if send.send(this.make(&order[number * this.batch..end], epoch)).is_err() {
                        return;
                    }
                }
            });
            lanes.push(receive);
        }
        Batches { lanes, next: 0 }
    }

    fn make(&self, indices: &[usize], epoch: u64) -> Result<Batch, TrainError> {
        let mut samples = Vec::with_capacity(indices.len() * self.data.sample_len());
        for index in indices {
            let mut sample = self.data.sample(*index);
            let image = <[usize; 3]>::try_from(&self.data.shape[..]);
            if let (Ok(shape), Some(fit)) = (image, self.fit) {
                sample = fit.apply(&sample, shape);
            } else if let (Ok(mut shape), false) = (image, self.augmentations.is_empty()) {
                let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 0x6175_676d_656e_7473);
                random.set_stream((epoch << 32) | *index as u64);
                for augmentation in &self.augmentations {
                    augmentation.apply(&mut sample, &mut shape, &mut random);
                }
            }
            self.normalize.apply(&mut sample, &self.data.shape);
            samples.extend(sample);
        }
        let labels: Vec<i32> = match &self.data.targets {
            Targets::Classes { shape, labels, .. } => {
                let each = shape.iter().product::<usize>();
                indices.iter().flat_map(|i| labels[i * each..(i + 1) * each].iter().copied()).collect()
            }
            Targets::Values { .. } | Targets::Whole { .. } => vec![],
        };
        let targets = match &self.target {
            TargetForm::Classes(shape) => {
                HostTensor::new([&[indices.len()], &shape[..]].concat(), labels.clone())?
            }
            TargetForm::Values(shape) => {
                let each = shape.iter().product::<usize>().max(1);
                let values: Vec<f32> = match &self.data.targets {
                    Targets::Values { values, .. } => indices
                        .iter()
                        .flat_map(|i| values[i * each..(i + 1) * each].iter().copied())
                        .collect(),
                    Targets::Classes { .. } if each == 1 => {
                        labels.iter().map(|label| *label as f32).collect()
                    }
                    Targets::Classes { .. } | Targets::Whole { .. } => labels
                        .iter()
                        .flat_map(|label| {
                            (0..each).map(move |class| f32::from(u8::from(class as i32 == *label)))
                        })
                        .collect(),
                };
                HostTensor::new([&[indices.len()], &shape[..]].concat(), values)?
            }
        };
        let samples = HostTensor::new([&[indices.len()], &self.input[..]].concat(), samples)?;
        Ok(Batch { samples, targets, labels })
    }
}

/// The shape of samples after changes at random, or after what is done instead.
pub fn changed_shape(
    shape: &[usize],
    augmentations: &[Augmentation],
    fit: Option<Fit>,
) -> Result<Vec<usize>, TrainError> {
    if augmentations.is_empty() && fit.is_none() {
        return Ok(shape.to_vec());
    }
    let Ok(image) = <[usize; 3]>::try_from(shape) else {
        return Err(TrainError::Setting(format!(
            "only images [C, H, W] can be augmented; the samples are {shape:?}"
        )));
    };
    if let Some(Fit::Crop(sides) | Fit::Resize(sides)) = fit {
        return Ok(vec![image[0], sides[0], sides[1]]);
    }
    let changed = augmentations.iter().try_fold(image, |shape, change| change.check(shape))?;
    Ok(changed.to_vec())
}

/// The batches of an epoch, in order. The threads that make them end when it is dropped.
pub struct Batches {
    /// From each thread in turn.
    lanes: Vec<Receiver<Result<Batch, TrainError>>>,
    next: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let lane = self.next % self.lanes.len();
        self.next += 1;
        self.lanes[lane].recv().ok()
    }
}

/// The flags that would read pictures as a model wants them, if there are such.
fn flags_for(found: &[usize], wanted: &[usize]) -> String {
    let ([channels @ (1 | 3), height, width], [colours @ (1 | 3), down, across]) = (found, wanted) else {
        return String::new();
    };
    let mut flags = vec![];
    if (*channels, *colours) == (3, 1) {
        flags.push("--grey".to_owned());
    }
    if (height, width) != (down, across) && down == across {
        flags.push(format!("--resize {down}"));
    }
    match &flags[..] {
        [] => String::new(),
        flags => format!("; pictures of a folder become that with {}", flags.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Loader, TargetForm};
    use crate::data::{Dataset, Samples, Targets};
    use crate::normalize::Normalize;

    fn loader(workers: usize) -> Loader {
        let data = Dataset {
            shape: vec![1, 4, 4],
            samples: Samples::Bytes((0..16 * 23).map(|x| (x % 251) as u8).collect()),
            targets: Targets::Classes {
                shape: vec![],
                labels: (0..23).map(|x| x % 3).collect(),
                names: vec!["a".into(); 3],
            },
        };
        Loader {
            data: Arc::new(data),
            batch: 5,
            drop_last: false,
            shuffle: true,
            fit: None,
            augmentations: vec!["affine:degrees=30".parse().expect("one"), "flip".parse().expect("one")],
            normalize: Normalize { mean: vec![0.5], std: vec![0.25] },
            target: TargetForm::Classes(vec![]),
            input: vec![1, 4, 4],
            seed: 7,
            workers,
        }
    }

    fn all(loader: &Loader, epoch: u64, first: usize) -> Vec<(Vec<f64>, Vec<i32>)> {
        let batches = loader.epoch(epoch, first);
        batches.map(|batch| batch.expect("a batch")).map(|b| (b.samples.to_f64(), b.labels)).collect()
    }

    #[test]
    fn batches_depend_on_seed_and_epoch_only() {
        let one = all(&loader(1), 3, 0);
        assert_eq!(one.len(), 5);
        assert_eq!(one[4].1.len(), 3);
        assert_eq!(one, all(&loader(3), 3, 0));
        assert_eq!(one[2..], all(&loader(2), 3, 2));
        assert_ne!(one, all(&loader(1), 4, 0));
        // Who stops early leaves no thread behind that waits for ever.
        drop(loader(2).epoch(0, 0));
    }

    #[test]
    fn classes_become_what_the_loss_wants() {
        let mut loader = loader(1);
        loader.shuffle = false;
        loader.target = TargetForm::Values(vec![3]);
        let batch = loader.epoch(0, 0).next().expect("one").expect("a batch");
        assert_eq!(&batch.targets.to_f64()[..6], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
