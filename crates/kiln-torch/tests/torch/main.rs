//! PyTorch source as a front end.

mod constructors;
mod docs;
mod fastai;
mod hostile;
mod language;
mod layers;
#[path = "../../../../tests/end_to_end/numbers.rs"]
mod numbers;
mod outside;
mod programs;
mod weights;
mod wrong_programs;
