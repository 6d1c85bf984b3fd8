//! PyTorch as a front end: `nn.Module` source files become graphs, without Python and without PyTorch.
//!
//! [`import`] reads a `.py` file, evaluates the part of it that builds the model (`python`, an evaluator for the
//! part of the language in which modules are written), and runs `forward` once on symbols (`torch`, PyTorch's layers
//! and functions in core operators). [`state_dict`] reads and writes weights: `.pt`, `.pth`, safetensors.
//!
//! A program is run to learn what it builds, but it can reach nothing of the machine, and what it may use of time and
//! memory has limits ([`Limits`]).
//!
//! ```no_run
//! use kiln_torch::{ImportOptions, import};
//!
//! let options = ImportOptions { inputs: vec!["3,32,32".into()], ..ImportOptions::default() };
//! let model = import("net.py".as_ref(), &options)?;
//! println!("{}", model.graph);
//! # Ok::<(), kiln_torch::ImportError>(())
//! ```

mod advice;
mod choose;
mod error;
mod hints;
mod input;
mod limits;
mod model;
mod prefix;
mod python;
mod root;
mod source;
mod stack;
pub mod state_dict;
mod torch;
mod weights;

pub use error::{ImportError, Place};
pub use limits::Limits;
pub use model::{ImportOptions, Imported, Line, import, import_text};
pub use weights::{Fit, Names, WeightsError};

/// The layers and functions of PyTorch that are supported, as people write them: `nn.Conv2d`, `F.relu`, `torch.cat`,
/// `Tensor.view`, `nn.init.zeros_`.
pub fn supported() -> Vec<String> {
    torch::supported()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
