//! Reading outputs: they are copied into staging memory within the run's submission, and read when it is done,
//! by a blocking wait or by awaiting it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use kiln_plan::OutputRef;

use crate::done::Done;
use crate::error::RuntimeError;
use crate::session::{Session, physical_bytes};
use crate::symbols;
use crate::tensor::HostTensor;

/// The outputs of a run, in the order of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs(Vec<(String, HostTensor)>);

impl Outputs {
    /// An output by name.
    pub fn get(&self, name: &str) -> Result<&HostTensor, RuntimeError> {
        let found = self.0.iter().find(|(output, _)| output == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| RuntimeError::NoSuchOutput {
            wanted: name.to_string(),
            there: self.0.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// Names and tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HostTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

impl IntoIterator for Outputs {
    type Item = (String, HostTensor);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Memory that the device writes and the host reads: a buffer for each run in flight, kept for the next ones.
#[derive(Clone, Default)]
pub(crate) struct Staging {
    free: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Staging {
    /// A buffer that is large enough. Smaller ones that are free are dropped: sizes grow, and then stay.
    fn take(&self, device: &wgpu::Device, size: u64) -> wgpu::Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain(|buffer| buffer.size() >= size);
        free.pop().unwrap_or_else(|| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }

    fn give_back(&self, buffer: wgpu::Buffer) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// What the callback of a mapping says, and whom to wake then.
#[derive(Default)]
struct Mapping {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    /// Why whoever waits in the background has given up.
    given_up: Option<RuntimeError>,
    waker: Option<Waker>,
}

/// A mapping that is asked for, and those who wait for it.
#[derive(Default)]
struct Awaited {
    mapping: Mutex<Mapping>,
    told: Condvar,
}

impl Awaited {
    fn lock(&self) -> MutexGuard<'_, Mapping> {
        self.mapping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, result: Result<(), wgpu::BufferAsyncError>) {
        let mut mapping = self.lock();
        mapping.result = Some(result);
        if let Some(waker) = mapping.waker.take() {
            waker.wake();
        }
        self.told.notify_all();
    }

    /// The callback's word, once the device has been waited for. Another thread that waits for the same device may have
    /// taken the callback along and be about to call it.
    fn told(&self) -> Option<Result<(), wgpu::BufferAsyncError>> {
        let waiting = self.told.wait_timeout_while(self.lock(), CALLBACK, |mapping| mapping.result.is_none());
        let (mapping, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        mapping.result.clone()
    }
}

/// How long a callback may take that is already on another thread.
const CALLBACK: Duration = Duration::from_secs(10);

/// Copies are of so many bytes, or a multiple; tensors have room for that.
const COPY_ALIGN: usize = wgpu::COPY_BUFFER_ALIGNMENT as usize;

/// Part of a buffer: its first byte and the number of bytes.
pub(crate) type Part = (wgpu::Buffer, u64, u64);

/// A part of the device's memory on its way to the host. It is unmapped when dropped.
pub(crate) struct Readback {
    buffer: Option<wgpu::Buffer>,
    /// Where it goes afterwards.
    staging: Staging,
    size: u64,
    mapping: Arc<Awaited>,
    submission: wgpu::SubmissionIndex,
}

/// Copies into staging memory that are recorded.
struct Copies {
    buffer: Option<wgpu::Buffer>,
    size: u64,
    mapping: Arc<Awaited>,
}

impl Copies {
    /// Copies parts of buffers one after the other, each rounded up to whole words, and has the copies mapped when they are
    /// submitted.
    fn record(session: &Session, encoder: &mut wgpu::CommandEncoder, parts: &[Part]) -> Self {
        let whole = |size: &u64| size.next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let size = parts.iter().map(|(_, _, size)| whole(size)).fold(0, u64::saturating_add);
        let buffer = (size > 0).then(|| session.staging.take(&session.device.device, size));
        let mapping = Arc::new(Awaited::default());
        if let Some(staging) = &buffer {
            let mut to = 0;
            for (from, offset, size) in parts {
                if *size > 0 {
                    encoder.copy_buffer_to_buffer(from, *offset, staging, to, whole(size));
                    to += whole(size);
                }
            }
            let mapping = mapping.clone();
            encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, 0..size, move |result| {
                mapping.tell(result);
            });
        }
        Self { buffer, size, mapping }
    }

    /// What is to be read once everything is done that was submitted.
    fn submitted(self, session: &Session, submission: wgpu::SubmissionIndex) -> Readback {
        let Self { buffer, size, mapping } = self;
        Readback { buffer, staging: session.staging.clone(), size, mapping, submission }
    }
}

/// Submits what has been recorded.
fn submit(
    session: &mut Session,
    encoder: wgpu::CommandEncoder,
) -> Result<wgpu::SubmissionIndex, RuntimeError> {
    let queue = &session.device.queue;
    let submit = || queue.submit([encoder.finish()]);
    let submitted = session.device.watched("running the plan", session.report.total_bytes, submit);
    if submitted.is_err() {
        // It may be the staging memory that could not be had.
        session.staging = Staging::default();
    }
    submitted
}

impl Readback {
    /// Copies parts of buffers one after the other, each rounded up to whole words, submits everything, and has the
    /// copies mapped.
    pub(crate) fn start(
        session: &mut Session,
        mut encoder: wgpu::CommandEncoder,
        parts: &[Part],
    ) -> Result<Self, RuntimeError> {
        let copies = Copies::record(session, &mut encoder, parts);
        let submission = submit(session, encoder)?;
        Ok(copies.submitted(session, submission))
    }

    /// Waits for the bytes and hands them over.
    pub(crate) fn wait<T>(
        &self,
        session: &Session,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, RuntimeError> {
        session.device.wait(Some(self.submission.clone()), session.options.timeout)?;
        self.read(session, read)
    }

    fn read<T>(&self, session: &Session, read: impl FnOnce(&[u8]) -> T) -> Result<T, RuntimeError> {
        let Some(buffer) = &self.buffer else { return Ok(read(&[])) };
        let failed = |reason: String| session.device.failed("reading memory back", reason);
        match self.mapping.told() {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                session.device.fault("reading memory back", 0)?;
                return Err(failed(error.to_string()));
            }
            None => {
                session.device.fault("reading memory back", 0)?;
                return Err(session.device.lose("it did not hand its memory over"));
            }
        }
        let view = buffer.get_mapped_range(0..self.size).map_err(|error| failed(error.to_string()))?;
        Ok(read(&view))
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        let failed = matches!(self.mapping.lock().result, Some(Err(_)));
        if let Some(buffer) = self.buffer.take().filter(|_| !failed) {
            buffer.unmap();
            self.staging.give_back(buffer);
        }
    }
}

/// A tensor on its way.
struct Coming {
    /// Index into the plan's tensors.
    tensor: usize,
    shape: Vec<usize>,
    bytes: usize,
}

/// A run that has been submitted, of a session that can be used meanwhile. [`Session::finish`] waits for its outputs; dropping it
/// lets the run finish unseen.
pub struct Started {
    /// The number of its session.
    session: u64,
    readback: Readback,
    coming: Vec<Coming>,
    outputs: Vec<OutputRef>,
    start: Instant,
    /// The commands that a program submits, of which this reads the outputs.
    behind: Option<Arc<Done>>,
}

/// A run that has been submitted. Wait for it or await it; dropping it lets the run finish unseen.
pub struct Pending<'a> {
    session: &'a mut Session,
    run: Started,
    watched: bool,
}

/// A run whose outputs are copied by commands that are recorded.
pub(crate) struct Reading {
    copies: Copies,
    coming: Vec<Coming>,
    outputs: Vec<OutputRef>,
}

impl Reading {
    /// Records copies of what a run leaves.
    pub(crate) fn record(
        session: &Session,
        index: usize,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Self, RuntimeError> {
        let program = session.program(index)?;
        let bound = session.programs.get(index).and_then(|ready| ready.bound.as_ref());
        let values = bound.map(|bound| bound.symbols.as_slice()).unwrap_or_default();
        let (mut parts, mut coming) = (Vec::new(), Vec::new());
        let outputs = program.outputs.clone();
        // One size may be that of several outputs.
        let mut sizes: Vec<usize> = outputs.iter().flat_map(|o| &o.sizes).map(|size| size.tensor).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for index in outputs.iter().map(|output| output.tensor).chain(sizes) {
            let tensor = symbols::tensor(&session.plan, index)?;
            let size = physical_bytes(&session.plan, tensor, values)?;
            let shape = tensor.shape_at(values).unwrap_or_default();
            parts.push((session.buffer(tensor.place.buffer)?, tensor.place.offset, size));
            coming.push(Coming { tensor: index, shape, bytes: usize::try_from(size).unwrap_or(0) });
        }
        Ok(Self { copies: Copies::record(session, encoder, &parts), coming, outputs })
    }
}

impl Started {
    pub(crate) fn start(
        session: &mut Session,
        index: usize,
        mut encoder: wgpu::CommandEncoder,
        start: Instant,
    ) -> Result<Self, RuntimeError> {
        let reading = Reading::record(session, index, &mut encoder)?;
        let mut all = Self::submit(session, encoder, vec![reading], start)?;
        let missing =
            || RuntimeError::Device { doing: "running the plan", reason: "nothing was started".into() };
        all.pop().ok_or_else(missing)
    }

    /// Submits what has been recorded for several runs.
    pub(crate) fn submit(
        session: &mut Session,
        encoder: wgpu::CommandEncoder,
        runs: Vec<Reading>,
        start: Instant,
    ) -> Result<Vec<Self>, RuntimeError> {
        let submission = submit(session, encoder)?;
        let started = |Reading { copies, coming, outputs }| {
            let readback = copies.submitted(session, submission.clone());
            Self { session: session.number, readback, coming, outputs, start, behind: None }
        };
        Ok(runs.into_iter().map(started).collect())
    }

    /// Reads what commands leave that a program has submitted.
    pub(crate) fn behind(self, done: Arc<Done>) -> Self {
        Self { behind: Some(done), ..self }
    }

    /// Waits for the outputs.
    pub(crate) fn wait(mut self, session: &mut Session) -> Result<Outputs, RuntimeError> {
        if self.session != session.number {
            let reason = "it was started by another session".into();
            return Err(RuntimeError::Device { doing: "waiting for a run", reason });
        }
        session.device.wait(Some(self.readback.submission.clone()), session.options.timeout)?;
        self.finish(session)
    }

    fn mapped(&self) -> bool {
        self.readback.mapping.lock().result.is_some()
    }

    fn finish(&mut self, session: &mut Session) -> Result<Outputs, RuntimeError> {
        if self.behind.as_ref().is_some_and(|done| !done.is_set_soon()) {
            return Err(RuntimeError::NotSubmitted);
        }
        let plan = &session.plan;
        let tensors = self.readback.read(session, |bytes| {
            let mut at = 0;
            let mut tensors = Vec::with_capacity(self.coming.len());
            for coming in &self.coming {
                let tensor = symbols::tensor(plan, coming.tensor)?;
                let part = bytes.get(at..at + coming.bytes).unwrap_or_default();
                let shape = coming.shape.clone();
                tensors.push(HostTensor::from_device(tensor.dtype, tensor.storage, shape, part));
                at += coming.bytes.next_multiple_of(COPY_ALIGN);
            }
            Ok::<_, RuntimeError>(tensors)
        })??;
        let mut tensors = tensors.into_iter();
        let whole: Vec<HostTensor> = tensors.by_ref().take(self.outputs.len()).collect();
        let sizes: Vec<(usize, usize)> = self.coming[whole.len()..]
            .iter()
            .zip(tensors)
            .map(|(coming, says)| (coming.tensor, says.first_size().unwrap_or(0)))
            .collect();
        let result = |(output, tensor): (OutputRef, HostTensor)| {
            let cut = output.sizes.iter().fold(tensor, |tensor, size| {
                let found = sizes.iter().find(|(index, _)| *index == size.tensor);
                tensor.beginning(size.axis, found.map_or(0, |(_, size)| *size))
            });
            (output.name, cut)
        };
        let tensors = std::mem::take(&mut self.outputs).into_iter().zip(whole).map(result).collect();
        session.report.first_run_seconds.get_or_insert(self.start.elapsed().as_secs_f64());
        Ok(Outputs(tensors))
    }
}

impl<'a> Pending<'a> {
    pub(crate) fn new(session: &'a mut Session, run: Started) -> Self {
        Self { session, run, watched: false }
    }

    /// Waits for the outputs.
    pub fn wait(self) -> Result<Outputs, RuntimeError> {
        self.run.wait(self.session)
    }

    /// Whether the outputs are there.
    pub fn is_ready(&self) -> Result<bool, RuntimeError> {
        self.session.device.poll()?;
        Ok(self.run.readback.buffer.is_none() || self.run.mapped())
    }
}

impl Future for Pending<'_> {
    type Output = Result<Outputs, RuntimeError>;

    /// The first time, a thread starts to wait for the device: natively nothing else calls back.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Err(error) = self.session.device.fault("running the plan", 0) {
            return Poll::Ready(Err(error));
        }
        // Looked at and left to be woken under one lock, or the news could fall in between.
        let mut mapping = self.run.readback.mapping.lock();
        if let Some(error) = mapping.given_up.take() {
            return Poll::Ready(Err(error));
        }
        if self.run.readback.buffer.is_none() || mapping.result.is_some() {
            drop(mapping);
            let Self { session, run, .. } = &mut *self;
            return Poll::Ready(run.finish(session));
        }
        mapping.waker = Some(context.waker().clone());
        drop(mapping);
        if !self.watched {
            self.watched = true;
            let device = self.session.device.clone();
            let (submission, timeout) = (self.run.readback.submission.clone(), self.session.options.timeout);
            let mapping = self.run.readback.mapping.clone();
            thread::spawn(move || {
                let result = device.wait(Some(submission), timeout);
                let mut mapping = mapping.lock();
                if mapping.result.is_none() {
                    mapping.given_up = result.err();
                }
                if let Some(waker) = mapping.waker.take() {
                    waker.wake();
                }
            });
        }
        Poll::Pending
    }
}
