//! Loads of the operands of an expression.
//!
//! For each operand there is a cheapest way to be read: at the same place as the output is written, one vector per
//! channel, a scalar for all, a strided vector, or lane by lane.

use std::fmt::Write;

use kiln_graph::{DType, Dim};
use kiln_plan::{Access, Storage};

use super::expression::{Addressing, Expression};
use super::operand::{Operand, Remap};
use super::space::IterationSpace;
use crate::element::{Vec4Access, computed_scalar, literal, memory_scalar, register_type};

/// WGSL type of elements in memory that are read one by one. Halves are taken out of the words they lie in: not every
/// device has a type for them.
fn single_type(element: Storage) -> &'static str {
    if element == Storage::F16 { "u32" } else { memory_scalar(element) }
}

/// Expression `at` of a buffer of [`single_type`].
fn single(element: Storage, buffer: &str, at: &str) -> String {
    match element {
        Storage::F16 => format!("half_of({buffer}[{at} >> 1u], {at})"),
        _ => format!("{buffer}[{at}]"),
    }
}

impl Expression {
    /// Starts a function that reads `operands`; their storage bindings begin at `first_binding`. The first of the
    /// operands numbered in `dying` that is read where the result is written is overwritten by it.
    pub(crate) fn new(
        space: IterationSpace,
        operands: &[Operand],
        addressing: Addressing<'_>,
        first_binding: usize,
        dying: &[usize],
    ) -> Self {
        let mut this = Self::empty(space, operands, addressing, first_binding);
        for (n, operand) in operands.iter().enumerate() {
            this.load(n, operand, dying.contains(&n));
        }
        this
    }

    /// Declares operand `n`, and reads it as `x{n}`.
    fn load(&mut self, n: usize, operand: &Operand, dies: bool) {
        let binding = self.first_binding + self.reads.len();
        let width = self.space.width;
        let prefix = format!("b{n}");
        let vectors = operand.gather.is_none() && self.is_vectorized(n, &operand.view);
        let same = self.is_same(n, operand);
        let own: Vec<usize> = operand.remaps.iter().map(|(axis, ..)| *axis).collect();
        let outside = self.remap(n, operand);
        let at_once = vectors || same && width == 4;
        let in_place = same && dies && self.in_place.is_none();
        let access = Vec4Access::of(operand.view.element);
        if in_place {
            self.in_place = Some(operand.view.buffer);
        } else {
            let element = if at_once { access.ty } else { single_type(operand.view.element) };
            let _ = writeln!(
                self.declarations,
                "@group(0) @binding({binding}) var<storage, read> {prefix}: array<{element}>;"
            );
            self.reads.push((operand.view.buffer, Access::Read));
        }
        let value = if in_place {
            "out[i]".to_owned()
        } else if same && at_once {
            format!("{prefix}[i]")
        } else if same {
            single(operand.view.element, &prefix, "i")
        } else if vectors {
            let offset = self.offset(&prefix, &operand.view.base, n, 4, &own);
            format!("{prefix}[u32({offset} + i32(c))]")
        } else {
            let offset = self.offset(&prefix, &operand.view.base, n, 1, &own);
            let _ = writeln!(self.body, "  let {prefix}_at = {offset};");
            self.singles(&prefix, operand)
        };
        let ty = register_type(operand.dtype, width);
        let value = match (operand.dtype, operand.view.element) {
            (_, Storage::F16) if at_once => format!("{}({value})", access.wide),
            (_, Storage::F16) if in_place => format!("{ty}({value})"),
            (DType::Bool, _) => {
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

    /// The elements of an operand that do not lie side by side, from `{prefix}_at` on.
    fn singles(&mut self, prefix: &str, operand: &Operand) -> String {
        let (width, element) = (self.space.width, operand.view.element);
        let index = self.index(prefix, operand);
        let inner = self.inner_stride(&operand.view);
        let strided = !inner.is(0);
        if strided {
            self.params.int(format!("{prefix}_lane"), inner);
        }
        let mut lanes = Vec::new();
        for lane in 0..width {
            let mut at = format!("{prefix}_at");
            if strided {
                let place = if width == 4 { format!("(i32(c) * 4 + {lane})") } else { "i32(c)".into() };
                let _ = write!(at, " + {place} * params.{prefix}_lane");
            }
            if let Some(index) = &index {
                let part = if width == 4 { format!("{index}[{lane}]") } else { index.clone() };
                let _ = write!(at, " + {part} * params.{prefix}_step");
            }
            if element == Storage::F16 {
                // It is needed twice.
                let _ = writeln!(self.body, "  let {prefix}_at_{lane} = u32({at});");
                lanes.push(single(element, prefix, &format!("{prefix}_at_{lane}")));
            } else {
                lanes.push(single(element, prefix, &format!("u32({at})")));
            }
        }
        let scalar = computed_scalar(element);
        if width == 1 {
            lanes.concat()
        } else if !strided && index.is_none() {
            format!("vec4<{scalar}>({})", lanes[0])
        } else {
            format!("vec4<{scalar}>({})", lanes.join(", "))
        }
    }

    /// The name of the index that another operand holds for this one, if one does; negative ones count from the end.
    fn index(&mut self, prefix: &str, operand: &Operand) -> Option<String> {
        let width = self.space.width;
        let (index, size, stride) = operand.gather.as_ref()?;
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
        Some(format!("{prefix}_index"))
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

    /// Computes changed coordinates; gives the condition for being inside and the value outside, if there is one.
    fn remap(&mut self, n: usize, operand: &Operand) -> Option<(String, f32)> {
        let mut inside = Vec::new();
        let mut fill = None;
        for (axis, own_size, remap) in &operand.remaps {
            let Some(j) = self.axes.iter().position(|a| a.remapped == Some(*axis)) else { continue };
            self.needs_coordinates = true;
            self.params.int(format!("b{n}_n{j}"), own_size.clone());
            let (name, size) = (format!("b{n}_k{j}"), format!("params.b{n}_n{j}"));
            let (Remap::Constant { before, .. }
            | Remap::Reflect { before }
            | Remap::Edge { before }
            | Remap::Wrap { before, .. }) = remap;
            self.params.int(format!("b{n}_p{j}"), *before);
            let moved = format!("k{j} - params.b{n}_p{j}");
            let expression = match remap {
                Remap::Constant { value, .. } => {
                    inside.push(format!("({name} >= 0) & ({name} < {size})"));
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
                Remap::Wrap { first, last, .. } => {
                    let left = format!("b{n}_w{j}");
                    self.params.int(&left, own_size.clone() - Dim::from(first + last));
                    // What is left of a negative number is up to the driver, so it is counted from the other end.
                    let (place, apart) = (format!("b{n}_q{j}"), format!("b{n}_r{j}"));
                    let _ = writeln!(
                        self.body,
                        "  let {place} = {moved};\n  let {apart} = select({place}, -1 - {place}, {place} < 0) % params.{left};"
                    );
                    format!("select({apart}, params.{left} - 1 - {apart}, {place} < 0) + {first}")
                }
            };
            let _ = writeln!(self.body, "  let {name} = {expression};");
        }
        fill.map(|value| (inside.join(" & "), value))
    }
}
