//! Repeated runs with the same inputs: inputs are set once, then each run is a single submission.

use std::time::Instant;

use crate::error::RuntimeError;
use crate::outputs::{Outputs, Started};
use crate::session::Session;
use crate::tensor::HostTensor;

/// A program with its inputs in place.
pub struct Replay<'a> {
    session: &'a mut Session,
    program: usize,
}

impl Session {
    /// Sets the inputs of a program for any number of runs. What a run overwrites of them, and state that it
    /// changes, is not restored between runs.
    pub fn prepare(
        &mut self,
        program: &str,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<Replay<'_>, RuntimeError> {
        let program = self.program_index(program)?;
        self.set_inputs(program, inputs)?;
        Ok(Replay { session: self, program })
    }
}

impl Replay<'_> {
    /// Runs once and waits for the end.
    pub fn run(&mut self) -> Result<(), RuntimeError> {
        self.submit()?;
        self.wait()
    }

    /// Starts a run behind those already started.
    pub fn submit(&mut self) -> Result<(), RuntimeError> {
        let count = self.session.program(self.program)?.dispatches.len();
        self.session.runs += 1;
        self.session.submit_dispatches(self.program, 0..count).map(drop)
    }

    /// Waits for everything that was started.
    pub fn wait(&self) -> Result<(), RuntimeError> {
        self.session.device.wait(None, self.session.options.timeout)
    }

    /// Reads the outputs of the last run.
    pub fn outputs(&mut self) -> Result<Outputs, RuntimeError> {
        let start = Instant::now();
        let encoder = self.session.encoder();
        Started::start(self.session, self.program, encoder, start)?.wait(self.session)
    }
}
