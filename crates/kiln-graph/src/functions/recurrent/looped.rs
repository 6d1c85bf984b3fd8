//! A recurrent network as a loop: of a number of steps that is not known, or of so many that they are better not written
//! out.

use super::{Cell, Product, Recurrence, States, Step, Weights};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::{Graph, ValueId};
use crate::ops::{Along, BinaryOp, Iota, Loop, Op};
use crate::tensor::{DType, TensorType};

/// What a loop is given, and what its body calls it.
#[derive(Default)]
struct Given {
    body: Graph,
    inputs: Vec<ValueId>,
}

impl Given {
    /// The same at each step.
    fn same(&mut self, f: &Formula<'_>, name: &str, id: ValueId) -> Made {
        self.part(name, id, f.ty(id).clone())
    }

    /// Something of which a step sees a value of type `ty`.
    fn part(&mut self, name: &str, id: ValueId, ty: TensorType) -> Made {
        self.inputs.push(id);
        self.body.input(name, ty)
    }
}

/// Runs a loop over `projected [T, N, G H]`, what the input contributes to all gates. `lengths [N, 1]` is how many steps
/// each sequence has.
pub(super) fn looped(
    f: &mut Formula<'_>,
    projected: ValueId,
    (weights, how, product): (&Weights, &Recurrence, &Product<'_>),
    hidden: usize,
    lengths: Option<ValueId>,
) -> Result<States, GraphError> {
    let ty = f.ty(projected).clone();
    let [steps, batch, gates] = &ty.shape[..] else {
        return f.mismatch(super::NAME, format!("{ty} should be [T, N, G H]"));
    };
    let state = TensorType::new(ty.dtype, [batch.clone(), hidden.into()]);
    let mut given = Given { body: Graph::new(format!("{}.step", f.name)), ..Given::default() };
    let first = first(f, how.first_hidden, projected, &state)?;
    let h = given.part("hidden", first, state.clone())?;
    let c = match how.cell {
        Cell::Lstm { .. } => {
            let first = self::first(f, how.first_cell, projected, &state)?;
            Some(given.part("cell", first, state.clone())?)
        }
        Cell::Simple { .. } | Cell::Gru { .. } => None,
    };
    let carried = given.inputs.len();
    let along = Along { axis: 0, reverse: how.reverse };
    let at = given.part("projected", projected, TensorType::new(ty.dtype, [batch.clone(), gates.clone()]))?;
    let t = match lengths {
        Some(_) => {
            let iota = Iota { dtype: DType::I32, shape: vec![steps.clone()], axis: 0 };
            let t = f.apply(Op::Iota(iota), &[])?;
            Some(given.part("t", t, TensorType::new(DType::I32, []))?)
        }
        None => None,
    };
    let scanned = vec![along; given.inputs.len() - carried];
    let inside = Weights {
        // Its product has been computed for all steps.
        input: at,
        state: given.same(f, "weight", weights.state)?,
        biases: match weights.biases {
            Some((_, bias)) if matches!(how.cell, Cell::Gru { .. }) => {
                let bias = given.same(f, "bias", bias)?;
                Some((bias, bias))
            }
            Some(_) | None => None,
        },
        peepholes: match weights.peepholes {
            Some([i, o, forget]) => Some([
                given.same(f, "peephole_i", i)?,
                given.same(f, "peephole_o", o)?,
                given.same(f, "peephole_f", forget)?,
            ]),
            None => None,
        },
    };
    let own = product
        .state
        .iter()
        .enumerate()
        .map(|(n, id)| given.same(f, &format!("product.{n}"), *id))
        .collect::<Result<_, _>>()?;
    let product = Product { multiply: product.multiply, input: vec![], state: own };
    let ends = match (lengths, t) {
        (Some(lengths), Some(t)) => Some((given.same(f, "lengths", lengths)?, t)),
        _ => None,
    };
    let Given { mut body, inputs } = given;
    let step = Step { weights: &inside, how, product: &product, hidden, batch: batch.clone() };
    write(&mut Formula::new(&mut body, f.name.clone()), &step, at, (h, c), ends)?;
    let op = Loop { body: body.into(), steps: steps.clone(), carried, scanned, stacked: vec![along] };
    let outputs = f.graph.apply(f.name.clone(), Op::Loop(op), &inputs)?;
    match outputs[..] {
        [hidden, all] => Ok(States { all, hidden, cell: None }),
        [hidden, cell, all] => Ok(States { all, hidden, cell: Some(cell) }),
        _ => f.mismatch(super::NAME, "the loop has other results than were asked for"),
    }
}

/// The first state: what is given, or zeros.
fn first(f: &mut Formula<'_>, given: Option<ValueId>, like: ValueId, ty: &TensorType) -> Made {
    match given {
        Some(given) => Ok(given),
        None => {
            let zero = f.number_like(0.0, like);
            f.expand(zero, ty.shape.clone())
        }
    }
}

/// The body: a step, and whether it is behind the end of a sequence, whose state then stays.
fn write(
    f: &mut Formula<'_>,
    step: &Step<'_>,
    at: ValueId,
    (h, c): (ValueId, Option<ValueId>),
    ends: Option<(ValueId, ValueId)>,
) -> Result<(), GraphError> {
    let (mut next, mut next_cell) = step.run(f, at, Some(h), c)?;
    let mut output = next;
    if let Some((lengths, t)) = ends {
        let inside = f.binary(BinaryOp::Greater, lengths, t)?;
        let zero = f.number_like(0.0, next);
        output = f.select(inside, next, zero)?;
        next = f.select(inside, next, h)?;
        next_cell = match (next_cell, c) {
            (Some(new), Some(c)) => Some(f.select(inside, new, c)?),
            (new, _) => new,
        };
    }
    f.graph.output("hidden", next)?;
    if let Some(cell) = next_cell {
        f.graph.output("cell", cell)?;
    }
    f.graph.output("all", output)
}
