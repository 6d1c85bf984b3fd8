//! PyTorch source as a front end.

mod docs;
mod wrong_programs;
