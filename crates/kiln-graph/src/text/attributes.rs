//! Attributes of operators as named values, for printing and parsing.

use std::fmt;

use super::{dims, loops};
use crate::dim::Dim;
use crate::ops::{
    ArgKind, ArgReduce, ArgSort, BatchNorm, BinaryOp, Cast, Concat, Conv, ConvGradWeight, CoordinateMode,
    Dropout, Expand, Gather, GatherElements, Iota, MatMul, NearestMode, Nonzero, Op, Pad, PadMode, Pool,
    PoolGrad, PoolKind, Random, Reduce, ReduceKind, Reshape, Resize, ResizeMode, Scatter, ScatterReduction,
    ShapeOf, Size, Slice, SliceAxis, Softmax, Suppress, Transpose, UnaryOp,
};
use crate::tensor::{DType, ShapeDisplay, TensorType};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// True because it is there.
    Flag,
    /// A number, a dimension or a word.
    Word(String),
    /// A list.
    List(Vec<Attribute>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Flag => Ok(()),
            Attribute::Word(word) => f.write_str(word),
            Attribute::List(items) => write!(f, "{}", ShapeDisplay(items)),
        }
    }
}

/// Attributes with their names.
pub type Attributes = Vec<(String, Attribute)>;

/// Collects attributes, leaving out those that have their usual value, unless all are wanted.
#[derive(Default)]
pub(super) struct Writer {
    attributes: Attributes,
    all: bool,
}

impl Writer {
    /// One more, which is not left out.
    pub(super) fn push(&mut self, name: &str, value: Attribute) {
        self.attributes.push((name.into(), value));
    }

    pub(super) fn word(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.into(), Attribute::Word(value.to_string())));
        self
    }

    fn unless<T: fmt::Display + PartialEq>(self, usual: T, name: &str, value: T) -> Self {
        if value == usual && !self.all { self } else { self.word(name, value) }
    }

    fn flag(mut self, name: &str, value: bool) -> Self {
        if value {
            self.push(name, Attribute::Flag);
        } else if self.all {
            self.push(name, Attribute::Word("false".into()));
        }
        self
    }

    fn list<T: fmt::Display>(mut self, name: &str, values: &[T]) -> Self {
        let items = values.iter().map(|v| Attribute::Word(v.to_string())).collect();
        self.attributes.push((name.into(), Attribute::List(items)));
        self
    }

    fn list_unless<T: fmt::Display + PartialEq>(self, usual: T, name: &str, values: &[T]) -> Self {
        let is_usual = values.iter().all(|v| *v == usual);
        if is_usual && !self.all { self } else { self.list(name, values) }
    }

    fn pairs(mut self, name: &str, values: &[[i64; 2]]) -> Self {
        if self.all || values.iter().any(|v| *v != [0, 0]) {
            let pair =
                |v: &[i64; 2]| Attribute::List(v.iter().map(|n| Attribute::Word(n.to_string())).collect());
            self.attributes.push((name.into(), Attribute::List(values.iter().map(pair).collect())));
        }
        self
    }
}

impl Writer {
    fn conv(self, op: &Conv) -> Self {
        self.list_unless(1, "strides", &op.strides)
            .pairs("pads", &op.pads)
            .list_unless(1, "dilations", &op.dilations)
            .list_unless(1, "input_dilations", &op.input_dilations)
            .unless(1, "groups", op.groups)
    }

    fn pool(self, op: &Pool) -> Self {
        self.list("kernel", &op.kernel)
            .list_unless(1, "strides", &op.strides)
            .list_unless(1, "dilations", &op.dilations)
            .pairs("pads", &op.pads)
            .flag("ceil_mode", op.ceil_mode)
            .flag("count_include_pad", op.kind == PoolKind::Average { count_include_pad: true })
    }
}

/// The attributes of an operator that do not have their usual value.
pub fn set_attributes(op: &Op) -> Attributes {
    written(op, Writer::default())
}

/// All attributes of an operator, by the names that the text form has for them. A loop's body is not among them.
pub fn all_attributes(op: &Op) -> Attributes {
    written(op, Writer { all: true, ..Writer::default() })
}

fn written(op: &Op, w: Writer) -> Attributes {
    let written = match op {
        Op::Conv(op) => w.conv(op),
        Op::Pool(op) => w.pool(op),
        Op::MatMul(op) => w.flag("transpose_a", op.transpose_a).flag("transpose_b", op.transpose_b),
        Op::BatchNorm(op) => w
            .unless(1e-5, "epsilon", op.epsilon)
            .unless(0.9, "momentum", op.momentum)
            .flag("training", op.training)
            .flag("frozen", op.frozen)
            .flag("unbiased", op.unbiased),
        Op::Softmax(op) => w.word("axis", op.axis),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::StopGradient => w,
        Op::Cast(op) => w.word("to", op.to),
        Op::Reduce(op) => w.list("axes", &op.axes).flag("keep_dims", op.keep_dims),
        Op::ArgReduce(op) => w
            .word("axis", op.axis)
            .flag("keep_dims", op.keep_dims)
            .flag("select_last_index", op.select_last_index),
        Op::Reshape(op) => w.list("shape", &op.shape),
        Op::Expand(op) => w.list("shape", &op.shape),
        Op::Transpose(op) => w.list("perm", &op.perm),
        Op::Slice(op) => {
            let cut = |cut: &SliceAxis| {
                let parts = [
                    cut.axis.to_string(),
                    cut.start.to_string(),
                    cut.length.to_string(),
                    cut.step.to_string(),
                ];
                Attribute::List(parts.into_iter().map(Attribute::Word).collect())
            };
            let mut w = w;
            w.attributes.push(("axes".into(), Attribute::List(op.axes.iter().map(cut).collect())));
            w
        }
        Op::Concat(op) => w.word("axis", op.axis),
        Op::Pad(op) => {
            let w = w.pairs("pads", &op.pads);
            match op.mode {
                PadMode::Constant(value) if w.all => w.word("mode", "constant").word("value", value),
                PadMode::Constant(value) => w.unless(0.0, "value", value),
                PadMode::Reflect => w.word("mode", "reflect"),
                PadMode::Edge => w.word("mode", "edge"),
                PadMode::Wrap => w.word("mode", "wrap"),
            }
        }
        Op::Gather(op) => w.word("axis", op.axis),
        Op::GatherElements(op) => w.word("axis", op.axis),
        Op::Scatter(op) => w.word("axis", op.axis).unless("none", "reduction", op.reduction.name()),
        Op::ArgSort(op) => w.word("axis", op.axis).flag("descending", op.descending),
        Op::Nonzero(op) => w.word("size", &op.size),
        Op::Suppress(op) => {
            let w = w.word("iou_threshold", op.iou_threshold).flag("center", op.center);
            match op.most {
                Some(most) => w.word("most", most),
                None => w,
            }
        }
        Op::Resize(op) => {
            let mode = match op.mode {
                ResizeMode::Linear => "linear",
                ResizeMode::Nearest(NearestMode::RoundPreferFloor) => "round_prefer_floor",
                ResizeMode::Nearest(NearestMode::RoundPreferCeil) => "round_prefer_ceil",
                ResizeMode::Nearest(NearestMode::Floor) => "floor",
                ResizeMode::Nearest(NearestMode::Ceil) => "ceil",
            };
            let coordinates = match op.coordinates {
                CoordinateMode::HalfPixel => "half_pixel",
                CoordinateMode::PytorchHalfPixel => "pytorch_half_pixel",
                CoordinateMode::AlignCorners => "align_corners",
                CoordinateMode::Asymmetric => "asymmetric",
                CoordinateMode::PytorchNearest => "pytorch_nearest",
                CoordinateMode::PytorchNearestExact => "pytorch_nearest_exact",
            };
            let w = w.list("shape", &op.shape).word("mode", mode).word("coordinates", coordinates);
            match &op.scales {
                Some(scales) => w.list("scales", scales),
                None => w,
            }
        }
        Op::ShapeOf(op) => w.word("start", op.start).word("end", op.end),
        Op::Iota(op) => w.word("dtype", op.dtype).list("shape", &op.shape).word("axis", op.axis),
        Op::Size(op) => w.word("dim", &op.dim),
        Op::Random(op) => w.word("stream", op.stream).list("shape", &op.shape),
        Op::Dropout(op) => {
            let w = w.word("ratio", op.ratio);
            match op.leading {
                Some(leading) => w.word("leading", leading),
                None => w,
            }
        }
        Op::ConvGradWeight(op) => w.list("kernel", &op.kernel).conv(&op.conv),
        Op::PoolGrad(op) => w.list("shape", &op.shape).pool(&op.pool),
        Op::Loop(op) => loops::write(w, op),
    };
    written.attributes
}

/// Attributes as they were read; requested ones are removed.
pub(super) struct Reader(pub Attributes);

impl Reader {
    fn take(&mut self, name: &str) -> Option<Attribute> {
        let index = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(index).1)
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(false),
            Some(Attribute::Flag) => Ok(true),
            Some(Attribute::Word(_) | Attribute::List(_)) => Err(format!("`{name}` takes no value")),
        }
    }

    fn word(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Word(word)) => Ok(Some(word)),
            Some(Attribute::Flag | Attribute::List(_)) => {
                Err(format!("`{name}` needs one value: `{name}=...`"))
            }
        }
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        usual: Option<T>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        match self.word(name)? {
            Some(word) => parse(&word).ok_or_else(|| format!("`{word}` is not a value for `{name}`")),
            None => usual.ok_or_else(|| format!("`{name}=` is missing")),
        }
    }

    pub(super) fn size(&mut self, name: &str) -> Result<usize, String> {
        self.parsed(name, None, |word| word.parse().ok())
    }

    fn float(&mut self, name: &str, usual: f32) -> Result<f32, String> {
        self.parsed(name, Some(usual), |word| word.parse().ok())
    }

    pub(super) fn list<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&Attribute) -> Option<T>,
    ) -> Result<Option<Vec<T>>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::List(items)) => {
                let parsed: Option<Vec<T>> = items.iter().map(parse).collect();
                parsed.map(Some).ok_or_else(|| format!("`{name}` has an element that is not a value for it"))
            }
            Some(Attribute::Flag | Attribute::Word(_)) => {
                Err(format!("`{name}` needs a list: `{name}=[...]`"))
            }
        }
    }

    fn sizes(&mut self, name: &str) -> Result<Option<Vec<usize>>, String> {
        self.list(name, |item| word(item)?.parse().ok())
    }

    fn dims(&mut self, name: &str) -> Result<Vec<Dim>, String> {
        self.list(name, |item| dims::parse(word(item)?))?.ok_or_else(|| format!("`{name}=[...]` is missing"))
    }

    fn pairs(&mut self, name: &str, count: usize) -> Result<Vec<[i64; 2]>, String> {
        let pair = |item: &Attribute| match item {
            Attribute::List(two) => match two.as_slice() {
                [a, b] => Some([word(a)?.parse().ok()?, word(b)?.parse().ok()?]),
                _ => None,
            },
            Attribute::Flag | Attribute::Word(_) => None,
        };
        Ok(self.list(name, pair)?.unwrap_or_else(|| vec![[0, 0]; count]))
    }
}

impl Reader {
    fn conv(&mut self, spatial: usize) -> Result<Conv, String> {
        let ones = || vec![1; spatial];
        Ok(Conv {
            strides: self.sizes("strides")?.unwrap_or_else(ones),
            pads: self.pairs("pads", spatial)?,
            dilations: self.sizes("dilations")?.unwrap_or_else(ones),
            input_dilations: self.sizes("input_dilations")?.unwrap_or_else(ones),
            groups: self.parsed("groups", Some(1), |word| word.parse().ok().filter(|n| *n > 0))?,
        })
    }

    fn pool(&mut self, kind: PoolKind) -> Result<Pool, String> {
        let kernel = self.sizes("kernel")?.ok_or("`kernel=[...]` is missing")?;
        let count = kernel.len();
        let count_include_pad = self.flag("count_include_pad")?;
        Ok(Pool {
            kind: if kind == PoolKind::Max { kind } else { PoolKind::Average { count_include_pad } },
            strides: self.sizes("strides")?.unwrap_or_else(|| vec![1; count]),
            dilations: self.sizes("dilations")?.unwrap_or_else(|| vec![1; count]),
            pads: self.pairs("pads", count)?,
            ceil_mode: self.flag("ceil_mode")?,
            kernel,
        })
    }
}

pub(super) fn word(item: &Attribute) -> Option<&str> {
    match item {
        Attribute::Word(word) => Some(word),
        Attribute::Flag | Attribute::List(_) => None,
    }
}

/// The type called `name`.
pub(super) fn dtype(name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|d| d.name() == name)
}

/// The operator `name` with `attributes`, for inputs of the given types.
pub(super) fn op(name: &str, r: &mut Reader, inputs: &[&TensorType]) -> Result<Op, String> {
    let spatial = inputs.first().map_or(0, |ty| ty.rank().saturating_sub(2));
    if let Some(op) = UnaryOp::ALL.into_iter().find(|op| op.name() == name) {
        return Ok(Op::Unary(op));
    }
    if let Some(op) = BinaryOp::ALL.into_iter().find(|op| op.name() == name) {
        return Ok(Op::Binary(op));
    }
    if let Some(kind) = ReduceKind::ALL.into_iter().find(|kind| kind.name() == name) {
        let axes = r.sizes("axes")?.ok_or("`axes=[...]` is missing")?;
        return Ok(Op::Reduce(Reduce { kind, axes, keep_dims: r.flag("keep_dims")? }));
    }
    if let Some(kind) = [ArgKind::Max, ArgKind::Min].into_iter().find(|kind| kind.name() == name) {
        let (axis, keep_dims) = (r.size("axis")?, r.flag("keep_dims")?);
        return Ok(Op::ArgReduce(ArgReduce {
            kind,
            axis,
            keep_dims,
            select_last_index: r.flag("select_last_index")?,
        }));
    }
    let average = PoolKind::Average { count_include_pad: false };
    if let Some(kind) = [PoolKind::Max, average].into_iter().find(|kind| kind.name() == name) {
        return Ok(Op::Pool(r.pool(kind)?));
    }
    Ok(match name {
        "conv" => Op::Conv(r.conv(spatial)?),
        "conv_grad_weight" => {
            let kernel = r.sizes("kernel")?.ok_or("`kernel=[...]` is missing")?;
            Op::ConvGradWeight(ConvGradWeight { conv: r.conv(spatial)?, kernel })
        }
        "max_pool_grad" => Op::PoolGrad(PoolGrad { shape: r.dims("shape")?, pool: r.pool(PoolKind::Max)? }),
        "avg_pool_grad" => Op::PoolGrad(PoolGrad { shape: r.dims("shape")?, pool: r.pool(average)? }),
        "size" => Op::Size(Size { dim: r.parsed("dim", None, dims::parse)? }),
        "random" => Op::Random(Random {
            stream: r.parsed("stream", None, |word| word.parse().ok())?,
            shape: r.dims("shape")?,
        }),
        "dropout" => Op::Dropout(Dropout {
            ratio: r.float("ratio", 0.5)?,
            leading: r
                .word("leading")?
                .map(|word| word.parse())
                .transpose()
                .map_err(|_| "`leading` is a number of dimensions".to_owned())?,
        }),
        "matmul" => {
            Op::MatMul(MatMul { transpose_a: r.flag("transpose_a")?, transpose_b: r.flag("transpose_b")? })
        }
        "batch_norm" => Op::BatchNorm(BatchNorm {
            epsilon: r.float("epsilon", 1e-5)?,
            momentum: r.float("momentum", 0.9)?,
            training: r.flag("training")?,
            frozen: r.flag("frozen")?,
            unbiased: r.flag("unbiased")?,
        }),
        "softmax" => Op::Softmax(Softmax { axis: r.size("axis")?, log: false }),
        "log_softmax" => Op::Softmax(Softmax { axis: r.size("axis")?, log: true }),
        "select" => Op::Select,
        "stop_gradient" => Op::StopGradient,
        "cast" => Op::Cast(Cast { to: r.parsed("to", None, dtype)? }),
        "reshape" => Op::Reshape(Reshape { shape: r.dims("shape")? }),
        "expand" => Op::Expand(Expand { shape: r.dims("shape")? }),
        "transpose" => Op::Transpose(Transpose { perm: r.sizes("perm")?.ok_or("`perm=[...]` is missing")? }),
        "slice" => {
            let cut = |item: &Attribute| match item {
                Attribute::List(four) => match four.as_slice() {
                    [axis, start, length, step] => Some(SliceAxis {
                        axis: word(axis)?.parse().ok()?,
                        start: dims::parse(word(start)?)?,
                        length: dims::parse(word(length)?)?,
                        step: word(step)?.parse().ok()?,
                    }),
                    _ => None,
                },
                Attribute::Flag | Attribute::Word(_) => None,
            };
            Op::Slice(Slice {
                axes: r.list("axes", cut)?.ok_or("`axes=[[axis, start, length, step]]` is missing")?,
            })
        }
        "concat" => Op::Concat(Concat { axis: r.size("axis")? }),
        "pad" => {
            let rank = inputs.first().map_or(0, |ty| ty.rank());
            let pads = r.pairs("pads", rank)?;
            let mode = match r.word("mode")?.as_deref() {
                None | Some("constant") => PadMode::Constant(r.float("value", 0.0)?),
                Some("reflect") => PadMode::Reflect,
                Some("edge") => PadMode::Edge,
                Some("wrap") => PadMode::Wrap,
                Some(other) => {
                    return Err(format!("`{other}` is not a mode; use constant, reflect, edge or wrap"));
                }
            };
            Op::Pad(Pad { pads, mode })
        }
        "gather" => Op::Gather(Gather { axis: r.size("axis")? }),
        "gather_elements" => Op::GatherElements(GatherElements { axis: r.size("axis")? }),
        "scatter" => Op::Scatter(Scatter {
            axis: r.size("axis")?,
            reduction: match r.word("reduction")? {
                None => ScatterReduction::None,
                Some(word) => ScatterReduction::ALL
                    .into_iter()
                    .find(|reduction| reduction.name() == word)
                    .ok_or_else(|| format!("`{word}` is not a reduction; use none, add, mul, max or min"))?,
            },
        }),
        "arg_sort" => Op::ArgSort(ArgSort { axis: r.size("axis")?, descending: r.flag("descending")? }),
        "nonzero" => Op::Nonzero(Nonzero { size: r.parsed("size", None, |word| word.parse().ok())? }),
        "suppress" => Op::Suppress(Suppress {
            iou_threshold: r.parsed("iou_threshold", None, |word| word.parse().ok())?,
            center: r.flag("center")?,
            most: match r.word("most")? {
                None => None,
                Some(word) => Some(word.parse().map_err(|_| format!("`{word}` is not a number of boxes"))?),
            },
        }),
        "resize" => Op::Resize(Resize {
            shape: r.dims("shape")?,
            scales: r.list("scales", |item| word(item)?.parse().ok())?,
            mode: r.parsed("mode", None, |word| {
                Some(match word {
                    "linear" => ResizeMode::Linear,
                    "round_prefer_floor" => ResizeMode::Nearest(NearestMode::RoundPreferFloor),
                    "round_prefer_ceil" => ResizeMode::Nearest(NearestMode::RoundPreferCeil),
                    "floor" => ResizeMode::Nearest(NearestMode::Floor),
                    "ceil" => ResizeMode::Nearest(NearestMode::Ceil),
                    _ => return None,
                })
            })?,
            coordinates: r.parsed("coordinates", None, |word| {
                Some(match word {
                    "half_pixel" => CoordinateMode::HalfPixel,
                    "pytorch_half_pixel" => CoordinateMode::PytorchHalfPixel,
                    "align_corners" => CoordinateMode::AlignCorners,
                    "asymmetric" => CoordinateMode::Asymmetric,
                    "pytorch_nearest" => CoordinateMode::PytorchNearest,
                    "pytorch_nearest_exact" => CoordinateMode::PytorchNearestExact,
                    _ => return None,
                })
            })?,
        }),
        "shape_of" => Op::ShapeOf(ShapeOf { start: r.size("start")?, end: r.size("end")? }),
        "iota" => Op::Iota(Iota {
            dtype: r.parsed("dtype", None, dtype)?,
            shape: r.dims("shape")?,
            axis: r.size("axis")?,
        }),
        other => return Err(format!("there is no operator `{other}`")),
    })
}
