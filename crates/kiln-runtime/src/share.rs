//! Several sessions of one plan with the same weights.

use std::sync::atomic::Ordering;
use std::time::Instant;

use kiln_plan::{Buffer, BufferKind};

use crate::error::RuntimeError;
use crate::load;
use crate::memory;
use crate::outputs::Staging;
use crate::session::{LoadReport, Ready, SESSIONS, Session};

impl Session {
    /// Another session of the same plan on the same device: for another thread, or for runs whose outputs stay on the
    /// device while this one goes on. Both use the same weights and kernels, so it is made in little time and takes
    /// memory for activations only. States, which a training plan has, are copied as they are now.
    pub fn share(&self) -> Result<Self, RuntimeError> {
        let start = Instant::now();
        let (device, plan) = (&self.device, &self.plan);
        let mut needs = memory::needs(plan);
        let weights = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Weights);
        let shared = weights.map(|buffer| buffer.size).fold(0, u64::saturating_add);
        needs.weights -= shared.min(needs.weights);
        needs.total -= shared.min(needs.total);
        memory::check(&needs, device.capabilities(), self.options.memory_limit)?;
        let (buffers, programs) = memory::guarded(device, "sharing a plan", needs.total, || {
            let own = |(buffer, shared): (&Buffer, &wgpu::Buffer)| match buffer.kind {
                BufferKind::Weights => shared.clone(),
                BufferKind::State | BufferKind::Arena => load::buffer(device, buffer),
            };
            let buffers: Vec<_> = plan.buffers.iter().zip(&self.buffers).map(own).collect();
            let mut encoder = self.encoder();
            for ((buffer, from), to) in plan.buffers.iter().zip(&self.buffers).zip(&buffers) {
                if buffer.kind == BufferKind::State {
                    encoder.copy_buffer_to_buffer(from, 0, to, 0, buffer.size);
                }
            }
            device.queue.submit([encoder.finish()]);
            let ready = |program| Ready::new(device, plan, program, &self.kernels, &buffers);
            let programs = plan.programs.iter().map(ready).collect::<Result<Vec<_>, _>>()?;
            Ok((buffers, programs))
        })?;
        let report = LoadReport {
            seconds: start.elapsed().as_secs_f64(),
            weight_bytes: needs.weights,
            arena_bytes: needs.arenas,
            total_bytes: needs.total,
            ..LoadReport::default()
        };
        Ok(Self {
            device: device.clone(),
            plan: plan.clone(),
            buffers,
            kernels: self.kernels.clone(),
            programs,
            staging: Staging::default(),
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
            options: self.options.clone(),
            report,
            last: None,
            runs: 0,
            pictures: self.pictures.clone(),
        })
    }
}
