//! The text form of a graph: what `dump` prints, tests are written in, and parsing reads back.
//!
//! ```text
//! graph classifier
//! input %x : f32[N, 3, 32, 32]
//! state @conv1.weight : f32[8, 3, 3, 3] = fill(0.5)
//! %conv1 = conv(%x, @conv1.weight) strides=[2, 2] pads=[[1, 1], [1, 1]] : f32[N, 8, 16, 16]
//! %relu = relu(%conv1) : f32[N, 8, 16, 16]
//! output y = %relu
//! ```
//!
//! One line is one value or node, in the order of the graph. `%` names what is computed, `@` what is stored
//! (constants and states). A name that is not a plain word is written in quotes, and where a name is taken, `name="..."`
//! gives the real one. Attributes that have their usual value are left out; types after `:` may be left out behind
//! nodes and are checked where they are given; `#` starts a comment.
//!
//! The body of a loop is a graph within the graph, in braces behind the node; its names are its own.
//!
//! Data is a list of all elements in row-major order, or `fill(value)`. Printing writes data of more than
//! [`SHOWN_ELEMENTS`] elements as `...`, which does not parse; [`Graph::with_data`] writes it all.

mod attributes;
mod data;
pub(crate) mod dims;
mod loops;
mod parse;
mod print;

use std::fmt;

use crate::graph::Graph;

pub use attributes::{Attribute, Attributes, all_attributes, set_attributes};
pub use data::print as data_text;
pub use parse::parse;

/// Data of at most so many elements is printed.
pub const SHOWN_ELEMENTS: usize = 16;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::print(self, SHOWN_ELEMENTS, f)
    }
}

impl Graph {
    /// The text form with all data in it, which [`parse`] reads back.
    pub fn with_data(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| print::print(self, usize::MAX, f))
    }
}
