//! The training loop: steps, evaluation, checkpoints.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_compile::train::{FAILED, Training};
use kiln_runtime::{HostTensor, Session, Started};

use crate::checkpoint::folder::{self, Damaged};
use crate::checkpoint::{self, Checkpoint, Unusable};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::history::{Epoch, HistoryLog, Scores};
use crate::in_flight::{self, Flying, InFlight, Pace};
use crate::inspection::{Inspection, Separate};
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
    /// What steps take.
    pace: Pace,
    /// Its progress.
    pub progress: Progress,
    /// The model's metadata, which checkpoints store, too.
    pub known: BTreeMap<String, String>,
    /// The history files next to the checkpoints, if there are any.
    history: Option<HistoryLog>,
    /// Where steps are looked at.
    inspection: Inspection,
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

/// How an epoch has ended.
enum EpochEnd {
    /// All its batches are done; the last learning rate.
    Done { lr: f64 },
    /// The observer requested it.
    Stopped,
}

/// What is kept from one step of an epoch to the next.
struct Watch {
    /// Since when seconds have not been counted.
    start: Instant,
    /// Steps in all.
    steps: u64,
    /// The batches of a step, whose loss is their mean. Checkpoints are written between steps only.
    gathered: Mean,
    /// Whether the observer requested to stop.
    stops: bool,
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
        let inspection = Inspection::default();
        let pace = Pace::new();
        Ok(Self { session, interface, accumulate, pace, progress, known, history: None, inspection })
    }

    /// Says how the training's plan is made with a dispatch for each kernel. Steps that are watched, and those whose loss is not
    /// finite, are looked at with it: the trainer's own plan may have written over what a kernel has made before it can be read.
    pub fn looks_with(&mut self, separate: Separate) {
        self.inspection.separate = Some(separate);
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

    /// Trains on one batch. If its loss is not finite, nothing changes.
    pub fn step(&mut self, batch: &Batch, rate: Rate) -> Result<Outcome, TrainError> {
        let run = self.start(batch, rate)?;
        let outputs = self.session.finish(run)?;
        let outcome = Outcome::of(batch, |name| outputs.get(name).ok());
        if !outcome.loss.is_finite() {
            self.go_on()?;
        }
        Ok(outcome)
    }

    /// Gives the device the steps that are held, in one submission.
    fn submit(&mut self, flight: &mut InFlight) -> Result<(), TrainError> {
        let held = flight.held();
        let first = flight.steps.len() - held;
        let numbers = flight.steps.range(first..).map(|flying| Numbers::new(flying.rate));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let all = flight.steps.range(first..).zip(&numbers);
        let all: Vec<_> =
            all.map(|(flying, numbers)| inputs(&self.interface, &flying.batch, numbers)).collect();
        let started = match &all[..] {
            [] => return Ok(()),
            // Without copies of its inputs, which several need.
            [one] => vec![self.session.start("train", one)?],
            several => {
                let several: Vec<&[_]> = several.iter().map(Vec::as_slice).collect();
                self.session.start_several("train", &several)?
            }
        };
        for (flying, started) in flight.steps.range_mut(first..).zip(started) {
            flying.run = Some(started);
        }
        Ok(())
    }

    /// Gives the device a step.
    fn start(&mut self, batch: &Batch, rate: Rate) -> Result<Started, TrainError> {
        let numbers = Numbers::new(rate)?;
        Ok(self.session.start("train", &inputs(&self.interface, batch, &numbers))?)
    }

    /// Lets steps change states again after one whose loss was not finite.
    fn go_on(&mut self) -> Result<(), TrainError> {
        let failed = self.session.plan().states().find(|(_, tensor)| tensor.name == FAILED);
        if let Some((index, _)) = failed {
            self.session.write_tensor(index, &HostTensor::new([], vec![0f32])?)?;
        }
        Ok(())
    }

    /// Shows what each kernel of a step makes, before the step is done.
    fn inspect(
        &mut self,
        batch: &Batch,
        rate: Rate,
        wanted: &dyn Fn(&str) -> bool,
        show: &mut dyn FnMut(&str, &HostTensor) -> bool,
    ) -> Result<(), TrainError> {
        let numbers = Numbers::new(rate)?;
        self.inspection.step(&mut self.session, &inputs(&self.interface, batch, &numbers), wanted, show)
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
        while self.progress.epoch < settings.epochs {
            if self.has_stalled(settings) {
                return Ok(End::Stalled);
            }
            let lr = match self.epoch(train, settings, observer)? {
                EpochEnd::Stopped => return Ok(End::Stopped),
                EpochEnd::Done { lr } => lr,
            };
            self.end_epoch(lr, validation, settings, observer)?;
            if self.progress.epoch < settings.epochs && observer.stops() {
                return Ok(End::Stopped);
            }
        }
        Ok(End::Finished)
    }

    /// Trains until the end of an epoch, or until the observer says stop; then there is a checkpoint.
    fn epoch(
        &mut self,
        train: &Loader,
        settings: &Settings,
        observer: &mut dyn Observer,
    ) -> Result<EpochEnd, TrainError> {
        let per_epoch = self.steps_per_epoch(train);
        let (batches, steps) = (train.batches(), per_epoch * settings.epochs);
        let together = |pace: &Pace| settings.steps_per_submit.unwrap_or_else(|| pace.together()).max(1);
        let mut flight = InFlight::new(self.progress.step, self.progress.batch, together(&self.pace));
        let mut watch = Watch { start: Instant::now(), steps, gathered: Mean::default(), stops: false };
        let mut last = settings.lr;
        for batch in train.epoch(self.progress.epoch, self.progress.batch) {
            let number = flight.batch + 1;
            let update = number == batches || (number as u64).is_multiple_of(self.accumulate);
            let position = Position { step: flight.step, steps_per_epoch: per_epoch, steps };
            let (lr, momentum) =
                settings.schedule.at(position, settings.lr, settings.momentum, settings.warmup);
            let rate = Rate { lr, momentum, update };
            last = lr;
            let (batch, is_last) = (batch?, number == batches);
            if update && observer.watch(position.step) {
                self.settle(&mut flight, 0, &mut watch, observer)?;
                let observer = RefCell::new(&mut *observer);
                let wanted = |name: &str| observer.borrow().wants(name);
                self.inspect(&batch, rate, &wanted, &mut |name, tensor| {
                    observer.borrow_mut().tensor(position.step, name, tensor);
                    true
                })?;
            }
            flight.push(Flying { batch, position, rate, is_last, run: None });
            if flight.held() >= flight.together {
                self.submit(&mut flight)?;
                flight.together = together(&self.pace);
            }
            let checkpoints = settings.checkpoints.as_ref();
            let is_due = update && checkpoints.is_some_and(|checkpoints| checkpoints.are_due(flight.step));
            let most = if is_due { 0 } else { in_flight::MOST * flight.together };
            self.settle(&mut flight, most, &mut watch, observer)?;
            if watch.stops {
                self.settle(&mut flight, 0, &mut watch, observer)?;
            }
            // The epoch's end has a checkpoint of its own.
            if let Some(checkpoints) = checkpoints.filter(|_| (is_due || watch.stops) && !is_last) {
                self.save(checkpoints)?;
            }
            if watch.stops && !is_last {
                return Ok(EpochEnd::Stopped);
            }
        }
        self.settle(&mut flight, 0, &mut watch, observer)?;
        self.progress.seconds += watch.start.elapsed().as_secs_f64();
        Ok(EpochEnd::Done { lr: last })
    }

    /// Looks at the outcomes of the oldest steps in flight, until no more than `most` are left.
    fn settle(
        &mut self,
        flight: &mut InFlight,
        most: usize,
        watch: &mut Watch,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if most == 0 {
            self.submit(flight)?;
        }
        while flight.steps.len() > most {
            if flight.held() == flight.steps.len() {
                self.submit(flight)?;
            }
            let Some(mut flying) = flight.steps.pop_front() else { break };
            let Some(run) = flying.run.take() else { break };
            self.look_at(flying, run, watch, observer)?;
        }
        Ok(())
    }

    fn look_at(
        &mut self,
        flying: Flying,
        run: Started,
        watch: &mut Watch,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let Flying { batch, position, rate, is_last, .. } = flying;
        let outputs = self.session.finish(run)?;
        let outcome = Outcome::of(&batch, |name| outputs.get(name).ok());
        self.pace.note();
        let (step, epoch, lr, loss) = (position.step + 1, self.progress.epoch + 1, rate.lr, outcome.loss);
        if !loss.is_finite() {
            // What stops the training is the loss, whatever else goes wrong.
            let cause = self
                .first_not_finite(&batch, rate)
                .unwrap_or_else(|error| format!("where it comes from cannot be seen: {error}"));
            return Err(TrainError::NotFinite { step, epoch, lr, loss, cause });
        }
        if let Some(scale) = outcome.loss_scale.filter(|scale| outcome.skipped && *scale < LEAST_SCALE) {
            return Err(TrainError::Overflow { step, epoch, lr, scale });
        }
        watch.gathered.add(loss, outcome.weight);
        self.progress.note(&batch, &outcome, self.interface.classes);
        self.progress.seconds += watch.start.elapsed().as_secs_f64();
        watch.start = Instant::now();
        if !rate.update {
            return Ok(());
        }
        let loss = std::mem::take(&mut watch.gathered).value();
        self.progress.step += 1;
        self.progress.losses.push(loss as f32);
        observer.step(&Step {
            step: position.step,
            steps: watch.steps,
            loss,
            lr,
            momentum: rate.momentum,
            progress: &self.progress,
        });
        watch.stops |= !is_last && observer.stops();
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
        self.go_on()?;
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
        self.inspect(batch, rate, &|_| true, &mut |name, tensor| {
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
