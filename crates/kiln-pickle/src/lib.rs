//! Pickles, read without running anything.
//!
//! A pickle is a program for a small stack machine that builds Python objects; in Python it may call any function,
//! and malicious files do. The machine here builds numbers, strings, lists, tuples and dicts, and knows the handful of
//! functions of a [`Vocabulary`]: those with which PyTorch rebuilds tensors, or NumPy arrays. Any other name makes an
//! object without contents ([`Object::Foreign`]), with the message to report if it occurs in place of data. A tensor
//! or an array is only described: its elements are read later, and only if it is wanted.
//!
//! What the machine does is bounded by a number of steps, whatever the file says; a step makes at most one object
//! whose size is that of what it takes from file and stack.

#![deny(clippy::as_conversions)]

mod call;
mod element;
mod error;
mod input;
mod known;
mod machine;
mod scalar;
mod value;

pub use element::Element;
pub use error::{Problem, shown};
pub use known::{Known, Vocabulary};
pub use machine::{Pickled, unpickle};
pub use value::{Array, Heap, Id, Object, Storage, TensorRef, Value};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
