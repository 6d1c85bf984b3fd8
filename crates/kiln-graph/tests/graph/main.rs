//! Tests of the graph, through its public interface.

mod common;
mod counted;
mod empty;
mod functions;
mod lectures;
mod loops;
mod text;
