//! The elementwise part of a kernel: reading operands wherever they lie, and computing with them.
//!
//! A kernel walks a [`Space`], the output's elements in the order of memory, and makes `width` (1 or 4) neighbours
//! at a time. For each operand there is a cheapest way to be read there: at the same place as the output is written,
//! one vector per channel, a scalar for all, a strided vector, or lane by lane. The result is a WGSL function
//! `element(i, c, acc)`: `i` counts vectors in memory order, `c` those of the fastest dimension, and `acc` is what an
//! anchor (a convolution, say) has computed.

mod load;
mod store;

use std::collections::BTreeSet;
use std::fmt::Write;

use kiln_graph::{DType, Dim};
use kiln_plan::{Access, Storage};

use super::context::{StorageId, View};
use super::kernel::Params;
use super::operand::{Operand, Space, computed_scalar, functions, register_type};
use crate::layout::is_multiple;
use store::narrowed;

/// Where a kernel reads and writes besides its operands and the places of its own output.
#[derive(Clone, Copy, Default)]
pub struct Ends<'a> {
    /// What an anchor walks along: a function `place(i, c)` finds the first element that belongs to a result.
    pub source: Option<&'a View>,
    /// Where results go, if not to place `i` of a tensor of their own.
    pub destination: Option<&'a View>,
    /// Whether results are not stored at all, but used on the spot.
    pub transient: bool,
}

impl<'a> Ends<'a> {
    fn views(self) -> impl Iterator<Item = &'a View> {
        self.source.into_iter().chain(self.destination)
    }
}

/// One dimension of the space other than the fastest, possibly several merged into one.
struct Axis {
    size: Dim,
    /// Stride for each operand, then for the source and the destination.
    strides: Vec<Dim>,
    /// The logical dimension, where an operand changes its coordinate (then it is not merged).
    remapped: Option<usize>,
}

/// The function `element` in the making.
pub struct Element {
    space: Space,
    first_binding: usize,
    /// The parameters it needs.
    pub params: Params,
    /// Memory it reads, in binding order.
    pub reads: Vec<(StorageId, Access)>,
    declarations: String,
    body: String,
    /// Functions of `functions.wgsl` it calls.
    pub used: BTreeSet<&'static str>,
    needs_coordinates: bool,
    axes: Vec<Axis>,
    /// The types of the operands.
    operands: Vec<DType>,
    count: usize,
    in_place: Option<StorageId>,
}

impl Element {
    /// Starts a function that reads `operands`; their storage bindings begin at `first_binding`. The first of the operands numbered in `dying` that is read where
    /// the result is written is overwritten by it.
    pub fn new(
        space: Space,
        operands: &[Operand],
        ends: Ends<'_>,
        first_binding: usize,
        dying: &[usize],
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
        this.axes = this.merged_axes(operands, ends);
        for (n, operand) in operands.iter().enumerate() {
            this.load(n, operand, dying.contains(&n));
        }
        this
    }

    /// The dimensions of the space, slowest first, without the fastest; neighbours that all operands stride through
    /// as through one dimension are merged.
    fn merged_axes(&self, operands: &[Operand], ends: Ends<'_>) -> Vec<Axis> {
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
                .chain(ends.views())
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

    fn inner_stride(&self, view: &View) -> Dim {
        self.space.inner_axis().map_or(Dim::from(0), |axis| view.strides[axis].clone())
    }

    /// Whether the four elements that are made at a time lie side by side, and aligned, in view `n`.
    fn lies_in_fours(&self, n: usize, view: &View) -> bool {
        self.space.width == 4
            && self.inner_stride(view).is(1)
            && is_multiple(&view.base, 4)
            && self.axes.iter().all(|axis| is_multiple(&axis.strides[n], 4))
    }

    /// `base + k0*s0 + ..` for operand (or output) `n`, with strides divided by `unit`.
    /// `own` are the dimensions whose coordinate the operand changes.
    fn offset(&mut self, prefix: &str, base: &Dim, n: usize, unit: i64, own: &[usize]) -> String {
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
    pub fn define(&mut self, dtype: DType, expression: &str) -> String {
        let name = format!("v{}", self.count);
        self.count += 1;
        let ty = register_type(dtype, self.space.width);
        let _ = writeln!(self.body, "  let {name}: {ty} = {expression};");
        name
    }

    /// A size as a number.
    pub fn size(&mut self, dim: &Dim) -> String {
        let used = (0..).map(|n| format!("size_{n}")).find(|name| !self.params.has(name));
        let name = used.unwrap_or_default();
        self.params.int(name.clone(), dim.clone());
        format!("{}(f32(params.{name}))", register_type(DType::F32, self.space.width))
    }

    /// The width of the space.
    pub fn width(&self) -> usize {
        self.space.width
    }

    /// Finishes the function: it returns `result`, of type `dtype`, with padding zeroed, as it is `stored`. `acc` is the
    /// type of what an anchor computes.
    pub fn finish(
        mut self,
        result: &str,
        dtype: DType,
        stored: Storage,
        acc: DType,
        ends: Ends<'_>,
    ) -> Finished {
        let width = self.space.width;
        let mut value = result.to_owned();
        if dtype == DType::Bool {
            value = if width == 4 {
                format!("select(vec4<u32>(0u), vec4<u32>(1u), {value})")
            } else {
                format!("select(0u, 1u, {value})")
            };
        }
        let scalar = computed_scalar(stored);
        let ty = if width == 4 { format!("vec4<{scalar}>") } else { scalar.to_owned() };
        let padded = if width == 4 {
            !is_multiple(&self.space.valid, 4)
        } else {
            self.space.inner() != self.space.valid
        };
        if padded {
            self.params.uint("valid", self.space.valid.clone());
            value = if width == 4 {
                format!(
                    "select({ty}(), {value}, vec4<u32>(c * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.valid))"
                )
            } else {
                format!("select({ty}(), {value}, c < params.valid)")
            };
        }
        let (source, destination) = self.ends(ends);
        let (store, out) = match (ends.destination, destination) {
            (Some(view), Some(n)) => self.store(view, n, &ty, stored),
            _ => {
                let (out, value) = narrowed(stored, width, "value");
                (format!("fn store(i: u32, c: u32, value: {ty}) {{\n  out[i] = {value};\n}}\n"), out.into())
            }
        };
        let place = match (ends.source, source) {
            (Some(view), Some(n)) => self.place(view, n),
            _ => String::new(),
        };
        let coordinates = if self.needs_coordinates { self.coordinates() } else { String::new() };
        let element = format!(
            "fn element(i: u32, c: u32, acc: {}) -> {ty} {{\n{coordinates}{}  return {value};\n}}\n",
            register_type(acc, width),
            self.body
        );
        Finished {
            params: self.params,
            reads: self.reads,
            declarations: self.declarations,
            element,
            place,
            store,
            used: self.used.into_iter().collect(),
            stored: out,
            width,
            in_place: self.in_place,
        }
    }

    /// The numbers of the source and the destination among the strides.
    fn ends(&self, ends: Ends<'_>) -> (Option<usize>, Option<usize>) {
        let first = self.operands.len();
        let source = ends.source.map(|_| first);
        (source, ends.destination.map(|_| first + usize::from(source.is_some())))
    }

    /// The coordinates of the merged dimensions.
    fn coordinates(&mut self) -> String {
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

/// A complete `element` function.
#[derive(Clone)]
pub struct Finished {
    /// Parameters.
    pub params: Params,
    /// Memory it reads, in binding order.
    pub reads: Vec<(StorageId, Access)>,
    /// Declarations of the bindings.
    pub declarations: String,
    /// The function `element`.
    pub element: String,
    /// The function `place`, if there is a source.
    pub place: String,
    /// The function `store`.
    pub store: String,
    /// Names of functions it calls.
    pub used: Vec<&'static str>,
    /// WGSL type of the elements of the output.
    pub stored: String,
    /// Elements at a time.
    pub width: usize,
    /// The memory that is to become the output's, because the kernel reads a dying operand from there.
    pub in_place: Option<StorageId>,
}

impl Finished {
    /// Values for the holes every template with an elementwise part has.
    pub fn holes(&self) -> minijinja::Value {
        minijinja::context! {
            element => &self.element,
            place => &self.place,
            store => &self.store,
            stored => &self.stored,
            operands => &self.declarations,
            ..functions(self.width, &self.used)
        }
    }
}
