//! The text form of a graph: what `dump` prints, tests are written in, and parsing reads back.
//!
//! ```text
//! graph classifier
//! input %x : f32[N, 3, 32, 32]
//! const @conv1.weight : f32[8, 3, 3, 3] = random(1)
//! %conv1 = conv(%x, @conv1.weight) strides=[2, 2] pads=[[1, 1], [1, 1]] : f32[N, 8, 16, 16]
//! %relu = relu(%conv1) : f32[N, 8, 16, 16]
//! output y = %relu
//! ```
//!
//! One line is one value or node, in the order of the graph. `%` names what is computed, `@` what is stored
//! (constants and states). A name that is not a plain word stands in quotes, and where a name is taken, `name="..."`
//! at the end of the line gives the real one. Attributes that have their usual value are left out, types after `:`
//! may be left out and are checked where they are given, `#` starts a comment.
//!
//! Data is a list of all elements in row-major order, or `fill(value)`, or `random(seed)`, uniform between -1 and 1,
//! or `random(seed, low, high)`. Printing writes data of more than [`SHOWN_ELEMENTS`] elements as `hash(...)` of it,
//! which tells whether it changed but does not parse; [`Graph::with_data`](crate::Graph::with_data) writes it all.

mod attributes;
mod data;
mod lex;
mod parse;
mod print;

pub use attributes::Attribute;
pub use print::WithData;

/// Data of at most so many elements is printed.
pub const SHOWN_ELEMENTS: usize = 16;
