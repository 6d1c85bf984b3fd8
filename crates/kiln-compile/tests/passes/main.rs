//! Passes and fusion on whole graphs.

mod bounds;
mod fusion;
mod halves;
mod lowering;
mod meaning;
mod models;
mod oracles;
mod quantize;
mod structure;
