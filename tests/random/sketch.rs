//! A graph that grows, with what is known of its values.
//!
//! Each node is evaluated as it is added, in f32 and in f64. What comes of it decides whether it may stay: numbers are
//! to stay finite and small, the two precisions have to agree, and functions with jumps have to be far from them. So
//! whatever is computed elsewhere can be compared.

use std::collections::BTreeMap;

use kiln::Graph;
use kiln::graph::ops::BinaryOp;
use kiln::graph::{Bindings, DType, Data, Dim, Op, Precision, Tensor, TensorType, ValueId};

use crate::dice::Dice;
use crate::jumps;

/// Larger floating point numbers do not occur.
const LARGEST: f64 = 50.0;
/// Larger tensors do not occur.
const ELEMENTS: usize = 1 << 14;
/// Symbols, what they are when a graph is made, and the most they could be: the batch, and another size.
pub(crate) const SYMBOLS: [(&str, i64, u32); 2] = [("N", 3, 5), ("M", 4, 6)];

/// The most that the symbols of a graph could be.
pub(crate) fn largest(graph: &Graph) -> BTreeMap<String, u32> {
    let own = graph.symbols();
    let all = SYMBOLS.into_iter().filter(|(name, ..)| own.iter().any(|symbol| **symbol == **name));
    all.map(|(name, _, most)| (name.to_owned(), most)).collect()
}

/// Place of a value in [`Sketch::values`].
pub(crate) type At = usize;

/// A value of the graph, with what it is for the inputs at hand.
pub(crate) struct Known {
    pub id: ValueId,
    pub dtype: DType,
    pub dims: Vec<Dim>,
    pub sizes: Vec<usize>,
    pub single: Tensor,
    pub double: Tensor,
    /// Of 64-bit integers: what the compiler can know of them.
    range: (i64, i64),
    /// Whether it was rounded to 16 bits on the way.
    coarse: bool,
}

impl Known {
    pub(crate) fn rank(&self) -> usize {
        self.sizes.len()
    }

    pub(crate) fn is_float(&self) -> bool {
        self.dtype == DType::F32
    }

    pub(crate) fn len(&self) -> usize {
        self.single.len()
    }

    pub(crate) fn numbers(&self) -> Vec<f64> {
        self.double.to_f64()
    }

    /// The largest magnitude.
    pub(crate) fn largest(&self) -> f64 {
        self.numbers().iter().fold(0.0, |m, x| m.max(x.abs()))
    }
}

pub(crate) struct Sketch {
    pub graph: Graph,
    pub inputs: BTreeMap<String, Tensor>,
    pub values: Vec<Known>,
    pub symbols: Bindings,
    /// Whether kinks are to be avoided like jumps, so that the graph can be differentiated numerically.
    pub smooth: bool,
    /// Whether there are numbers of 64 bits, which not every device computes with.
    pub wide: bool,
}

impl Sketch {
    pub(crate) fn new(smooth: bool) -> Self {
        let symbols = SYMBOLS.into_iter().map(|(name, usual, _)| (name.into(), usual)).collect();
        Self {
            graph: Graph::new("random"),
            inputs: BTreeMap::new(),
            values: vec![],
            symbols,
            smooth,
            wide: false,
        }
    }

    /// Numbers between -1 and 1, other ones each time.
    pub(crate) fn noise(&self, count: usize) -> Vec<f64> {
        let mut state = self.values.len() as u64 + 1;
        let mut next = || {
            // SplitMix64 (Steele, Lea and Flood 2014).
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// An input of the graph.
    pub(crate) fn input(&mut self, dtype: DType, dims: Vec<Dim>) -> At {
        let sizes: Vec<usize> = dims
            .iter()
            .map(|d| usize::try_from(d.eval(&self.symbols).expect("the batch")).expect("a size"))
            .collect();
        let noise = self.noise(sizes.iter().product());
        let small = || noise.iter().map(|x| (x * 9.0).round());
        let data = match dtype {
            DType::F32 => Data::F32(noise.iter().map(|x| (x * 2.0) as f32).collect()),
            DType::I32 => Data::I32(small().map(|x| x as i32).collect()),
            DType::I64 => Data::I64(small().map(|x| x as i64).collect()),
            DType::Bool => Data::Bool(noise.iter().map(|x| *x > 0.0).collect()),
            other => unreachable!("no inputs of {other} are drawn"),
        };
        let tensor = Tensor::new(sizes, data).expect("as many as the shape says");
        let name = format!("x{}", self.inputs.len());
        let id = self.graph.input(name.clone(), TensorType::new(dtype, dims)).expect("a new name");
        self.inputs.insert(name, tensor.clone());
        self.known(id, tensor.clone(), tensor, (i32::MIN.into(), i32::MAX.into()), false)
    }

    pub(crate) fn constant(&mut self, tensor: Tensor) -> At {
        let id = self.graph.constant(format!("c{}", self.values.len()), tensor.clone());
        let ints = tensor.to_ints().unwrap_or_default();
        let range = (ints.iter().min().copied().unwrap_or(0), ints.iter().max().copied().unwrap_or(0));
        self.known(id, tensor.clone(), tensor, range, false)
    }

    /// Numbers between `-scale` and `scale`: a constant or a state.
    pub(crate) fn weights(&mut self, dice: &mut Dice<'_>, sizes: &[usize], scale: f64, shift: f64) -> At {
        let noise = self.noise(sizes.iter().product());
        let data = noise.into_iter().map(|x| (x * scale + shift) as f32).collect();
        let tensor = Tensor::f32(sizes, data).expect("as many as the shape says");
        if dice.odds(50) {
            let id = self.graph.state(format!("w{}", self.values.len()), tensor.clone()).expect("a new name");
            return self.known(id, tensor.clone(), tensor, (0, 0), false);
        }
        self.constant(tensor)
    }

    fn known(&mut self, id: ValueId, single: Tensor, double: Tensor, range: (i64, i64), coarse: bool) -> At {
        let ty = self.graph.ty(id);
        let (dtype, dims) = (ty.dtype, ty.shape.clone());
        let double = Precision::F64.hold(&double);
        let sizes = single.shape().to_vec();
        self.values.push(Known { id, dtype, dims, sizes, single, double, range, coarse });
        self.values.len() - 1
    }

    /// Adds a node, unless something speaks against it.
    pub(crate) fn apply(&mut self, op: Op, inputs: &[At]) -> Option<At> {
        if jumps::near(&op, &inputs.iter().map(|at| &self.values[*at]).collect::<Vec<_>>(), self.smooth) {
            return None;
        }
        let coarse = inputs.iter().any(|at| self.values[*at].coarse);
        if coarse && jumps::has(&op) {
            return None;
        }
        let range = self.range(&op, inputs);
        let singles: Vec<&Tensor> = inputs.iter().map(|at| &self.values[*at].single).collect();
        let doubles: Vec<&Tensor> = inputs.iter().map(|at| &self.values[*at].double).collect();
        let single = op.evaluate(&singles, Precision::F32, &self.symbols).ok()?.into_iter().next()?;
        let double = op.evaluate(&doubles, Precision::F64, &self.symbols).ok()?.into_iter().next()?;
        let elements = if self.smooth { ELEMENTS / 32 } else { ELEMENTS };
        if single.len() > elements || single.is_empty() {
            return None;
        }
        let coarse = coarse || single.dtype() == DType::F16;
        let (a, b) = (single.to_f64(), double.to_f64());
        let apart = if coarse { 5e-3 } else { 1e-5 };
        let largest = b.iter().fold(1f64, |m, x| m.max(x.abs()));
        let tame = |(a, b): (&f64, &f64)| match single.dtype().is_float() {
            true => b.abs() <= LARGEST && (a - b).abs() <= apart * largest,
            false => a == b,
        };
        if !a.iter().zip(&b).all(tame) {
            return None;
        }
        if single.dtype() == DType::I64
            && !self.wide
            && (range.0 < i32::MIN.into() || range.1 > i32::MAX.into())
        {
            return None;
        }
        let ids: Vec<ValueId> = inputs.iter().map(|at| self.values[*at].id).collect();
        let name = format!("{}{}", op.name(), self.graph.nodes().len());
        let id = self.graph.apply1(name, op, &ids).ok()?;
        Some(self.known(id, single, double, range, coarse))
    }

    /// What the compiler will know of integers; only of those of 64 bits does it matter.
    fn range(&self, op: &Op, inputs: &[At]) -> (i64, i64) {
        const ANY: (i64, i64) = (i64::MIN, i64::MAX);
        let of = |i: usize| inputs.get(i).map_or(ANY, |at| self.values[*at].range);
        let union = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        let corners = |f: fn(i64, i64) -> i64| {
            let (a, b) = (of(0), of(1));
            let all = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
            (all.into_iter().min().unwrap_or(0), all.into_iter().max().unwrap_or(0))
        };
        match op {
            Op::Binary(BinaryOp::Add) => corners(i64::saturating_add),
            Op::Binary(BinaryOp::Sub) => corners(i64::saturating_sub),
            Op::Binary(BinaryOp::Mul) => corners(i64::saturating_mul),
            Op::Binary(BinaryOp::Min | BinaryOp::Max | BinaryOp::ClampMin | BinaryOp::ClampMax) => {
                union(of(0), of(1))
            }
            Op::Select => union(of(1), of(2)),
            Op::Iota(_) | Op::ShapeOf(_) | Op::ArgReduce(_) | Op::ArgSort(_) => (0, 1 << 14),
            Op::Concat(_) => inputs.iter().map(|at| self.values[*at].range).reduce(union).unwrap_or(ANY),
            Op::Pad(_) => union(of(0), (0, 0)),
            Op::Cast(_) if self.values[inputs[0]].dtype.is_float() => ANY,
            Op::Cast(_) if self.values[inputs[0]].dtype == DType::Bool => (0, 1),
            Op::Cast(_) if self.values[inputs[0]].dtype == DType::I32 => (i32::MIN.into(), i32::MAX.into()),
            Op::Cast(_)
            | Op::Reshape(_)
            | Op::Expand(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Gather(_)
            | Op::GatherElements(_) => of(0),
            _ => ANY,
        }
    }

    /// A value that fits, rather a late one than an early one.
    pub(crate) fn pick(&self, dice: &mut Dice<'_>, fits: impl Fn(&Known) -> bool) -> Option<At> {
        let all: Vec<At> = (0..self.values.len()).rev().filter(|at| fits(&self.values[*at])).collect();
        if all.is_empty() {
            return None;
        }
        let among = if dice.odds(30) { all.len() } else { all.len().min(3) };
        Some(all[dice.below(among)])
    }

    /// Makes small what is not: by `tanh`.
    pub(crate) fn squash(&mut self, x: At, most: f64) -> Option<At> {
        if self.values[x].largest() <= most {
            return Some(x);
        }
        self.apply(Op::Unary(kiln::graph::ops::UnaryOp::Tanh), &[x])
    }
}
