//! Passes and fusion on whole graphs.

mod bounds;
mod fusion;
mod lowering;
mod meaning;
mod models;
mod oracles;
mod quantize;
mod structure;
