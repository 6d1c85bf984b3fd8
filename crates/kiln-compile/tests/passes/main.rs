//! Passes and fusion on whole graphs.

mod fusion;
mod linear;
mod meaning;
mod models;
mod oracles;
