//! The context of an operator's importer: the node, its inputs, and helpers to write core operators.

use kiln_graph::ops::{BinaryOp, Concat, Reduce, ReduceKind, Transpose, UnaryOp};
use kiln_graph::{
    DType, Def, Dim, Element, Formula, Graph, GraphError, Guards, Op, ShapeError, Tensor, TensorType, Value,
    ValueId,
};

use super::attributes::Attributes;
use crate::external::External;
use crate::tensor::TensorError;

/// Why a node could not be written in core operators.
#[derive(Debug)]
pub(crate) enum OpError {
    /// The format allows it, this program does not do it.
    Unsupported(String),
    /// The node is not as the format asks.
    Invalid(String),
    /// A core operator does not fit.
    Graph(GraphError),
    /// A tensor in an attribute is damaged.
    Tensor(TensorError),
}

impl From<GraphError> for OpError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Unsuitable(reason) => OpError::Unsupported(reason),
            other => OpError::Graph(other),
        }
    }
}

pub(crate) type Result<T, E = OpError> = std::result::Result<T, E>;

/// The outputs of an operator, in order. Optional ones at the end may be left out; where the model uses
/// them nevertheless, that is reported.
pub(crate) type Outputs = Result<Vec<ValueId>>;

/// A size for a message: long expressions are of no use to a reader.
pub(crate) fn brief(dim: &Dim) -> String {
    let text = dim.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let symbols = dim.symbols();
    format!("an expression over {}", symbols.iter().map(|s| &**s).collect::<Vec<_>>().join(", "))
}

/// What a caller can say to make sizes known.
pub(crate) fn deciding<'a>(sizes: impl IntoIterator<Item = &'a Dim>) -> String {
    let (mut symbols, mut counts) = (Vec::new(), Vec::new());
    for dim in sizes {
        dim.collect_symbols(&mut symbols);
        counts.extend(dim.counts());
    }
    if let Some(count) = counts.first() {
        return format!("the data decide it, in `{count}`; `--cut-at` compiles what lies before");
    }
    let flags: Vec<String> = symbols.iter().map(|symbol| format!("--dim {symbol}=..")).collect();
    format!("`{}` decides it", flags.join(" "))
}

/// Shorthand for the common `Err`.
pub(crate) fn unsupported<T>(reason: impl Into<String>) -> Result<T> {
    Err(OpError::Unsupported(reason.into()))
}

/// Shorthand for the other common `Err`.
pub(crate) fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(OpError::Invalid(message.into()))
}

/// An axis, counted from the end if negative, of something of `rank` dimensions.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let counted = if axis < 0 { axis.saturating_add(signed) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|axis| *axis < rank)
        .ok_or_else(|| OpError::Invalid(format!("axis {axis} is out of range for {rank} dimensions")))
}

pub(crate) struct Cx<'a> {
    pub graph: &'a mut Graph,
    pub external: &'a mut External,
    pub name: &'a str,
    pub opset: i64,
    pub inputs: Vec<Option<ValueId>>,
    /// Whether each output is read.
    pub outputs_used: Vec<bool>,
    pub attributes: Attributes<'a>,
}

impl Cx<'_> {
    // ---- inputs -------------------------------------------------------------------------------------------------

    /// Input `i`, which has to be there.
    pub(super) fn input(&self, i: usize) -> Result<ValueId> {
        self.optional(i).ok_or_else(|| OpError::Invalid(format!("input {i} is missing")))
    }

    /// Input `i`, if it is there.
    pub(super) fn optional(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// All inputs, none of which may be missing.
    pub(super) fn all_inputs(&self) -> Result<Vec<ValueId>> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// The elements of the integer input `i` as dimensions; `what` is its name.
    pub(super) fn dims(&self, i: usize, what: &str) -> Result<Vec<Dim>> {
        let id = self.input(i)?;
        let known = self.graph.value(id).sizes();
        known
            .or_else(|| Some(self.graph.as_constant(id)?.to_ints()?.into_iter().map(Dim::from).collect()))
            .ok_or_else(|| self.unknown(i, what, "has to be a constant or follow from shapes"))
    }

    /// That input `i`, which has to be known, is not.
    fn unknown(&self, i: usize, what: &str, wanted: &str) -> OpError {
        let given = self.optional(i).map(|id| self.graph.value(id));
        OpError::Unsupported(match given.filter(|value| matches!(value.def, Def::Input)) {
            Some(Value { name, .. }) => format!(
                "input {i} (`{what}`) {wanted}, but `{name}` is an input of the model; give its value: \
                 --value {name}=.."
            ),
            None => match given.and_then(|value| value.contents.as_ref()) {
                Some(contents) => format!(
                    "input {i} (`{what}`) {wanted}, but it depends on sizes in a way that is not followed; {}",
                    deciding(contents.iter().flat_map(Element::sizes))
                ),
                None => format!("input {i} (`{what}`) {wanted}, but it is computed from data"),
            },
        })
    }

    /// The elements of the integer input `i` as numbers.
    pub(super) fn ints(&self, i: usize, what: &str) -> Result<Vec<i64>> {
        self.dims(i, what)?
            .iter()
            .map(|d| {
                d.as_const().ok_or_else(|| {
                    OpError::Unsupported(format!(
                        "input {i} (`{what}`) has to be constant, but is `{}`; {}",
                        brief(d),
                        deciding([d])
                    ))
                })
            })
            .collect()
    }

    /// An integer list that is attribute `what` in older operator sets and input `i` in newer ones.
    pub(super) fn ints_either(&self, i: usize, what: &str) -> Result<Option<Vec<i64>>> {
        match self.attributes.ints(what)? {
            Some(ints) => Ok(Some(ints.to_vec())),
            None if self.optional(i).is_some() => self.ints(i, what).map(Some),
            None => Ok(None),
        }
    }

    /// That places which are known are places: input `i` has indices into dimensions of these sizes, one after the other
    /// and again from the first, negative ones from the end. On the device they cannot be checked.
    pub(super) fn check_places(&self, i: usize, sizes: &[Dim]) -> Result<()> {
        let id = self.input(i)?;
        let known: Vec<Option<i64>> = match &self.graph.value(id).sizes() {
            Some(contents) => contents.iter().map(Dim::as_const).collect(),
            None => match self.graph.as_constant(id).and_then(Tensor::to_ints) {
                Some(ints) => ints.into_iter().map(Some).collect(),
                None => return Ok(()),
            },
        };
        let sizes: Vec<Option<i64>> = sizes.iter().map(Dim::as_const).collect();
        for (n, (index, size)) in known.into_iter().zip(sizes.iter().cycle()).enumerate() {
            if let (Some(index), Some(size)) = (index, *size)
                && !(-size..size).contains(&index)
            {
                return invalid(format!(
                    "index {index} (element {n} of input {i}) is out of range for a dimension of {size}"
                ));
            }
        }
        Ok(())
    }

    /// The constant input `i`.
    pub(super) fn constant(&self, i: usize, what: &str) -> Result<Tensor> {
        let id = self.input(i)?;
        self.graph.as_constant(id).cloned().ok_or_else(|| self.unknown(i, what, "has to be constant"))
    }

    /// The floating point numbers of the constant input `i`.
    pub(super) fn floats(&self, i: usize, what: &str) -> Result<Vec<f64>> {
        Ok(self.constant(i, what)?.to_f64())
    }

    /// An axis, counted from the end if negative, of something of `rank` dimensions.
    pub(super) fn axis(&self, given: i64, rank: usize) -> Result<usize> {
        axis(given, rank)
    }

    /// Axes as [`Cx::axis`], ascending, each once.
    pub(super) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>> {
        let mut axes: Vec<usize> = axes.iter().map(|a| self.axis(*a, rank)).collect::<Result<_>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    /// The attribute `axis` for the input `x`.
    pub(super) fn axis_of(&self, default: i64, x: ValueId) -> Result<usize> {
        self.axis(self.attributes.int_or("axis", default)?, self.rank(x))
    }

    /// The answer of a shape rule, under what it has to assume of sizes; see [`Guards`].
    pub(super) fn given<T>(
        &mut self,
        rule: impl FnOnce(&mut Guards) -> std::result::Result<T, ShapeError>,
    ) -> Result<T> {
        let answer = self.graph.ask(self.name, |_, guards| rule(guards));
        answer.map_err(|error| OpError::Invalid(error.to_string()))
    }

    /// Asks what has to be assumed of sizes; see [`Guards`].
    pub(super) fn assume<T>(&mut self, question: impl FnOnce(&mut Guards) -> Option<T>) -> Option<T> {
        self.graph.assume(self.name, |_, guards| question(guards))
    }

    // ---- types --------------------------------------------------------------------------------------------------

    pub(super) fn ty(&self, id: ValueId) -> &TensorType {
        self.graph.ty(id)
    }

    pub(super) fn shape(&self, id: ValueId) -> Vec<Dim> {
        self.ty(id).shape.clone()
    }

    pub(super) fn dim(&self, id: ValueId, axis: usize) -> Result<Dim> {
        self.ty(id)
            .shape
            .get(axis)
            .cloned()
            .ok_or_else(|| OpError::Invalid(format!("its input has {} dimensions, too few", self.rank(id))))
    }

    pub(super) fn dtype(&self, id: ValueId) -> DType {
        self.ty(id).dtype
    }

    pub(super) fn rank(&self, id: ValueId) -> usize {
        self.ty(id).rank()
    }

    /// The rank of an image-like input, with its spatial dimensions: at least `[N, C, one]`.
    pub(super) fn spatial(&self, id: ValueId) -> Result<usize> {
        match self.rank(id) {
            rank if rank >= 3 => Ok(rank - 2),
            rank => invalid(format!("its input has {rank} dimensions; [N, C, ...] needs at least 3")),
        }
    }

    // ---- core operators -----------------------------------------------------------------------------------------

    /// A formula at this node, for functions that are not core operators. Values that depend on constants alone are
    /// computed at once, since shapes and sizes may depend on them.
    pub(super) fn formula(&mut self) -> Formula<'_> {
        Formula::folding(self.graph, self.name)
    }

    /// Applies a core operator with one output, as [`Cx::formula`] does.
    pub(super) fn op(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(self.formula().apply(op, inputs)?)
    }

    pub(super) fn unary(&mut self, op: UnaryOp, x: ValueId) -> Result<ValueId> {
        self.op(Op::Unary(op), &[x])
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.op(Op::Binary(op), &[a, b])
    }

    pub(super) fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.binary(BinaryOp::Add, a, b)
    }

    pub(super) fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.binary(BinaryOp::Mul, a, b)
    }

    pub(super) fn div(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.binary(BinaryOp::Div, a, b)
    }

    /// A binary operator with a number as its right operand.
    pub(super) fn with(&mut self, op: BinaryOp, x: ValueId, number: f64) -> Result<ValueId> {
        Ok(self.formula().with(op, x, number)?)
    }

    pub(super) fn cast(&mut self, x: ValueId, to: DType) -> Result<ValueId> {
        Ok(self.formula().cast(x, to)?)
    }

    pub(super) fn reduce(
        &mut self,
        kind: ReduceKind,
        x: ValueId,
        axes: &[usize],
        keep_dims: bool,
    ) -> Result<ValueId> {
        self.op(Op::Reduce(Reduce { kind, axes: axes.to_vec(), keep_dims }), &[x])
    }

    pub(super) fn reshape(&mut self, x: ValueId, shape: impl Into<Vec<Dim>>) -> Result<ValueId> {
        Ok(self.formula().reshape(x, shape.into())?)
    }

    pub(super) fn expand(&mut self, x: ValueId, shape: impl Into<Vec<Dim>>) -> Result<ValueId> {
        Ok(self.formula().expand(x, shape.into())?)
    }

    pub(super) fn transpose(&mut self, x: ValueId, perm: impl Into<Vec<usize>>) -> Result<ValueId> {
        self.op(Op::Transpose(Transpose { perm: perm.into() }), &[x])
    }

    pub(super) fn concat(&mut self, inputs: &[ValueId], axis: usize) -> Result<ValueId> {
        if let [one] = inputs {
            return Ok(*one);
        }
        self.op(Op::Concat(Concat { axis }), inputs)
    }

    pub(super) fn constant_value(&mut self, tensor: Tensor) -> ValueId {
        self.formula().constant(tensor)
    }
}
