//! Runs plans on a GPU.
//!
//! A [`Plan`] contains everything; all that remains is to upload it once, and then for each run to write the inputs,
//! replay the dispatches in one submission and read the outputs. This crate depends on plans and wgpu, not on graphs or
//! compilers, so that a host program which embeds it stays small.
//!
//! ```no_run
//! use kiln_runtime::{HostTensor, Plan, Session};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::load("resnet18.kplan")?;
//! let mut session = Session::open(&plan)?;
//! let image = HostTensor::new([1, 3, 224, 224], vec![0f32; 3 * 224 * 224])?;
//! let outputs = session.run(&[("image", &image)])?;
//! println!("{:?}", outputs.get("logits")?.as_f32()?);
//! # Ok(())
//! # }
//! ```

mod adapters;
mod device;
mod error;
mod inputs;
mod inspect;
mod load;
mod memory;
mod outputs;
mod pipelines;
mod probe;
mod profile;
mod replay;
mod session;
mod steps;
mod symbols;
mod tensor;
mod warm_up;

pub use adapters::{Capabilities, DeviceKind, DeviceOptions, WGPU_VERSION, adapters};
pub use device::Device;
pub use error::RuntimeError;
pub use half::f16;
pub use kiln_plan::{self as plan, DType, Metadata, Plan, PlanError};
pub use outputs::{Outputs, Pending, Started};
pub use probe::Speed;
pub use profile::{KernelTime, Profile};
pub use replay::Replay;
pub use session::{LoadReport, Session, SessionOptions};
pub use tensor::{Data, HostTensor};
