//! PyTorch source as a front end.

mod docs;
mod hostile;
mod layers;
mod wrong_programs;
