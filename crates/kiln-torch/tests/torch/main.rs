//! PyTorch source as a front end.

mod docs;
