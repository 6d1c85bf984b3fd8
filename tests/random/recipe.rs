//! From random bytes to a graph with known answers.

use std::collections::BTreeMap;

use kiln::Graph;
use kiln::graph::{DType, Def, Precision, Tensor, compare, evaluate};
use proptest::prelude::{Strategy, any};

use crate::dice::Dice;
use crate::sketch::{At, SYMBOLS, Sketch, largest};
use crate::steps;

/// What inputs hold; floats most of the time.
const INPUTS: [DType; 8] =
    [DType::F32, DType::F32, DType::F32, DType::F32, DType::F32, DType::F32, DType::I32, DType::I64];

/// The bytes of a graph: how it begins, and its steps. Any bytes will do.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    start: [u8; 24],
    steps: Vec<[u8; 32]>,
}

/// Graphs of one to forty steps, few of which add more than one node.
pub(crate) fn recipes() -> impl Strategy<Value = Recipe> {
    let steps = proptest::collection::vec(any::<[u8; 32]>(), 1..=40);
    (any::<[u8; 24]>(), steps).prop_map(|(start, steps)| Recipe { start, steps })
}

/// What an output should be.
pub(crate) struct Answer {
    pub name: String,
    pub single: Tensor,
    pub double: Tensor,
    /// What the difference may be.
    pub tolerance: f64,
}

/// A graph, what it is given, and what should come out.
pub(crate) struct Case {
    pub graph: Graph,
    pub inputs: BTreeMap<String, Tensor>,
    /// The largest values of symbols.
    pub max: BTreeMap<String, u32>,
    pub answers: Vec<Answer>,
    /// The same for other sizes.
    pub others: Vec<Run>,
}

/// What a graph is given, and what should come out.
pub(crate) struct Run {
    pub inputs: BTreeMap<String, Tensor>,
    pub answers: Vec<Answer>,
}

/// Runs with the largest sizes and with the smallest ones, where rounding does not decide.
pub(crate) fn others(graph: &Graph) -> Vec<Run> {
    if graph.symbols().is_empty() {
        return vec![];
    }
    let most = SYMBOLS.map(|(name, _, most)| (name, most.into()));
    let least = SYMBOLS.map(|(name, ..)| (name, 1));
    [most, least].into_iter().filter_map(|symbols| other(graph, symbols)).collect()
}

fn other(graph: &Graph, symbols: [(&str, i64); 2]) -> Option<Run> {
    let mut sketch = Sketch::new(false);
    sketch.symbols = symbols.map(|(name, value)| (name.into(), value)).into();
    let mut inputs = BTreeMap::new();
    for id in graph.inputs() {
        let ty = graph.ty(*id);
        // Other types may be positions, which not every number is.
        if ty.dtype != DType::F32 && ty.dtype != DType::Bool {
            return None;
        }
        let at = sketch.input(ty.dtype, ty.shape.clone());
        inputs.insert(graph.value(*id).name.clone(), sketch.values[at].single.clone());
    }
    let single = evaluate(graph, &inputs, Precision::F32).ok()?;
    let double = evaluate(graph, &inputs, Precision::F64).ok()?;
    let pairs = single.outputs().iter().zip(double.outputs());
    let answers = pairs.map(|((name, single), (_, double))| Answer::of(name, single.clone(), double.clone()));
    let answers: Vec<Answer> = answers.collect();
    let sure = |answer: &Answer| {
        let (single, double) = (answer.single.to_f64(), answer.double.to_f64());
        let finite = single.iter().chain(&double).all(|x| x.is_finite());
        let largest = double.iter().fold(1f64, |m, x| m.max(x.abs()));
        finite && answer.doubt() <= 1e-5 * largest
    };
    answers.iter().all(sure).then_some(Run { inputs, answers })
}

impl Recipe {
    /// The graph. With `smooth` it is small, and differentiable where it is evaluated.
    pub(crate) fn case(&self, smooth: bool) -> Case {
        let mut sketch = Sketch::new(smooth);
        let mut dice = Dice::new(&self.start);
        // The batch is a symbol, or another size, too.
        let symbolic = dice.of(&[0, 0, 0, 0, 0, 0, 1, 1, 2]);
        sketch.wide = !smooth && dice.odds(15);
        for _ in 0..1 + dice.below(3) {
            let rank = dice.of(&[4, 2, 3, 4, 1, 5, 0]);
            let dtype = if smooth { DType::F32 } else { dice.of(&INPUTS) };
            steps::input(&mut sketch, &mut dice, dtype, rank, symbolic);
        }
        let mut wanted: Vec<At> = vec![];
        for bytes in &self.steps {
            let (decides, rest) = (bytes[31], &bytes[..31]);
            if let Some(made) = steps::step(&mut sketch, &mut Dice::new(rest))
                && decides > 225
            {
                wanted.push(made);
            }
        }
        finished(sketch, wanted)
    }
}

/// What nobody reads is an output, and what is wanted besides.
fn finished(sketch: Sketch, mut wanted: Vec<At>) -> Case {
    let Sketch { mut graph, inputs, values, .. } = sketch;
    let consumers = graph.consumers();
    let unread = (0..values.len()).filter(|at| {
        let id = values[*at].id;
        consumers[id.index()].is_empty() && matches!(graph.value(id).def, Def::Node { .. })
    });
    wanted.extend(unread);
    wanted.sort_unstable();
    wanted.dedup();
    let mut answers = vec![];
    for (n, at) in wanted.into_iter().enumerate() {
        let known = &values[at];
        let name = format!("y{n}");
        graph.output(&*name, known.id).expect("a new name");
        answers.push(Answer::of(&name, known.single.clone(), known.double.clone()));
    }
    // Passes are for graphs in which sizes that have been found equal are one.
    let graph = graph.settled().expect("it was built so");
    let max = largest(&graph);
    let others = others(&graph);
    Case { graph, inputs, max, answers, others }
}

impl Answer {
    /// An answer from both precisions. What devices compute may be a little further from either than they are apart.
    pub(crate) fn of(name: &str, single: Tensor, double: Tensor) -> Self {
        let mut answer = Self { name: name.into(), single, double, tolerance: 0.0 };
        let largest = compare::largest(&answer.double.to_f64(), 0.1);
        answer.tolerance = 1e-4 * largest + 30.0 * answer.doubt();
        answer
    }

    /// The same for a sum of terms of so much in all, which may cancel: devices' functions are off by some 1e-6 each.
    pub(crate) fn of_terms(self, magnitude: f64) -> Self {
        Self { tolerance: self.tolerance + 5e-6 * magnitude, ..self }
    }

    /// How far the two precisions are apart.
    pub(crate) fn doubt(&self) -> f64 {
        compare::farthest(&self.double.to_f64(), &self.single.to_f64())
    }

    /// What is wrong with `found`, if something is.
    pub(crate) fn check(&self, found: &Tensor) -> Result<(), String> {
        if (found.dtype(), found.shape()) != (self.single.dtype(), self.single.shape()) {
            return Err(format!("`{}` is {}, but should be {}", self.name, found.ty(), self.single.ty()));
        }
        let tolerance = if found.dtype().is_float() { self.tolerance } else { 0.0 };
        let found = found.to_f64();
        for (at, (found, expected)) in found.iter().zip(self.double.to_f64()).enumerate() {
            if !compare::is_near(expected, *found, tolerance, 0.0) {
                return Err(format!("`{}`: element {at} is {found}, but should be {expected}", self.name));
            }
        }
        Ok(())
    }
}
