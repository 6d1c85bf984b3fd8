//! PyTorch modules from their source, and state dicts.

pub mod state_dict;
