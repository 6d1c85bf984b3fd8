//! An open device, and the conversion of its errors. wgpu panics on an uncaught error; here all are caught: by
//! scopes where the cause is known, by a sink for the rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_plan::Requirements;

use crate::adapters::{Capabilities, DeviceOptions, find};
use crate::error::RuntimeError;
use crate::pipelines::Pipelines;

/// An open device. Cheap to clone; sessions on one device share its memory and its queue.
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    capabilities: Arc<Capabilities>,
    faults: Arc<Mutex<Faults>>,
    pub(crate) pipelines: Option<Arc<Pipelines>>,
}

#[derive(Debug, Default)]
struct Faults {
    lost: Option<String>,
    uncaptured: Option<wgpu::Error>,
}

fn lock(faults: &Mutex<Faults>) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Opens an adapter with what a plan requires of it, and no more than that: what runs here runs wherever the
    /// requirements are met.
    pub fn open(options: &DeviceOptions, requirements: &Requirements) -> Result<Self, RuntimeError> {
        let adapter = find(options)?
            .into_iter()
            .next()
            .ok_or_else(|| RuntimeError::NoAdapter { backends: "all".to_string() })?;
        let capabilities = Capabilities::of(&adapter);
        check(requirements, &capabilities)?;
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::TIMESTAMP_QUERY, capabilities.timestamps);
        let keeps_pipelines = adapter.features().contains(wgpu::Features::PIPELINE_CACHE);
        features.set(wgpu::Features::PIPELINE_CACHE, keeps_pipelines);
        features.set(wgpu::Features::SUBGROUP, requirements.subgroup_size.is_some());
        features.set(wgpu::Features::SHADER_F16, requirements.shader_f16);
        features.set(wgpu::Features::SHADER_INT64, requirements.shader_int64);
        features.set(wgpu::Features::SHADER_F64, requirements.shader_float64);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("kiln"),
            required_features: features,
            required_limits: limits(requirements, &adapter.limits()),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
            RuntimeError::Open { adapter: capabilities.name.clone(), reason: error.to_string() }
        })?;
        let faults = Arc::new(Mutex::new(Faults::default()));
        let sink = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&sink).uncaptured.get_or_insert(error);
        }));
        let sink = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            let message = if message.is_empty() { format!("{reason:?}") } else { message };
            lock(&sink).lost.get_or_insert(message);
        });
        Ok(Self { device, queue, capabilities: Arc::new(capabilities), faults, pipelines: None })
    }

    /// What the adapter can do, which may be more than what the device was opened with.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The device and the queue underneath, for programs that do other work on them.
    pub fn raw(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.device, &self.queue)
    }

    /// Whether this device was opened with what a plan requires.
    pub(crate) fn check(&self, requirements: &Requirements) -> Result<(), RuntimeError> {
        let (limits, features) = (self.device.limits(), self.device.features());
        let opened = Capabilities {
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            shader_int64: features.contains(wgpu::Features::SHADER_INT64),
            shader_float64: features.contains(wgpu::Features::SHADER_F64),
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
            ..Capabilities::clone(&self.capabilities)
        };
        check(requirements, &opened)
    }

    /// An error that occurred outside of any wait, if there was one.
    pub(crate) fn fault(&self, doing: &'static str, needs: u64) -> Result<(), RuntimeError> {
        let uncaptured = {
            let mut faults = lock(&self.faults);
            if let Some(reason) = &faults.lost {
                return Err(RuntimeError::Lost { reason: reason.clone() });
            }
            faults.uncaptured.take()
        };
        match uncaptured {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(RuntimeError::OutOfMemory { doing, needs }),
            Some(error) => Err(self.failed(doing, error.to_string())),
        }
    }

    /// An error of the device. On a device that is being lost, operations fail for many reasons before the loss is
    /// reported, which is the one that counts.
    pub(crate) fn failed(&self, doing: &'static str, reason: String) -> RuntimeError {
        // wgpu tells it to whoever polls, and panics if it is lost meanwhile.
        let _ = catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll)));
        match &lock(&self.faults).lost {
            Some(reason) => RuntimeError::Lost { reason: reason.clone() },
            None => RuntimeError::Device { doing, reason },
        }
    }

    /// Notes that the device is lost, for everything that is tried from now on.
    pub(crate) fn lose(&self, reason: &str) -> RuntimeError {
        RuntimeError::Lost {
            reason: lock(&self.faults).lost.get_or_insert_with(|| reason.to_string()).clone(),
        }
    }

    /// Does something and returns the errors that wgpu reports meanwhile on this thread.
    pub(crate) fn scoped<T>(&self, work: impl FnOnce() -> T) -> Result<T, wgpu::Error> {
        let filters =
            [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let result = work();
        // Inner scopes first, and each of them even if one has an error.
        let errors: Vec<_> =
            scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
        errors.into_iter().next().map_or(Ok(result), Err)
    }

    /// Lets finished work call back, without waiting.
    pub(crate) fn poll(&self) -> Result<(), RuntimeError> {
        self.poll_type(wgpu::PollType::Poll, None)
    }

    /// Waits until a submission is done.
    pub(crate) fn wait(
        &self,
        submission: Option<wgpu::SubmissionIndex>,
        timeout: Option<Duration>,
    ) -> Result<(), RuntimeError> {
        self.poll_type(wgpu::PollType::Wait { submission_index: submission, timeout }, timeout)
    }

    fn poll_type(&self, poll: wgpu::PollType, timeout: Option<Duration>) -> Result<(), RuntimeError> {
        self.fault("doing earlier work", 0)?;
        // wgpu panics if the device is lost while it waits for it.
        let result = catch_unwind(AssertUnwindSafe(|| self.device.poll(poll)));
        self.fault("running the plan", 0)?;
        match result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => Err(RuntimeError::Timeout(timeout.unwrap_or(Duration::MAX))),
            // A submission that never was: a lost device takes no work and says so only here.
            Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))) => Err(self.lose("it takes no more work")),
            Err(_) => Err(self.lose("it failed while it was waited for")),
        }
    }
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

fn check(requirements: &Requirements, has: &Capabilities) -> Result<(), RuntimeError> {
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
        ("loop iterations of an invocation", requirements.max_loop_iterations, has.max_loop_iterations),
    ];
    let adapter = || has.name.clone();
    for (what, needs, has) in limits {
        if needs > has {
            return Err(RuntimeError::Limit { what, needs, has, adapter: adapter() });
        }
    }
    let features = [
        (requirements.shader_f16, has.shader_f16, "16-bit floats in kernels"),
        (requirements.shader_int64, has.shader_int64, "64-bit integers in kernels"),
        (requirements.shader_float64, has.shader_float64, "64-bit floats in kernels"),
    ];
    for (needs, has, feature) in features {
        if needs && !has {
            return Err(RuntimeError::Feature { feature, adapter: adapter() });
        }
    }
    let Some(needs) = requirements.subgroup_size else { return Ok(()) };
    if !has.subgroups {
        return Err(RuntimeError::Feature { feature: "subgroup operations", adapter: adapter() });
    }
    let (min, max) = (has.subgroup_min_size, has.subgroup_max_size);
    if min != needs || max != needs {
        return Err(RuntimeError::Subgroup { needs, min, max, adapter: adapter() });
    }
    Ok(())
}
