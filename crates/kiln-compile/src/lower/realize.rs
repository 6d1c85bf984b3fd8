//! The driver: from a group to launches. A problem is described, a kernel chosen, operands laid out as it demands, and
//! its launches rendered.

use std::ops::Range;

use kiln_graph::Dim;
use kiln_plan::{Access, Storage};

use super::describe::describe;
use super::im2col::Im2cols;
use super::layouts::Layouts;
use super::views::{ViewNode, lower_view};
use crate::element::computed_scalar;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::kernels::builder::{KernelBuilder, KernelLaunch};
use crate::kernels::family::Family;
use crate::memory::buffer::{BufferId, TensorId};
use crate::memory::values::Values;
use crate::select::choose::{Preferences, Selection, choose};
use crate::wgsl::params::Uniform;
use crate::wgsl::template::{Kernel, Templates};

/// One launch of a kernel, on buffers that have no place yet.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The layers it computes.
    pub name: String,
    /// Index of the kernel.
    pub shader: usize,
    /// The buffer of each storage binding.
    pub bindings: Vec<(BufferId, Access)>,
    /// Parameter words.
    pub uniforms: Vec<Uniform>,
    /// Workgroups.
    pub workgroups: [Dim; 3],
    /// The tensors it completes.
    pub writes: Vec<TensorId>,
    /// Floating point operations.
    pub flops: Dim,
    /// Most loop iterations of an invocation.
    pub iterations: u64,
    /// Whether each invocation computes the element of its own number, as chains of elementwise operators do.
    pub is_indexed: bool,
}

/// Templates that compute element `i` in invocation `i`, which may be a vector, unless a workgroup shares it.
const INDEXED: [&str; 3] = ["map", "reduce", "variance"];

/// Launches that are run once for each step of a loop.
#[derive(Clone, Debug)]
pub(crate) struct Repeated {
    /// The loop.
    pub name: String,
    /// The launches of a step.
    pub launches: Range<usize>,
    /// How many steps there are.
    pub steps: Dim,
}

/// What the lowering of one graph has gathered so far.
pub(crate) struct Lowering<'t, 'a> {
    /// Where values are.
    pub values: Values<'a>,
    /// The families to choose from.
    pub table: &'t [&'t Family],
    /// What a caller says of choices.
    pub preferences: &'t Preferences,
    /// Kernels by text.
    pub templates: &'t mut Templates,
    /// Inputs whose taps are channels.
    pub im2cols: Im2cols,
    /// Launches in order.
    pub launches: Vec<Launch>,
    /// Which of them are repeated.
    pub repeats: Vec<Repeated>,
    /// What was chosen, group by group.
    pub selections: Vec<Selection>,
    /// Most loop iterations of an invocation so far.
    pub loop_iterations: u64,
}

impl<'a> Lowering<'_, 'a> {
    /// Lowers one group.
    pub(crate) fn group(&mut self, group: &Group) -> Result<(), CompileError> {
        if let Some(view) = ViewNode::of(self.values.graph, group) {
            return self.converting(|layouts| lower_view(layouts, &view));
        }
        let problem = describe(&self.values, group)?;
        let target = self.values.target;
        let selection = choose(self.table, &group.name, problem, target, self.preferences);
        let mut selection =
            selection.map_err(|message| CompileError::Unsupported { node: group.name.clone(), message })?;
        let first = self.launches.len();
        self.realize(group, &selection)?;
        selection.launches = self.kernel_names(first);
        selection.dispatches = first..self.launches.len();
        self.selections.push(selection);
        Ok(())
    }

    /// Does something that may convert layouts, and launches the conversions.
    pub(crate) fn converting<T>(
        &mut self,
        convert: impl FnOnce(&mut Layouts<'_, 'a>) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        let mut launches = Vec::new();
        let (values, im2cols) = (&mut self.values, &mut self.im2cols);
        let converted = convert(&mut Layouts { values, im2cols, launches: &mut launches })?;
        launches.into_iter().try_for_each(|launch| self.launch(launch, 0))?;
        Ok(converted)
    }

    fn realize(&mut self, group: &Group, selection: &Selection) -> Result<(), CompileError> {
        let choice = selection.choice();
        let family = self.table.iter().find(|family| family.name == choice.family);
        let family = family.ok_or_else(|| CompileError::Defect {
            place: group.name.clone(),
            message: format!("there is no family `{}`", choice.family),
        })?;
        let demands = (family.demands)(&selection.problem, &choice.knobs);
        let iterations = u64::try_from(demands.loop_iterations).unwrap_or(0);
        self.loop_iterations = self.loop_iterations.max(iterations);
        let operands = self.converting(|layouts| {
            let all = demands.operands.iter().enumerate();
            all.map(|(n, demanded)| layouts.operand(group, n, demanded)).collect::<Result<Vec<_>, _>>()
        })?;
        let mut builder = KernelBuilder::new(&mut self.values, group, &selection.problem, operands);
        (family.realize)(&mut builder, &choice.knobs)?;
        let (launches, outputs) = builder.finish();
        for (launch, own) in launches {
            let own = own.and_then(|own| u64::try_from(self.values.maximum(&own)).ok());
            self.launch(launch, own.map_or(iterations, |own| own.min(iterations)))?;
        }
        outputs.iter().try_for_each(|output| output.complete(&mut self.values))
    }

    /// Names of the kernels launched since `first`.
    fn kernel_names(&self, first: usize) -> Vec<String> {
        let kernels = self.launches[first..].iter();
        kernels.map(|launch| self.templates.kept[launch.shader].name.clone()).collect()
    }

    /// Makes the kernel, or finds it, and appends a launch, whose invocations make so many loop iterations at most.
    fn launch(&mut self, mut launch: KernelLaunch, iterations: u64) -> Result<(), CompileError> {
        self.check(&launch)?;
        let packed = launch.bindings.iter().filter_map(|(buffer, _)| self.values.buffer(*buffer).packed);
        if let Some(packing) = packed.into_iter().find(|packing| packing.from != 0) {
            launch.params.int("moved", i64::from(packing.from));
        }
        let uniforms = launch.params.uniforms();
        let buffers = launch.bindings.iter().map(|(buffer, _)| self.values.buffer(*buffer));
        let (types, vectors): (Vec<_>, Vec<_>) =
            buffers.map(|buffer| (buffer.scalar(), buffer.fours())).unzip();
        // What an anchor computes with: the type of what it reads first.
        let first = launch.bindings.first().map(|(buffer, _)| self.values.buffer(*buffer).element);
        let number = computed_scalar(first.unwrap_or(Storage::F32));
        let wide: Vec<_> = vectors.iter().map(|access| access.wide).collect();
        let narrow: Vec<_> = vectors.iter().map(|access| access.narrow).collect();
        let fours: Vec<_> = vectors.iter().map(|access| access.ty).collect();
        let params = launch.params.fields();
        let shader = self.templates.kernel(Kernel {
            template: launch.template,
            name: launch.kernel,
            values: minijinja::context! { params, types, fours, wide, narrow, number, ..launch.values },
            access: launch.bindings.iter().map(|(_, access)| *access).collect(),
            uniforms: uniforms.len(),
        })?;
        self.launches.push(Launch {
            name: launch.name,
            shader,
            bindings: launch.bindings,
            uniforms,
            workgroups: launch.workgroups,
            writes: launch.writes,
            flops: launch.flops,
            iterations,
            is_indexed: INDEXED.contains(&launch.template),
        });
        Ok(())
    }

    /// Checks what is only known of a launch as a whole: its epilogue's buffers, and its grid.
    fn check(&self, launch: &KernelLaunch) -> Result<(), CompileError> {
        let target = self.values.target;
        let unsupported =
            |message: String| Err(CompileError::Unsupported { node: launch.name.clone(), message });
        let (needed, limit) = (launch.bindings.len(), target.max_storage_buffers_per_shader_stage);
        if u32::try_from(needed).is_ok_and(|needed| needed > limit) {
            return unsupported(format!("needs {needed} storage buffers at once; the target has {limit}"));
        }
        let limit = i64::from(target.max_compute_workgroups_per_dimension);
        let [x, y, z] = launch.workgroups.each_ref().map(|n| self.values.maximum(n));
        if [x, y, z].into_iter().any(|n| n > limit) {
            return unsupported(format!(
                "needs {x} x {y} x {z} workgroups; a dispatch has at most {limit} in each dimension. Reduce the maximum \
                 batch"
            ));
        }
        Ok(())
    }
}
