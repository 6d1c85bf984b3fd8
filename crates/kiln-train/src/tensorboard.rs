//! Event files of TensorBoard: losses and measures as scalars.
//!
//! A file is a row of records: the length, a masked CRC-32C of it, an `Event` as protocol buffer, a masked CRC-32C of that
//! (TensorFlow's `lib/io/record_writer.cc` and `core/util/event.proto`).

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::TrainError;
use crate::history::{Epoch, Scores};
use crate::observer::Step;

/// An event: what `file_version`, `summary` and `session_log` are is a choice of one.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.START`: what earlier files of the folder have from this step on does not count any more.
const START: i32 = 1;

/// The version of the format.
const VERSION: &str = "brain.Event:2";

/// How long events may wait in memory.
const WAIT: Duration = Duration::from_secs(5);

/// Writes the events of a training.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: BufWriter<File>,
    /// When events were last handed to the system.
    flushed: Instant,
    /// The last step.
    step: u64,
    /// What kept the file from being written.
    failure: Option<std::io::Error>,
}

impl Events {
    /// Begins a file in `folder`, which is made if it is not there, before step `step`. Files of other trainings and of
    /// earlier parts of this one stay; TensorBoard leaves out what these have from this step on.
    pub fn new(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let failed = |source| TrainError::write(folder, source);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // TensorBoard reads files of a folder in the order of their names, and takes any with `tfevents` in it.
        let name = format!("events.out.tfevents.{:010}.{:09}.kiln", now.as_secs(), now.subsec_nanos());
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = BufWriter::new(file.map_err(|source| TrainError::write(&path, source))?);
        let mut events = Self { path, file, flushed: Instant::now(), step, failure: None };
        events.write(Event { file_version: Some(VERSION.into()), ..events.event(0) });
        events.write(Event { session_log: Some(SessionLog { status: START }), ..events.event(step) });
        Ok(events)
    }

    /// Notes a step.
    pub fn step(&mut self, step: &Step<'_>) {
        self.step = step.step;
        self.scalars([
            ("loss/step", Some(step.loss)),
            ("learning_rate", Some(step.lr)),
            ("momentum", Some(step.momentum)),
        ]);
    }

    /// Notes an epoch, at its last step.
    pub fn epoch(&mut self, epoch: &Epoch) {
        let of = |scores: Option<&Scores>, of: fn(&Scores) -> Option<f64>| scores.and_then(of);
        let (train, validation) = (Some(&epoch.train), epoch.validation.as_ref());
        let skipped = epoch.loss_scale.map(|_| f64::from(u32::try_from(epoch.skipped).unwrap_or(u32::MAX)));
        self.scalars([
            ("loss/train", of(train, |scores| Some(scores.loss))),
            ("loss/validation", of(validation, |scores| Some(scores.loss))),
            ("accuracy/train", of(train, |scores| scores.accuracy)),
            ("accuracy/validation", of(validation, |scores| scores.accuracy)),
            ("f1/train", of(train, |scores| scores.f1)),
            ("f1/validation", of(validation, |scores| scores.f1)),
            ("auc/validation", of(validation, |scores| scores.auc)),
            ("loss_scale", epoch.loss_scale),
            ("skipped_steps", skipped),
        ]);
        self.flush();
    }

    /// Writes what is left, and says whether everything was written.
    pub fn finish(mut self) -> Result<(), TrainError> {
        self.flush();
        match self.failure.take() {
            Some(source) => Err(TrainError::write(&self.path, source)),
            None => Ok(()),
        }
    }

    fn event(&self, step: u64) -> Event {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Event { wall_time: now.as_secs_f64(), step, ..Event::default() }
    }

    fn scalars<const N: usize>(&mut self, values: [(&str, Option<f64>); N]) {
        #[allow(clippy::as_conversions, reason = "the format has 32 bits")]
        let value = |(tag, number): (&str, Option<f64>)| {
            number.map(|number| Value { tag: tag.into(), simple_value: Some(number as f32) })
        };
        let value = values.into_iter().filter_map(value).collect();
        self.write(Event { summary: Some(Summary { value }), ..self.event(self.step) });
        if self.flushed.elapsed() > WAIT {
            self.flush();
        }
    }

    fn write(&mut self, event: Event) {
        if self.failure.is_none() {
            self.failure = self.file.write_all(&record(&event.encode_to_vec())).err();
        }
    }

    /// TensorBoard reads a file while it is written.
    fn flush(&mut self) {
        self.flushed = Instant::now();
        if self.failure.is_none() {
            self.failure = self.file.flush().err();
        }
    }
}

/// A record.
fn record(data: &[u8]) -> Vec<u8> {
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX).to_le_bytes();
    let parts =
        [&length[..], &masked_checksum(&length).to_le_bytes(), data, &masked_checksum(data).to_le_bytes()];
    parts.concat()
}

/// The CRC-32C, so changed that a record may hold records with checksums of their own.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::{Event, START, SessionLog, Summary, VERSION, Value, record};
    use prost::Message;

    /// The records that `tests/oracles/tensorboard_oracles.py` has TensorBoard's own writer make.
    #[test]
    fn records_are_those_of_tensorboard() {
        let scalar = |tag: &str, value: f32| Value { tag: tag.into(), simple_value: Some(value) };
        let values = vec![scalar("loss/step", 0.625), scalar("learning_rate", 0.0)];
        let event = |wall_time, step| Event { wall_time, step, ..Event::default() };
        let events = [
            Event { file_version: Some(VERSION.into()), ..event(1.5e9, 0) },
            Event { session_log: Some(SessionLog { status: START }), ..event(1.5e9 + 0.25, 3) },
            Event { summary: Some(Summary { value: values }), ..event(1.5e9 + 0.5, 300) },
        ];
        let found: Vec<u8> = events.iter().flat_map(|event| record(&event.encode_to_vec())).collect();
        let known = include_bytes!("../../../tests/oracles/fixtures/tensorboard.tfevents");
        assert_eq!(found, known);
    }
}
