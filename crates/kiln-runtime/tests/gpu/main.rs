//! Plans written by hand, run on whatever adapter there is (Mesa's lavapipe on machines without a GPU).

mod errors;
mod example;
mod plans;
mod running;
mod size;
