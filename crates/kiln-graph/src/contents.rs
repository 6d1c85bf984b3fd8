//! Small tensors whose elements follow from shapes.
//!
//! Exporters write `x.view(x.size(0), -1)` as a chain of `Shape`, `Gather`, `Concat` and `Reshape`, and scaled sizes as a
//! detour over floats: `Cast`, `Mul`, `Floor`, `Cast`. The elements that such a chain computes are known exactly although
//! sizes are symbols. They are tracked as the graph is built, so that the builder can ask for the shape a `Reshape` is to
//! have, and for the condition of an `If`.

mod arithmetic;

pub use arithmetic::binary_fraction;

use std::cmp::Ordering;

use crate::dim::{Bindings, Bounds, Dim};
use crate::graph::{Graph, Value, ValueId};
use crate::guards::{Guards, Relation};
use crate::ops::{Op, Precision, ReduceKind};
use crate::tensor::{DType, Data, Tensor, TensorType};

/// Longer tensors are no shapes.
const MAX_LENGTH: usize = 64;

/// An element that follows from shapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// An integer.
    Int(Dim),
    /// A float: `numerator / denominator`, rounded to the element type. The denominator is positive.
    Ratio(Dim, i64),
    /// A truth value.
    Truth(Truth),
}

/// A truth value that follows from shapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// The same for all sizes.
    Known(bool),
    /// Whether the dimension is zero, or, if the flag is set, whether it is not.
    Zero(Dim, bool),
    /// It depends on sizes in another way.
    Open(Dim),
}

impl Truth {
    /// The value, if need be under the assumption that sizes which could be equal are not (none is one).
    pub fn assumed(&self, guards: &mut Guards) -> Option<bool> {
        match self {
            Truth::Known(value) => Some(*value),
            Truth::Zero(dim, negated) => guards.differ(dim, &0.into()).then_some(*negated),
            Truth::Open(_) => None,
        }
    }

    /// The size that it depends on.
    pub fn size(&self) -> Option<&Dim> {
        match self {
            Truth::Known(_) => None,
            Truth::Zero(dim, _) | Truth::Open(dim) => Some(dim),
        }
    }

    fn not(&self) -> Self {
        match self {
            Truth::Known(value) => Truth::Known(!value),
            Truth::Zero(dim, negated) => Truth::Zero(dim.clone(), !negated),
            Truth::Open(dim) => Truth::Open(dim.clone()),
        }
    }

    /// Whether `left` and `right` are equal.
    fn equal(left: &Dim, right: &Dim, negated: bool) -> Self {
        if left.always_equals(right) {
            return Truth::Known(!negated);
        }
        if left.never_equals(right, Bounds::default()) {
            return Truth::Known(negated);
        }
        Truth::Zero((left.clone() - right.clone()).primitive(), negated)
    }

    /// Whether `left` is at least `right`.
    fn at_least(left: &Dim, right: &Dim) -> Self {
        let bounds = Bounds::default();
        if left.never_below(right, bounds) {
            return Truth::Known(true);
        }
        if right.never_below(&(left.clone() + 1.into()), bounds) {
            return Truth::Known(false);
        }
        Truth::Open(left.clone() - right.clone())
    }
}

impl Element {
    /// The integer.
    pub fn as_int(&self) -> Option<&Dim> {
        match self {
            Element::Int(dim) => Some(dim),
            Element::Ratio(..) | Element::Truth(_) => None,
        }
    }

    /// The sizes that it depends on.
    pub fn sizes(&self) -> impl Iterator<Item = &Dim> {
        match self {
            Element::Int(dim) | Element::Ratio(dim, _) => Some(dim),
            Element::Truth(truth) => truth.size(),
        }
        .into_iter()
    }

    /// The number, if it is one whatever the sizes are.
    fn as_f64(&self) -> Option<f64> {
        // Sizes are far below 2^53.
        match self {
            Element::Int(dim) => dim.as_const().map(|n| n as f64),
            Element::Ratio(dim, denominator) => dim.as_const().map(|n| n as f64 / *denominator as f64),
            Element::Truth(Truth::Known(value)) => Some(f64::from(u8::from(*value))),
            Element::Truth(_) => None,
        }
    }

    /// The element with what is known of sizes.
    fn canonical(self, guards: &Guards) -> Self {
        match self {
            Element::Int(dim) => Element::Int(guards.canonical(&dim)),
            Element::Ratio(dim, denominator) => Element::Ratio(guards.canonical(&dim), denominator),
            Element::Truth(truth) => Element::Truth(truth),
        }
    }
}

/// The contents of a constant.
pub(crate) fn of_tensor(tensor: &Tensor) -> Option<Vec<Element>> {
    if tensor.len() > MAX_LENGTH {
        return None;
    }
    match tensor.dtype() {
        DType::I64 | DType::I32 => {
            Some(tensor.to_ints()?.into_iter().map(|n| Element::Int(n.into())).collect())
        }
        DType::Bool => {
            Some(tensor.to_ints()?.into_iter().map(|n| Element::Truth(Truth::Known(n != 0))).collect())
        }
        DType::F32 | DType::F64 => tensor.to_f64().into_iter().map(arithmetic::ratio).collect(),
        DType::F16 | DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::U32 => None,
    }
}

/// The tensor of type `ty` that has these contents, if they are numbers.
pub(crate) fn tensor(contents: &[Element], ty: &TensorType) -> Option<Tensor> {
    let shape = ty.static_shape()?;
    let ints = || -> Option<Vec<i64>> { contents.iter().map(|e| e.as_int()?.as_const()).collect() };
    let floats = || -> Option<Vec<f64>> { contents.iter().map(Element::as_f64).collect() };
    let data = match ty.dtype {
        DType::I64 => Data::I64(ints()?),
        DType::I32 => Data::I32(ints()?.into_iter().map(|n| i32::try_from(n).ok()).collect::<Option<_>>()?),
        DType::Bool | DType::F32 | DType::F64 => {
            return Tensor::of_numbers(shape, &floats()?, ty.dtype).ok();
        }
        DType::F16 | DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::U32 => return None,
    };
    Tensor::new(shape, data).ok()
}

impl Value {
    /// The elements, where they follow from shapes and are numbers, though what they are computed from may be symbolic.
    pub fn known(&self) -> Option<Tensor> {
        tensor(self.contents.as_ref()?, &self.ty)
    }

    /// The elements as sizes, where they are integers that follow from shapes.
    pub fn sizes(&self) -> Option<Vec<Dim>> {
        self.contents.as_ref()?.iter().map(|element| element.as_int().cloned()).collect()
    }
}

/// Whether the contents of a result could be known: those of all inputs are, or it has none.
pub(crate) fn may_follow(graph: &Graph, op: &Op, inputs: &[ValueId]) -> bool {
    matches!(op, Op::ShapeOf(_)) || inputs.iter().all(|id| graph.value(*id).contents.is_some())
}

/// The contents of the first output of `op`, where the operator is one of those found in shape computations. `guards`
/// answer the questions that choices depend on.
pub(crate) fn of_node(
    graph: &Graph,
    op: &Op,
    inputs: &[ValueId],
    output: &TensorType,
    guards: &mut Guards,
) -> Option<Vec<Element>> {
    let count = output.elements().as_usize().filter(|count| *count <= MAX_LENGTH)?;
    if count == 0 {
        // Other axes may be long, and moving nothing along them would take long.
        return Some(vec![]);
    }
    let of = |i: usize| inputs.get(i).and_then(|id| graph.value(*id).contents.clone());
    let contents = match op {
        Op::ShapeOf(op) => {
            let shape = graph.ty(*inputs.first()?).shape.get(op.start..op.end)?;
            shape.iter().map(|dim| Element::Int(dim.clone())).collect()
        }
        Op::StopGradient => of(0)?,
        Op::Cast(cast) => of(0)?.iter().map(|e| arithmetic::cast(e, cast.to)).collect::<Option<_>>()?,
        Op::Unary(op) => of(0)?.iter().map(|e| arithmetic::unary(*op, e)).collect::<Option<_>>()?,
        Op::Reshape(_) | Op::Expand(_) | Op::Transpose(_) | Op::Slice(_) | Op::Concat(_) | Op::Gather(_) => {
            moved(graph, op, inputs)?
        }
        Op::Binary(op) => {
            let (a, b) = (spread(graph, *inputs.first()?, output)?, spread(graph, *inputs.get(1)?, output)?);
            a.iter().zip(&b).map(|(a, b)| arithmetic::binary(*op, a, b)).collect::<Option<_>>()?
        }
        Op::Select => {
            let mut parts = inputs.iter().map(|id| spread(graph, *id, output));
            let (condition, a, b) = (parts.next()??, parts.next()??, parts.next()??);
            let choices = condition.iter().zip(a.into_iter().zip(b));
            let choose = |(condition, (a, b)): (&Element, (Element, Element))| match condition {
                _ if a == b => Some(a),
                Element::Truth(truth) => truth.assumed(guards).map(|holds| if holds { a } else { b }),
                Element::Int(_) | Element::Ratio(..) => None,
            };
            choices.map(choose).collect::<Option<_>>()?
        }
        Op::Reduce(reduce) if count == 1 => {
            let combine: fn(Dim, &Dim) -> Dim = match reduce.kind {
                ReduceKind::Prod => |a, b| &a * b,
                ReduceKind::Sum => |a, b| a + b.clone(),
                ReduceKind::Max | ReduceKind::MaxFirst => |a, b| a.larger(b),
                ReduceKind::Min | ReduceKind::MinFirst => |a, b| a.smaller(b),
                ReduceKind::Mean | ReduceKind::Variance => return None,
            };
            let elements = of(0)?;
            let mut ints = elements.iter().map(Element::as_int);
            let first = ints.next()??.clone();
            vec![Element::Int(ints.try_fold(first, |all, dim| Some(combine(all, dim?)))?)]
        }
        Op::Iota(iota) => iota_contents(iota.dtype, op, count)?,
        Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Pad(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::Resize(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        | Op::Loop(_) => return None,
    };
    let fits = contents.len() == count;
    fits.then(|| contents.into_iter().map(|element| element.canonical(guards)).collect())
}

fn iota_contents(dtype: DType, op: &Op, count: usize) -> Option<Vec<Element>> {
    if !matches!(dtype, DType::I64 | DType::I32) {
        return None;
    }
    let [tensor] = op.evaluate(&[], Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    (tensor.len() == count).then(|| of_tensor(&tensor)).flatten()
}

/// The contents of an input, broadcast to the shape of the output.
fn spread(graph: &Graph, input: ValueId, output: &TensorType) -> Option<Vec<Element>> {
    let expand = Op::Expand(crate::ops::Expand { shape: output.shape.clone() });
    moved(graph, &expand, &[input])
}

/// The contents where `op` only moves elements: it is applied to their numbers. What a [`Gather`](crate::ops::Gather) reads
/// has to be known.
fn moved(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    let mut tensors = Vec::new();
    for (i, id) in inputs.iter().enumerate() {
        let value = graph.value(*id);
        let contents = value.contents.as_ref()?;
        if i == 1 && matches!(op, Op::Gather(_)) {
            tensors.push(tensor(contents, &value.ty)?);
            continue;
        }
        let start = i64::try_from(all.len()).ok()?;
        let end = start + i64::try_from(contents.len()).ok()?;
        tensors.push(Tensor::new(value.ty.static_shape()?, Data::I64((start..end).collect())).ok()?);
        all.extend(contents.iter().cloned());
    }
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let [places] = op.evaluate(&tensors, Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    let places = places.to_ints()?;
    places.into_iter().map(|place| all.get(usize::try_from(place).ok()?).cloned()).collect()
}

/// The truth of `left relation right` for two elements that are integers or floats.
fn compare(left: &Element, relation: Relation, right: &Element) -> Option<Truth> {
    let (left, right) = arithmetic::common(left, right)?;
    Some(match relation {
        Relation::Equal => Truth::equal(&left, &right, false),
        Relation::NotEqual => Truth::equal(&left, &right, true),
        Relation::AtLeast => Truth::at_least(&left, &right),
    })
}

/// Whether `n` is a power of two.
fn is_binary(n: i64) -> bool {
    matches!(n.cmp(&0), Ordering::Greater) && n & (n - 1) == 0
}
