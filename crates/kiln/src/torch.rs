//! PyTorch as a front end: modules from their source, weights from state dicts.

pub use kiln_torch::{
    Fit, ImportError, ImportOptions, Imported, Limits, Line, Names, Place, WeightsError, import, import_text,
    state_dict, supported,
};
