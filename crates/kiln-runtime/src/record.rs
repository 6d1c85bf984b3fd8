//! Runs as part of a program's own commands: inputs that are on the device already, outputs that stay there.
//!
//! What a run needs besides is recorded with it (copies of inputs, uniform buffers that are never written again), so that
//! any number of runs can be recorded before anything is submitted, and mixed with runs that a session submits itself.

use std::sync::Arc;

use kiln_plan::{DType, Preprocessing, Storage, Tensor};

use crate::done::Done;
use crate::error::RuntimeError;
use crate::inputs::{Given, check_type, match_inputs};
use crate::outputs::{Outputs, Pending, Reading, Started};
use crate::pictures::{Conversion, Pictures};
use crate::session::{Session, physical_bytes};
use crate::symbols;
use crate::tensor::HostTensor;

/// What is given for an input.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A tensor of the host, copied when the run is recorded.
    Host(&'a HostTensor),
    /// Elements on the device and their shape: dense and in row-major order, each as the plan stores it
    /// ([`Value::storage`](crate::Value::storage)). They are copied on the device when the commands are executed, from
    /// a buffer with the usage `COPY_SRC`; the slice begins at a multiple of four bytes.
    Buffer(wgpu::BufferSlice<'a>, &'a [usize]),
    /// What commands before these have left in the place of the input itself ([`Session::place`]), and its shape.
    InPlace(&'a [usize]),
    /// A picture for each sample of the batch, preprocessed on the device as the plan's metadata says. The alpha
    /// channel is ignored.
    Textures(&'a [&'a wgpu::Texture]),
    /// The same with other preprocessing than the plan's.
    Preprocessed(&'a [&'a wgpu::Texture], &'a Preprocessing),
}

/// A tensor in the memory of a session. What it holds is that of the run it is from until another run of the session,
/// recorded ones included, is executed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceTensor {
    /// Its name.
    pub name: String,
    /// Element type as the host sees it.
    pub dtype: DType,
    /// Element type in memory.
    pub storage: Storage,
    /// The dimensions. Where the data of a run decide how long an axis is, there is as much room as it can be.
    pub shape: Vec<usize>,
    /// The buffer, with the usages `STORAGE`, `COPY_SRC` and `COPY_DST`.
    pub buffer: wgpu::Buffer,
    /// Its first byte; a multiple of 256.
    pub offset: u64,
    /// Bytes, a multiple of four. Elements are dense and in row-major order.
    pub size: u64,
}

impl DeviceTensor {
    /// As a slice of its buffer.
    pub fn slice(&self) -> wgpu::BufferSlice<'_> {
        self.buffer.slice(self.offset..self.offset + self.size)
    }

    /// As a resource to bind: an array of its elements.
    pub fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(self.range())
    }

    fn range(&self) -> wgpu::BufferBinding<'_> {
        let size = wgpu::BufferSize::new(self.size);
        wgpu::BufferBinding { buffer: &self.buffer, offset: self.offset, size }
    }
}

/// A run that is recorded in a command encoder.
#[derive(Clone, Debug)]
pub struct Recorded {
    session: u64,
    run: u64,
    program: usize,
    outputs: Vec<(String, DeviceTensor)>,
    done: Arc<Done>,
}

impl Recorded {
    /// Where an output is.
    pub fn output(&self, name: &str) -> Result<&DeviceTensor, RuntimeError> {
        let found = self.outputs.iter().find(|(output, _)| output == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| RuntimeError::NoSuchOutput {
            wanted: name.to_string(),
            there: self.outputs.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// Names and places of the outputs, in the order of the program.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &DeviceTensor)> {
        self.outputs.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether the commands were submitted and executed, as far as the device was polled.
    pub fn is_done(&self) -> bool {
        self.done.is_set()
    }
}

/// What is recorded for an input.
enum Source<'a> {
    /// Bytes of the host in a buffer of their own, or a slice of a program's buffer, and how many bytes.
    Copy(wgpu::Buffer, u64, u64),
    Textures(&'a [&'a wgpu::Texture], Vec<Conversion>),
    Nothing,
}

impl Session {
    /// Records a run of a program into an encoder, without submitting anything. The outputs stay on the device, for
    /// commands behind these, and [`Session::read`] reads them.
    ///
    /// Runs are executed in the order in which their commands are submitted, and a session's runs share memory: what
    /// is behind a run in the encoder sees its outputs until the next run of the session.
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        program: &str,
        inputs: &[(&str, Input<'_>)],
    ) -> Result<Recorded, RuntimeError> {
        let index = self.program_index(program)?;
        self.record(encoder, index, inputs)?;
        let outputs = self.device_outputs(index)?;
        let done = Arc::<Done>::default();
        let told = done.clone();
        encoder.on_submitted_work_done(move || told.set());
        self.set_recorded(index, true);
        Ok(Recorded { session: self.number, run: self.runs, program: index, outputs, done })
    }

    /// Reads the outputs of a recorded run, whose commands have been submitted. Waiting (or awaiting) gives an error if
    /// they were not.
    pub fn read(&mut self, run: &Recorded) -> Result<Pending<'_>, RuntimeError> {
        if run.session != self.number {
            let reason = "it was recorded by another session".into();
            return Err(RuntimeError::Device { doing: "reading a run", reason });
        }
        if run.run != self.runs {
            return Err(RuntimeError::Overwritten);
        }
        let start = std::time::Instant::now();
        let started = Started::start(self, run.program, self.encoder(), start)?;
        Ok(Pending::new(self, started.behind(run.done.clone())))
    }

    /// Runs a program with inputs wherever they are, and waits for its outputs.
    pub fn run_with(&mut self, program: &str, inputs: &[(&str, Input<'_>)]) -> Result<Outputs, RuntimeError> {
        let run = self.start_with(program, inputs)?;
        self.finish(run)
    }

    /// Starts a program with inputs wherever they are, as [`Session::start`] does.
    pub fn start_with(
        &mut self,
        program: &str,
        inputs: &[(&str, Input<'_>)],
    ) -> Result<Started, RuntimeError> {
        let start = std::time::Instant::now();
        let index = self.program_index(program)?;
        let mut encoder = self.encoder();
        self.record(&mut encoder, index, inputs)?;
        Started::start(self, index, encoder, start)
    }

    /// Starts several runs of a program, one behind the other, in one submission: where a run takes the device less time
    /// than a submission takes the host, the device would wait in between. Nothing is started if there is an error.
    pub fn start_several(
        &mut self,
        program: &str,
        runs: &[&[(&str, &HostTensor)]],
    ) -> Result<Vec<Started>, RuntimeError> {
        let start = std::time::Instant::now();
        let index = self.program_index(program)?;
        let mut encoder = self.encoder();
        let before = self.programs.get(index).is_some_and(|ready| ready.recorded);
        let reading = runs.iter().map(|inputs| {
            let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, Input::Host(tensor))).collect();
            self.record(&mut encoder, index, &inputs)?;
            // The commands refer to its parameters, and the next run may have others.
            self.set_recorded(index, true);
            Reading::record(self, index, &mut encoder)
        });
        let reading = reading.collect::<Result<Vec<_>, RuntimeError>>();
        self.set_recorded(index, before);
        Started::submit(self, encoder, reading?, start)
    }

    /// Says whether commands that are not submitted refer to a program's parameters.
    fn set_recorded(&mut self, index: usize, recorded: bool) {
        if let Some(ready) = self.programs.get_mut(index) {
            ready.recorded = recorded;
        }
    }

    /// Where an input of a program is, for a shape: a program's kernels can write it there, for [`Input::InPlace`].
    /// Other runs of the session overwrite it.
    pub fn place(&self, program: &str, input: &str, shape: &[usize]) -> Result<DeviceTensor, RuntimeError> {
        let program = self.program(self.program_index(program)?)?;
        let named = |index: &&usize| self.plan.tensors.get(**index).is_some_and(|t| t.name == input);
        let Some(index) = program.inputs.iter().find(named) else {
            let tensors = program.inputs.iter().filter_map(|index| self.plan.tensors.get(*index));
            let there = tensors.map(|tensor| tensor.name.clone()).collect();
            return Err(RuntimeError::NoSuchInput { wanted: input.to_string(), there });
        };
        let tensor = symbols::tensor(&self.plan, *index)?;
        let bytes = bytes_of(tensor, shape);
        if shape.len() != tensor.shape.len() || bytes.is_none_or(|bytes| bytes > tensor.place.size) {
            return Err(symbols::shape_error(&self.plan, tensor, shape));
        }
        self.on_device(tensor, shape.to_vec(), bytes.unwrap_or(0))
    }

    /// Inputs and dispatches of a run.
    fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        index: usize,
        inputs: &[(&str, Input<'_>)],
    ) -> Result<(), RuntimeError> {
        if self.pictures.is_none() && inputs.iter().any(|(_, input)| input.textures().is_some()) {
            self.pictures = Some(Pictures::new(&self.device)?);
        }
        let program = self.program(index)?;
        let given = match_inputs(&self.plan, program, inputs)?;
        // Everything is checked before anything is recorded.
        let sources =
            given.iter().map(|given| self.source(given)).collect::<Result<Vec<_>, RuntimeError>>()?;
        let shapes: Vec<_> =
            given.iter().zip(&sources).map(|((index, ..), (shape, _))| (*index, shape.as_slice())).collect();
        let update = self.update(index, &shapes)?;
        for ((_, tensor, _), (shape, source)) in given.iter().zip(&sources) {
            self.record_input(encoder, tensor, shape, source)?;
        }
        if let Some((bound, params)) = update {
            self.rebind(index, bound, &params)?;
        }
        let count = self.program(index)?.dispatches.len();
        self.encode_range(encoder, index, 0..count)?;
        self.last = Some(index);
        self.runs += 1;
        Ok(())
    }

    /// The shape of an input, and where it comes from.
    fn source<'a>(
        &self,
        (_, tensor, input): &Given<'_, Input<'a>>,
    ) -> Result<(Vec<usize>, Source<'a>), RuntimeError> {
        match *input {
            Input::Host(host) => {
                check_type(tensor, host)?;
                let bytes = host.to_device(&tensor.name, tensor.storage)?;
                let size = (bytes.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
                let buffer = self.device.filled(&tensor.name, wgpu::BufferUsages::COPY_SRC, &bytes)?;
                Ok((host.shape().to_vec(), Source::Copy(buffer, 0, size)))
            }
            Input::Buffer(slice, shape) => self.buffer_source(tensor, slice, shape),
            Input::InPlace(shape) => Ok((shape.to_vec(), Source::Nothing)),
            Input::Textures(textures) => {
                self.texture_source(tensor, textures, self.plan.metadata.preprocessing.as_ref())
            }
            Input::Preprocessed(textures, how) => self.texture_source(tensor, textures, Some(how)),
        }
    }

    fn buffer_source<'a>(
        &self,
        tensor: &Tensor,
        slice: wgpu::BufferSlice<'_>,
        shape: &[usize],
    ) -> Result<(Vec<usize>, Source<'a>), RuntimeError> {
        let refused = |reason: String| RuntimeError::Buffer { name: tensor.name.clone(), reason };
        let whole = |bytes: u64| bytes.checked_next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let bytes = bytes_of(tensor, shape).and_then(whole).unwrap_or(u64::MAX);
        if !slice.buffer().usage().contains(wgpu::BufferUsages::COPY_SRC) {
            return Err(refused("its buffer is without the usage COPY_SRC".into()));
        }
        if !slice.offset().is_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT) {
            return Err(refused(format!(
                "its buffer is given from byte {}, not a multiple of 4",
                slice.offset()
            )));
        }
        if slice.size() < bytes {
            let (has, storage) = (slice.size(), tensor.storage.name());
            let shape = crate::tensor::shape_text(shape);
            return Err(refused(format!("{has} bytes are given, {shape} of {storage} takes {bytes}")));
        }
        Ok((shape.to_vec(), Source::Copy(slice.buffer().clone(), slice.offset(), bytes)))
    }

    fn texture_source<'a>(
        &self,
        tensor: &Tensor,
        textures: &'a [&'a wgpu::Texture],
        how: Option<&Preprocessing>,
    ) -> Result<(Vec<usize>, Source<'a>), RuntimeError> {
        let new =
            |texture: &&wgpu::Texture| Conversion::new(tensor, texture, how, self.device.capabilities());
        let conversions = textures.iter().map(new).collect::<Result<Vec<_>, _>>()?;
        let refused = |reason: String| RuntimeError::Picture { name: tensor.name.clone(), reason };
        let first = conversions.first().ok_or_else(|| refused("no texture is given".into()))?;
        if let Some(other) = conversions.iter().find(|conversion| conversion.size != first.size) {
            let ([w, h], [a, b]) = (first.size, other.size);
            return Err(refused(format!("one picture becomes {w}x{h}, another one {a}x{b}")));
        }
        let shape = first.shape(textures.len());
        Ok((shape, Source::Textures(textures, conversions)))
    }

    fn record_input(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        tensor: &Tensor,
        shape: &[usize],
        source: &Source<'_>,
    ) -> Result<(), RuntimeError> {
        let to = self.buffer(tensor.place.buffer)?;
        match source {
            Source::Nothing => {}
            Source::Copy(from, offset, size) => {
                encoder.copy_buffer_to_buffer(from, *offset, &to, tensor.place.offset, *size);
            }
            Source::Textures(textures, conversions) => {
                let Some(pictures) = &self.pictures else { return Ok(()) };
                let to = self.on_device(tensor, shape.to_vec(), tensor.place.size)?;
                self.device.watched("reading pictures", 0, || {
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                    let mut all = textures.iter().zip(conversions).enumerate();
                    all.try_for_each(|(n, (texture, conversion))| {
                        pictures.record(&self.device, &mut pass, (n, texture), conversion, to.range())
                    })
                })??;
            }
        }
        Ok(())
    }

    fn device_outputs(&self, index: usize) -> Result<Vec<(String, DeviceTensor)>, RuntimeError> {
        let values = self.values();
        let outputs = self.program(index)?.outputs.iter().map(|output| {
            let tensor = symbols::tensor(&self.plan, output.tensor)?;
            let size = physical_bytes(&self.plan, tensor, &values)?;
            let shape = tensor.shape_at(&values).unwrap_or_default();
            Ok((output.name.clone(), self.on_device(tensor, shape, size)?))
        });
        outputs.collect()
    }

    fn on_device(&self, tensor: &Tensor, shape: Vec<usize>, size: u64) -> Result<DeviceTensor, RuntimeError> {
        Ok(DeviceTensor {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            storage: tensor.storage,
            shape,
            buffer: self.buffer(tensor.place.buffer)?,
            offset: tensor.place.offset,
            size: size.next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT),
        })
    }
}

/// Bytes of a dense tensor of this shape.
fn bytes_of(tensor: &Tensor, shape: &[usize]) -> Option<u64> {
    let mut sizes = shape.iter().map(|size| u64::try_from(*size).ok());
    sizes.try_fold(tensor.storage.size(), |bytes, size| bytes.checked_mul(size?))
}

impl<'a> Input<'a> {
    fn textures(self) -> Option<&'a [&'a wgpu::Texture]> {
        match self {
            Input::Textures(textures) | Input::Preprocessed(textures, _) => Some(textures),
            Input::Host(_) | Input::Buffer(..) | Input::InPlace(_) => None,
        }
    }
}
