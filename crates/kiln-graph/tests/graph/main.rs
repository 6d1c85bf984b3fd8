//! Tests of the graph, through its public interface.

mod common;
mod empty;
mod functions;
mod lectures;
mod loops;
mod text;
