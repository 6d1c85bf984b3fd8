//! Dispatches: of single launches, and of those that are merged.

use std::collections::{BTreeMap, HashSet};

use kiln_graph::Dim;
use kiln_plan::{Access, Dispatch, Range, check_wgsl};

use super::Emitter;
use crate::error::CompileError;
use crate::lower::merged::Merged;
use crate::lower::program::Lowered;
use crate::lower::realize::Launch;
use crate::merge::lanes;
use crate::merge::text::{MergedKernel, Placed, merged_kernel};

/// Bytes of parameters of a merged kernel: every device binds so many.
const MOST_PARAMETERS: usize = 16 << 10;

impl Emitter<'_> {
    /// Appends the dispatch of merged launches, or dispatches of each where the device does not bind that much at once.
    pub(super) fn dispatches(
        &mut self,
        number: usize,
        program: &Lowered,
        merged: &Merged,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<(), CompileError> {
        if let Some(kernel) = self.merged(number, program, merged) {
            dispatches.push(self.dispatch_of_merged(number, program, merged, kernel)?);
            return Ok(());
        }
        for launch in merged.launches() {
            dispatches.push(self.dispatch(number, program, &program.launches[launch])?);
        }
        Ok(())
    }

    /// The kernel of merged launches.
    fn merged(&self, number: usize, program: &Lowered, merged: &Merged) -> Option<MergedKernel> {
        if matches!(merged, Merged::Alone(_)) {
            return None;
        }
        let placed = |n: usize| {
            let launch = &program.launches[n];
            let kernel = self.kernels.apart.get(launch.shader)?.as_ref()?;
            let places: Option<Vec<Range>> =
                launch.bindings.iter().map(|(buffer, _)| self.places.range(number, *buffer)).collect();
            Some((n, Placed { launch, kernel, places: places? }))
        };
        let placed = merged.launches().into_iter().map(placed).collect::<Option<BTreeMap<_, _>>>()?;
        let most_bytes = self.target.max_storage_buffer_binding_size;
        let kernel = merged_kernel(merged, &placed, lanes(self.target), most_bytes)?;
        let buffers = u32::try_from(kernel.bindings.len()).unwrap_or(u32::MAX);
        let fits = kernel.bindings.iter().all(|(range, _)| range.size <= most_bytes)
            && buffers <= self.target.max_storage_buffers_per_shader_stage
            && kernel.uniforms.len() * 4 <= MOST_PARAMETERS
            && check_wgsl(&kernel.wgsl).is_ok();
        fits.then_some(kernel)
    }

    fn dispatch_of_merged(
        &mut self,
        number: usize,
        program: &Lowered,
        merged: &Merged,
        kernel: MergedKernel,
    ) -> Result<Dispatch, CompileError> {
        let launches: Vec<&Launch> = merged.launches().iter().map(|n| &program.launches[*n]).collect();
        let (bindings, access): (Vec<Range>, Vec<Access>) = kernel.bindings.into_iter().unzip();
        self.require(&bindings);
        let name = match merged {
            Merged::InSequence(_) => "in_sequence",
            Merged::Alone(_) | Merged::SideBySide(_) => "side_by_side",
        };
        let shader = self.kernels.templates.keep(name.into(), kernel.wgsl, access, kernel.uniforms.len())?;
        // What a later one of them has overwritten is not there afterwards.
        let mut overwritten = HashSet::new();
        let mut writes = Vec::new();
        for launch in launches.iter().rev() {
            for id in launch.writes.iter().filter(|id| !overwritten.contains(&program.tensor(**id).buffer)) {
                writes.extend(self.tensor(number, program, *id)?);
            }
            overwritten.extend(launch.writes.iter().map(|id| program.tensor(*id).buffer));
        }
        writes.reverse();
        let sum =
            |of: &dyn Fn(&Launch) -> Dim| launches.iter().fold(Dim::from(0), |sum, launch| sum + of(launch));
        let (flops, bytes) = (sum(&|launch| launch.flops.clone()), sum(&|launch| bytes(program, launch)));
        let symbols = &self.symbols;
        let workgroups = self.target.folded(&kernel.workgroups, symbols.maximum(&kernel.workgroups));
        Ok(Dispatch {
            name: joined(launches.iter().map(|launch| launch.name.as_str())),
            shader,
            bindings,
            params: kernel.uniforms.iter().map(|uniform| symbols.param(uniform)).collect(),
            workgroups: workgroups.each_ref().map(|n| symbols.expr(n)),
            writes,
            flops: symbols.expr(&flops),
            bytes: symbols.expr(&bytes),
        })
    }

    /// Notes what is bound at once.
    fn require(&mut self, bindings: &[Range]) {
        let needs = &mut self.kernels.templates.requirements;
        let size = &mut needs.max_storage_buffer_binding_size;
        *size = bindings.iter().map(|range| range.size).max().unwrap_or(0).max(*size);
        let count = u32::try_from(bindings.len()).unwrap_or(u32::MAX);
        let most = &mut needs.max_storage_buffers_per_shader_stage;
        *most = count.max(*most);
    }

    fn dispatch(
        &mut self,
        number: usize,
        program: &Lowered,
        launch: &Launch,
    ) -> Result<Dispatch, CompileError> {
        let bindings: Vec<Range> =
            launch.bindings.iter().filter_map(|(buffer, _)| self.places.range(number, *buffer)).collect();
        for (range, (buffer, _)) in bindings.iter().zip(&launch.bindings) {
            let limit = self.target.max_storage_buffer_binding_size;
            if range.size > limit {
                return Err(CompileError::TooLarge {
                    tensor: program.buffer(*buffer).name.clone(),
                    bytes: range.size,
                    limit,
                    hint: "; reduce the maximum batch, or choose a target that binds more".into(),
                });
            }
        }
        self.require(&bindings);
        let mut writes = Vec::new();
        for id in &launch.writes {
            writes.extend(self.tensor(number, program, *id)?);
        }
        let symbols = &self.symbols;
        Ok(Dispatch {
            name: launch.name.clone(),
            shader: launch.shader,
            bindings,
            params: launch.uniforms.iter().map(|uniform| symbols.param(uniform)).collect(),
            workgroups: launch.workgroups.each_ref().map(|n| symbols.expr(n)),
            writes,
            flops: symbols.expr(&launch.flops),
            bytes: symbols.expr(&bytes(program, launch)),
        })
    }
}

/// Bytes of all that a launch touches.
fn bytes(program: &Lowered, launch: &Launch) -> Dim {
    launch.bindings.iter().fold(Dim::from(0), |sum, (id, _)| sum + program.buffer(*id).bytes.clone())
}

/// The first names, each once, and how many there are besides.
fn joined<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 3;
    let mut each: Vec<&str> = Vec::new();
    for name in names {
        if !each.contains(&name) {
            each.push(name);
        }
    }
    let rest = each.len().saturating_sub(SHOWN);
    let shown = each[..each.len().min(SHOWN)].join(", ");
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}
