//! Repeats: which dispatches run how often, and where the parameters of each step are.

use std::ops::Range;

use kiln_plan::{Plan, Program};

use crate::error::RuntimeError;
use crate::load::PARAMS_ALIGN;
use crate::symbols::values_text;

/// Where the parameters of a dispatch are in the program's uniform buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParamsPlace {
    /// First byte.
    pub at: u64,
    /// Bytes from one step to the next; 0 if all steps have the same.
    pub each: u64,
    /// For how many steps there is room.
    pub steps: u64,
}

impl ParamsPlace {
    /// How far behind the first byte the parameters of a step are.
    pub(crate) fn offset(self, step: u64) -> u32 {
        // The buffer has no more than 2^32 bytes: the plan was checked.
        u32::try_from(self.each.saturating_mul(step)).unwrap_or(u32::MAX)
    }
}

/// By dispatch: which repeat it is in.
pub(crate) fn repeats(program: &Program) -> Vec<Option<usize>> {
    let mut repeats = vec![None; program.dispatches.len()];
    for (n, repeat) in program.repeats.iter().enumerate() {
        repeats.get_mut(repeat.dispatches()).into_iter().flatten().for_each(|of| *of = Some(n));
    }
    repeats
}

/// The place of each dispatch's parameters, and the size of all.
pub(crate) fn params_places(plan: &Plan, program: &Program) -> (Vec<ParamsPlace>, u64) {
    let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    let mut end = 0u64;
    let places = program.dispatches.iter().zip(repeats(program)).map(|(dispatch, repeat)| {
        let size = plan.shaders.get(dispatch.shader).map_or(0, |shader| u64::from(shader.params_size));
        let size = size.next_multiple_of(PARAMS_ALIGN);
        let repeat = repeat.and_then(|n| program.repeats.get(n));
        let repeat = repeat.filter(|_| dispatch.varies_with(plan.step()));
        let steps = repeat.and_then(|repeat| u64::try_from(repeat.steps.eval(&largest)).ok());
        let at = end;
        end = end.saturating_add(size.saturating_mul(steps.unwrap_or(1).max(1)));
        ParamsPlace { at, each: if repeat.is_some() { size } else { 0 }, steps: steps.unwrap_or(1) }
    });
    (places.collect(), end)
}

/// By shader: whether a dispatch has other parameters at each step, so that these are bound with an offset.
pub(crate) fn stepping(plan: &Plan) -> Vec<bool> {
    let mut stepping = vec![false; plan.shaders.len()];
    let repeated = plan.programs.iter().flat_map(|program| {
        program.repeats.iter().flat_map(|repeat| program.dispatches.get(repeat.dispatches()))
    });
    for dispatch in repeated.flatten().filter(|dispatch| dispatch.varies_with(plan.step())) {
        if let Some(stepping) = stepping.get_mut(dispatch.shader) {
            *stepping = true;
        }
    }
    stepping
}

/// How many steps each repeat of a program has, for given values of the symbols.
pub(crate) fn counts(
    plan: &Plan,
    program: &Program,
    places: &[ParamsPlace],
    symbols: &[i64],
) -> Result<Vec<u64>, RuntimeError> {
    let count = |repeat: &kiln_plan::Repeat| {
        let value = repeat.steps.eval(symbols);
        // The plan was checked with all symbols at their maximum; counts can grow as symbols fall.
        let room = places.get(repeat.dispatches()).into_iter().flatten().filter(|place| place.each > 0);
        let most = room.map(|place| place.steps).min().unwrap_or(u64::MAX);
        let steps = u64::try_from(value).ok().filter(|steps| *steps <= most);
        steps.ok_or_else(|| RuntimeError::Size {
            what: format!("the number of steps of `{}`", repeat.name),
            value,
            symbols: values_text(plan, symbols),
        })
    };
    program.repeats.iter().map(count).collect()
}

/// The dispatches that run for a range of a program, in order, each with its step. Of a repeat that is not all in the
/// range, what is in it runs once, as in the first step.
pub(crate) fn schedule(
    program: &Program,
    counts: &[u64],
    range: Range<usize>,
) -> impl Iterator<Item = (usize, u64)> {
    let mut parts: Vec<(Range<usize>, u64)> = Vec::new();
    let mut at = range.start;
    for (repeat, count) in program.repeats.iter().zip(counts) {
        let all = repeat.dispatches();
        let part = all.start.max(at)..all.end.min(range.end);
        if part.is_empty() {
            continue;
        }
        parts.push((at..part.start, 1));
        at = part.end;
        let count = if part == all { *count } else { (*count).min(1) };
        parts.push((part, count));
    }
    parts.push((at..range.end, 1));
    parts.into_iter().flat_map(|(part, count)| {
        (0..count).flat_map(move |step| part.clone().map(move |dispatch| (dispatch, step)))
    })
}

#[cfg(test)]
mod tests {
    use kiln_plan::{Expr, Program, Repeat};

    use super::schedule;

    #[test]
    fn what_runs_in_which_order() {
        let repeat = |first, count| Repeat { name: String::new(), first, count, steps: Expr::constant(0) };
        let program = Program {
            name: String::new(),
            inputs: vec![],
            roles: vec![],
            outputs: vec![],
            guards: vec![],
            dispatches: vec![],
            repeats: vec![repeat(1, 2), repeat(3, 1)],
        };
        let run = |range, counts: &[u64]| schedule(&program, counts, range).collect::<Vec<_>>();
        assert_eq!(
            run(0..5, &[2, 3]),
            [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0)]
        );
        assert_eq!(run(0..5, &[0, 1]), [(0, 0), (3, 0), (4, 0)]);
        assert_eq!(run(0..2, &[2, 3]), [(0, 0), (1, 0)]);
        assert_eq!(run(2..4, &[2, 2]), [(2, 0), (3, 0), (3, 1)]);
        assert_eq!(run(2..3, &[0, 2]), []);
        assert_eq!(run(4..4, &[2, 2]), []);
    }
}
