//! Sums of products in Einstein notation: `bij,bjk->bik` names the dimensions of each operand and of the result.
//!
//! Operands are combined two at a time, from left to right. Letters of both that are not needed afterwards are summed by
//! a matrix product; those that are needed are its batch; the others are its rows and columns.

use std::collections::BTreeSet;

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{MatMul, SliceAxis};
use crate::tensor::{DType, ShapeDisplay};

const NAME: &str = "einsum";

/// The name of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// One of those that `...` stands for, counted from the last: they come first where the result is not written
    /// out, the farthest one foremost.
    Rest(std::cmp::Reverse<usize>),
    Letter(char),
}

/// A value whose dimensions have names.
struct Named {
    value: ValueId,
    labels: Vec<Label>,
}

/// The sum of products given by `equation`, of one or more operands. A letter that occurs twice in an operand is its
/// diagonal, `...` stands for all dimensions that are not named, and without `->` the result has the letters that occur
/// once, in the order of the alphabet, behind `...`. Dimensions of one element stretch.
pub fn einsum(f: &mut Formula<'_>, equation: &str, operands: &[ValueId]) -> Made {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != operands.len() {
        return f.mismatch(
            NAME,
            format!("`{equation}` has {} terms for {} operands", terms.len(), operands.len()),
        );
    }
    let mut named = Vec::with_capacity(terms.len());
    for (term, value) in terms.iter().zip(operands) {
        let labels = labels(f, term, Some(f.ty(*value).rank()), 0)?;
        named.push(diagonals(f, Named { value: *value, labels })?);
    }
    check_sizes(f, &named)?;
    let all = || named.iter().flat_map(|n| n.labels.iter().copied());
    let rest = all().filter(|label| matches!(label, Label::Rest(_))).collect::<BTreeSet<_>>().len();
    let result = match right {
        Some(right) => labels(f, right, None, rest)?,
        None => {
            let written = |c: char| left.chars().filter(|other| *other == c).count();
            let once = |label: &Label| match label {
                Label::Rest(_) => true,
                Label::Letter(c) => written(*c) == 1,
            };
            all().filter(once).collect::<BTreeSet<_>>().into_iter().collect()
        }
    };
    let known: BTreeSet<Label> = all().collect();
    let distinct: BTreeSet<Label> = result.iter().copied().collect();
    if distinct.len() != result.len() || !distinct.is_subset(&known) {
        return f.mismatch(
            NAME,
            format!("the result of `{equation}` should have letters of the operands, each once"),
        );
    }
    if distinct.iter().filter(|label| matches!(label, Label::Rest(_))).count() != rest {
        return f.mismatch(NAME, format!("`...` of `{equation}` has dimensions that its result leaves out"));
    }
    contract(f, named, &result)
}

/// The names in a term: of an operand of `rank` dimensions, or of the result, for which `...` stands for `rest` ones.
fn labels(f: &Formula<'_>, term: &str, rank: Option<usize>, rest: usize) -> Result<Vec<Label>, GraphError> {
    let (before, after) =
        term.split_once("...").map_or((term, None), |(before, after)| (before, Some(after)));
    let letters = before.len() + after.map_or(0, str::len);
    let is_name = |c: char| c.is_ascii_alphabetic();
    if !before.chars().chain(after.unwrap_or_default().chars()).all(is_name) {
        return f.mismatch(NAME, format!("`{term}` should be letters, and `...` at most once"));
    }
    let rest = match (rank, after) {
        (None, _) => rest,
        (Some(rank), Some(_)) if rank >= letters => rank - letters,
        (Some(rank), None) if rank == letters => 0,
        (Some(rank), _) => {
            return f.mismatch(NAME, format!("`{term}` names {letters} dimensions of an operand of {rank}"));
        }
    };
    let rest = if after.is_some() { rest } else { 0 };
    let letter = |c: char| Label::Letter(c);
    let dots = (0..rest).rev().map(|n| Label::Rest(std::cmp::Reverse(n)));
    Ok(before.chars().map(letter).chain(dots).chain(after.unwrap_or_default().chars().map(letter)).collect())
}

/// The operand with each letter once: where one occurs twice, only the elements at which both indices are the same.
fn diagonals(f: &mut Formula<'_>, mut named: Named) -> Result<Named, GraphError> {
    loop {
        let twice = named.labels.iter().enumerate().find_map(|(second, label)| {
            let first = named.labels[..second].iter().position(|other| other == label)?;
            Some((first, second))
        });
        let Some((first, second)) = twice else { return Ok(named) };
        let label = named.labels[first];
        let shape = f.shape(named.value);
        let size = match (shape[first].as_const(), shape[first] == shape[second]) {
            (Some(size), true) => size,
            _ => {
                let message = format!(
                    "the diagonal of {} needs two equal sizes that are numbers",
                    ShapeDisplay(&shape)
                );
                return Err(GraphError::Unsuitable(message));
            }
        };
        let others: Vec<usize> = (0..shape.len()).filter(|axis| *axis != first && *axis != second).collect();
        let perm = others.iter().copied().chain([first, second]).collect();
        let square = f.transpose(named.value, perm)?;
        let mut flat: Vec<Dim> = others.iter().map(|axis| shape[*axis].clone()).collect();
        let axis = flat.len();
        flat.push(size.saturating_mul(size).into());
        let flat = f.reshape(square, flat)?;
        let cut = SliceAxis { axis, start: 0.into(), length: size.into(), step: size.saturating_add(1) };
        named.value = if size == 1 { flat } else { f.slice(flat, vec![cut])? };
        named.labels = others.iter().map(|axis| named.labels[*axis]).chain([label]).collect();
    }
}

fn size_of(f: &Formula<'_>, named: &Named, label: Label) -> Option<Dim> {
    let axis = named.labels.iter().position(|other| *other == label)?;
    f.ty(named.value).shape.get(axis).cloned()
}

/// Dimensions of one name have one size, or one element.
fn check_sizes(f: &Formula<'_>, named: &[Named]) -> Result<(), GraphError> {
    let labels: BTreeSet<Label> = named.iter().flat_map(|n| n.labels.iter().copied()).collect();
    for label in labels {
        let sizes = named.iter().filter_map(|n| size_of(f, n, label)).filter(|size| !size.is(1));
        let sizes: Vec<Dim> = sizes.collect();
        if let [first, rest @ ..] = &sizes[..]
            && let Some(other) = rest.iter().find(|size| *size != first)
        {
            let name = match label {
                Label::Letter(c) => c.to_string(),
                Label::Rest(_) => "...".into(),
            };
            return f.mismatch(NAME, format!("`{name}` is {first} in one operand and {other} in another"));
        }
    }
    Ok(())
}

fn contract(f: &mut Formula<'_>, named: Vec<Named>, result: &[Label]) -> Made {
    let mut rest = named.into_iter();
    let Some(mut left) = rest.next() else { return f.mismatch(NAME, "there are no operands") };
    while let Some(right) = rest.next() {
        let later: BTreeSet<Label> =
            rest.as_slice().iter().flat_map(|n| n.labels.iter()).chain(result).copied().collect();
        left = pair(f, left, right, &later)?;
    }
    let kept: BTreeSet<Label> = result.iter().copied().collect();
    let left = summed(f, left, |label| kept.contains(&label))?;
    arranged(f, &left, result)
}

/// The operand with its dimensions in the order of `labels`, which are all it has.
fn arranged(f: &mut Formula<'_>, named: &Named, labels: &[Label]) -> Made {
    let perm = labels.iter().filter_map(|label| named.labels.iter().position(|other| other == label));
    f.transpose(named.value, perm.collect())
}

/// Without the dimensions that are not wanted.
fn summed(f: &mut Formula<'_>, named: Named, wanted: impl Fn(Label) -> bool) -> Result<Named, GraphError> {
    let axes = named.labels.iter().enumerate().filter(|(_, label)| !wanted(**label)).map(|(axis, _)| axis);
    let value = f.sum(named.value, axes.collect())?;
    Ok(Named { value, labels: named.labels.into_iter().filter(|label| wanted(*label)).collect() })
}

/// Without dimensions of one element that the other operand has larger: it stretches along them by itself.
fn unstretched(f: &mut Formula<'_>, named: Named, other: &Named) -> Result<Named, GraphError> {
    let shape = f.shape(named.value);
    let stretched = |axis: usize, label: Label| {
        shape[axis].is(1) && size_of(f, other, label).is_some_and(|size| !size.is(1))
    };
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !stretched(*axis, named.labels[*axis])).collect();
    let labels = kept.iter().map(|axis| named.labels[*axis]).collect();
    let value = f.reshape(named.value, kept.iter().map(|axis| shape[*axis].clone()).collect())?;
    Ok(Named { value, labels })
}

/// The product of two operands, summed over dimensions that are not needed `later`.
fn pair(
    f: &mut Formula<'_>,
    left: Named,
    right: Named,
    later: &BTreeSet<Label>,
) -> Result<Named, GraphError> {
    let left = unstretched(f, left, &right)?;
    let right = unstretched(f, right, &left)?;
    let of_left: BTreeSet<Label> = left.labels.iter().copied().collect();
    let of_right: BTreeSet<Label> = right.labels.iter().copied().collect();
    let left = summed(f, left, |label| later.contains(&label) || of_right.contains(&label))?;
    let right = summed(f, right, |label| later.contains(&label) || of_left.contains(&label))?;
    let shared = |label: &Label| of_left.contains(label) && of_right.contains(label);
    let (batch, inner): (Vec<Label>, Vec<Label>) =
        left.labels.iter().copied().filter(shared).partition(|label| later.contains(label));
    let rows: Vec<Label> = left.labels.iter().copied().filter(|label| !shared(label)).collect();
    let columns: Vec<Label> = right.labels.iter().copied().filter(|label| !shared(label)).collect();
    let dims = |f: &Formula<'_>, of: &Named, labels: &[Label]| -> Vec<Dim> {
        labels.iter().filter_map(|label| size_of(f, of, *label)).collect()
    };
    let (batch_dims, inner_dims) = (dims(f, &left, &batch), product(&dims(f, &left, &inner)));
    let (row_dims, column_dims) = (dims(f, &left, &rows), dims(f, &right, &columns));
    let a = arranged(f, &left, &[&batch[..], &rows, &inner].concat())?;
    let lead: Vec<Dim> = if batch.is_empty() { vec![] } else { vec![product(&batch_dims)] };
    let shaped = |dims: &[&Dim]| lead.iter().chain(dims.iter().copied()).cloned().collect::<Vec<Dim>>();
    let (m, n) = (product(&row_dims), product(&column_dims));
    let whole = [batch_dims.clone(), row_dims, column_dims].concat();
    let one = Dim::from(1);
    let value = if inner.is_empty() {
        let b = arranged(f, &right, &[&batch[..], &columns].concat())?;
        let a = f.reshape(a, shaped(&[&m, &one]))?;
        let b = f.reshape(b, shaped(&[&one, &n]))?;
        f.mul(a, b)?
    } else if matches!(f.ty(a).dtype, DType::F32 | DType::F16) {
        let a = f.reshape(a, shaped(&[&m, &inner_dims]))?;
        let b = arranged(f, &right, &[&batch[..], &inner, &columns].concat())?;
        let b = f.reshape(b, shaped(&[&inner_dims, &n]))?;
        f.matmul(MatMul::default(), a, b)?
    } else {
        // Devices have matrix products of 32-bit floating point only.
        let a = f.reshape(a, shaped(&[&m, &one, &inner_dims]))?;
        let b = arranged(f, &right, &[&batch[..], &columns, &inner].concat())?;
        let b = f.reshape(b, shaped(&[&one, &n, &inner_dims]))?;
        let products = f.mul(a, b)?;
        let last = f.ty(products).rank() - 1;
        f.sum(products, vec![last])?
    };
    let value = f.reshape(value, whole)?;
    Ok(Named { value, labels: [batch, rows, columns].concat() })
}
