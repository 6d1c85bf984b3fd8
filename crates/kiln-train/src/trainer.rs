//! The loop: batches in, a loss out, and what has to happen now and then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_compile::train::{LEARNING_RATE, LOSS, LOSS_WEIGHT, MOMENTUM, PREDICTED, TARGET, Training, UPDATE};
use kiln_plan::DType;
use kiln_runtime::{HostTensor, Session};
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::history::{Epoch, Measure, Scores};
use crate::loader::{Batch, Loader, TargetForm};
use crate::metrics::Tally;
use crate::schedule::{Position, Schedule};

/// How long and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Passes over the training samples.
    pub epochs: u64,
    /// The learning rate that the schedule multiplies.
    pub lr: f64,
    /// The momentum, or Adam's beta1, where the schedule has no other.
    pub momentum: f64,
    /// The course of both.
    pub schedule: Schedule,
    /// Steps of the optimizer in which the learning rate rises to what the schedule has.
    pub warmup: u64,
    /// Epochs without a better measure after which training stops.
    pub patience: Option<u64>,
    /// What better means.
    pub monitor: Measure,
    /// Where and when to write checkpoints.
    pub checkpoints: Option<Checkpoints>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 1,
            lr: 0.01,
            momentum: 0.9,
            schedule: Schedule::Constant,
            warmup: 0,
            patience: None,
            monitor: Measure::Loss,
            checkpoints: None,
        }
    }
}

/// Where and when to write checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder; there will be `step-NUMBER.safetensors` and `best.safetensors`.
    pub folder: PathBuf,
    /// After so many steps of the optimizer, too, and not only after each epoch.
    pub every_steps: Option<u64>,
    /// How many of the last ones are kept.
    pub keep: usize,
}

/// How far training has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps that the optimizer has done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of the epoch after those.
    pub batch: usize,
    /// The mean loss of these batches.
    pub mean: Mean,
    /// Their right and wrong answers, where there are classes.
    pub tally: Option<Tally>,
    /// Seconds of these batches.
    pub seconds: f64,
    /// The best measure so far, and its epoch.
    pub best: Option<(f64, u64)>,
    /// The epochs so far.
    pub epochs: Vec<Epoch>,
    /// The loss of each step so far.
    pub losses: Vec<f32>,
}

impl Progress {
    /// Adds what a batch has come to.
    fn note(&mut self, batch: &Batch, outcome: &Outcome, classes: Option<usize>) {
        self.batch += 1;
        self.mean.add(outcome.loss, outcome.weight);
        if let Some(classes) = classes.filter(|_| !batch.labels.is_empty()) {
            let tally = self.tally.get_or_insert_with(|| Tally::new(classes));
            batch.labels.iter().zip(&outcome.predicted).for_each(|(right, said)| tally.add(*right, *said));
        }
    }
}

/// A mean of losses, each with a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The sum of losses times weights.
    sum: f64,
    /// The sum of weights.
    weight: f64,
}

impl Mean {
    /// Adds a loss. What has no weight (a batch of which no target counts) says nothing.
    pub fn add(&mut self, loss: f64, weight: f64) {
        if weight != 0.0 {
            self.sum += loss * weight;
            self.weight += weight;
        }
    }

    /// The mean; 0 of nothing.
    pub fn value(self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.sum / self.weight }
    }
}

/// Hears what happens; all methods do nothing by themselves.
pub trait Observer {
    /// A step was done.
    fn step(&mut self, _step: &Step<'_>) {}
    /// An epoch was done.
    fn epoch(&mut self, _epoch: &Epoch, _evaluation: Option<&Evaluation>) {}
    /// Whether a step, which is about to be done, is to be looked into.
    fn watch(&mut self, _step: u64) -> bool {
        false
    }
    /// What a kernel of a watched step has just made.
    fn tensor(&mut self, _step: u64, _name: &str, _tensor: &HostTensor) {}
}

impl Observer for () {}

/// A step of the optimizer that was done.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Steps before this one.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The loss; with accumulation, the mean of its batches.
    pub loss: f64,
    /// Its learning rate.
    pub lr: f64,
    /// Its momentum.
    pub momentum: f64,
    /// How far training has come, with this step.
    pub progress: &'a Progress,
}

/// A training plan on a device, with all that belongs to a training.
pub struct Trainer {
    session: Session,
    interface: Interface,
    /// Batches of a step of the optimizer.
    accumulate: u64,
    /// How far it has come.
    pub progress: Progress,
    /// What is known of the model, which checkpoints say, too.
    pub known: BTreeMap<String, String>,
}

/// What a training plan takes.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The name of the model's input.
    pub input: String,
    /// Its shape without the batch.
    pub input_shape: Vec<usize>,
    /// What targets have to be.
    pub target: TargetForm,
    /// Whether a step has a momentum.
    pub has_momentum: bool,
    /// Whether a step is told when the optimizer steps.
    pub accumulates: bool,
    /// Between how many classes the model decides, if it does.
    pub classes: Option<usize>,
    /// The model's output that is compared.
    pub output: String,
    /// The largest batch.
    pub largest_batch: usize,
}

impl Interface {
    /// Reads it off a program of the plan, `train` or `evaluate`; `output` is the model's output that is compared, if it
    /// is not the first.
    pub fn of(session: &Session, program: &str, output: Option<&str>) -> Result<Self, TrainError> {
        let plan = session.plan();
        let evaluation = plan.program("evaluate").map(|program| &program.outputs[..]).unwrap_or_default();
        let output = match output {
            Some(name) => evaluation.iter().find(|output| output.name == name),
            None => evaluation.first(),
        };
        let program = plan.program(program).ok_or_else(|| {
            TrainError::Plan(format!("the plan has no program `{program}`, as those for training have"))
        })?;
        let tensors: Vec<_> = program.inputs.iter().filter_map(|index| plan.tensors.get(*index)).collect();
        let own = [TARGET, LEARNING_RATE, MOMENTUM, UPDATE];
        let inputs: Vec<_> = tensors.iter().filter(|tensor| !own.contains(&tensor.name.as_str())).collect();
        let [input] = inputs[..] else {
            return Err(TrainError::Plan(format!(
                "a model with {} inputs cannot be fed from a data set",
                inputs.len()
            )));
        };
        let target = tensors
            .iter()
            .find(|tensor| tensor.name == TARGET)
            .ok_or_else(|| TrainError::Plan("the plan's program has no input `target`".into()))?;
        let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
        let shape = |tensor: &kiln_plan::Tensor| tensor.shape_at(&largest).unwrap_or_default();
        let (input_shape, target_shape) = (shape(input), shape(target));
        if input.dtype != DType::F32 || input_shape.is_empty() {
            return Err(TrainError::Plan(format!("the input `{}` should be f32 with a batch", input.name)));
        }
        let scores = output.and_then(|output| plan.tensors.get(output.tensor)).map(shape).unwrap_or_default();
        let decides = program.outputs.iter().any(|output| output.name == PREDICTED);
        Ok(Self {
            input: input.name.clone(),
            largest_batch: input_shape[0],
            input_shape: input_shape[1..].to_vec(),
            target: match target.dtype {
                DType::I32 => TargetForm::Classes(target_shape.get(1..).unwrap_or_default().to_vec()),
                _ => TargetForm::Values(target_shape.get(1..).unwrap_or_default().to_vec()),
            },
            has_momentum: tensors.iter().any(|tensor| tensor.name == MOMENTUM),
            accumulates: tensors.iter().any(|tensor| tensor.name == UPDATE),
            // One score is between two classes.
            classes: decides.then(|| scores.get(1).copied().unwrap_or(1).max(2)),
            output: output.map(|output| output.name.clone()).unwrap_or_default(),
        })
    }
}

fn number(value: f64) -> Result<HostTensor, TrainError> {
    Ok(HostTensor::new([], vec![value as f32])?)
}

/// What a step is told besides its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The learning rate.
    pub lr: f64,
    /// The momentum.
    pub momentum: f64,
    /// Whether the optimizer steps; else gradients are only gathered, where the plan accumulates.
    pub update: bool,
}

/// The numbers of a [`Rate`] as tensors.
struct Numbers {
    lr: HostTensor,
    momentum: HostTensor,
    update: HostTensor,
}

impl Numbers {
    fn new(rate: Rate) -> Result<Self, TrainError> {
        let update = number(f64::from(u8::from(rate.update)))?;
        Ok(Self { lr: number(rate.lr)?, momentum: number(rate.momentum)?, update })
    }
}

/// What a batch has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The mean loss.
    pub loss: f64,
    /// What it is the mean over: the number of samples, or the sum of their classes' weights.
    pub weight: f64,
    /// The class with the highest score for each target, where there are classes.
    pub predicted: Vec<i32>,
}

impl Outcome {
    /// From the outputs of a program by name.
    pub(crate) fn of<'a>(batch: &Batch, get: impl Fn(&str) -> Option<&'a HostTensor>) -> Self {
        let number = |name: &str| get(name).and_then(|tensor| tensor.to_f64().first().copied());
        Self {
            loss: number(LOSS).unwrap_or(f64::NAN),
            weight: number(LOSS_WEIGHT).unwrap_or(batch.len() as f64),
            predicted: get(PREDICTED).and_then(|t| t.as_i32().ok()).map(<[i32]>::to_vec).unwrap_or_default(),
        }
    }
}

/// The inputs of a step by name.
fn inputs<'a>(
    interface: &'a Interface,
    batch: &'a Batch,
    numbers: &'a Numbers,
) -> Vec<(&'a str, &'a HostTensor)> {
    let mut inputs = vec![
        (interface.input.as_str(), &batch.samples),
        (TARGET, &batch.targets),
        (LEARNING_RATE, &numbers.lr),
    ];
    if interface.has_momentum {
        inputs.push((MOMENTUM, &numbers.momentum));
    }
    if interface.accumulates {
        inputs.push((UPDATE, &numbers.update));
    }
    inputs
}

impl Trainer {
    /// Takes a loaded plan that was made for `training`.
    pub fn new(session: Session, training: &Training) -> Result<Self, TrainError> {
        let interface = Interface::of(&session, "train", training.output.as_deref())?;
        let accumulate = u64::from(training.accumulate.max(1));
        if interface.accumulates != (accumulate > 1) {
            return Err(TrainError::Plan(format!(
                "the plan was not made to accumulate the gradients of {accumulate} batches"
            )));
        }
        let (progress, known) = (Progress::default(), BTreeMap::new());
        Ok(Self { session, interface, accumulate, progress, known })
    }

    /// Batches that the optimizer sees as one.
    pub fn accumulate(&self) -> u64 {
        self.accumulate
    }

    /// Steps of the optimizer in an epoch: where batches are accumulated, the rest at the end makes one, too.
    pub fn steps_per_epoch(&self, train: &Loader) -> u64 {
        (train.batches() as u64).div_ceil(self.accumulate)
    }

    /// What the plan takes.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The plan on its device.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Learns from one batch.
    pub fn step(&mut self, batch: &Batch, rate: Rate) -> Result<Outcome, TrainError> {
        let numbers = Numbers::new(rate)?;
        let outputs = self.session.run_program("train", &inputs(&self.interface, batch, &numbers))?;
        Ok(Outcome::of(batch, |name| outputs.get(name).ok()))
    }

    /// One step kernel by kernel, each of whose results is shown until `show` has seen enough.
    fn step_by_step(
        &mut self,
        batch: &Batch,
        rate: Rate,
        show: &mut dyn FnMut(&str, &HostTensor) -> bool,
    ) -> Result<Outcome, TrainError> {
        let numbers = Numbers::new(rate)?;
        let inputs = inputs(&self.interface, batch, &numbers);
        let Some(program) = self.session.plan().program("train").cloned() else {
            return Err(TrainError::Plan("the plan has no program `train`".into()));
        };
        let names: Vec<String> =
            self.session.plan().tensors.iter().map(|tensor| tensor.name.clone()).collect();
        let mut watching = true;
        for (n, dispatch) in program.dispatches.iter().enumerate() {
            if n == 0 {
                self.session.run_until("train", &inputs, 0)?;
            } else {
                self.session.run_dispatch("train", n)?;
            }
            for index in dispatch.writes.iter().filter(|_| watching).copied().collect::<Vec<_>>() {
                let tensor = self.session.read_tensor(index)?;
                watching = show(names.get(index).map_or("", String::as_str), &tensor);
            }
        }
        let outputs = program.outputs.iter();
        let outputs: Vec<(&str, HostTensor)> = outputs
            .filter(|output| [LOSS, LOSS_WEIGHT, PREDICTED].contains(&output.name.as_str()))
            .map(|output| Ok((output.name.as_str(), self.session.read_tensor(output.tensor)?)))
            .collect::<Result<_, TrainError>>()?;
        Ok(Outcome::of(batch, |name| outputs.iter().find(|output| output.0 == name).map(|output| &output.1)))
    }

    /// Trains until the settings say stop, from where `progress` stands.
    pub fn fit(
        &mut self,
        train: &Loader,
        validation: Option<&Loader>,
        settings: &Settings,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        train.check()?;
        if let Some(validation) = validation {
            validation.check()?;
        }
        let per_epoch = self.steps_per_epoch(train);
        let (batches, steps) = (train.batches(), per_epoch * settings.epochs);
        while self.progress.epoch < settings.epochs && !self.has_stalled(settings) {
            let mut start = Instant::now();
            let epoch = self.progress.epoch;
            let mut last = settings.lr;
            // The batches of a step, whose loss is their mean. Checkpoints are written between steps only.
            let mut gathered = Mean::default();
            for batch in train.epoch(epoch, self.progress.batch) {
                let batch = batch?;
                let number = self.progress.batch + 1;
                let update = number == batches || (number as u64).is_multiple_of(self.accumulate);
                let position = Position { step: self.progress.step, steps_per_epoch: per_epoch, steps };
                let (lr, momentum) =
                    settings.schedule.at(position, settings.lr, settings.momentum, settings.warmup);
                let rate = Rate { lr, momentum, update };
                last = lr;
                let outcome = if update && observer.watch(position.step) {
                    self.step_by_step(&batch, rate, &mut |name, tensor| {
                        observer.tensor(position.step, name, tensor);
                        true
                    })?
                } else {
                    self.step(&batch, rate)?
                };
                let loss = outcome.loss;
                if !loss.is_finite() {
                    let cause = self.first_not_finite(&batch, rate)?;
                    let (step, epoch) = (position.step + 1, epoch + 1);
                    return Err(TrainError::NotFinite { step, epoch, lr, loss, cause });
                }
                gathered.add(loss, outcome.weight);
                self.progress.note(&batch, &outcome, self.interface.classes);
                self.progress.seconds += start.elapsed().as_secs_f64();
                start = Instant::now();
                if !update {
                    continue;
                }
                let loss = std::mem::take(&mut gathered).value();
                self.progress.step += 1;
                self.progress.losses.push(loss as f32);
                let step = Step { step: position.step, steps, loss, lr, momentum, progress: &self.progress };
                observer.step(&step);
                if let Some(checkpoints) = &settings.checkpoints
                    && checkpoints.every_steps.is_some_and(|n| self.progress.step.is_multiple_of(n.max(1)))
                    && self.progress.step < (epoch + 1) * per_epoch
                {
                    self.save(checkpoints)?;
                }
            }
            self.progress.seconds += start.elapsed().as_secs_f64();
            self.end_epoch(last, validation, settings, observer)?;
        }
        Ok(())
    }

    fn end_epoch(
        &mut self,
        lr: f64,
        validation: Option<&Loader>,
        settings: &Settings,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let start = Instant::now();
        let evaluation = match validation {
            Some(loader) => Some(self.evaluate(loader)?),
            None => None,
        };
        let tally = self.progress.tally.take();
        let train = Scores {
            loss: std::mem::take(&mut self.progress.mean).value(),
            accuracy: tally.as_ref().map(Tally::accuracy),
            f1: tally.as_ref().map(Tally::f1),
            auc: None,
        };
        let epoch = Epoch {
            epoch: self.progress.epoch + 1,
            train,
            validation: evaluation.as_ref().map(|evaluation| evaluation.scores),
            lr,
            seconds: self.progress.seconds + start.elapsed().as_secs_f64(),
        };
        let better = settings.monitor.of(&epoch).filter(|measure| {
            self.progress.best.is_none_or(|(best, _)| *measure > best) && measure.is_finite()
        });
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.seconds = 0.0;
        self.progress.epochs.push(epoch.clone());
        if let Some(measure) = better {
            self.progress.best = Some((measure, self.progress.epoch));
        }
        if let Some(checkpoints) = &settings.checkpoints {
            self.save(checkpoints)?;
            if better.is_some() {
                self.save_as(&checkpoints.folder.join("best.safetensors"))?;
            }
        }
        observer.epoch(&epoch, evaluation.as_ref());
        Ok(())
    }

    /// Whether nothing has become better for as long as the settings have patience.
    fn has_stalled(&self, settings: &Settings) -> bool {
        let best = self.progress.best.map_or(0, |(_, epoch)| epoch);
        settings.patience.is_some_and(|patience| self.progress.epoch >= best + patience.max(1))
    }

    /// What the network makes of a data set.
    pub fn evaluate(&mut self, loader: &Loader) -> Result<Evaluation, TrainError> {
        evaluate(&mut self.session, &self.interface, loader)
    }

    /// Says what in a step is the first that is not finite. The step left all states as they were.
    fn first_not_finite(&mut self, batch: &Batch, rate: Rate) -> Result<String, TrainError> {
        if batch.samples.to_f64().iter().any(|x| !x.is_finite()) {
            return Ok("the samples have numbers that are not finite".into());
        }
        let states: Vec<(usize, String)> =
            self.session.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
        for (index, name) in states {
            if self.session.read_tensor(index)?.to_f64().iter().any(|x| !x.is_finite()) {
                return Ok(format!(
                    "`{name}` is not finite since an earlier step; a lower learning rate may help"
                ));
            }
        }
        let mut first = None;
        self.step_by_step(batch, rate, &mut |name, tensor| {
            if tensor.to_f64().iter().any(|x| !x.is_finite()) {
                first = Some(name.to_owned());
            }
            first.is_none()
        })?;
        Ok(match first {
            Some(name) => format!("`{name}` is the first that is not finite; a lower learning rate may help"),
            None => "no single tensor of the step is to blame".into(),
        })
    }

    /// Writes a checkpoint and removes the oldest ones.
    fn save(&mut self, to: &Checkpoints) -> Result<(), TrainError> {
        self.save_as(&to.folder.join(format!("step-{:08}.safetensors", self.progress.step)))?;
        let mut all = numbered(&to.folder);
        while all.len() > to.keep.max(1) {
            // A file that cannot be removed only takes space.
            let _ = std::fs::remove_file(all.remove(0));
        }
        Ok(())
    }

    /// Writes a checkpoint to a file.
    pub fn save_as(&mut self, path: &Path) -> Result<(), TrainError> {
        checkpoint::save(&mut self.session, path, Some(&self.progress), &self.known, &|_| true)
    }

    /// Goes on from a checkpoint: a file, or the newest of a folder.
    pub fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let file = if path.is_dir() {
            numbered(path).pop().ok_or_else(|| TrainError::Checkpoint {
                path: path.into(),
                message: "has no checkpoint `step-NUMBER.safetensors`".into(),
            })?
        } else {
            path.to_owned()
        };
        self.progress = checkpoint::load(&mut self.session, &file)?;
        Ok(())
    }
}

/// The checkpoints of a folder, oldest first.
fn numbered(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_checkpoint = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("step-") && name.ends_with(".safetensors")
    };
    let mut all: Vec<PathBuf> = entries.filter(is_checkpoint).collect();
    all.sort();
    all
}
