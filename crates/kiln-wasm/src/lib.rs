//! The compiler for web pages: a model's file in, a plan for the page's adapter out.
//!
//! [`compile`] does what `kiln compile` does, with files that are in memory and options as JSON ([`Request`]); its plans are
//! the same, byte for byte. `abi` has the functions that a page calls, and `web/src/compiler.ts` is the page's side of them.
//!
//! What is deliberately absent: devices. A page describes its adapter ([`Adapter`]), and plays the plan itself.

mod abi;
mod adapter;
mod compile;
mod request;

pub use adapter::Adapter;
pub use compile::{Answer, compile};
pub use request::{Request, TargetRequest, TrainRequest};
