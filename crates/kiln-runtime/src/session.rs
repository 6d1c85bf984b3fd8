//! A plan on a device, ready to run. A run is one submission: the inputs, all dispatches, the copies of the outputs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kiln_plan::{LIMITS, Limits, Metadata, Plan, Program, Tensor};

use crate::device::Device;
use crate::error::RuntimeError;
use crate::load::{self, Kernel};
use crate::outputs::{Outputs, Pending, Staging, Started};
use crate::pictures::Pictures;
use crate::steps::{ParamsPlace, params_places};
use crate::symbols::values_text;
use crate::tensor::HostTensor;
use crate::{adapters::DeviceOptions, memory};

/// How a plan is loaded and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long to wait for the device before giving up.
    pub timeout: Option<Duration>,
    /// Bytes the plan may take on the device; what the system says is free where it says so, if absent.
    pub memory_limit: Option<u64>,
    /// Limits of a plan: workgroups of a run, size of kernels. A plan beyond the default limits is read with
    /// [`Plan::load_within`].
    pub limits: Limits,
}

impl Default for SessionOptions {
    /// Ten minutes, which only a device that hangs needs.
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(600)), memory_limit: None, limits: LIMITS }
    }
}

/// What loading took, in seconds, and what it took on the device, in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// All of it.
    pub seconds: f64,
    /// Making buffers and copying weights into them.
    pub upload_seconds: f64,
    /// Checking and translating kernels, on all threads.
    pub kernel_seconds: f64,
    /// The same for each shader by itself.
    pub shader_seconds: Vec<f64>,
    /// From the end of loading until the first answer of the first run, compilation by the driver included;
    /// `None` before it.
    pub first_run_seconds: Option<f64>,
    /// Compilation by the driver, if [`Session::warm_up`] was called.
    pub warm_up_seconds: Option<f64>,
    /// Bytes of weights and state.
    pub weight_bytes: u64,
    /// Bytes of activations, inputs and outputs.
    pub arena_bytes: u64,
    /// All bytes, with parameters and staging.
    pub total_bytes: u64,
}

/// How many sessions this process has had.
pub(crate) static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// A plan on a device.
pub struct Session {
    pub(crate) device: Device,
    /// Without the bytes of its segments.
    pub(crate) plan: Plan,
    pub(crate) buffers: Vec<wgpu::Buffer>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) programs: Vec<Ready>,
    pub(crate) staging: Staging,
    /// No other session of this process has it.
    pub(crate) number: u64,
    pub(crate) options: SessionOptions,
    pub(crate) report: LoadReport,
    /// The program whose inputs were set last.
    pub(crate) last: Option<usize>,
    /// How many runs there were, recorded ones included: the arenas hold what the last one leaves there.
    pub(crate) runs: u64,
    pub(crate) pictures: Option<Pictures>,
}

/// A program with everything of it on the device.
pub(crate) struct Ready {
    pub params: Option<wgpu::Buffer>,
    pub params_places: Vec<ParamsPlace>,
    pub params_size: u64,
    pub bind_groups: Vec<wgpu::BindGroup>,
    /// What follows from the shapes of the inputs; `None` before there were any.
    pub bound: Option<Bound>,
    /// Whether commands refer to it that a program may submit at any time: then its parameters stay as they are.
    pub recorded: bool,
}

/// A program for given values of the symbols.
pub(crate) struct Bound {
    pub symbols: Vec<i64>,
    pub workgroups: Vec<[u32; 3]>,
    /// How many steps each repeat has.
    pub steps: Vec<u64>,
}

impl Session {
    /// Opens the device that the environment asks for and loads a plan.
    pub fn open(plan: &Plan) -> Result<Self, RuntimeError> {
        let device = Device::open(&DeviceOptions::from_env(), &plan.requirements)?;
        Self::load(&device, plan)
    }

    /// Loads a plan: afterwards the device has the weights, and everything is allocated.
    pub fn load(device: &Device, plan: &Plan) -> Result<Self, RuntimeError> {
        Self::load_with(device, plan, SessionOptions::default())
    }

    /// Loads a plan with options.
    pub fn load_with(device: &Device, plan: &Plan, options: SessionOptions) -> Result<Self, RuntimeError> {
        let start = Instant::now();
        kiln_plan::check_within(plan, &options.limits)?;
        device.check(&plan.requirements)?;
        device.fault("doing earlier work", 0)?;
        let needs = memory::needs(plan);
        memory::check(&needs, device.capabilities(), options.memory_limit)?;

        let buffers = memory::guarded(device, "making buffers", needs.total, || {
            let buffers = load::buffers(device, plan);
            load::upload(device, plan, &buffers);
            Ok(buffers)
        })?;
        let upload_seconds = start.elapsed().as_secs_f64();
        let kernel_start = Instant::now();
        let kernels = load::kernels(device, plan)?;
        if let Some(pipelines) = &device.pipelines {
            pipelines.keep();
        }
        let kernel_seconds = kernel_start.elapsed().as_secs_f64();
        let programs = memory::guarded(device, "binding buffers", needs.total, || {
            plan.programs
                .iter()
                .map(|program| Ready::new(device, plan, program, &kernels, &buffers))
                .collect()
        })?;

        let report = LoadReport {
            seconds: start.elapsed().as_secs_f64(),
            upload_seconds,
            kernel_seconds,
            shader_seconds: kernels.iter().map(|kernel| kernel.seconds).collect(),
            first_run_seconds: None,
            warm_up_seconds: None,
            weight_bytes: needs.weights,
            arena_bytes: needs.arenas,
            total_bytes: needs.total,
        };
        let plan = without_data(plan);
        let staging = Staging::default();
        Ok(Self {
            device: device.clone(),
            plan,
            buffers,
            kernels,
            programs,
            staging,
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
            options,
            report,
            last: None,
            runs: 0,
            pictures: None,
        })
    }

    /// The plan, without its weights.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The model's metadata: how inputs are preprocessed, what classes are called, where the weights come from.
    pub fn metadata(&self) -> &Metadata {
        &self.plan.metadata
    }

    /// The device it is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What loading and the first run took.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// Runs the first program of the plan and waits for its outputs.
    pub fn run(&mut self, inputs: &[(&str, &HostTensor)]) -> Result<Outputs, RuntimeError> {
        self.submit(0, inputs)?.wait()
    }

    /// Runs a program by name and waits for its outputs.
    pub fn run_program(
        &mut self,
        program: &str,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<Outputs, RuntimeError> {
        let index = self.program_index(program)?;
        self.submit(index, inputs)?.wait()
    }

    /// Starts the first program of the plan; the result can be awaited.
    pub fn run_async(&mut self, inputs: &[(&str, &HostTensor)]) -> Result<Pending<'_>, RuntimeError> {
        self.submit(0, inputs)
    }

    /// Starts a program by name; the result can be awaited.
    pub fn run_program_async(
        &mut self,
        program: &str,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<Pending<'_>, RuntimeError> {
        let index = self.program_index(program)?;
        self.submit(index, inputs)
    }

    /// Starts a program by name, behind the runs that were started before. The session can be used for other runs before
    /// [`Session::finish`] waits for the outputs of this one: a training that looks at losses a few steps late never waits for the
    /// device.
    pub fn start(&mut self, program: &str, inputs: &[(&str, &HostTensor)]) -> Result<Started, RuntimeError> {
        let index = self.program_index(program)?;
        self.begin(index, inputs)
    }

    /// Waits for the outputs of a run of this session.
    pub fn finish(&mut self, run: Started) -> Result<Outputs, RuntimeError> {
        run.wait(self)
    }

    pub(crate) fn submit(
        &mut self,
        index: usize,
        inputs: &[(&str, &HostTensor)],
    ) -> Result<Pending<'_>, RuntimeError> {
        let run = self.begin(index, inputs)?;
        Ok(Pending::new(self, run))
    }

    fn begin(&mut self, index: usize, inputs: &[(&str, &HostTensor)]) -> Result<Started, RuntimeError> {
        let start = Instant::now();
        self.set_inputs(index, inputs)?;
        let mut encoder = self.encoder();
        let count = self.program(index)?.dispatches.len();
        self.encode_range(&mut encoder, index, 0..count)?;
        Started::start(self, index, encoder, start)
    }

    pub(crate) fn program_index(&self, name: &str) -> Result<usize, RuntimeError> {
        self.plan
            .programs
            .iter()
            .position(|program| program.name == name)
            .ok_or_else(|| self.no_program(name))
    }

    pub(crate) fn program(&self, index: usize) -> Result<&Program, RuntimeError> {
        self.plan.programs.get(index).ok_or_else(|| self.no_program(&index.to_string()))
    }

    pub(crate) fn no_program(&self, wanted: &str) -> RuntimeError {
        let there = self.plan.programs.iter().map(|program| program.name.clone()).collect();
        RuntimeError::NoSuchProgram { wanted: wanted.to_string(), there }
    }

    /// The values of the symbols in the last run, or their maximums.
    pub(crate) fn values(&self) -> Vec<i64> {
        let last =
            self.last.and_then(|index| self.programs.get(index)).and_then(|ready| ready.bound.as_ref());
        let largest = || self.plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
        last.map_or_else(largest, |bound| bound.symbols.clone())
    }

    pub(crate) fn buffer(&self, index: usize) -> Result<wgpu::Buffer, RuntimeError> {
        let missing = || RuntimeError::Device {
            doing: "looking up a range",
            reason: format!("there is no buffer {index}"),
        };
        self.buffers.get(index).cloned().ok_or_else(missing)
    }

    /// Queues bytes for the place of a tensor.
    pub(crate) fn write(&self, tensor: &Tensor, bytes: &[u8]) -> Result<(), RuntimeError> {
        let buffer = self.buffer(tensor.place.buffer)?;
        // An odd number of 16-bit elements ends within a word, and words are what is written.
        let (words, rest) = bytes.as_chunks::<4>();
        if !words.is_empty() {
            self.device.queue.write_buffer(&buffer, tensor.place.offset, words.as_flattened());
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            let at = tensor.place.offset + words.as_flattened().len() as u64;
            self.device.queue.write_buffer(&buffer, at, &last);
        }
        Ok(())
    }
}

impl Ready {
    pub(crate) fn new(
        device: &Device,
        plan: &Plan,
        program: &Program,
        kernels: &[Kernel],
        buffers: &[wgpu::Buffer],
    ) -> Result<Self, RuntimeError> {
        let (params_places, params_size) = params_places(plan, program);
        let params = (params_size > 0).then(|| {
            device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("parameters"),
                size: params_size,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        let bind = |(dispatch, place): (_, &ParamsPlace)| {
            let params = params.as_ref().map(|buffer| (buffer, place.at));
            load::bind_group(device, plan, dispatch, kernels, buffers, params)
        };
        let bind_groups =
            program.dispatches.iter().zip(&params_places).map(bind).collect::<Result<_, _>>()?;
        Ok(Self { params, params_places, params_size, bind_groups, bound: None, recorded: false })
    }
}

fn without_data(plan: &Plan) -> Plan {
    Plan {
        name: plan.name.clone(),
        producer: plan.producer.clone(),
        target: plan.target.clone(),
        symbols: plan.symbols.clone(),
        requirements: plan.requirements.clone(),
        shaders: plan.shaders.clone(),
        buffers: plan.buffers.clone(),
        tensors: plan.tensors.clone(),
        states: plan.states.clone(),
        programs: plan.programs.clone(),
        data: vec![],
        metadata: plan.metadata.clone(),
    }
}

/// Bytes a tensor takes for given values of the symbols; an error if it does not fit its place, which only a plan
/// with sizes that fall as symbols grow can bring about.
pub(crate) fn physical_bytes(plan: &Plan, tensor: &Tensor, symbols: &[i64]) -> Result<u64, RuntimeError> {
    let strides = tensor.shape_at(symbols).and_then(|shape| tensor.layout.strides(&shape));
    let bytes = strides.and_then(|(_, count)| u64::try_from(count).ok()?.checked_mul(tensor.storage.size()));
    bytes.filter(|bytes| *bytes <= tensor.place.size).ok_or_else(|| RuntimeError::Size {
        what: format!("the size of tensor `{}`", tensor.name),
        value: bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1),
        symbols: values_text(plan, symbols),
    })
}
