//! Plans written by hand, run on whatever adapter there is (Mesa's lavapipe on machines without a GPU).

mod embedding;
mod errors;
mod example;
mod pictures;
mod plans;
mod running;
mod size;
