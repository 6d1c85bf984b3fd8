//! A plan: everything a GPU needs to run a network, decided ahead of time.
//!
//! A [`Plan`] has the WGSL of every kernel ([`Shader`]), one memory layout ([`Buffer`]s and the [`Tensor`]s placed
//! in them), fixed lists of dispatches ([`Program`]s) and the weights. At run time, all that remains is to upload,
//! replay and read back. Sizes may depend on symbols (the batch size); everything is laid out for the
//! maximum of each, and what varies (uniform parameters, workgroup counts) is an [`Expr`].
//!
//! Deliberately absent: graphs, operators, devices. A plan does not know what it computes; what a host
//! should know of that, from the mean of images to class names, is stored as [`Metadata`].

#![deny(clippy::as_conversions)]

mod check;
mod error;
mod expr;
mod file;
#[cfg(test)]
#[allow(clippy::as_conversions, reason = "tests know their numbers")]
mod golden;
mod guard;
mod metadata;
mod repeat;
mod tensor;
#[cfg(test)]
#[allow(clippy::as_conversions, reason = "tests know their numbers")]
mod tests;
mod wgsl;
mod wire;

pub use check::{LIMITS, Limits, check, check_within};
pub use error::{PlanError, Problem};
pub use expr::{Expr, Factor, Term};
pub use guard::{Fitting, Guard, Relation, multiple_of};
pub use metadata::{
    Channels, InputSource, METADATA_LIMITS, Measure, Metadata, MetadataLimits, Pictures, Preprocessing,
    PropertyError, Provenance, Resize, Targets, Task,
};
pub use repeat::Repeat;
pub use wgsl::{WGSL_LIMITS, WgslLimits, check_wgsl};

/// A compiled network.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The model's name.
    pub name: String,
    /// What the plan was made by: name and version of the compiler.
    pub producer: String,
    /// The target it was made for: `portable`, `lavapipe`.
    pub target: String,
    /// Symbols with the maximum the plan has memory for.
    pub symbols: Vec<Symbol>,
    /// What the plan asks of a device.
    pub requirements: Requirements,
    /// The kernels.
    pub shaders: Vec<Shader>,
    /// The memory.
    pub buffers: Vec<Buffer>,
    /// The tensors and their places in memory.
    pub tensors: Vec<Tensor>,
    /// What is kept from run to run: parameters, statistics, moments, counters. Indices into [`Plan::tensors`] of
    /// tensors with different names, in buffers of [`BufferKind::State`].
    pub states: Vec<usize>,
    /// What can be run.
    pub programs: Vec<Program>,
    /// Initial contents of buffers.
    pub data: Vec<Segment>,
    /// How inputs are preprocessed, what outputs mean, where the weights come from.
    pub metadata: Metadata,
}

impl Plan {
    /// The states, each with its place in [`Plan::tensors`].
    pub fn states(&self) -> impl Iterator<Item = (usize, &Tensor)> {
        self.states.iter().filter_map(|index| Some((*index, self.tensors.get(*index)?)))
    }

    /// The state of this name, with its place in [`Plan::tensors`].
    pub fn state(&self, name: &str) -> Option<(usize, &Tensor)> {
        self.states().find(|(_, tensor)| tensor.name == name)
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }
}

/// A symbolic dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, `N`.
    pub name: String,
    /// The maximum.
    pub max: u32,
}

/// What a plan asks of a device. Anything else is as WebGPU guarantees it everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The subgroup size the kernels were written for; `None` if they use no subgroups.
    pub subgroup_size: Option<u32>,
    /// Whether kernels use `f16`.
    pub shader_f16: bool,
    /// Whether kernels use `i64`.
    pub shader_int64: bool,
    /// Whether kernels use `f64`.
    pub shader_float64: bool,
    /// Largest storage buffer binding, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_size: u64,
    /// Most storage buffers bound in one dispatch.
    pub max_storage_buffers_per_shader_stage: u32,
    /// Most workgroup memory of a kernel, in bytes.
    pub max_compute_workgroup_storage_size: u32,
    /// Most invocations of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
    /// Most loop iterations of an invocation, those of nested loops included; software drivers stop loops early.
    pub max_loop_iterations: u64,
}

/// A kernel: one WGSL module with the entry point `main` and all bindings in group 0: binding 0 is the uniform
/// buffer of parameters, bindings 1.. are storage buffers in the order of [`Shader::access`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shader {
    /// A name for dumps and profiles.
    pub name: String,
    /// The source.
    pub wgsl: String,
    /// How each storage buffer is bound.
    pub access: Vec<Access>,
    /// Size of the parameter struct in bytes, a multiple of 16; 0 if there is none (then binding 0 is absent).
    pub params_size: u32,
}

/// How a storage buffer is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// A buffer on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// A name for dumps.
    pub name: String,
    /// What it is for.
    pub kind: BufferKind,
    /// Size in bytes for the largest symbols; a multiple of 256.
    pub size: u64,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferKind {
    /// Filled once, only read.
    Weights,
    /// Filled once, then kept and changed from run to run.
    State,
    /// Inputs, activations and outputs; contents are only meaningful within a run.
    Arena,
}

/// Element type as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the types of the same name")]
pub enum DType {
    F32,
    F16,
    F64,
    I32,
    I64,
    U8,
    I8,
    U16,
    I16,
    U32,
    Bool,
}

/// Element type as the device stores it, of two bytes, four or eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Floats.
    F32,
    /// Signed integers. `I64` host values are stored so where the compiler has proven that they fit, or where they
    /// are inputs, which are checked to.
    I32,
    /// Truth values (0 or 1) and unsigned integers.
    U32,
    /// 64-bit integers, for devices that have them ([`Requirements::shader_int64`]).
    I64,
    /// 64-bit floats, for devices that have them ([`Requirements::shader_float64`]).
    F64,
    /// 16-bit floats, for devices that have them ([`Requirements::shader_f16`]); elsewhere `F16` host values are stored
    /// in 32 bits.
    F16,
}

/// A tensor in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The user's name.
    pub name: String,
    /// Element type as the host sees it.
    pub dtype: DType,
    /// Element type in memory.
    pub storage: Storage,
    /// The dimensions, outermost first.
    pub shape: Vec<Expr>,
    /// How elements are laid out.
    pub layout: Layout,
    /// Where it lies.
    pub place: Range,
}

/// The order of elements in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Dimensions from slowest to fastest: `[0, 2, 3, 1]` is channels last.
    pub order: Vec<usize>,
    /// The fastest dimension is padded with zeros to a multiple of this many elements: 1 or 4.
    pub lanes: usize,
}

/// Part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// First byte; a multiple of 256.
    pub offset: u64,
    /// Number of bytes for the largest symbols; a multiple of 4, not zero.
    pub size: u64,
}

/// A list of dispatches with what goes in and comes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// `inference` or `train`.
    pub name: String,
    /// Indices of tensors the caller gives. They are dense (`lanes` 1, in order).
    pub inputs: Vec<usize>,
    /// What each input is for, in the order of [`Program::inputs`].
    pub roles: Vec<Role>,
    /// Tensors the caller gets, by name; dense like the inputs.
    pub outputs: Vec<OutputRef>,
    /// The dispatches, in order; each sees what the ones before it have written.
    pub dispatches: Vec<Dispatch>,
    /// What the sizes of a run have to meet: for others the program computes something else, or nothing.
    pub guards: Vec<Guard>,
    /// Which of them are repeated, in order; no two repeats share a dispatch.
    pub repeats: Vec<Repeat>,
}

/// What an input of a program is for, so that a host can feed a training step without knowing its compiler's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// What the model is given.
    #[default]
    Data,
    /// What its output is compared with.
    Target,
    /// The learning rate of a step, a number.
    LearningRate,
    /// The momentum of a step, a number.
    Momentum,
    /// Adam's first decay rate (beta1), a number.
    Beta1,
    /// Whether the optimizer steps (1), or gradients are only accumulated (0).
    Update,
}

/// A named result. Two outputs may be the same tensor, and an input may be an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRef {
    /// The name the caller asks for.
    pub name: String,
    /// Index into [`Plan::tensors`].
    pub tensor: usize,
    /// The axes of which only a beginning is the result, as the data of a run decide.
    pub sizes: Vec<OutputSize>,
}

/// How much of an axis of an output is the result of a run; the tensor has as much room as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSize {
    /// The axis.
    pub axis: usize,
    /// Index into [`Plan::tensors`]: an integer without dimensions.
    pub tensor: usize,
}

/// One launch of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The layers it computes: `layer1.0.conv1 + bn1 + relu`.
    pub name: String,
    /// Index into [`Plan::shaders`].
    pub shader: usize,
    /// A range for each storage buffer of the shader.
    pub bindings: Vec<Range>,
    /// The parameter words, in order.
    pub params: Vec<Param>,
    /// Workgroups in x, y and z; at most 65,535 each for the largest symbols.
    pub workgroups: [Expr; 3],
    /// Indices of the tensors it writes, for debugging and profiles.
    pub writes: Vec<usize>,
    /// Floating point operations, a multiply-add counted as two.
    pub flops: Expr,
    /// Bytes read and written if everything is moved once.
    pub bytes: Expr,
}

/// A 32-bit word of a parameter struct.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// `u32` (or `i32`, two's complement), possibly depending on the symbols.
    Int(Expr),
    /// `f32`.
    Float(f32),
}

/// Initial contents of part of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Where the bytes go.
    pub place: Range,
    /// The bytes, `place.size` of them.
    pub bytes: Vec<u8>,
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
