//! Dispatches as commands: all of a program, a part, or one.

use std::ops::Range;

use kiln_plan::Program;

use crate::error::RuntimeError;
use crate::inputs::missing_input;
use crate::session::{Bound, Ready, Session};
use crate::steps::schedule;

impl Session {
    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Submits some of a program's dispatches.
    pub(crate) fn submit_dispatches(
        &self,
        index: usize,
        range: Range<usize>,
    ) -> Result<wgpu::SubmissionIndex, RuntimeError> {
        let mut encoder = self.encoder();
        self.encode_range(&mut encoder, index, range)?;
        self.device.watched("running the plan", self.report.total_bytes, || {
            self.device.queue.submit([encoder.finish()])
        })
    }

    /// Records some of a program's dispatches, all in one pass.
    pub(crate) fn encode_range(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        index: usize,
        range: Range<usize>,
    ) -> Result<(), RuntimeError> {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.encode_dispatches(&mut pass, index, range)
    }

    pub(crate) fn encode_dispatches(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        index: usize,
        range: Range<usize>,
    ) -> Result<(), RuntimeError> {
        let program = self.program(index)?;
        let ready = self.programs.get(index).ok_or_else(|| self.no_program(&index.to_string()))?;
        let bound = ready.bound.as_ref().ok_or_else(|| missing_input(&self.plan, program))?;
        let mut current = None;
        let end = range.end.min(program.dispatches.len());
        for (n, step) in schedule(program, &bound.steps, range.start..end) {
            self.encode_dispatch(pass, (program, ready, bound), (n, step), &mut current);
        }
        Ok(())
    }

    /// Records a dispatch in one of its steps; `current` is the shader that is set.
    fn encode_dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        (program, ready, bound): (&Program, &Ready, &Bound),
        (n, step): (usize, u64),
        current: &mut Option<usize>,
    ) {
        let (Some(dispatch), Some([x, y, z])) = (program.dispatches.get(n), bound.workgroups.get(n)) else {
            return;
        };
        let (Some(kernel), Some(bind_group), Some(place)) =
            (self.kernels.get(dispatch.shader), ready.bind_groups.get(n), ready.params_places.get(n))
        else {
            return;
        };
        if *x == 0 || *y == 0 || *z == 0 {
            return;
        }
        if *current != Some(dispatch.shader) {
            pass.set_pipeline(&kernel.pipeline);
            *current = Some(dispatch.shader);
        }
        let offset = [place.offset(step)];
        pass.set_bind_group(0, bind_group, if kernel.stepping { &offset } else { &[] });
        pass.dispatch_workgroups(*x, *y, *z);
    }

    /// Records a dispatch as [`Session::encode_dispatches`] does, in one of its steps.
    pub(crate) fn encode_step(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        index: usize,
        at: (usize, u64),
    ) -> Result<(), RuntimeError> {
        let program = self.program(index)?;
        let ready = self.programs.get(index).ok_or_else(|| self.no_program(&index.to_string()))?;
        let bound = ready.bound.as_ref().ok_or_else(|| missing_input(&self.plan, program))?;
        self.encode_dispatch(pass, (program, ready, bound), at, &mut None);
        Ok(())
    }
}
