//! The training loop: steps, evaluation, checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_compile::train::{LOSS, LOSS_SCALE, LOSS_WEIGHT, PREDICTED, SKIPPED, Training};
use kiln_runtime::{HostTensor, Session};

use crate::checkpoint::folder::{self, Damaged};
use crate::checkpoint::{self, Checkpoint, Unusable};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::history::{Epoch, HistoryLog, Scores};
use crate::interface::Interface;
use crate::loader::{Batch, Loader};
use crate::metrics::Tally;
use crate::observer::{Observer, Step};
use crate::progress::{Mean, Progress};
use crate::schedule::Position;
use crate::settings::{Checkpoints, Settings};
use crate::step::{Numbers, Outcome, Rate, inputs};

/// A loss that has to be scaled down for its gradients to be finite is no use.
const LEAST_SCALE: f64 = 1.0;

/// A training plan on a device, with all that belongs to a training.
pub struct Trainer {
    session: Session,
    interface: Interface,
    /// Batches of a step of the optimizer.
    accumulate: u64,
    /// Its progress.
    pub progress: Progress,
    /// The model's metadata, which checkpoints store, too.
    pub known: BTreeMap<String, String>,
    /// The history files next to the checkpoints, if there are any.
    history: Option<HistoryLog>,
}

/// Why [`Trainer::fit`] has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Finished,
    /// There was no improvement for as many epochs as the settings' patience.
    Stalled,
    /// The observer requested it, between two steps. A checkpoint was written, if there are any.
    Stopped,
}

/// The result of [`Trainer::resume`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// The checkpoint that training resumes from.
    pub from: PathBuf,
    /// Newer damaged ones. They are now called `….damaged`.
    pub damaged: Vec<Damaged>,
    /// Whether losses and measures of earlier steps are lost, since the files beside the checkpoint were changed.
    pub history_is_lost: bool,
    /// Why `best.safetensors` is not the best epoch's and the best is searched again, if so.
    pub best_is_lost: Option<String>,
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
        Ok(Self { session, interface, accumulate, progress, known, history: None })
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

    /// Trains on one batch.
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
            .filter(|output| {
                [LOSS, LOSS_WEIGHT, PREDICTED, LOSS_SCALE, SKIPPED].contains(&output.name.as_str())
            })
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
    ) -> Result<End, TrainError> {
        train.check()?;
        if let Some(validation) = validation {
            validation.check()?;
        }
        if let Some(Checkpoints { folder, .. }) = &settings.checkpoints {
            std::fs::create_dir_all(folder).map_err(|source| TrainError::write(folder, source))?;
            self.history = Some(HistoryLog::open(folder, &mut self.progress)?);
        }
        let per_epoch = self.steps_per_epoch(train);
        let (batches, steps) = (train.batches(), per_epoch * settings.epochs);
        while self.progress.epoch < settings.epochs {
            if self.has_stalled(settings) {
                return Ok(End::Stalled);
            }
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
                if let Some(scale) =
                    outcome.loss_scale.filter(|scale| outcome.skipped && *scale < LEAST_SCALE)
                {
                    let (step, epoch) = (position.step + 1, epoch + 1);
                    return Err(TrainError::Overflow { step, epoch, lr, scale });
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
                if number == batches {
                    // The epoch's end has a checkpoint of its own.
                    continue;
                }
                let stops = observer.stops();
                if let Some(checkpoints) = &settings.checkpoints
                    && (stops || checkpoints.are_due(self.progress.step))
                {
                    self.save(checkpoints)?;
                }
                if stops {
                    return Ok(End::Stopped);
                }
            }
            self.progress.seconds += start.elapsed().as_secs_f64();
            self.end_epoch(last, validation, settings, observer)?;
            if self.progress.epoch < settings.epochs && observer.stops() {
                return Ok(End::Stopped);
            }
        }
        Ok(End::Finished)
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
            skipped: std::mem::take(&mut self.progress.skipped),
            loss_scale: self.progress.loss_scale,
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
            self.progress.unimproved_since = self.progress.epoch;
        }
        if let Some(checkpoints) = &settings.checkpoints {
            // In this order: from the one that is numbered, `resume` makes a best that is missing.
            self.save(checkpoints)?;
            if better.is_some() {
                self.save_as(&folder::best(&checkpoints.folder))?;
            }
        }
        observer.epoch(&epoch, evaluation.as_ref());
        Ok(())
    }

    /// Whether there was no improvement for as many epochs as the settings' patience.
    fn has_stalled(&self, settings: &Settings) -> bool {
        let since = self.progress.unimproved_since;
        settings.patience.is_some_and(|patience| self.progress.epoch >= since + patience.max(1))
    }

    /// Evaluates the network on a data set.
    pub fn evaluate(&mut self, loader: &Loader) -> Result<Evaluation, TrainError> {
        evaluate(&mut self.session, &self.interface, loader)
    }

    /// Finds the first tensor of a step that is not finite. The step left all states unchanged.
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
        if let Some(history) = &mut self.history {
            history.save(&mut self.progress)?;
        }
        let step = self.progress.step;
        self.save_as(&folder::numbered(&to.folder, step))?;
        folder::prune(&to.folder, step, to.keep)
    }

    /// Writes a checkpoint to a file. Losses and measures of earlier steps are not in it.
    pub fn save_as(&mut self, path: &Path) -> Result<(), TrainError> {
        checkpoint::save(&mut self.session, path, &self.progress, &self.known)
    }

    /// Resumes from the newest intact checkpoint of a folder. `None` if there is no
    /// checkpoint yet.
    pub fn resume(&mut self, folder: &Path) -> Result<Option<Resumed>, TrainError> {
        let (found, damaged) = folder::newest(folder)?;
        let Some(found) = found else {
            return match &damaged[..] {
                [] => Ok(None),
                [newest, ..] => Err(TrainError::Checkpoint {
                    path: newest.path.clone(),
                    message: format!("cannot be used: {}; there is no other one", newest.message),
                }),
            };
        };
        found.restore(&mut self.session)?;
        folder::set_aside(&damaged)?;
        let from = folder::numbered(folder, found.progress.step);
        self.progress = found.progress;
        let history_is_lost = !HistoryLog::read(folder, &mut self.progress);
        let best_is_lost = self.mend_best(folder)?;
        Ok(Some(Resumed { from, damaged, history_is_lost, best_is_lost }))
    }

    /// Sees to it that `best.safetensors` is that of the epoch that the progress calls the best. It is written after
    /// the checkpoint of its epoch, so that it can be made from that. Else the best is looked for anew, for the reason
    /// that is given.
    fn mend_best(&mut self, folder: &Path) -> Result<Option<String>, TrainError> {
        let (Some((_, best)), path) = (self.progress.best, folder::best(folder)) else { return Ok(None) };
        let reason = match Checkpoint::read(&path) {
            Ok(found) if found.progress.epoch == best => return Ok(None),
            Ok(found) => format!("it is of epoch {}, not of epoch {best}", found.progress.epoch),
            Err(Unusable::Damaged(message)) => message,
            Err(Unusable::Unread(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                "it is missing".into()
            }
            Err(unread @ Unusable::Unread(_)) => return Err(unread.of(&path)),
        };
        if best == self.progress.epoch && self.progress.batch == 0 {
            self.save_as(&path)?;
            return Ok(None);
        }
        self.progress.best = None;
        self.progress.unimproved_since = self.progress.epoch;
        Ok(Some(reason))
    }

    /// Restarts the interrupted epoch, as is necessary if its batches have changed.
    pub fn restart_epoch(&mut self) {
        self.progress.restart_epoch();
    }

    /// Takes the weights of the best epoch from a folder of checkpoints; the progress is unchanged.
    pub fn restore_best(&mut self, folder: &Path) -> Result<(), TrainError> {
        let path = folder::best(folder);
        Checkpoint::read(&path).map_err(|error| error.of(&path))?.restore(&mut self.session)
    }
}
