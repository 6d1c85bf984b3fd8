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
//!
//! # Images and arrays
//!
//! A [`Picture`] has the pixels of an image; [`Session::of_pictures`] makes an input of some, as the plan's metadata says. With
//! the feature `image`, images of that crate become pictures (`Picture::try_from`); with `ndarray`, arrays and their views
//! become tensors (`HostTensor::from`), and outputs become either (`try_from`).
//!
//! # In a program with a device of its own
//!
//! [`Device::from_wgpu`] takes a device that the program has opened, with what [`Device::descriptor`] asks for.
//! [`Session::encode`] records a run into the program's command encoder: inputs are buffers or textures of that device
//! ([`Input`]), outputs stay on it ([`Recorded`]), and nothing passes through the host.
//!
//! ```no_run
//! use kiln_runtime::{Device, Input, Plan, Session, wgpu};
//!
//! # fn example(device: wgpu::Device, queue: wgpu::Queue, frame: wgpu::Texture) -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::load("style.kplan")?;
//! let mut session = Session::load(&Device::from_wgpu(device.clone(), queue.clone()), &plan)?;
//! let mut encoder = device.create_command_encoder(&Default::default());
//! let run = session.encode(&mut encoder, "inference", &[("image", Input::Textures(&[&frame]))])?;
//! let styled = run.output("styled")?.binding();
//! // ... record what draws `styled`
//! queue.submit([encoder.finish()]);
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! A [`Device`] can be cloned and used by all threads. A [`Session`] can be sent to another thread and is used by one at a
//! time, as its runs share memory; for several at once, each thread has a session of its own, which
//! [`Session::share`] makes with the weights of the first. Runs of one session that are submitted before the previous
//! one is done ([`Session::start`]) follow each other on the device without waiting for the host. A run is ended early by
//! [`Session::run_unless`].

mod adapters;
#[cfg(feature = "ndarray")]
mod arrays;
mod cancel;
mod device;
mod done;
mod encode;
mod error;
mod inputs;
mod inspect;
mod interface;
mod load;
mod memory;
mod opening;
mod outputs;
pub mod picture;
mod pictures;
mod pipelines;
mod probe;
mod profile;
mod record;
mod replay;
mod session;
mod share;
mod steps;
mod symbols;
mod tensor;
mod warm_up;

pub use adapters::{Capabilities, DeviceKind, DeviceOptions, WGPU_VERSION, adapters};
pub use cancel::Cancel;
pub use device::Device;
pub use error::RuntimeError;
pub use half::f16;
/// The version of `image` that the feature of that name is about.
#[cfg(feature = "image")]
pub use image;
pub use interface::Value;
pub use kiln_plan::{self as plan, DType, Metadata, Plan, PlanError};
/// The version of `ndarray` that the feature of that name is about.
#[cfg(feature = "ndarray")]
pub use ndarray;
pub use outputs::{Outputs, Pending, Started};
#[doc(inline)]
pub use picture::Picture;
pub use probe::Speed;
pub use profile::{KernelTime, Profile};
pub use record::{DeviceTensor, Input, Recorded};
pub use replay::Replay;
pub use session::{LoadReport, Session, SessionOptions};
pub use tensor::{Data, HostTensor};
/// The version of wgpu that devices are opened with.
pub use wgpu;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
