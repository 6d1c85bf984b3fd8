//! PyTorch source as a front end.

mod docs;
mod hostile;
mod wrong_programs;
