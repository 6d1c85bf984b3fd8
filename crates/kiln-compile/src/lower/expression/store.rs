//! Where an expression's results go, and where an anchor's elements come from, if those are other places than the
//! invocation's own.

use std::fmt::Write;

use kiln_plan::Storage;

use super::super::context::View;
use super::super::operand::{Four, memory_scalar};
use super::Element;
use crate::layout::is_multiple;

/// WGSL type of `width` elements in memory, and the code that makes them of what was computed.
pub(super) fn narrowed(stored: Storage, width: usize, value: &str) -> (&'static str, String) {
    let (ty, narrow) = match width {
        4 => (Four::of(stored).ty, Four::of(stored).narrow),
        _ => (memory_scalar(stored), memory_scalar(stored)),
    };
    (ty, if stored == Storage::F16 { format!("{narrow}({value})") } else { value.into() })
}

impl Element {
    /// The function `place`.
    pub(super) fn place(&mut self, view: &View, n: usize) -> String {
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
    pub(super) fn store(&mut self, view: &View, n: usize, ty: &str, stored: Storage) -> (String, String) {
        let width = self.space.width;
        let inner = self.inner_stride(view);
        let vectors = self.lies_in_fours(n, view);
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
