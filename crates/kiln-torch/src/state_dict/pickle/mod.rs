//! Pickles, read without running anything.
//!
//! A pickle is a program for a small stack machine that builds Python objects; in Python it may call any function, and
//! so do files made to harm. The machine here builds numbers, texts, lists, tuples and dicts, and knows the handful of
//! functions with which PyTorch rebuilds tensors ([`known`]). What any other name makes is an object without contents,
//! and an error that says the name if it stands where the state dict should have a tensor. A tensor is
//! only described: its elements are read later, and only if it is one of the state dict.
//!
//! What the machine does is bounded by a number of steps, whatever the file says; a step makes at most one object
//! whose size is that of what it takes from file and stack.

mod call;
mod input;
mod known;
mod machine;
mod scalar;
mod value;

pub(super) use machine::unpickle;
pub(super) use value::{Heap, TensorRef, Value};

use super::element::Element;
