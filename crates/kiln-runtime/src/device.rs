//! An open device, and the conversion of its errors. wgpu panics on an uncaught error; here all are caught: by
//! scopes where the cause is known, by a sink for the rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_plan::Requirements;
use wgpu::util::DeviceExt;

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
    /// Whether a program has opened it, so that its handlers of errors are not ours.
    pub(crate) foreign: bool,
}

/// What is known of a device that was lost without a word.
const TAKES_NO_WORK: &str = "it takes no more work";

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
        let mut descriptor = Self::descriptor(&adapter, requirements)?;
        descriptor.label = Some("kiln");
        let offered = adapter.features();
        for wanted in [wgpu::Features::TIMESTAMP_QUERY, wgpu::Features::PIPELINE_CACHE] {
            descriptor.required_features.set(wanted, offered.contains(wanted));
        }
        let capabilities = Capabilities::of(&adapter);
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
        let capabilities = Arc::new(capabilities);
        Ok(Self { device, queue, capabilities, faults, pipelines: None, foreign: false })
    }

    /// A device that the program has opened itself: sessions on it share its memory and its queue with whatever else
    /// the program does. [`Device::descriptor`] says what it has to be opened with.
    ///
    /// Its handlers for errors and for the loss of the device stay the program's own: what goes wrong in a session is
    /// returned by the session, as on a device of Kiln's own.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let capabilities = Capabilities::new(device.adapter_info(), device.features(), &device.limits());
        let faults = Arc::default();
        Self { device, queue, capabilities: Arc::new(capabilities), faults, pipelines: None, foreign: true }
    }

    /// What the adapter can do, which may be more than what the device was opened with; of a program's own device, what
    /// it was opened with.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The device and the queue underneath, for programs that do other work on them.
    pub fn raw(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.device, &self.queue)
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
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // It tells a program, not us, if the device is the program's; but then it takes no work.
            let submission = self.foreign.then(|| self.queue.submit([]));
            self.device.poll(match submission {
                None => wgpu::PollType::Poll,
                submission_index => wgpu::PollType::Wait { submission_index, timeout: Some(Duration::ZERO) },
            })
        }));
        if let Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))) = polled {
            return self.lose(TAKES_NO_WORK);
        }
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

    /// Does something and returns what goes wrong meanwhile, where nothing else can say so: on a program's own device.
    pub(crate) fn watched<T>(
        &self,
        doing: &'static str,
        needs: u64,
        work: impl FnOnce() -> T,
    ) -> Result<T, RuntimeError> {
        let result = if self.foreign { self.scoped(work) } else { Ok(work()) };
        self.fault(doing, needs)?;
        result.map_err(|error| match error {
            wgpu::Error::OutOfMemory { .. } => RuntimeError::OutOfMemory { doing, needs },
            error => self.failed(doing, error.to_string()),
        })
    }

    /// A buffer of its own with these contents.
    pub(crate) fn filled(
        &self,
        label: &str,
        usage: wgpu::BufferUsages,
        contents: &[u8],
    ) -> Result<wgpu::Buffer, RuntimeError> {
        let descriptor = wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage };
        let needs = contents.len() as u64;
        self.watched("copying inputs", needs, || self.device.create_buffer_init(&descriptor))
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
            Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))) => Err(self.lose(TAKES_NO_WORK)),
            Err(_) => Err(self.lose("it failed while it was waited for")),
        }
    }
}
