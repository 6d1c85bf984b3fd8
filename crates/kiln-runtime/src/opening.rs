//! What a device has to be opened with for a plan, and whether one was.

use kiln_plan::Requirements;

use crate::adapters::Capabilities;
use crate::device::Device;
use crate::error::RuntimeError;

/// What the adapter decides, however a device is opened.
const LOOPS: &str = "loop iterations of an invocation";

impl Device {
    /// What a program has to open a device of this adapter with, so that it can hand the device to
    /// [`Device::from_wgpu`] and run plans with these requirements; an error that names what the adapter lacks. It
    /// asks for no more than WebGPU's default limits and the plan's requirements, and the program can add to it:
    ///
    /// ```no_run
    /// use kiln_runtime::{Device, Plan, Session, wgpu};
    ///
    /// # async fn example(adapter: wgpu::Adapter, own: wgpu::Limits) -> Result<(), Box<dyn std::error::Error>> {
    /// let plan = Plan::load("style.kplan")?;
    /// let mut descriptor = Device::descriptor(&adapter, &plan.requirements)?;
    /// descriptor.required_features |= wgpu::Features::TIMESTAMP_QUERY;
    /// descriptor.required_limits = descriptor.required_limits.or_better_values_from(&own);
    /// let (device, queue) = adapter.request_device(&descriptor).await?;
    /// let session = Session::load(&Device::from_wgpu(device.clone(), queue.clone()), &plan)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn descriptor(
        adapter: &wgpu::Adapter,
        requirements: &Requirements,
    ) -> Result<wgpu::DeviceDescriptor<'static>, RuntimeError> {
        check(requirements, &Capabilities::of(adapter), false)?;
        Ok(wgpu::DeviceDescriptor {
            required_features: features(requirements),
            required_limits: limits(requirements, &adapter.limits()),
            ..Default::default()
        })
    }

    /// Whether this device was opened with what a plan requires; if not, an error names what is missing.
    pub fn check(&self, requirements: &Requirements) -> Result<(), RuntimeError> {
        let opened =
            Capabilities::new(self.device.adapter_info(), self.device.features(), &self.device.limits());
        check(requirements, &opened, self.foreign)
    }
}

/// The features a device is opened with.
fn features(requirements: &Requirements) -> wgpu::Features {
    let mut features = wgpu::Features::empty();
    features.set(wgpu::Features::SUBGROUP, requirements.subgroup_size.is_some());
    features.set(wgpu::Features::SHADER_F16, requirements.shader_f16);
    features.set(wgpu::Features::SHADER_INT64, requirements.shader_int64);
    features.set(wgpu::Features::SHADER_F64, requirements.shader_float64);
    features
}

/// The limits a device is opened with.
fn limits(requirements: &Requirements, adapter: &wgpu::Limits) -> wgpu::Limits {
    // Of what has nothing to do with kernels, an adapter may have less than is guaranteed.
    let mut limits = wgpu::Limits::defaults().or_worse_values_from(adapter);
    let raise = |limit: &mut u32, needs: u32| *limit = (*limit).max(needs);
    raise(
        &mut limits.max_storage_buffers_per_shader_stage,
        requirements.max_storage_buffers_per_shader_stage,
    );
    raise(&mut limits.max_compute_workgroup_storage_size, requirements.max_compute_workgroup_storage_size);
    raise(
        &mut limits.max_compute_invocations_per_workgroup,
        requirements.max_compute_invocations_per_workgroup,
    );
    raise(
        &mut limits.max_compute_workgroup_size_x,
        requirements.max_compute_invocations_per_workgroup.min(adapter.max_compute_workgroup_size_x),
    );
    limits.max_buffer_size = limits.max_buffer_size.max(requirements.max_buffer_size);
    limits.max_storage_buffer_binding_size =
        limits.max_storage_buffer_binding_size.max(requirements.max_storage_buffer_binding_size);
    limits
}

/// Compares; `opened` if it is what a program has opened its device with, for errors to say so.
fn check(requirements: &Requirements, has: &Capabilities, opened: bool) -> Result<(), RuntimeError> {
    let limits = [
        (
            "bytes in one storage buffer binding",
            requirements.max_storage_buffer_binding_size,
            has.max_storage_buffer_binding_size,
        ),
        ("bytes in one buffer", requirements.max_buffer_size, has.max_buffer_size),
        (
            "storage buffers in one dispatch",
            requirements.max_storage_buffers_per_shader_stage.into(),
            has.max_storage_buffers_per_shader_stage.into(),
        ),
        (
            "bytes of workgroup memory",
            requirements.max_compute_workgroup_storage_size.into(),
            has.max_compute_workgroup_storage_size.into(),
        ),
        (
            "invocations in one workgroup",
            requirements.max_compute_invocations_per_workgroup.into(),
            has.max_compute_invocations_per_workgroup.into(),
        ),
        (LOOPS, requirements.max_loop_iterations, has.max_loop_iterations),
    ];
    let adapter = || has.name.clone();
    for (what, needs, has) in limits {
        if needs > has && opened && what != LOOPS {
            return Err(RuntimeError::OpenedLimit { what, needs, has });
        }
        if needs > has {
            return Err(RuntimeError::Limit { what, needs, has, adapter: adapter() });
        }
    }
    let features = [
        (requirements.shader_f16, has.shader_f16, "16-bit floats in kernels"),
        (requirements.shader_int64, has.shader_int64, "64-bit integers in kernels"),
        (requirements.shader_float64, has.shader_float64, "64-bit floats in kernels"),
        (requirements.subgroup_size.is_some(), has.subgroups, "subgroup operations"),
    ];
    for (needs, has, feature) in features {
        if needs && !has {
            if opened {
                return Err(RuntimeError::OpenedFeature { feature });
            }
            return Err(RuntimeError::Feature { feature, adapter: adapter() });
        }
    }
    let Some(needs) = requirements.subgroup_size else { return Ok(()) };
    let (min, max) = (has.subgroup_min_size, has.subgroup_max_size);
    if min != needs || max != needs {
        return Err(RuntimeError::Subgroup { needs, min, max, adapter: adapter() });
    }
    Ok(())
}
