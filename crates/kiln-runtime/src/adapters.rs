//! The available devices and their capabilities, as plain data: printed by `kiln devices`, and used by the compiler
//! to describe its target.

use kiln_plan::Requirements;

use crate::RuntimeError;

/// The version of wgpu, and of naga with it, which translate kernels for drivers: what was measured with one need not hold
/// with another one. A test compares it with `Cargo.lock`.
pub const WGPU_VERSION: &str = "30.0.1";

/// What kind of device an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum DeviceKind {
    Discrete,
    Integrated,
    Virtual,
    /// Software on the processor.
    Cpu,
    Other,
}

impl DeviceKind {
    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Cpu => "CPU",
            Self::Other => "other",
        }
    }

    /// Without a choice, adapters are used in this order.
    fn rank(self) -> u8 {
        match self {
            Self::Discrete => 0,
            Self::Integrated => 1,
            Self::Virtual => 2,
            Self::Cpu => 3,
            Self::Other => 4,
        }
    }
}

/// An adapter and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`.
    pub backend: &'static str,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Name of the driver.
    pub driver: String,
    /// Version of the driver and the like.
    pub driver_info: String,
    /// Whether kernels may use subgroup operations.
    pub subgroups: bool,
    /// Smallest subgroup.
    pub subgroup_min_size: u32,
    /// Largest subgroup.
    pub subgroup_max_size: u32,
    /// Whether kernels may use `f16`.
    pub shader_f16: bool,
    /// Whether kernels may use `i64`.
    pub shader_int64: bool,
    /// Whether kernels may use `f64`.
    pub shader_float64: bool,
    /// Whether kernels can be timed.
    pub timestamps: bool,
    /// Whether there are cooperative matrices.
    pub cooperative_matrix: bool,
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
    /// Most loop iterations of an invocation: Mesa's software driver stops all loops early, without an error.
    pub max_loop_iterations: u64,
}

impl Capabilities {
    /// What an adapter can do that a program has chosen itself.
    pub fn of(adapter: &wgpu::Adapter) -> Self {
        Self::new(adapter.get_info(), adapter.features(), &adapter.limits())
    }

    pub(crate) fn new(info: wgpu::AdapterInfo, features: wgpu::Features, limits: &wgpu::Limits) -> Self {
        let has = |feature| features.contains(feature);
        Self {
            name: info.name,
            backend: info.backend.to_str(),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
                wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
                wgpu::DeviceType::Cpu => DeviceKind::Cpu,
                wgpu::DeviceType::Other => DeviceKind::Other,
            },
            driver: info.driver,
            driver_info: info.driver_info,
            subgroups: has(wgpu::Features::SUBGROUP),
            subgroup_min_size: info.subgroup_min_size,
            subgroup_max_size: info.subgroup_max_size,
            shader_f16: has(wgpu::Features::SHADER_F16),
            shader_int64: has(wgpu::Features::SHADER_INT64),
            shader_float64: has(wgpu::Features::SHADER_F64),
            timestamps: has(wgpu::Features::TIMESTAMP_QUERY),
            cooperative_matrix: has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
            max_loop_iterations: match info.device_type {
                wgpu::DeviceType::Cpu => Requirements::GUARANTEED.max_loop_iterations,
                wgpu::DeviceType::DiscreteGpu
                | wgpu::DeviceType::IntegratedGpu
                | wgpu::DeviceType::VirtualGpu
                | wgpu::DeviceType::Other => u64::from(u32::MAX),
            },
        }
    }
}

/// Which adapter to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// `vulkan`, `metal` or `dx12`, several with commas between; all if absent.
    pub backend: Option<String>,
    /// Part of the adapter's name, in any case; the most powerful adapter if absent.
    pub adapter: Option<String>,
}

impl DeviceOptions {
    /// What the environment variables `WGPU_BACKEND` and `WGPU_ADAPTER_NAME` say.
    pub fn from_env() -> Self {
        let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Self { backend: var("WGPU_BACKEND"), adapter: var("WGPU_ADAPTER_NAME") }
    }
}

/// The adapters that these options allow, the one to be taken first.
pub fn adapters(options: &DeviceOptions) -> Result<Vec<Capabilities>, RuntimeError> {
    Ok(find(options)?.iter().map(Capabilities::of).collect())
}

pub(crate) fn find(options: &DeviceOptions) -> Result<Vec<wgpu::Adapter>, RuntimeError> {
    let compiled_in = wgpu::Instance::enabled_backend_features();
    let backends = match &options.backend {
        None => compiled_in,
        Some(wanted) => wgpu::Backends::from_comma_list(wanted),
    };
    if let Some(wanted) = &options.backend
        && backends.is_empty()
    {
        return Err(RuntimeError::NoSuchBackend { wanted: wanted.clone() });
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        // The validation layers of debug builds are for whoever works on wgpu.
        flags: wgpu::InstanceFlags::empty().with_env(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    if found.is_empty() {
        let names = wgpu::Backend::ALL.into_iter().filter(|b| (backends & compiled_in).contains((*b).into()));
        let backends = names.map(wgpu::Backend::to_str).collect::<Vec<_>>().join(", ");
        let backends = if backends.is_empty() { "none that this system has".to_string() } else { backends };
        return Err(RuntimeError::NoAdapter { backends });
    }
    found.sort_by_key(|adapter| Capabilities::of(adapter).kind.rank());
    if let Some(wanted) = &options.adapter {
        let there = found.iter().map(|adapter| adapter.get_info().name).collect();
        found.retain(|adapter| adapter.get_info().name.to_lowercase().contains(&wanted.to_lowercase()));
        if found.is_empty() {
            return Err(RuntimeError::NoSuchAdapter { wanted: wanted.clone(), there });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::WGPU_VERSION;

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        let lock = std::fs::read_to_string(path).expect("the workspace's lock file");
        for name in ["wgpu", "naga"] {
            let package = format!("name = \"{name}\"\nversion = \"{WGPU_VERSION}\"\n");
            assert!(lock.contains(&package), "{name} is not {WGPU_VERSION}");
        }
    }
}
