//! Kiln compiles a convolutional network into a plan and replays the plan on any GPU.
//!
//! This crate is the public API: it re-exports what a host program needs and adds glue between the
//! crates, such as the [`Target`] for an available device ([`target_for`]) and [`compile_file`]. A program that only
//! runs compiled plans should depend on [`kiln_runtime`] alone, which brings no compiler.
//!
//! What a program does not need it can leave out with `default-features = false`; graphs are compiled without any of
//! these:
//!
//! | Feature | Brings |
//! | --- | --- |
//! | `onnx` | ONNX files: [`onnx`], [`test_data`] |
//! | `torch` | PyTorch source and state dicts: [`torch`] |
//! | `run` | running plans on a device: [`Session`], [`target_for`], [`quantize`] |
//! | `train` | the trainer, with data sets and checkpoints: [`training`], [`trainer()`] |
//! | `tune` | choosing kernels by measurement: [`tune`] |
//!
//! A model definition is read ([`Model`], [`compile_file`]) with either of the first two. Gradients and optimizers are
//! part of the compiler ([`train`]).
//!
//! ```no_run
//! use kiln::{HostTensor, Session};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let target = kiln::target_for(&kiln::default_device()?);
//! let compiled = kiln::compile_file("resnet18.onnx".as_ref(), &target, &[("N", 8)])?;
//! let mut session = Session::open(&compiled.plan)?;
//! let image = HostTensor::new([1, 3, 224, 224], vec![0f32; 3 * 224 * 224])?;
//! let outputs = session.run(&[("input", &image)])?;
//! # Ok(())
//! # }
//! ```
//!
//! And training:
//!
//! ```no_run
//! use kiln::train::{Loss, Optimizer, Training, initialize};
//! use kiln::training::{Settings, data::Source, loader::Loader, schedule::Schedule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = kiln::Model::read("net.py:Net".as_ref(), &Default::default())?.graph;
//! let mut trainer = kiln::trainer(&model, &Training::new(Loss::cross_entropy(), Optimizer::adam()), 64)?;
//! let data = "mnist:data".parse::<Source>()?.load(&Default::default())?;
//! let train = Loader { shuffle: true, ..Loader::new(data.train, trainer.interface(), 64) };
//! let settings = Settings { epochs: 5, lr: 1e-3, schedule: Schedule::one_cycle(), ..Settings::default() };
//! trainer.fit(&train, None, &settings, &mut ())?;
//! let trained = kiln::trained(&mut trainer, &model)?;
//! # Ok(())
//! # }
//! ```

pub mod graph;
#[cfg(any(feature = "onnx", feature = "torch"))]
pub mod model;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod plan;
#[cfg(feature = "run")]
pub mod quantize;
#[cfg(feature = "run")]
mod tensor;
#[cfg(feature = "onnx")]
pub mod test_data;
#[cfg(feature = "torch")]
pub mod torch;
#[cfg(feature = "train")]
pub mod training;
#[cfg(feature = "tune")]
pub mod tune;

use std::path::PathBuf;

pub use graph::Graph;
pub use kiln_compile::{
    Candidate, Choice, CompileError, Compiled, CompiledProgram, DeviceClass, Dispatched, Launched, Live,
    MemoryReport, Options, Precision, Preferences, Record, Records, Schedule, Selection, Sharing, Target,
    compile, compile_programs, compile_training, conditions, differentiate, fuse, host_dtype, passes, train,
};
#[cfg(feature = "run")]
pub use kiln_runtime::{
    Cancel, Capabilities, Data, Device, DeviceKind, DeviceOptions, DeviceTensor, HostTensor, Input, Outputs,
    Picture, Profile, Recorded, Replay, RuntimeError, Session, SessionOptions, Value, adapters, f16, wgpu,
};
#[cfg(any(feature = "onnx", feature = "torch"))]
pub use model::{Model, ModelOptions, compile_file};
pub use plan::{DType, Expr, Metadata, Plan, PlanError, Requirements};
#[cfg(feature = "run")]
pub use tensor::{from_host, to_host};
#[cfg(feature = "train")]
pub use training::{trained, trainer};

/// Why a model file does not become a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read, or needs something that is not supported.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Import(#[from] onnx::ImportError),
    /// The source cannot be parsed, or needs something that is not supported.
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Source(#[from] torch::ImportError),
    /// The file's metadata is invalid.
    #[error(transparent)]
    Metadata(#[from] plan::PropertyError),
    /// The file holds no weights.
    #[cfg(feature = "torch")]
    #[error(transparent)]
    StateDict(#[from] torch::state_dict::StateDictError),
    /// The weights belong to another model.
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Weights(#[from] torch::WeightsError),
    /// The graph cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The network cannot be quantized.
    #[cfg(feature = "run")]
    #[error(transparent)]
    Quantize(#[from] quantize::QuantizeError),
    /// The graph is invalid.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// The device.
    #[cfg(feature = "run")]
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Records of measurements.
    #[cfg(feature = "tune")]
    #[error(transparent)]
    Records(#[from] tune::RecordError),
    /// The training.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] training::TrainError),
    /// The file is of a kind that this program was built without.
    #[error("`{}` is of a kind that this program was built without (a feature of `kiln`)", .path.display())]
    NotBuiltIn {
        /// The file.
        path: PathBuf,
    },
}

/// What the compiler should know of a device: the kind of processor, subgroups of a fixed size, its limits and features.
///
/// A plan asks for no more of these than it uses, and says what that is. Where a model has 64-bit numbers and the device
/// can, they are computed with, and 16-bit floats stored. How fast the device is follows from its name where that is known
/// ([`Target::as_fast_as`]); else it is taken for a middle-sized card.
#[cfg(feature = "run")]
pub fn target_for(device: &Capabilities) -> Target {
    let fixed = device.subgroups && device.subgroup_min_size == device.subgroup_max_size;
    let like = match device.kind {
        DeviceKind::Cpu => Target::cpu(),
        DeviceKind::Discrete | DeviceKind::Integrated | DeviceKind::Virtual | DeviceKind::Other => {
            Target::gpu()
        }
    };
    let like = like.as_fast_as(&device.name).unwrap_or(like);
    Target {
        name: device.name.clone(),
        own_workgroup_memory: Target::has_own_workgroup_memory(&device.name),
        subgroup_size: (fixed && device.subgroup_min_size > 1).then_some(device.subgroup_min_size),
        max_storage_buffer_binding_size: device.max_storage_buffer_binding_size,
        max_buffer_size: device.max_buffer_size,
        max_storage_buffers_per_shader_stage: device.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: device.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: device.max_compute_invocations_per_workgroup,
        int64: device.shader_int64,
        float64: device.shader_float64,
        float16: device.shader_f16,
        ..like
    }
}

/// The largest batch of a plan where nothing else is asked for.
pub const DEFAULT_BATCH: u32 = 8;

/// The symbols that are the first dimension of an input.
pub fn batch_symbols(graph: &Graph) -> Vec<String> {
    let first = |id: &graph::ValueId| graph.ty(*id).shape.first().map(ToString::to_string);
    let firsts: Vec<String> = graph.inputs().iter().filter_map(first).collect();
    graph.symbols().iter().map(ToString::to_string).filter(|symbol| firsts.contains(symbol)).collect()
}

/// A device that is not here, by name ([`Target::names`]), for plans in a precision. It has 16-bit floats where these are asked
/// for, but for `portable`: the plan says that it needs them.
pub fn named_target(name: &str, precision: Precision) -> Option<Target> {
    let target = Target::named(name)?;
    let float16 = target.float16 || name != "portable" && precision == Precision::F16;
    Some(Target { float16, ..target })
}

/// All limits and features of a device, for one that will run many plans.
#[cfg(feature = "run")]
pub fn requirements_of(device: &Capabilities) -> Requirements {
    let fixed = device.subgroups && device.subgroup_min_size == device.subgroup_max_size;
    Requirements {
        subgroup_size: fixed.then_some(device.subgroup_min_size),
        shader_f16: device.shader_f16,
        shader_int64: device.shader_int64,
        shader_float64: device.shader_float64,
        max_storage_buffer_binding_size: device.max_storage_buffer_binding_size,
        max_buffer_size: device.max_buffer_size,
        max_storage_buffers_per_shader_stage: device.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: device.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: device.max_compute_invocations_per_workgroup,
        max_loop_iterations: device.max_loop_iterations,
    }
}

/// The device that `WGPU_BACKEND` and `WGPU_ADAPTER_NAME` choose, or the first there is.
#[cfg(feature = "run")]
pub fn default_device() -> Result<Capabilities, RuntimeError> {
    let mut all = adapters(&DeviceOptions::from_env())?;
    if all.is_empty() {
        // Opening reports what is missing and how to fix it.
        return Device::open(&DeviceOptions::from_env(), &Default::default())
            .map(|d| d.capabilities().clone());
    }
    Ok(all.swap_remove(0))
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
