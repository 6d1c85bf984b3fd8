//! Drivers compile a kernel when it is first dispatched. Warming up does this in advance, so that the first run is
//! fast.

use std::time::Instant;

use kiln_plan::{Access, BufferKind, Dispatch, Range};

use crate::error::RuntimeError;
use crate::load;
use crate::session::Session;

impl Session {
    /// Dispatches one workgroup of each kernel, so that the driver compiles it. State stays as it is.
    pub fn warm_up(&mut self) -> Result<(), RuntimeError> {
        let start = Instant::now();
        let unbound: Vec<usize> = (0..self.plan.programs.len())
            .filter(|index| self.programs.get(*index).is_some_and(|ready| ready.bound.is_none()))
            .collect();
        for index in &unbound {
            let smallest = vec![1; self.plan.symbols.len()];
            // Some sizes may have to be larger than one.
            let largest = self.plan.symbols.iter().map(|symbol| symbol.max.into()).collect();
            let (bound, params) = self.bound(*index, smallest).or_else(|_| self.bound(*index, largest))?;
            self.rebind(*index, bound, &params)?;
        }
        let scratch = self.scratch();
        let mut buffers = self.buffers.clone();
        buffers.extend(scratch);
        let mut seen = vec![false; self.kernels.len()];
        let mut encoder = self.encoder();
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (program, ready) in self.plan.programs.iter().zip(&self.programs) {
                for (dispatch, place) in program.dispatches.iter().zip(&ready.params_places) {
                    let (Some(seen), Some(kernel)) =
                        (seen.get_mut(dispatch.shader), self.kernels.get(dispatch.shader))
                    else {
                        continue;
                    };
                    if std::mem::replace(seen, true) {
                        continue;
                    }
                    let harmless = self.without_state(dispatch);
                    let params = ready.params.as_ref().map(|buffer| (buffer, place.at));
                    let (device, plan) = (&self.device, &self.plan);
                    let bind_group =
                        load::bind_group(device, plan, &harmless, &self.kernels, &buffers, params)?;
                    pass.set_pipeline(&kernel.pipeline);
                    pass.set_bind_group(0, &bind_group, if kernel.stepping { &[0] } else { &[] });
                    pass.dispatch_workgroups(1, 1, 1);
                }
            }
        }
        let submission = self.device.queue.submit([encoder.finish()]);
        self.device.wait(Some(submission), self.options.timeout)?;
        // These sizes were not checked against the guards of the programs.
        for index in unbound {
            if let Some(ready) = self.programs.get_mut(index) {
                ready.bound = None;
            }
        }
        self.report.warm_up_seconds = Some(start.elapsed().as_secs_f64());
        Ok(())
    }

    fn is_state(&self, range: &Range) -> bool {
        self.plan.buffers.get(range.buffer).is_some_and(|buffer| buffer.kind == BufferKind::State)
    }

    /// The dispatch with ranges of state replaced by ranges of two more buffers: one that is read, one that is
    /// written, as one buffer cannot be both.
    fn without_state(&self, dispatch: &Dispatch) -> Dispatch {
        let mut dispatch = dispatch.clone();
        let shader = self.plan.shaders.get(dispatch.shader);
        let access = shader.map(|shader| shader.access.as_slice()).unwrap_or_default();
        for (range, access) in dispatch.bindings.iter_mut().zip(access) {
            if self.is_state(range) {
                let extra = match access {
                    Access::Read => 0,
                    Access::ReadWrite => 1,
                };
                *range = Range { buffer: self.buffers.len() + extra, offset: 0, size: range.size };
            }
        }
        dispatch
    }

    /// As large as the largest range of state; empty buffers cannot be bound, so not smaller than one alignment.
    fn scratch(&self) -> [wgpu::Buffer; 2] {
        let dispatches = self.plan.programs.iter().flat_map(|program| &program.dispatches);
        let ranges = dispatches.flat_map(|dispatch| &dispatch.bindings).filter(|range| self.is_state(range));
        let size = ranges.map(|range| range.size).max().unwrap_or(0).max(load::PARAMS_ALIGN);
        [(); 2].map(|()| {
            self.device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("scratch"),
                size,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        })
    }
}
