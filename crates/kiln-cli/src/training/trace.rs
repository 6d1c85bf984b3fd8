//! The timeline of a training: what the host did step by step, and the kernels of one more step on the device.

use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln::HostTensor;
use kiln::plan::Role;
use kiln::training::Settings;
use miette::{IntoDiagnostic, Result, miette};

use super::Setup;
use crate::timeline::Timeline;

/// A timeline that is being recorded.
pub(crate) struct Trace {
    path: PathBuf,
    timeline: Timeline,
    /// When what is recorded next began.
    since: Instant,
}

impl Trace {
    /// Nothing yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), timeline: Timeline::new(), since: Instant::now() }
    }

    /// What the host has done since the last call.
    pub(crate) fn host(&mut self, name: &str) {
        self.timeline.host(name, self.since);
        self.since = Instant::now();
    }

    /// The kernels of a step. It changes the weights, so it comes when all results are written.
    pub(crate) fn device(&mut self, setup: &mut Setup, settings: &Settings) -> Result<()> {
        self.since = Instant::now();
        let Some(batch) = setup.train.epoch(0, 0).next().transpose().into_diagnostic()? else {
            return Ok(());
        };
        let number = |value: f64| HostTensor::new([], vec![value as f32]).into_diagnostic();
        let (lr, momentum, update) = (number(settings.lr)?, number(settings.momentum)?, number(1.0)?);
        let session = setup.trainer.session();
        let plan = session.plan();
        let program =
            plan.program("train").ok_or_else(|| miette!("a training plan has a program `train`"))?;
        let inputs: Vec<(String, &HostTensor)> = program
            .inputs
            .iter()
            .zip(&program.roles)
            .filter_map(|(index, role)| {
                let given = match role {
                    Role::Data => &batch.samples,
                    Role::Target => &batch.targets,
                    Role::LearningRate => &lr,
                    Role::Momentum | Role::Beta1 => &momentum,
                    Role::Update => &update,
                };
                Some((plan.tensors.get(*index)?.name.clone(), given))
            })
            .collect();
        let inputs: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), *t)).collect();
        let start = Instant::now();
        let profile = session.profile("train", &inputs, 1).into_diagnostic()?;
        self.timeline.host("a profiled step", start);
        self.timeline.device(&profile, start);
        Ok(())
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Result<()> {
        kiln_files::write(&self.path, self.timeline.to_json().as_bytes())
            .map_err(|error| miette!("cannot write `{}`: {error}", self.path.display()))?;
        note!("wrote {}, for chrome://tracing or ui.perfetto.dev", self.path.display());
        Ok(())
    }
}
