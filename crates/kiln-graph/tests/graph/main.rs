//! Tests of the graph, through its public interface.

mod common;
mod lectures;
mod text;
