//! What the shapes of the inputs say about the symbols of a plan: `[8, 3, 32, 32]` for `[N, 3, 32, 32]` is `N = 8`.

use kiln_plan::{Expr, Factor, Fitting, Guard, Plan, Program, Tensor, Term};

use crate::RuntimeError;
use crate::tensor::shape_text;

/// The values of all symbols. A symbol that does not occur in the program's inputs gets its maximum, for which
/// there is memory in any case.
pub(crate) fn bind(
    plan: &Plan,
    program: &Program,
    inputs: &[(usize, &[usize])],
) -> Result<Vec<i64>, RuntimeError> {
    let mut bound: Vec<Option<(i64, &str)>> = vec![None; plan.symbols.len()];
    for (index, shape) in inputs {
        let tensor = tensor(plan, *index)?;
        if tensor.shape.len() != shape.len() {
            return Err(shape_error(plan, tensor, shape));
        }
        for (dim, size) in tensor.shape.iter().zip(*shape) {
            let Some((symbol, value)) = solve(dim, *size).map_err(|()| shape_error(plan, tensor, shape))?
            else {
                continue;
            };
            let Some((slot, facts)) = bound.get_mut(symbol).zip(plan.symbols.get(symbol)) else { continue };
            let (name, symbol) = (|| tensor.name.clone(), || facts.name.clone());
            if value < 1 {
                return Err(RuntimeError::TooSmall { name: name(), symbol: symbol(), value });
            }
            if value > i64::from(facts.max) {
                return Err(RuntimeError::TooLarge { name: name(), symbol: symbol(), value, max: facts.max });
            }
            match *slot {
                Some((other_value, other)) if other_value != value => {
                    let other = other.to_string();
                    return Err(RuntimeError::Contradiction {
                        name: name(),
                        symbol: symbol(),
                        value,
                        other,
                        other_value,
                    });
                }
                _ => *slot = Some((value, &tensor.name)),
            }
        }
    }
    let values = values(plan, program, &bound)?;
    for (index, shape) in inputs {
        let tensor = tensor(plan, *index)?;
        if tensor.shape_at(&values).as_deref() != Some(*shape) {
            return Err(shape_error(plan, tensor, shape));
        }
    }
    Ok(values)
}

/// What the compiler assumed of sizes has to be so.
pub(crate) fn check_guards(plan: &Plan, program: &Program, values: &[i64]) -> Result<(), RuntimeError> {
    let Some(guard) = program.guards.iter().find(|guard| !guard.holds(values)) else { return Ok(()) };
    // Of the symbols in the condition, one that another value of makes the sizes fit.
    let involved = |index: &usize| guard.mentions(*index);
    let fitting = (0..plan.symbols.len()).filter(involved).find_map(|index| {
        let symbol = plan.symbols.get(index)?;
        // Other sizes may not fit either, which is another matter.
        let here = |guard: &&Guard| guard.mentions(index);
        let guards: Vec<Guard> = program.guards.iter().filter(here).cloned().collect();
        let fitting = Fitting::around(&guards, values, index, symbol.max.into());
        let value = values.get(index).copied()?;
        (!fitting.is_empty()).then(|| (symbol.name.clone(), value, fitting))
    });
    let (node, condition) = (guard.node.clone(), guard.text(&plan.symbols));
    Err(match fitting {
        Some((symbol, value, fitting)) => RuntimeError::Guard { node, condition, symbol, value, fitting },
        None => RuntimeError::NothingFits { node, condition, symbols: values_text(plan, values) },
    })
}

fn values(plan: &Plan, program: &Program, bound: &[Option<(i64, &str)>]) -> Result<Vec<i64>, RuntimeError> {
    let in_inputs = |symbol| {
        let mut tensors = program.inputs.iter().filter_map(|index| plan.tensors.get(*index));
        tensors.any(|tensor| tensor.shape.iter().any(|dim| dim.mentions(symbol)))
    };
    plan.symbols
        .iter()
        .zip(bound)
        .enumerate()
        .map(|(i, (symbol, bound))| match bound {
            Some((value, _)) => Ok(*value),
            None if in_inputs(i) => Err(RuntimeError::Unbound { symbol: symbol.name.clone() }),
            None => Ok(i64::from(symbol.max)),
        })
        .collect()
}

/// The value of the only symbol of `a*S + b`; nothing if the expression has another form, an error if there is no
/// solution.
fn solve(expr: &Expr, size: usize) -> Result<Option<(usize, i64)>, ()> {
    let size = i64::try_from(size).map_err(|_| ())?;
    let (mut scale, mut offset, mut symbol) = (0i64, 0i64, None);
    for Term { coefficient, factors } in &expr.terms {
        match factors.as_slice() {
            [] => offset = offset.checked_add(*coefficient).ok_or(())?,
            [Factor::Symbol(index)] if symbol.is_none_or(|known| known == *index) => {
                symbol = Some(*index);
                scale = scale.checked_add(*coefficient).ok_or(())?;
            }
            [_, ..] => return Ok(None),
        }
    }
    let Some(symbol) = symbol else { return Ok(None) };
    let rest = size.checked_sub(offset).ok_or(())?;
    match rest.checked_rem(scale) {
        Some(0) => Ok(rest.checked_div(scale).map(|value| (symbol, value))),
        Some(_) => Err(()),
        None => Ok(None),
    }
}

pub(crate) fn tensor(plan: &Plan, index: usize) -> Result<&Tensor, RuntimeError> {
    plan.tensors.get(index).ok_or(RuntimeError::NoSuchTensor { wanted: index, count: plan.tensors.len() })
}

pub(crate) fn shape_error(plan: &Plan, tensor: &Tensor, found: &[usize]) -> RuntimeError {
    let expected = expected_shape(plan, tensor);
    RuntimeError::InputShape { name: tensor.name.clone(), found: shape_text(found), expected }
}

/// `[N, 3, 32, 32] (N up to 64)`.
pub(crate) fn expected_shape(plan: &Plan, tensor: &Tensor) -> String {
    let dims: Vec<_> = tensor.shape.iter().map(|dim| dim.text(&plan.symbols)).collect();
    let symbols: Vec<_> = plan
        .symbols
        .iter()
        .enumerate()
        .filter(|(i, _)| tensor.shape.iter().any(|dim| dim.mentions(*i)))
        .map(|(_, symbol)| format!("{} up to {}", symbol.name, symbol.max))
        .collect();
    let note = if symbols.is_empty() { String::new() } else { format!(" ({})", symbols.join(", ")) };
    format!("[{}]{note}", dims.join(", "))
}

/// `N = 3, H = 5`.
pub(crate) fn values_text(plan: &Plan, values: &[i64]) -> String {
    let pairs: Vec<_> =
        plan.symbols.iter().zip(values).map(|(symbol, value)| format!("{} = {value}", symbol.name)).collect();
    if pairs.is_empty() { "fixed sizes".to_string() } else { pairs.join(", ") }
}
