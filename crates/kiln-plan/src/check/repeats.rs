//! Whether what a program repeats can be repeated.

use kiln_files::wide;

use super::{Checker, at};
use crate::{PlanError, Problem, Program, Repeat};

impl Checker<'_> {
    /// For each dispatch, the number of steps with all symbols at their maximum, if it is repeated.
    pub(super) fn repeats(&self, program: &Program) -> Result<Vec<Option<u64>>, PlanError> {
        let mut steps_of = vec![None; program.dispatches.len()];
        let (mut end, mut replayed) = (0, wide(program.dispatches.len()));
        for (i, repeat) in program.repeats.iter().enumerate() {
            let named = || at(format!("program `{}`, repeat {i} `{}`", program.name, repeat.name));
            let steps = self.repeat(repeat, program.dispatches.len(), end).map_err(named())?;
            end = repeat.dispatches().end;
            steps_of.iter_mut().take(end).skip(repeat.first).for_each(|of| *of = Some(steps));
            replayed = replayed.saturating_add(steps.saturating_mul(wide(repeat.count)));
            if replayed > self.limits.replayed {
                let what = "dispatches in a run";
                return Err(named()(Problem::too_many(what, replayed, self.limits.replayed)));
            }
        }
        Ok(steps_of)
    }

    /// The number of steps of a repeat that begins at `from` at the earliest.
    fn repeat(&self, repeat: &Repeat, dispatches: usize, from: usize) -> Result<u64, Problem> {
        let range = repeat.dispatches();
        if range.is_empty() || range.end > dispatches {
            let (first, count) = (repeat.first, repeat.count);
            return Err(Problem::Repeated { first, count, dispatches });
        }
        if range.start < from {
            return Err(Problem::RepeatOrder { first: range.start, end: from });
        }
        let value = self.expr(&repeat.steps)?;
        u64::try_from(value).map_err(|_| Problem::Steps(value))
    }
}
