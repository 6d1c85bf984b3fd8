//! The elementwise part of a kernel under construction: its parameters, bindings and the body of its function.
//!
//! A kernel iterates over an [`IterationSpace`], the output's elements in the order of memory, and computes `width` (1 or
//! 4) neighbours at a time. The result is a WGSL function `element(i, c, acc)`: `i` counts vectors in memory order, `c`
//! those of the fastest dimension, and `acc` is what an anchor (a convolution, say) has computed. [`load`](super::load)
//! reads the operands, [`elementwise`](super::elementwise) computes, [`store`](super::store) finishes the function.

use std::collections::BTreeSet;
use std::fmt::Write;

use kiln_graph::{DType, Dim};
use kiln_plan::Access;

use super::operand::Operand;
use super::params::Params;
use super::space::IterationSpace;
use crate::element::register_type;
use crate::layout::is_multiple;
use crate::memory::buffer::{BufferId, View};

/// Where a kernel reads and writes besides its operands and the places of its own output.
#[derive(Clone, Copy, Default)]
pub(crate) struct Addressing<'a> {
    /// What an anchor iterates along: a function `place(i, c)` finds the first element that belongs to a result.
    pub source: Option<&'a View>,
    /// Where results go, if not to place `i` of a tensor of their own.
    pub destination: Option<&'a View>,
    /// Whether results are not stored at all, but used on the spot.
    pub transient: bool,
}

impl<'a> Addressing<'a> {
    fn views(self) -> impl Iterator<Item = &'a View> {
        self.source.into_iter().chain(self.destination)
    }
}

/// One dimension of the space other than the fastest, possibly several merged into one.
pub(super) struct Axis {
    pub(super) size: Dim,
    /// Stride for each operand, then for the source and the destination.
    pub(super) strides: Vec<Dim>,
    /// The logical dimension, where an operand changes its coordinate (then it is not merged).
    pub(super) remapped: Option<usize>,
}

/// The function `element` under construction.
pub(crate) struct Expression {
    pub(super) space: IterationSpace,
    pub(super) first_binding: usize,
    /// The parameters it needs.
    pub params: Params,
    /// Memory it reads, in binding order.
    pub reads: Vec<(BufferId, Access)>,
    pub(super) declarations: String,
    pub(super) body: String,
    /// Functions of `functions.wgsl` it calls.
    pub used: BTreeSet<&'static str>,
    pub(super) needs_coordinates: bool,
    pub(super) axes: Vec<Axis>,
    /// The types of the operands.
    pub(super) operands: Vec<DType>,
    pub(super) count: usize,
    pub(super) in_place: Option<BufferId>,
}

impl Expression {
    /// A function that reads nothing yet of `operands`, whose storage bindings will begin at `first_binding`.
    pub(super) fn empty(
        space: IterationSpace,
        operands: &[Operand],
        addressing: Addressing<'_>,
        first_binding: usize,
    ) -> Self {
        let mut this = Self {
            first_binding,
            params: Params::default(),
            reads: Vec::new(),
            declarations: String::new(),
            body: String::new(),
            used: BTreeSet::new(),
            needs_coordinates: false,
            axes: Vec::new(),
            operands: operands.iter().map(|operand| operand.dtype).collect(),
            count: 0,
            in_place: None,
            space,
        };
        this.axes = this.merged_axes(operands, addressing);
        this
    }

    /// The dimensions of the space, slowest first, without the fastest; neighbours that all operands stride through
    /// as through one dimension are merged.
    fn merged_axes(&self, operands: &[Operand], addressing: Addressing<'_>) -> Vec<Axis> {
        let mut axes: Vec<Axis> = Vec::new();
        let slow = self.space.order.len().saturating_sub(1);
        for axis in &self.space.order[..slow] {
            let size = self.space.shape[*axis].clone();
            let remapped = operands.iter().any(|o| o.remaps.iter().any(|(a, ..)| a == axis)).then_some(*axis);
            if size.is(1) && remapped.is_none() {
                continue;
            }
            let strides: Vec<Dim> = operands
                .iter()
                .map(|o| &o.view)
                .chain(addressing.views())
                .map(|v| v.strides[*axis].clone())
                .collect();
            if let Some(outer) = axes.last_mut().filter(|a| a.remapped.is_none() && remapped.is_none())
                && outer.strides.iter().zip(&strides).all(|(o, s)| *o == s * &size)
            {
                outer.size = &outer.size * &size;
                outer.strides = strides;
                continue;
            }
            axes.push(Axis { size, strides, remapped });
        }
        axes
    }

    pub(super) fn inner_stride(&self, view: &View) -> Dim {
        self.space.inner_axis().map_or(Dim::from(0), |axis| view.strides[axis].clone())
    }

    /// Whether the four elements that are computed at a time are neighbours, and aligned, in view `n`.
    pub(super) fn is_vectorized(&self, n: usize, view: &View) -> bool {
        self.space.width == 4
            && self.inner_stride(view).is(1)
            && is_multiple(&view.base, 4)
            && self.axes.iter().all(|axis| is_multiple(&axis.strides[n], 4))
    }

    /// `base + k0*s0 + ..` for operand (or output) `n`, with strides divided by `unit`.
    /// `own` are the dimensions whose coordinate the operand changes.
    pub(super) fn offset(&mut self, prefix: &str, base: &Dim, n: usize, unit: i64, own: &[usize]) -> String {
        let divide = |dim: &Dim| dim.exact_div(&unit.into()).unwrap_or_else(|| dim.clone());
        let mut terms = Vec::new();
        if !base.is(0) {
            self.params.int(format!("{prefix}_base"), divide(base));
            terms.push(format!("params.{prefix}_base"));
        }
        for j in 0..self.axes.len() {
            let stride = self.axes[j].strides[n].clone();
            if stride.is(0) {
                continue;
            }
            self.needs_coordinates = true;
            let coordinate = match self.axes[j].remapped {
                Some(axis) if own.contains(&axis) => format!("{prefix}_k{j}"),
                Some(_) | None => format!("k{j}"),
            };
            self.params.int(format!("{prefix}_s{j}"), divide(&stride));
            terms.push(format!("{coordinate} * params.{prefix}_s{j}"));
        }
        if terms.is_empty() { "0".into() } else { terms.join(" + ") }
    }

    /// Adds a computation and gives it a name.
    pub(crate) fn define(&mut self, dtype: DType, expression: &str) -> String {
        let name = format!("v{}", self.count);
        self.count += 1;
        let ty = register_type(dtype, self.space.width);
        let _ = writeln!(self.body, "  let {name}: {ty} = {expression};");
        name
    }

    /// A size as a number.
    pub(crate) fn size(&mut self, dim: &Dim) -> String {
        let used = (0..).map(|n| format!("size_{n}")).find(|name| !self.params.has(name));
        let name = used.unwrap_or_default();
        self.params.int(name.clone(), dim.clone());
        format!("{}(f32(params.{name}))", register_type(DType::F32, self.space.width))
    }

    /// The width of the space.
    pub(crate) fn width(&self) -> usize {
        self.space.width
    }

    /// The coordinates of the merged dimensions.
    pub(super) fn coordinates(&mut self) -> String {
        let mut code = String::from("  var rest = i / params.inner;\n");
        for j in (0..self.axes.len()).rev() {
            if j == 0 {
                let _ = writeln!(code, "  let k0 = i32(rest);");
            } else {
                let name = format!("n{j}");
                if !self.params.has(&name) {
                    self.params.uint(name, self.axes[j].size.clone());
                }
                let _ = writeln!(code, "  let k{j} = i32(rest % params.n{j});\n  rest = rest / params.n{j};");
            }
        }
        code
    }
}
