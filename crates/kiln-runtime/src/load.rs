//! Loads a plan onto the device: buffers with the weights, pipelines, and a bind group for each dispatch.
//! All of this happens once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use kiln_plan::{Access, Dispatch, Param, Plan, Program, Range, Shader};

use crate::device::Device;
use crate::error::RuntimeError;
use crate::steps::{ParamsPlace, stepping};

/// Uniform bindings begin at multiples of this on every device.
pub(crate) const PARAMS_ALIGN: u64 = 256;
/// Compiling a shader recurses as deep as expressions and blocks go, which the plan's limits bound: some kilobytes for
/// each of the 512 tokens of a statement (more in a debug build). Pages that are not touched cost nothing.
const COMPILE_STACK: usize = 64 << 20;
/// Characters of what a compiler says about a shader; it quotes whole lines.
const MOST_REASON: usize = 4000;
/// Bytes copied into staging memory before they are submitted.
const UPLOAD_CHUNK: u64 = 64 << 20;

/// A kernel, ready to be dispatched.
#[derive(Clone)]
pub(crate) struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    pub bindings: wgpu::BindGroupLayout,
    /// Whether its parameters are bound with an offset, the step's.
    pub stepping: bool,
    /// What wgpu took to check and translate it. Drivers may still compile at the first dispatch.
    pub seconds: f64,
}

pub(crate) fn buffers(device: &Device, plan: &Plan) -> Vec<wgpu::Buffer> {
    plan.buffers.iter().map(|made| buffer(device, made)).collect()
}

pub(crate) fn buffer(device: &Device, buffer: &kiln_plan::Buffer) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(&buffer.name),
        size: buffer.size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

pub(crate) fn upload(device: &Device, plan: &Plan, buffers: &[wgpu::Buffer]) {
    let mut pending = 0;
    for segment in &plan.data {
        let Some(buffer) = buffers.get(segment.place.buffer) else { continue };
        device.queue.write_buffer(buffer, segment.place.offset, &segment.bytes);
        pending += segment.place.size;
        if pending >= UPLOAD_CHUNK {
            device.queue.submit([]);
            pending = 0;
        }
    }
    device.queue.submit([]);
}

/// All kernels, on as many threads as there are cores.
pub(crate) fn kernels(device: &Device, plan: &Plan) -> Result<Vec<Kernel>, RuntimeError> {
    let shaders = &plan.shaders;
    let stepping = stepping(plan);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(shaders.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(shader) = shaders.get(index) else { return done };
            let stepping = stepping.get(index).copied().unwrap_or(false);
            done.push((index, kernel(device, shader, stepping)));
        }
    };
    let mut done: Vec<(usize, Result<Kernel, RuntimeError>)> = thread::scope(|scope| {
        let start = |_| thread::Builder::new().stack_size(COMPILE_STACK).spawn_scoped(scope, work);
        // Not on the caller's own thread, whatever its stack is: where none can be had, nothing is done, and said
        // below.
        let started: Vec<_> = (0..threads).filter_map(|i| start(i).ok()).collect();
        started.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    if done.len() < shaders.len() {
        let reason = "the shader compiler failed, or no thread could be started for it".to_string();
        return Err(RuntimeError::Device { doing: "compiling kernels", reason });
    }
    done.into_iter().map(|(_, kernel)| kernel).collect()
}

fn kernel(device: &Device, shader: &Shader, stepping: bool) -> Result<Kernel, RuntimeError> {
    let start = Instant::now();
    let entries = layout_entries(shader, stepping);
    match device.scoped(|| pipeline(device, &shader.name, &shader.wgsl, &entries)) {
        Ok((pipeline, bindings)) => {
            Ok(Kernel { pipeline, bindings, stepping, seconds: start.elapsed().as_secs_f64() })
        }
        Err(error) => {
            let mut reason = error.to_string();
            if let Some((end, _)) = reason.char_indices().nth(MOST_REASON) {
                reason.truncate(end);
                reason.push_str(" ...");
            }
            Err(RuntimeError::Shader { shader: shader.name.clone(), reason })
        }
    }
}

/// The pipeline of a kernel and the layout of its bindings. Whoever calls this takes the errors of the device.
pub(crate) fn pipeline(
    device: &Device,
    name: &str,
    wgsl: &str,
    entries: &[wgpu::BindGroupLayoutEntry],
) -> (wgpu::ComputePipeline, wgpu::BindGroupLayout) {
    let (gpu, label) = (&device.device, Some(name));
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let module = gpu.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
    let bindings = gpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries });
    let layout = pipeline_layout(device, label, &bindings);
    let pipeline = gpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: device.pipelines.as_ref().map(|pipelines| &pipelines.cache),
    });
    (pipeline, bindings)
}

fn pipeline_layout(
    device: &Device,
    label: Option<&str>,
    bindings: &wgpu::BindGroupLayout,
) -> wgpu::PipelineLayout {
    device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(bindings)],
        immediate_size: 0,
    })
}

fn layout_entries(shader: &Shader, stepping: bool) -> Vec<wgpu::BindGroupLayoutEntry> {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: stepping && binding == 0,
            min_binding_size: None,
        },
        count: None,
    };
    let params = (shader.params_size > 0).then(|| entry(0, wgpu::BufferBindingType::Uniform));
    let storage = (1..).zip(&shader.access).map(|(binding, access)| {
        let read_only = *access == Access::Read;
        entry(binding, wgpu::BufferBindingType::Storage { read_only })
    });
    params.into_iter().chain(storage).collect()
}

/// The contents of the uniform buffer for given values of the symbols: of each step, where steps differ.
pub(crate) fn params_bytes(
    program: &Program,
    places: &[ParamsPlace],
    counts: &[u64],
    size: u64,
    symbols: &[i64],
) -> Result<Vec<u8>, RuntimeError> {
    let too_large = || RuntimeError::Memory { needs: size, available: 0 };
    let mut bytes = vec![0u8; usize::try_from(size).map_err(|_| too_large())?];
    let mut write = |dispatch: &Dispatch, at: u64, symbols: &[i64]| {
        let start = usize::try_from(at).map_err(|_| too_large())?;
        let words = bytes.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>().0;
        for (word, param) in words.iter_mut().zip(&dispatch.params) {
            *word = match param {
                Param::Int(expr) => int_word(expr.eval(symbols)).ok_or_else(|| RuntimeError::Size {
                    what: format!("a parameter of `{}`", dispatch.name),
                    value: expr.eval(symbols),
                    symbols: format!("symbols {symbols:?}"),
                })?,
                Param::Float(value) => value.to_ne_bytes(),
            };
        }
        Ok::<(), RuntimeError>(())
    };
    let all = || program.dispatches.iter().zip(places);
    for (dispatch, place) in all().filter(|(_, place)| place.each == 0) {
        write(dispatch, place.at, symbols)?;
    }
    let mut with_step = symbols.to_vec();
    with_step.push(0);
    for (repeat, count) in program.repeats.iter().zip(counts) {
        let range = repeat.dispatches();
        let varying = all().take(range.end).skip(range.start).filter(|(_, place)| place.each > 0);
        for (dispatch, place) in varying {
            for step in 0..*count {
                if let Some(last) = with_step.last_mut() {
                    *last = i64::try_from(step).unwrap_or(i64::MAX);
                }
                write(dispatch, place.at + u64::from(place.offset(step)), &with_step)?;
            }
        }
    }
    Ok(bytes)
}

/// An `i32` or a `u32`, whichever holds the value.
fn int_word(value: i64) -> Option<[u8; 4]> {
    let signed = i32::try_from(value).map(i32::to_ne_bytes);
    signed.or_else(|_| u32::try_from(value).map(u32::to_ne_bytes)).ok()
}

pub(crate) fn bind_group(
    device: &Device,
    plan: &Plan,
    dispatch: &Dispatch,
    kernels: &[Kernel],
    buffers: &[wgpu::Buffer],
    params: Option<(&wgpu::Buffer, u64)>,
) -> Result<wgpu::BindGroup, RuntimeError> {
    // The plan has been checked: what it refers to is there.
    let missing = || RuntimeError::Device {
        doing: "binding buffers",
        reason: format!("`{}` refers to nothing", dispatch.name),
    };
    let shader = plan.shaders.get(dispatch.shader).ok_or_else(missing)?;
    let kernel = kernels.get(dispatch.shader).ok_or_else(missing)?;
    let binding = |buffer, offset, size: u64| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: wgpu::BufferSize::new(size),
        })
    };
    let mut entries = Vec::with_capacity(shader.access.len() + 1);
    if let Some((buffer, offset)) = params.filter(|_| shader.params_size > 0) {
        let resource = binding(buffer, offset, shader.params_size.into());
        entries.push(wgpu::BindGroupEntry { binding: 0, resource });
    }
    for (index, Range { buffer, offset, size }) in (1..).zip(&dispatch.bindings) {
        let resource = binding(buffers.get(*buffer).ok_or_else(missing)?, *offset, *size);
        entries.push(wgpu::BindGroupEntry { binding: index, resource });
    }
    Ok(device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(&dispatch.name),
        layout: &kernel.bindings,
        entries: &entries,
    }))
}
