//! What the compiler knows of the device a plan is for: plain data, so that a plan can be made for a device that is
//! not there.

/// How the heavy kernels are written; see `ARCHITECTURE.md` for when each is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Register tiles fed by subgroup broadcasts: for CPU adapters such as lavapipe, where shared memory is as slow
    /// as any other and a broadcast costs nothing.
    Broadcast {
        /// The fixed subgroup size.
        subgroup_size: u32,
    },
    /// Tiles in the registers of single invocations: for CPU adapters without subgroups of a fixed size.
    RegisterTile,
    /// Tiles in workgroup memory: for GPUs.
    WorkgroupTile,
}

/// A device, as far as the compiler cares. The defaults are the limits every WebGPU device has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How heavy kernels are written.
    pub strategy: Strategy,
    /// Largest storage buffer binding, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_size: u64,
    /// Most storage buffers of a dispatch.
    pub max_storage_buffers_per_shader_stage: u32,
    /// Most workgroups in one dimension of a dispatch.
    pub max_compute_workgroups_per_dimension: u32,
    /// Workgroup memory of a kernel, in bytes.
    pub max_compute_workgroup_storage_size: u32,
    /// Most invocations of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
    /// Whether kernels may compute with 64-bit integers.
    pub int64: bool,
    /// Whether kernels may compute with 64-bit floats.
    pub float64: bool,
    /// Whether memory may hold 16-bit floats. They are computed with in 32 bits.
    pub float16: bool,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            strategy: Strategy::WorkgroupTile,
            max_storage_buffer_binding_size: 128 << 20,
            max_buffer_size: 256 << 20,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_workgroups_per_dimension: 65_535,
            max_compute_workgroup_storage_size: 16 << 10,
            max_compute_invocations_per_workgroup: 256,
            int64: false,
            float64: false,
            float16: false,
        }
    }
}

impl Target {
    /// A software Vulkan device with subgroups of eight (Mesa's lavapipe on a CPU with AVX2), within WebGPU's
    /// limits.
    pub fn lavapipe() -> Self {
        Self { strategy: Strategy::Broadcast { subgroup_size: 8 }, ..Self::default() }
    }
}
