//! Passes and fusion on whole graphs.

mod fusion;
mod lowering;
mod meaning;
mod models;
mod oracles;
mod structure;
