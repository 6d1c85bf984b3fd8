//! Passes and fusion on whole graphs.

mod fusion;
mod meaning;
mod models;
mod oracles;
