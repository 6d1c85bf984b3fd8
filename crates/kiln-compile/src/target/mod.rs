//! What the compiler knows of the device that a plan is for: plain data, so that a plan can be made for a device that is
//! not there.

mod profiles;

use kiln_graph::Dim;

/// What kind of processor runs the kernels; the cost of a kernel depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceClass {
    /// A software adapter on a CPU, such as Mesa's lavapipe: workgroup memory is as slow as any other, and an invocation
    /// is a lane of a vector register.
    Cpu,
    /// A GPU: workgroup memory is fast, and thousands of invocations are needed to keep it busy.
    Gpu,
}

/// A device, as far as the compiler is concerned. The defaults are [`Target::portable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name in listings.
    pub name: String,
    /// The kind of processor.
    pub class: DeviceClass,
    /// Whether a core has workgroup memory of its own. On many mobile GPUs it is memory like any other, and kernels are better
    /// off without it.
    pub own_workgroup_memory: bool,
    /// Cores (compute units, streaming multiprocessors) that workgroups are dealt to.
    pub cores: u32,
    /// Multiply-adds of a core in a cycle.
    pub lanes: u32,
    /// Cycles in a microsecond (MHz).
    pub clock: u32,
    /// What memory gives, in GB/s.
    pub bandwidth: u32,
    /// From one dispatch to the next that waits for it, in ns.
    pub launch: u32,
    /// The subgroup size, where it is fixed and kernels may use subgroup operations.
    pub subgroup_size: Option<u32>,
    /// Largest storage buffer binding, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_size: u64,
    /// Maximum number of storage buffers of a dispatch.
    pub max_storage_buffers_per_shader_stage: u32,
    /// Maximum number of workgroups in one dimension of a dispatch.
    pub max_compute_workgroups_per_dimension: u32,
    /// Workgroup memory of a kernel, in bytes.
    pub max_compute_workgroup_storage_size: u32,
    /// Maximum number of invocations of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
    /// Maximum number of loop iterations of an invocation, those of nested loops included.
    pub max_loop_iterations: i64,
    /// Whether kernels may compute with 64-bit integers.
    pub int64: bool,
    /// Whether kernels may compute with 64-bit floats.
    pub float64: bool,
    /// Whether memory may hold 16-bit floats. They are computed with in 32 bits.
    pub float16: bool,
}

/// Mesa's lavapipe stops all loops of an invocation after 65,535 iterations in total, without an error. The rest is a
/// reserve for loops that a kernel's formula does not count.
const LAVAPIPE_LOOP_ITERATIONS: i64 = 60_000;

/// The loop counters of kernels are 32-bit integers.
const COUNTED_LOOP_ITERATIONS: i64 = 1 << 30;

impl Default for Target {
    fn default() -> Self {
        Self::portable()
    }
}

/// Workgroups of a row where there are several rows.
pub(crate) const FOLDED_ROW: i64 = 32_768;

impl Target {
    /// A row of workgroups, folded into several where `largest`, which is the most there are, is too long for one.
    pub(crate) fn folded(&self, groups: &Dim, largest: i64) -> [Dim; 3] {
        let limit = i64::from(self.max_compute_workgroups_per_dimension);
        if largest <= limit {
            return [groups.clone(), 1.into(), 1.into()];
        }
        let row = FOLDED_ROW.min(limit);
        [row.into(), groups.ceil_div(row), 1.into()]
    }

    /// What every WebGPU device has, software adapters included: a plan that runs anywhere, with kernels for GPUs.
    pub fn portable() -> Self {
        Self {
            name: "portable".into(),
            class: DeviceClass::Gpu,
            own_workgroup_memory: true,
            // A middle-sized card.
            cores: 32,
            lanes: 128,
            clock: 1400,
            bandwidth: 500,
            launch: 5000,
            subgroup_size: None,
            max_storage_buffer_binding_size: 128 << 20,
            max_buffer_size: 256 << 20,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_workgroups_per_dimension: 65_535,
            max_compute_workgroup_storage_size: 16 << 10,
            max_compute_invocations_per_workgroup: 256,
            max_loop_iterations: LAVAPIPE_LOOP_ITERATIONS,
            int64: false,
            float64: false,
            float16: false,
        }
    }

    /// A GPU with no more than WebGPU's limits, whose driver runs loops to their end.
    pub fn gpu() -> Self {
        Self { name: "gpu".into(), max_loop_iterations: COUNTED_LOOP_ITERATIONS, ..Self::portable() }
    }

    /// A GPU with 32 KiB of workgroup memory and subgroups of 32, as current desktop cards have.
    pub fn gpu_subgroups() -> Self {
        Self {
            name: "gpu-subgroups".into(),
            subgroup_size: Some(32),
            max_compute_workgroup_storage_size: 32 << 10,
            ..Self::gpu()
        }
    }

    /// A software adapter without subgroups of a fixed size, within WebGPU's limits.
    pub fn cpu() -> Self {
        Self {
            name: "cpu".into(),
            class: DeviceClass::Cpu,
            // Numbers to rank kernels by, as they were measured on lavapipe: those of the vectors of one core.
            cores: 1,
            lanes: 8,
            clock: 4000,
            bandwidth: 20,
            launch: 30_000,
            ..Self::portable()
        }
    }

    /// Mesa's software driver with subgroups of eight (a CPU with AVX2), within WebGPU's limits.
    pub fn lavapipe() -> Self {
        Self { name: "lavapipe".into(), subgroup_size: Some(8), ..Self::cpu() }
    }
}
