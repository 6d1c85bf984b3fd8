//! How fast a device is, in about 20 ms: what a launch takes, what memory gives, how many multiply-adds there are in a second,
//! and how many cores there are, by what one workgroup does alone.
//!
//! Time is that of the host, from submission to the end, less that of a submission of nothing: not every device has
//! timestamps, and those of some are coarse.

use std::time::Instant;

use crate::device::Device;
use crate::error::RuntimeError;

/// What kernels are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Cores that workgroups are dealt to.
    pub cores: u32,
    /// Multiply-adds of a core in a cycle.
    pub lanes: u32,
    /// Cycles in a microsecond (MHz).
    pub clock: u32,
    /// What memory gives, in GB/s.
    pub bandwidth: u32,
    /// From one dispatch to the next that waits for it, in ns.
    pub launch: u32,
}

/// Multiply-adds of vectors of four that an invocation does: four chains of so many.
const ROUNDS: u32 = 1024;
const CHAINS: u32 = 4;
const WORKGROUP: u32 = 256;
/// Bytes that are copied.
const COPIED: u64 = 16 << 20;
/// A measurement is long enough after so many seconds.
const LONG_ENOUGH: f64 = 0.003;
/// More workgroups or dispatches are not tried.
const MOST: u32 = 4096;
/// Of several measurements the shortest counts.
const SAMPLES: usize = 3;
/// What GPUs have in common closely enough: only the product with the clock counts.
const LANES: u32 = 128;

const MULTIPLY: &str = "
@group(0) @binding(0) var<storage, read_write> results: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = vec4<f32>(0.5, 0.25, 0.125, 0.75) + f32(id.x & 1u);
  var a = x;
  var b = x.yzwx;
  var c = x.zwxy;
  var d = x.wxyz;
  for (var i = 0u; i < 1024u; i += 1u) {
    a = fma(a, x, b);
    b = fma(b, x, c);
    c = fma(c, x, d);
    d = fma(d, x, a);
  }
  results[id.x & 65535u] = a + b + c + d;
}
";

const COPY: &str = "
@group(0) @binding(0) var<storage, read_write> results: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let half = arrayLength(&results) / 2u;
  if (id.x < half) {
    results[id.x] = results[id.x + half];
  }
}
";

struct Bench<'a> {
    device: &'a Device,
    bindings: wgpu::BindGroup,
    layout: wgpu::PipelineLayout,
    /// Seconds of a submission of nothing.
    empty: f64,
}

impl Device {
    /// Measures how fast the device is.
    pub fn probe(&self) -> Result<Speed, RuntimeError> {
        let made = self.scoped(|| Bench::new(self));
        let mut bench = made.map_err(|error| self.failed("measuring its speed", error.to_string()))?;
        let (multiply, copy) = (bench.pipeline(MULTIPLY)?, bench.pipeline(COPY)?);
        bench.empty = bench.seconds(&copy, 0, 0)?;
        let launches = bench.until_long(|bench, count| bench.seconds(&copy, count, 1))?;
        let groups = u32::try_from(COPIED / 2 / 16 / u64::from(WORKGROUP)).unwrap_or(MOST);
        let copied = bench.until_long(|bench, count| bench.seconds(&copy, count, groups))?;
        let alone = bench.until_long(|bench, count| bench.seconds(&multiply, count, 1))?;
        let full = bench.until_long(|bench, count| bench.seconds(&multiply, 1, count))?;
        // Multiply-adds of one workgroup.
        let products = f64::from(WORKGROUP * ROUNDS * CHAINS * 4);
        let cores = (alone / full).round().clamp(1.0, 1024.0);
        let of_core = products / full / cores;
        Ok(Speed {
            cores: whole(cores),
            lanes: LANES,
            clock: whole(of_core / f64::from(LANES) * 1e-6),
            bandwidth: whole(COPIED as f64 / copied * 1e-9),
            launch: whole(launches * 1e9),
        })
    }
}

/// A number that is at least one.
fn whole(number: f64) -> u32 {
    number.round().clamp(1.0, 1e9) as u32
}

impl<'a> Bench<'a> {
    fn new(device: &'a Device) -> Self {
        let gpu = &device.device;
        let label = Some("probe");
        let buffer = gpu.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: COPIED,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let entry = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: false },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let group =
            gpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &[entry] });
        let bindings = gpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &group,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
        });
        let layout = gpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        Self { device, bindings, layout, empty: 0.0 }
    }

    fn pipeline(&self, wgsl: &str) -> Result<wgpu::ComputePipeline, RuntimeError> {
        let gpu = &self.device.device;
        let made = self.device.scoped(|| {
            let module = gpu.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("probe"),
                source: wgpu::ShaderSource::Wgsl(wgsl.into()),
            });
            gpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("probe"),
                layout: Some(&self.layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        });
        made.map_err(|error| self.device.failed("measuring its speed", error.to_string()))
    }

    /// Seconds of so many dispatches of so many workgroups, each of which waits for the one before.
    fn seconds(
        &self,
        pipeline: &wgpu::ComputePipeline,
        dispatches: u32,
        groups: u32,
    ) -> Result<f64, RuntimeError> {
        let mut best = f64::INFINITY;
        for _ in 0..SAMPLES {
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &self.bindings, &[]);
                for _ in 0..dispatches {
                    pass.dispatch_workgroups(groups, 1, 1);
                }
            }
            let commands = encoder.finish();
            let start = Instant::now();
            let submission = self.device.queue.submit([commands]);
            self.device.wait(Some(submission), Some(std::time::Duration::from_secs(60)))?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok((best - self.empty).max(1e-9))
    }

    /// Seconds of one of something that is done more and more often, until it takes long enough.
    fn until_long(
        &self,
        measure: impl Fn(&Self, u32) -> Result<f64, RuntimeError>,
    ) -> Result<f64, RuntimeError> {
        // The first run compiles.
        measure(self, 1)?;
        let mut count = 1;
        loop {
            let seconds = measure(self, count)?;
            if seconds >= LONG_ENOUGH || count >= MOST {
                return Ok(seconds / f64::from(count));
            }
            // Twice as often, or as often as it should take.
            let wanted = (LONG_ENOUGH / seconds * f64::from(count)).ceil().min(f64::from(MOST));
            count = (wanted as u32).clamp(count * 2, count * 16).min(MOST);
        }
    }
}
