//! Runs that can be ended early. What a device has begun it finishes, so the dispatches are submitted a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiln_plan::{Access, BufferKind, Program};

use crate::error::RuntimeError;
use crate::outputs::{Outputs, Started};
use crate::session::Session;
use crate::tensor::HostTensor;

/// As long as a few dispatches should take, at least: what a request to stop is waited for, and what waiting in between
/// has to be worth.
const SLICE: Duration = Duration::from_millis(10);

/// A request to end a run, from another thread.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Nothing is to be ended yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the runs that were given this or a clone of it, those to come included.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they are to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<(), RuntimeError> {
        if self.is_cancelled() { Err(RuntimeError::Cancelled) } else { Ok(()) }
    }
}

impl Session {
    /// Runs a program as [`Session::run_program`] does, and gives [`RuntimeError::Cancelled`] once the run is cancelled: within
    /// some 10 ms, or what the longest dispatch takes. The session can be used for other runs then. A program that
    /// changes states is ended only before it begins, since half a step would be none.
    pub fn run_unless(
        &mut self,
        cancel: &Cancel,
        program: &str,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<Outputs, RuntimeError> {
        let start = Instant::now();
        cancel.check()?;
        let index = self.program_index(program)?;
        self.set_inputs(index, inputs)?;
        if self.changes_states(self.program(index)?) {
            let count = self.program(index)?.dispatches.len();
            let mut encoder = self.encoder();
            self.encode_range(&mut encoder, index, 0..count)?;
            return Started::start(self, index, encoder, start)?.wait(self);
        }
        let ends = ends(self.program(index)?);
        let (mut at, mut n, mut count) = (0, 0, 1);
        while let Some(end) = ends.get(n..).and_then(|rest| rest.get(count - 1).or(rest.last())) {
            cancel.check()?;
            let begun = Instant::now();
            let submission = self.submit_dispatches(index, at..*end)?;
            self.device.wait(Some(submission), self.options.timeout)?;
            (at, n) = (*end, n + count);
            if begun.elapsed() < SLICE {
                count *= 2;
            } else {
                count = (count / 2).max(1);
            }
        }
        cancel.check()?;
        let encoder = self.encoder();
        Started::start(self, index, encoder, start)?.wait(self)
    }

    fn changes_states(&self, program: &Program) -> bool {
        program.dispatches.iter().any(|dispatch| {
            let access = self.plan.shaders.get(dispatch.shader).map(|shader| &shader.access);
            let mut bound = access.into_iter().flatten().zip(&dispatch.bindings);
            bound.any(|(access, range)| {
                let kind = self.plan.buffers.get(range.buffer).map(|buffer| buffer.kind);
                *access == Access::ReadWrite && kind == Some(BufferKind::State)
            })
        })
    }
}

/// Behind which dispatches a program can be divided: not within a loop.
fn ends(program: &Program) -> Vec<usize> {
    let within = |end: &usize| {
        program.repeats.iter().any(|repeat| {
            let all = repeat.dispatches();
            all.start < *end && *end < all.end
        })
    };
    (1..=program.dispatches.len()).filter(|end| !within(end)).collect()
}
