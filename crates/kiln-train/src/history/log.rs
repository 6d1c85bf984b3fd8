//! The history beside a folder of checkpoints: two files that grow, of which each checkpoint says how much is its own.
//!
//! `losses.f32` has the loss of each step as little-endian single precision numbers, `epochs.jsonl` a line of JSON for
//! each epoch. In the checkpoints themselves they would outgrow what the header of a safetensors file may hold.

use std::path::{Path, PathBuf};

use kiln_files::{Log, Mark};
use serde::{Deserialize, Serialize};

use super::Epoch;
use crate::error::TrainError;
use crate::progress::Progress;

/// How much of each file belongs to a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    losses: Mark,
    epochs: Mark,
}

/// Both files, open behind what counts.
#[derive(Debug)]
pub struct HistoryLog {
    losses: Log,
    epochs: Log,
    /// How many losses and epochs they have.
    written: (usize, usize),
    folder: PathBuf,
}

fn losses_of(folder: &Path) -> PathBuf {
    folder.join("losses.f32")
}

fn epochs_of(folder: &Path) -> PathBuf {
    folder.join("epochs.jsonl")
}

impl HistoryLog {
    /// Reads what belongs to a checkpoint into its progress. What is not there any more as it was written is left out;
    /// then this is false.
    pub fn read(folder: &Path, progress: &mut Progress) -> bool {
        let get = |path: PathBuf, mark| Log::read(&path, mark).ok().flatten();
        let losses = get(losses_of(folder), progress.logged.losses);
        let epochs = get(epochs_of(folder), progress.logged.epochs);
        let epochs = epochs.and_then(|text| {
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(serde_json::from_slice).collect::<Result<Vec<Epoch>, _>>().ok()
        });
        let is_whole = losses.is_some() && epochs.is_some();
        let words = losses.iter().flat_map(|bytes| bytes.chunks_exact(4));
        progress.losses =
            words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        progress.epochs = epochs.unwrap_or_default();
        if !is_whole {
            // What there is of it is written anew.
            progress.logged = Logged::default();
        }
        is_whole
    }

    /// Opens the files of a folder behind what belongs to `progress`, or begins new ones.
    pub fn open(folder: &Path, progress: &mut Progress) -> Result<Self, TrainError> {
        let mut known = Progress { logged: progress.logged, ..Progress::default() };
        let goes_on = Self::read(folder, &mut known)
            && progress.losses.starts_with(&known.losses)
            && progress.epochs.starts_with(&known.epochs);
        if !goes_on {
            (progress.logged, known) = (Logged::default(), Progress::default());
        }
        let open =
            |path: PathBuf, mark| Log::open(&path, mark).map_err(|source| TrainError::write(&path, source));
        Ok(Self {
            losses: open(losses_of(folder), progress.logged.losses)?,
            epochs: open(epochs_of(folder), progress.logged.epochs)?,
            written: (known.losses.len(), known.epochs.len()),
            folder: folder.to_owned(),
        })
    }

    /// Appends what has been added since, brings it to the disk, and says in the progress how much there is now.
    pub fn save(&mut self, progress: &mut Progress) -> Result<(), TrainError> {
        let (losses, epochs) = self.written;
        let new: Vec<u8> = progress.losses.iter().skip(losses).flat_map(|loss| loss.to_le_bytes()).collect();
        let mut lines = String::new();
        for epoch in progress.epochs.iter().skip(epochs) {
            lines += &serde_json::to_string(epoch).unwrap_or_default();
            lines.push('\n');
        }
        let append = |log: &mut Log, path: PathBuf, bytes: &[u8]| {
            let appended = log.append(bytes).and_then(|()| log.sync());
            appended.map_err(|source| TrainError::write(&path, source))
        };
        progress.logged = Logged {
            losses: append(&mut self.losses, losses_of(&self.folder), &new)?,
            epochs: append(&mut self.epochs, epochs_of(&self.folder), lines.as_bytes())?,
        };
        self.written = (progress.losses.len(), progress.epochs.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Scores;

    fn epoch(number: u64) -> Epoch {
        #[allow(clippy::as_conversions, reason = "small numbers")]
        let scores = Scores { loss: 1.0 / number as f64, ..Scores::default() };
        Epoch {
            epoch: number,
            train: scores,
            validation: Some(scores),
            lr: 0.1,
            skipped: number - 1,
            loss_scale: Some(65_536.0),
            seconds: 2.5,
        }
    }

    #[test]
    fn a_history_goes_on_behind_its_checkpoint() {
        let folder = std::env::temp_dir().join(format!("kiln-history-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut progress =
            Progress { losses: vec![0.5, 0.25], epochs: vec![epoch(1)], ..Progress::default() };
        let mut log = HistoryLog::open(&folder, &mut progress).expect("new files");
        log.save(&mut progress).expect("written");
        let kept = Progress { losses: vec![], epochs: vec![], ..progress.clone() };
        progress.losses.push(f32::MIN_POSITIVE);
        log.save(&mut progress).expect("written");
        // Killed before there was a checkpoint of that; the step is done again.
        let mut again = kept.clone();
        assert!(HistoryLog::read(&folder, &mut again));
        assert_eq!((&again.losses[..], &again.epochs[..]), (&[0.5, 0.25][..], &[epoch(1)][..]));
        again.losses.push(0.125);
        again.epochs.push(epoch(2));
        let mut log = HistoryLog::open(&folder, &mut again).expect("the files");
        log.save(&mut again).expect("written");
        let mut last = Progress { losses: vec![], epochs: vec![], ..again.clone() };
        assert!(HistoryLog::read(&folder, &mut last));
        assert_eq!(last, again);
        // Damaged: what is left is gone on with, and written anew.
        std::fs::write(folder.join("losses.f32"), [1; 12]).expect("written");
        let mut damaged = Progress { losses: vec![], epochs: vec![], ..again.clone() };
        assert!(!HistoryLog::read(&folder, &mut damaged));
        assert_eq!((&damaged.losses[..], &damaged.epochs[..]), (&[][..], &[epoch(1), epoch(2)][..]));
        let mut log = HistoryLog::open(&folder, &mut damaged).expect("the files");
        log.save(&mut damaged).expect("written");
        let mut read = Progress { losses: vec![], epochs: vec![], ..damaged.clone() };
        assert!(HistoryLog::read(&folder, &mut read));
        assert_eq!(read, damaged);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
