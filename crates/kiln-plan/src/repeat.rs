//! Dispatches that are run once for each step of a loop.

use std::ops::Range;

use crate::{Dispatch, Expr, Param, Plan, Program};

/// Some dispatches of a program, one behind the other, that are run again and again.
///
/// Only their parameters differ from step to step: in these, the symbol [`Plan::step`] is the number of the step, from
/// zero. Whatever they bind is bound for all steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The layer it computes.
    pub name: String,
    /// The first of the dispatches.
    pub first: usize,
    /// How many dispatches a step has.
    pub count: usize,
    /// How many steps there are; without the step.
    pub steps: Expr,
}

impl Repeat {
    /// The dispatches of a step.
    pub fn dispatches(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl Plan {
    /// The symbol that is the number of a step in the parameters of a [`Repeat`]: the one behind all that are listed.
    pub fn step(&self) -> usize {
        self.symbols.len()
    }
}

impl Program {
    /// What repeats a dispatch, if anything does.
    pub fn repeat_of(&self, dispatch: usize) -> Option<&Repeat> {
        self.repeats.iter().find(|repeat| repeat.dispatches().contains(&dispatch))
    }
}

impl Dispatch {
    /// Whether its parameters depend on a symbol.
    pub fn varies_with(&self, symbol: usize) -> bool {
        self.params.iter().any(|param| match param {
            Param::Int(expr) => expr.mentions(symbol),
            Param::Float(_) => false,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::*;

    fn symbol(index: usize) -> Expr {
        Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::Symbol(index)] }] }
    }

    /// One kernel, dispatched three times; the last two are repeated `T` times, and the last has the step as parameter.
    pub(crate) fn sample() -> Plan {
        let one = || Expr::constant(1);
        let dispatch = |name: &str, param: Expr| Dispatch {
            name: name.to_owned(),
            shader: 0,
            bindings: vec![Range { buffer: 0, offset: 0, size: 256 }],
            params: vec![Param::Int(param)],
            workgroups: [one(), one(), one()],
            writes: vec![],
            flops: one(),
            bytes: one(),
        };
        let twice = Expr { terms: vec![Term { coefficient: 2, ..symbol(1).terms.remove(0) }] };
        let halved = Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::FloorDiv(twice, 2)] }] };
        Plan {
            name: "repeats".to_owned(),
            producer: String::new(),
            target: String::new(),
            symbols: vec![Symbol { name: "T".to_owned(), max: 100 }],
            requirements: Requirements { max_buffer_size: 256 << 20, ..Requirements::GUARANTEED },
            shaders: vec![Shader {
                name: "k".to_owned(),
                wgsl: String::new(),
                access: vec![Access::ReadWrite],
                params_size: 16,
            }],
            buffers: vec![Buffer { name: "a".to_owned(), kind: BufferKind::Arena, size: 256 }],
            tensors: vec![],
            states: vec![],
            programs: vec![Program {
                name: "p".to_owned(),
                inputs: vec![],
                roles: vec![],
                outputs: vec![],
                guards: vec![],
                dispatches: vec![
                    dispatch("before", symbol(0)),
                    dispatch("same", symbol(0)),
                    dispatch("varies", halved),
                ],
                repeats: vec![Repeat { name: "lstm".to_owned(), first: 1, count: 2, steps: symbol(0) }],
            }],
            data: vec![],
            metadata: Metadata::default(),
        }
    }

    #[test]
    fn a_repeat_is_read_back() {
        let plan = sample();
        assert_eq!(Plan::read(&plan.to_bytes().unwrap()).unwrap(), plan);
        let program = &plan.programs[0];
        assert_eq!(program.repeat_of(0), None);
        assert_eq!(program.repeat_of(2).map(|repeat| repeat.name.as_str()), Some("lstm"));
        let varies: Vec<bool> =
            program.dispatches.iter().map(|dispatch| dispatch.varies_with(plan.step())).collect();
        assert_eq!(varies, [false, false, true]);
    }

    #[test]
    fn repeats_that_cannot_be() {
        type Case = (fn(&mut Program), &'static str);
        let cases: &[Case] = &[
            (
                |p| p.repeats[0].count = 3,
                "repeat 0 `lstm`: 3 dispatches from 1 on are repeated; the program has 3",
            ),
            (
                |p| p.repeats[0].count = 0,
                "repeat 0 `lstm`: 0 dispatches from 1 on are repeated; the program has 3",
            ),
            (
                |p| p.repeats[0].first = usize::MAX,
                "repeat 0 `lstm`: 2 dispatches from 18446744073709551615 on are repeated; the program has 3",
            ),
            (
                |p| p.repeats.push(Repeat { first: 2, count: 1, ..p.repeats[0].clone() }),
                "repeat 1 `lstm`: dispatch 2 is repeated, but the repeat before it ends in front of 3",
            ),
            (
                |p| p.repeats[0].steps = Expr::constant(-1),
                "repeat 0 `lstm`: -1 steps with all symbols at their maximum",
            ),
            (|p| p.repeats[0].steps = symbol(1), "repeat 0 `lstm`: symbol 1 does not exist, there are 1"),
            (
                |p| p.repeats[0].steps = Expr::constant(1 << 40),
                "repeat 0 `lstm`: 2199023255555 dispatches in a run, at most 4194304 are allowed",
            ),
            (
                |p| p.dispatches[0].params = vec![Param::Int(symbol(1))],
                "dispatch 0 `before`: symbol 1 does not exist, there are 1",
            ),
            (
                |p| p.dispatches[1].params = vec![Param::Int(symbol(2))],
                "dispatch 1 `same`: symbol 2 does not exist, there are 1",
            ),
            (
                |p| p.dispatches[2].workgroups[0] = symbol(1),
                "dispatch 2 `varies`: symbol 1 does not exist, there are 1",
            ),
            (
                |p| p.repeats[0].steps = Expr::constant(2_000_000),
                "`p`: 512000512 bytes of parameters, at most 268435456 are allowed",
            ),
        ];
        for (change, expected) in cases {
            let mut plan = sample();
            change(&mut plan.programs[0]);
            let found = check(&plan).unwrap_err().to_string();
            assert!(found.contains(expected), "{found}");
            assert_eq!(plan.to_bytes().unwrap_err().to_string(), found);
        }
        // All steps count as work.
        let mut plan = sample();
        plan.programs[0].dispatches[1].workgroups[0] = Expr::constant(200);
        plan.buffers[0].size = 1024;
        plan.programs[0].dispatches[1].bindings[0].size = 1024;
        let limits = Limits { workgroups: 20_000, ..LIMITS };
        let found = check_within(&plan, &limits).unwrap_err().to_string();
        assert!(found.contains("20001 workgroups in a run"), "{found}");
    }
}
