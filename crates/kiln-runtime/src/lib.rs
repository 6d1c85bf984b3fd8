//! Runs plans on a GPU.
