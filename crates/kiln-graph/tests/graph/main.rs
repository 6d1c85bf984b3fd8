//! Tests of the graph, through its public interface.

mod common;
mod functions;
mod lectures;
mod text;
