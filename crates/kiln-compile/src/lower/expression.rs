//! The elementwise part of a kernel: reading operands wherever they lie, and computing with them.
//!
//! A kernel walks a [`Space`], the output's elements in the order of memory, and makes `width` (1 or 4) neighbours
//! at a time. For each operand there is a cheapest way to be read there: at the same place as the output is written,
//! one vector per channel, a scalar for all, a strided vector, or lane by lane. The result is a WGSL function
//! `element(i, c, acc)`: `i` counts vectors in memory order, `c` those of the fastest dimension, and `acc` is what an
//! anchor (a convolution, say) has computed.

use std::collections::BTreeSet;
use std::fmt::Write;

use kiln_graph::{DType, Dim};
use kiln_plan::{Access, Storage};

use super::context::{StorageId, View};
use super::kernel::Params;
use super::operand::{
    Four, Operand, Remap, Space, computed_scalar, functions, literal, memory_scalar, register_type,
};
use crate::layout::is_multiple;

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

/// WGSL type of `width` elements in memory, and the code that makes them of what was computed.
fn narrowed(stored: Storage, width: usize, value: &str) -> (&'static str, String) {
    let (ty, narrow) = match width {
        4 => (Four::of(stored).ty, Four::of(stored).narrow),
        _ => (memory_scalar(stored), memory_scalar(stored)),
    };
    (ty, if stored == Storage::F16 { format!("{narrow}({value})") } else { value.into() })
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

    /// Whether an operand is read at the very place the output is written.
    fn is_same(&self, n: usize, operand: &Operand) -> bool {
        if !operand.remaps.is_empty() || operand.gather.is_some() || !operand.view.base.is(0) {
            return false;
        }
        let inner = self.inner_stride(&operand.view);
        let mut step = &self.space.inner() * &Dim::from(self.space.width);
        let mut same = inner.is(1) || self.space.inner().is(1) && self.space.width == 1;
        for axis in self.axes.iter().rev() {
            same &= axis.strides[n] == step;
            step = &step * &axis.size;
        }
        same
    }

    fn inner_stride(&self, view: &View) -> Dim {
        self.space.inner_axis().map_or(Dim::from(0), |axis| view.strides[axis].clone())
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

    fn load(&mut self, n: usize, operand: &Operand, dies: bool) {
        let binding = self.first_binding + self.reads.len();
        let scalar = computed_scalar(operand.view.element);
        let width = self.space.width;
        let inner = self.inner_stride(&operand.view);
        let prefix = format!("b{n}");
        let vectors = width == 4
            && operand.gather.is_none()
            && inner.is(1)
            && is_multiple(&operand.view.base, 4)
            && self.axes.iter().all(|a| is_multiple(&a.strides[n], 4));
        let same = self.is_same(n, operand);
        let own: Vec<usize> = operand.remaps.iter().map(|(axis, ..)| *axis).collect();
        let outside = self.remap(n, operand);
        let at_once = vectors || same && width == 4;
        let in_place = same && dies && self.in_place.is_none();
        let four = Four::of(operand.view.element);
        // A single half is taken out of the word it lies in: not every device has a type for it.
        let half = operand.view.element == Storage::F16 && !in_place;
        let single = |at: &str| {
            if half { format!("half_of({prefix}[{at} >> 1u], {at})") } else { format!("{prefix}[{at}]") }
        };
        let element = match (at_once, half) {
            (true, _) => four.ty,
            (false, true) => "u32",
            (false, false) => scalar,
        };
        if in_place {
            self.in_place = Some(operand.view.storage);
        } else {
            let _ = writeln!(
                self.declarations,
                "@group(0) @binding({binding}) var<storage, read> {prefix}: array<{element}>;"
            );
            self.reads.push((operand.view.storage, Access::Read));
        }
        let value = if in_place {
            "out[i]".to_owned()
        } else if same && at_once {
            format!("{prefix}[i]")
        } else if same {
            single("i")
        } else if vectors {
            let offset = self.offset(&prefix, &operand.view.base, n, 4, &own);
            format!("{prefix}[u32({offset} + i32(c))]")
        } else {
            let offset = self.offset(&prefix, &operand.view.base, n, 1, &own);
            let _ = writeln!(self.body, "  let {prefix}_at = {offset};");
            let gather = operand.gather.as_ref().map(|(index, size, stride)| {
                self.params.int(format!("{prefix}_size"), size.clone());
                self.params.int(format!("{prefix}_step"), stride.clone());
                let zero = if width == 4 { "vec4<i32>(0)" } else { "0" };
                let given = match self.operands.get(*index) {
                    Some(DType::I64) => {
                        // An index that is out of range stays so.
                        let wide = register_type(DType::I64, width);
                        let size = format!("i64(params.{prefix}_size)");
                        let inside = format!("clamp(x{index}, {wide}(-{size} - 1li), {wide}({size}))");
                        format!("{}({inside})", register_type(DType::I32, width))
                    }
                    Some(_) | None => format!("x{index}"),
                };
                let _ = writeln!(
                    self.body,
                    "  let {prefix}_index = {given} + select({zero}, {zero} + params.{prefix}_size, {given} < {zero});"
                );
                format!("{prefix}_index")
            });
            let mut lanes = Vec::new();
            if !inner.is(0) {
                self.params.int(format!("{prefix}_lane"), inner.clone());
            }
            for lane in 0..width {
                let mut at = format!("{prefix}_at");
                if !inner.is(0) {
                    let element = if width == 4 { format!("(i32(c) * 4 + {lane})") } else { "i32(c)".into() };
                    let _ = write!(at, " + {element} * params.{prefix}_lane");
                }
                if let Some(index) = &gather {
                    let part = if width == 4 { format!("{index}[{lane}]") } else { index.clone() };
                    let _ = write!(at, " + {part} * params.{prefix}_step");
                }
                if half {
                    let _ = writeln!(self.body, "  let {prefix}_at_{lane} = u32({at});");
                    lanes.push(single(&format!("{prefix}_at_{lane}")));
                } else {
                    lanes.push(single(&format!("u32({at})")));
                }
            }
            if width == 1 {
                lanes.concat()
            } else if inner.is(0) && gather.is_none() {
                format!("vec4<{scalar}>({})", lanes[0])
            } else {
                format!("vec4<{scalar}>({})", lanes.join(", "))
            }
        };
        let ty = register_type(operand.dtype, width);
        let value = match operand.dtype {
            DType::F16 if at_once => format!("{}({value})", four.wide),
            DType::F16 if in_place => format!("{ty}({value})"),
            DType::Bool => {
                format!("{value} != {}", if width == 4 { "vec4<u32>(0u)" } else { "0u" })
            }
            _ => value,
        };
        match outside {
            Some((inside, fill)) => {
                let fill = literal(operand.dtype, f64::from(fill), width);
                let _ =
                    writeln!(self.body, "  var x{n}: {ty} = {fill};\n  if {inside} {{ x{n} = {value}; }}");
            }
            None => {
                let _ = writeln!(self.body, "  let x{n}: {ty} = {value};");
            }
        }
    }

    /// Computes changed coordinates; gives the condition for being inside and the value outside, if there is one.
    fn remap(&mut self, n: usize, operand: &Operand) -> Option<(String, f32)> {
        let mut inside = Vec::new();
        let mut fill = None;
        for (axis, size, remap) in &operand.remaps {
            let Some(j) = self.axes.iter().position(|a| a.remapped == Some(*axis)) else { continue };
            self.needs_coordinates = true;
            self.params.int(format!("b{n}_n{j}"), size.clone());
            let (name, size) = (format!("b{n}_k{j}"), format!("params.b{n}_n{j}"));
            let (Remap::Constant { before, .. }
            | Remap::Reflect { before }
            | Remap::Edge { before }
            | Remap::Wrap { before }) = remap;
            self.params.int(format!("b{n}_p{j}"), *before);
            let moved = format!("k{j} - params.b{n}_p{j}");
            let expression = match remap {
                Remap::Constant { value, .. } => {
                    inside.push(format!("{name} >= 0 && {name} < {size}"));
                    fill = Some(*value);
                    moved
                }
                // For sizes of at least two: the distance to the nearest multiple of 2*(size-1).
                Remap::Reflect { .. } => {
                    format!(
                        "({size} - 1) - abs(({size} - 1) - abs({moved}) % (2 * ({size} - 1) + i32({size} == 1)))"
                    )
                }
                Remap::Edge { .. } => format!("clamp({moved}, 0, {size} - 1)"),
                Remap::Wrap { .. } => format!("({moved} + {size}) % {size}"),
            };
            let _ = writeln!(self.body, "  let {name} = {expression};");
        }
        fill.map(|value| (inside.join(" && "), value))
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

    /// The function `place`.
    fn place(&mut self, view: &View, n: usize) -> String {
        let unit = if self.space.width == 4 { 4 } else { 1 };
        let inner = self.inner_stride(view);
        let offset = self.offset("from", &view.base, n, unit, &[]);
        let lane = if self.space.width == 4 || inner.is(1) {
            "i32(c)".to_owned()
        } else {
            self.params.int("from_lane", inner);
            "i32(c) * params.from_lane".to_owned()
        };
        let coordinates = self.coordinates();
        format!("fn place(i: u32, c: u32) -> u32 {{\n{coordinates}  return u32({offset} + {lane});\n}}\n")
    }

    /// The function `store` for another place than `i`, and the type of the elements of `out`.
    fn store(&mut self, view: &View, n: usize, ty: &str, stored: Storage) -> (String, String) {
        let width = self.space.width;
        let inner = self.inner_stride(view);
        let vectors = width == 4
            && inner.is(1)
            && is_multiple(&view.base, 4)
            && self.axes.iter().all(|a| is_multiple(&a.strides[n], 4));
        let offset = self.offset("to", &view.base, n, if vectors { 4 } else { 1 }, &[]);
        let coordinates = self.coordinates();
        let head = format!("fn store(i: u32, c: u32, value: {ty}) {{\n{coordinates}");
        if vectors {
            let (out, value) = narrowed(stored, 4, "value");
            return (format!("{head}  out[u32({offset} + i32(c))] = {value};\n}}\n"), out.into());
        }
        let step = if inner.is(1) {
            String::new()
        } else {
            self.params.int("to_lane", inner);
            " * params.to_lane".to_owned()
        };
        if width == 1 {
            let (out, value) = narrowed(stored, 1, "value");
            return (format!("{head}  out[u32({offset} + i32(c){step})] = {value};\n}}\n"), out.into());
        }
        // Lanes that are padding have no place there.
        let partial = !is_multiple(&self.space.valid, 4);
        if partial && !self.params.has("valid") {
            self.params.uint("valid", self.space.valid.clone());
        }
        let mut code = format!("{head}  let at = {offset};\n");
        for lane in 0..4 {
            let guard = if partial && lane > 0 {
                format!("if c * 4u + {lane}u < params.valid {{ ")
            } else {
                String::new()
            };
            let end = if guard.is_empty() { "" } else { " }" };
            let (_, value) = narrowed(stored, 1, &format!("value[{lane}]"));
            let _ = writeln!(code, "  {guard}out[u32(at + (i32(c) * 4 + {lane}){step})] = {value};{end}");
        }
        (code + "}\n", memory_scalar(stored).into())
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
