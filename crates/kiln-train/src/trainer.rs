//! The loop: batches in, a loss out, and what has to happen now and then.

use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_compile::train::{CORRECT, LEARNING_RATE, LOSS, MOMENTUM, TARGET};
use kiln_plan::DType;
use kiln_runtime::{HostTensor, Session};
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::history::{Epoch, Measure, Scores};
use crate::loader::{Batch, Loader, TargetForm};
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
    /// Steps in which the learning rate rises to what the schedule has.
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
    /// After so many steps, too, and not only after each epoch.
    pub every_steps: Option<u64>,
    /// How many of the last ones are kept.
    pub keep: usize,
}

/// How far training has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of the epoch after those.
    pub batch: usize,
    /// Sums over these batches: of losses times samples, of right answers, of samples.
    pub sums: [f64; 3],
    /// Seconds of these batches.
    pub seconds: f64,
    /// The best measure so far, and its epoch.
    pub best: Option<(f64, u64)>,
    /// The epochs so far.
    pub epochs: Vec<Epoch>,
    /// The loss of each step so far.
    pub losses: Vec<f32>,
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

/// A step that was done.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Steps before this one.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The loss.
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
    /// How far it has come.
    pub progress: Progress,
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
    /// Whether a step counts right answers.
    pub has_classes: bool,
    /// The largest batch.
    pub largest_batch: usize,
}

impl Interface {
    /// Reads it off a program of the plan, `train` or `evaluate`.
    pub fn of(session: &Session, program: &str) -> Result<Self, TrainError> {
        let plan = session.plan();
        let program = plan.program(program).ok_or_else(|| {
            TrainError::Plan(format!("the plan has no program `{program}`, as those for training have"))
        })?;
        let tensors: Vec<_> = program.inputs.iter().filter_map(|index| plan.tensors.get(*index)).collect();
        let own = [TARGET, LEARNING_RATE, MOMENTUM];
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
        Ok(Self {
            input: input.name.clone(),
            largest_batch: input_shape[0],
            input_shape: input_shape[1..].to_vec(),
            target: match target.dtype {
                DType::I32 => TargetForm::Classes,
                _ => TargetForm::Values(target_shape.get(1..).unwrap_or_default().to_vec()),
            },
            has_momentum: tensors.iter().any(|tensor| tensor.name == MOMENTUM),
            has_classes: program.outputs.iter().any(|output| output.name == CORRECT),
        })
    }
}

fn number(value: f64) -> Result<HostTensor, TrainError> {
    Ok(HostTensor::new([], vec![value as f32])?)
}

/// The inputs of a step by name.
fn inputs<'a>(
    interface: &'a Interface,
    batch: &'a Batch,
    lr: &'a HostTensor,
    momentum: &'a HostTensor,
) -> Vec<(&'a str, &'a HostTensor)> {
    let mut inputs =
        vec![(interface.input.as_str(), &batch.samples), (TARGET, &batch.targets), (LEARNING_RATE, lr)];
    if interface.has_momentum {
        inputs.push((MOMENTUM, momentum));
    }
    inputs
}

impl Trainer {
    /// Takes a loaded training plan.
    pub fn new(session: Session) -> Result<Self, TrainError> {
        let interface = Interface::of(&session, "train")?;
        Ok(Self { session, interface, progress: Progress::default() })
    }

    /// What the plan takes.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The plan on its device.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// One step; the loss and the number of right answers.
    pub fn step(&mut self, batch: &Batch, lr: f64, momentum: f64) -> Result<(f64, f64), TrainError> {
        let (lr, momentum) = (number(lr)?, number(momentum)?);
        let outputs = self.session.run_program("train", &inputs(&self.interface, batch, &lr, &momentum))?;
        let get = |name: &str| outputs.get(name).ok().and_then(|tensor| tensor.to_f64().first().copied());
        Ok((get(LOSS).unwrap_or(f64::NAN), get(CORRECT).unwrap_or(0.0)))
    }

    /// One step kernel by kernel, each of whose results is shown until `show` has seen enough.
    fn step_by_step(
        &mut self,
        batch: &Batch,
        lr: f64,
        momentum: f64,
        show: &mut dyn FnMut(&str, &HostTensor) -> bool,
    ) -> Result<(f64, f64), TrainError> {
        let (lr, momentum) = (number(lr)?, number(momentum)?);
        let inputs = inputs(&self.interface, batch, &lr, &momentum);
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
        let mut get = |name: &str| -> Result<Option<f64>, TrainError> {
            let Some(output) = program.outputs.iter().find(|output| output.name == name) else {
                return Ok(None);
            };
            Ok(self.session.read_tensor(output.tensor)?.to_f64().first().copied())
        };
        Ok((get(LOSS)?.unwrap_or(f64::NAN), get(CORRECT)?.unwrap_or(0.0)))
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
        let per_epoch = train.batches() as u64;
        let steps = per_epoch * settings.epochs;
        while self.progress.epoch < settings.epochs && !self.has_stalled(settings) {
            let mut start = Instant::now();
            let epoch = self.progress.epoch;
            let mut rate = settings.lr;
            for batch in train.epoch(epoch, self.progress.batch) {
                let batch = batch?;
                let position = Position { step: self.progress.step, steps_per_epoch: per_epoch, steps };
                let (lr, momentum) =
                    settings.schedule.at(position, settings.lr, settings.momentum, settings.warmup);
                rate = lr;
                let (loss, correct) = if observer.watch(position.step) {
                    self.step_by_step(&batch, lr, momentum, &mut |name, tensor| {
                        observer.tensor(position.step, name, tensor);
                        true
                    })?
                } else {
                    self.step(&batch, lr, momentum)?
                };
                if !loss.is_finite() {
                    let cause = self.first_not_finite(&batch, lr, momentum)?;
                    let (step, epoch) = (position.step + 1, epoch + 1);
                    return Err(TrainError::NotFinite { step, epoch, lr, loss, cause });
                }
                let progress = &mut self.progress;
                progress.step += 1;
                progress.batch += 1;
                let count = batch.len() as f64;
                let parts = [loss * count, correct, count];
                progress.sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
                progress.losses.push(loss as f32);
                progress.seconds += start.elapsed().as_secs_f64();
                start = Instant::now();
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
            self.end_epoch(rate, validation, settings, observer)?;
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
        let [loss, correct, count] = self.progress.sums;
        let accuracy = self.interface.has_classes.then_some(correct / count.max(1.0));
        let epoch = Epoch {
            epoch: self.progress.epoch + 1,
            train: Scores { loss: loss / count.max(1.0), accuracy, f1: None, auc: None },
            validation: evaluation.as_ref().map(|evaluation| evaluation.scores),
            lr,
            seconds: self.progress.seconds + start.elapsed().as_secs_f64(),
        };
        let better = settings.monitor.of(&epoch).filter(|measure| {
            self.progress.best.is_none_or(|(best, _)| *measure > best) && measure.is_finite()
        });
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.sums = [0.0; 3];
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
    fn first_not_finite(&mut self, batch: &Batch, lr: f64, momentum: f64) -> Result<String, TrainError> {
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
        self.step_by_step(batch, lr, momentum, &mut |name, tensor| {
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
        checkpoint::save(&mut self.session, path, Some(&self.progress), &|_| true)
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
