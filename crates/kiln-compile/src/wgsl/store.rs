//! The end of an expression: its result as it is stored, where it goes, and where an anchor's elements come from, if
//! those are other places than the invocation's own.

use std::fmt::Write;

use kiln_graph::DType;
use kiln_plan::{Access, Storage};

use super::expression::{Addressing, Expression};
use super::functions::functions;
use super::params::Params;
use crate::element::{Vec4Access, computed_scalar, memory_scalar, register_type};
use crate::layout::is_multiple;
use crate::memory::buffer::{BufferId, View};

/// WGSL type of `width` elements in memory, and the code that makes them of what was computed.
fn narrowed(stored: Storage, width: usize, value: &str) -> (&'static str, String) {
    let (ty, narrow) = match width {
        4 => (Vec4Access::of(stored).ty, Vec4Access::of(stored).narrow),
        _ => (memory_scalar(stored), memory_scalar(stored)),
    };
    (ty, if stored == Storage::F16 { format!("{narrow}({value})") } else { value.into() })
}

impl Expression {
    /// Finishes the function: it returns `result`, of type `dtype`, with padding zeroed, as it is `stored`. `acc` is the
    /// type of what an anchor computes.
    pub(crate) fn finish(
        mut self,
        result: &str,
        dtype: DType,
        stored: Storage,
        acc: DType,
        addressing: Addressing<'_>,
    ) -> EpilogueCode {
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
        let (source, destination) = self.addressed(addressing);
        let (store, out) = match (addressing.destination, destination) {
            (Some(view), Some(n)) => self.store(view, n, &ty, stored),
            _ => {
                let (out, value) = narrowed(stored, width, "value");
                (format!("fn store(i: u32, c: u32, value: {ty}) {{\n  out[i] = {value};\n}}\n"), out.into())
            }
        };
        let place = match (addressing.source, source) {
            (Some(view), Some(n)) => self.place(view, n),
            _ => String::new(),
        };
        let coordinates = if self.needs_coordinates { self.coordinates() } else { String::new() };
        let element = format!(
            "fn element(i: u32, c: u32, acc: {}) -> {ty} {{\n{coordinates}{}  return {value};\n}}\n",
            register_type(acc, width),
            self.body
        );
        EpilogueCode {
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
    fn addressed(&self, addressing: Addressing<'_>) -> (Option<usize>, Option<usize>) {
        let first = self.operands.len();
        let source = addressing.source.map(|_| first);
        (source, addressing.destination.map(|_| first + usize::from(source.is_some())))
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
        let vectors = self.is_vectorized(n, view);
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
}

/// A complete `element` function.
#[derive(Clone)]
pub(crate) struct EpilogueCode {
    /// Parameters.
    pub params: Params,
    /// Memory it reads, in binding order.
    pub reads: Vec<(BufferId, Access)>,
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
    pub in_place: Option<BufferId>,
}

impl EpilogueCode {
    /// Template values that every template with an elementwise part reads.
    pub(crate) fn template_values(&self) -> minijinja::Value {
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
