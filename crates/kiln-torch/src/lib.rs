//! PyTorch modules from their source, and state dicts.
