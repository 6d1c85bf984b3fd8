//! From a chosen variant to launches: what all families share. The output tensor, the epilogue, partial results.

use kiln_graph::ops::BinaryOp;
use kiln_graph::{DType, Dim, Node, NodeId, Op, ValueId};
use kiln_plan::{Access, Layout, Storage};

use super::problem::Problem;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout;
use crate::memory::buffer::{BufferId, BufferInit, Matrix, RowView, TensorId, View};
use crate::memory::destination::{Output, destination, output};
use crate::memory::packed::PackedWeights;
use crate::memory::values::Values;
use crate::wgsl::epilogue::{Anchor, epilogue_name, fused};
use crate::wgsl::expression::Addressing;
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::store::EpilogueCode;

/// One launch of a kernel that has not been rendered yet.
pub(crate) struct KernelLaunch {
    /// The template.
    pub template: &'static str,
    /// What the kernel is called.
    pub kernel: String,
    /// The layers it computes.
    pub name: String,
    /// What the template reads besides `params` and, for each binding in order, the types of its elements.
    pub values: minijinja::Value,
    /// The storage bindings, in order.
    pub bindings: Vec<(BufferId, Access)>,
    /// The parameters.
    pub params: Params,
    /// Workgroups.
    pub workgroups: [Dim; 3],
    /// Tensors it completes.
    pub writes: Vec<TensorId>,
    /// Floating point operations.
    pub flops: Dim,
}

/// An operand that is laid out as a variant demands.
#[derive(Clone, Debug)]
pub(crate) enum LaidOut {
    /// Wherever it is stored.
    View(View),
    /// Rows.
    Rows(RowView),
    /// A tensor.
    Tensor(TensorId),
    /// Matrices.
    Matrix(Matrix),
    /// Panels.
    Packed(Vec<PackedWeights>),
}

/// What a group computes, and the function that ends its kernel.
#[derive(Clone)]
pub(crate) struct Epilogue {
    /// What the group makes.
    pub output: Output,
    /// Its elements.
    pub space: IterationSpace,
    /// The function.
    pub code: EpilogueCode,
    /// `_add_relu`: what a kernel's name says of it.
    pub name: String,
}

/// An epilogue of an anchor whose sums may start at a bias.
pub(crate) struct BiasedEpilogue {
    /// The epilogue, without the addition of the bias.
    pub epilogue: Epilogue,
    /// Whether there is a bias.
    pub biased: bool,
    /// The anchor's buffers, and that of the bias: one number for each index along its axis.
    pub buffers: Vec<BufferId>,
}

/// The launch of an anchor's kernel.
pub(crate) struct AnchorLaunch<'l> {
    /// The template.
    pub template: &'static str,
    /// What the kernel is called, apart from its epilogue.
    pub kernel: String,
    /// The buffers that the anchor reads.
    pub buffers: &'l [BufferId],
    /// Its parameters.
    pub params: Params,
    /// Its template values.
    pub values: minijinja::Value,
    /// Workgroups.
    pub workgroups: [Dim; 3],
    /// Floating point operations.
    pub flops: Dim,
}

/// Invocations of a workgroup of the kernels that handle one element, or vector of four, each.
pub(crate) const WORKGROUP: i64 = 64;

/// Collects the launches of a group.
pub(crate) struct KernelBuilder<'b, 'a> {
    /// All values so far.
    pub values: &'b mut Values<'a>,
    /// The group.
    pub group: &'b Group,
    /// What it computes.
    pub problem: &'b Problem,
    /// The anchor's operands, as demanded.
    pub operands: Vec<LaidOut>,
    /// Each with the most loop iterations of an invocation, where that is known to be less than what the family demands.
    launches: Vec<(KernelLaunch, Option<Dim>)>,
    outputs: Vec<Output>,
}

impl<'b, 'a> KernelBuilder<'b, 'a> {
    /// Without launches yet.
    pub(crate) fn new(
        values: &'b mut Values<'a>,
        group: &'b Group,
        problem: &'b Problem,
        operands: Vec<LaidOut>,
    ) -> Self {
        Self { values, group, problem, operands, launches: vec![], outputs: vec![] }
    }

    /// The launches, each with what [`KernelBuilder::iterates`] says of it, and what they complete.
    pub(crate) fn finish(self) -> (Vec<(KernelLaunch, Option<Dim>)>, Vec<Output>) {
        (self.launches, self.outputs)
    }

    /// A broken invariant of this group.
    pub(crate) fn defect(&self, message: impl Into<String>) -> CompileError {
        CompileError::Defect { place: self.group.name.clone(), message: message.into() }
    }

    /// That the group cannot be computed on the target.
    pub(crate) fn unsupported(&self, message: impl Into<String>) -> CompileError {
        CompileError::Unsupported { node: self.group.name.clone(), message: message.into() }
    }

    /// The anchor.
    pub(crate) fn anchor(&self) -> Result<&'a Node, CompileError> {
        let id = self.group.anchor.ok_or_else(|| self.defect("has no anchor"))?;
        Ok(self.values.graph.node(id))
    }

    /// The anchor's result.
    pub(crate) fn result(&self) -> Result<ValueId, CompileError> {
        Ok(self.anchor()?.outputs[0])
    }

    /// The shape of a value.
    pub(crate) fn shape(&self, value: ValueId) -> Vec<Dim> {
        self.values.graph.ty(value).shape.clone()
    }

    fn not_laid_out(&self, n: usize) -> CompileError {
        self.defect(format!("operand {n} is not laid out as its kernel demands"))
    }

    /// Operand `n` as rows.
    pub(crate) fn rows(&self, n: usize) -> Result<RowView, CompileError> {
        match self.operands.get(n) {
            Some(LaidOut::Rows(rows)) => Ok(rows.clone()),
            _ => Err(self.not_laid_out(n)),
        }
    }

    /// Operand `n` as a tensor.
    pub(crate) fn tensor(&self, n: usize) -> Result<TensorId, CompileError> {
        match self.operands.get(n) {
            Some(LaidOut::Tensor(tensor)) => Ok(*tensor),
            _ => Err(self.not_laid_out(n)),
        }
    }

    /// The buffer of operand `n`, a tensor.
    pub(crate) fn tensor_buffer(&self, n: usize) -> Result<BufferId, CompileError> {
        Ok(self.values.tensor(self.tensor(n)?).buffer)
    }

    /// Operand `n` wherever it is stored.
    pub(crate) fn view(&self, n: usize) -> Result<View, CompileError> {
        match self.operands.get(n) {
            Some(LaidOut::View(view)) => Ok(view.clone()),
            _ => Err(self.not_laid_out(n)),
        }
    }

    /// Operand `n` as matrices.
    pub(crate) fn matrix(&self, n: usize) -> Result<Matrix, CompileError> {
        match self.operands.get(n) {
            Some(LaidOut::Matrix(matrix)) => Ok(matrix.clone()),
            _ => Err(self.not_laid_out(n)),
        }
    }

    /// Memory for partial results that another kernel of the group reads.
    pub(crate) fn scratch(&mut self, what: &str, element: Storage, elements: &Dim) -> BufferId {
        let name = format!("{} ({what})", self.group.name);
        let elements = layout::round_up(elements, 4);
        self.values.allocate(&name, element, &elements, BufferInit::Activation)
    }

    /// Workgroups for `invocations` invocations in a row; the kernel finds its own index by `grid.wgsl`.
    pub(crate) fn grid(&self, invocations: &Dim) -> [Dim; 3] {
        grid(self.values, invocations)
    }

    /// Appends a launch.
    pub(crate) fn launch(&mut self, launch: KernelLaunch) {
        self.launches.push((launch, None));
    }

    /// An invocation of the last launch makes no more loop iterations than this.
    pub(crate) fn iterates(&mut self, iterations: Dim) {
        if let Some((_, most)) = self.launches.last_mut() {
            *most = Some(iterations);
        }
    }

    /// Makes a tensor readable once the group's kernels have run.
    pub(crate) fn complete(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// A tensor of its own for the anchor's result, which the group's kernels complete.
    pub(crate) fn place_result(&mut self, layout: Layout) -> Result<TensorId, CompileError> {
        let value = self.result()?;
        let tensor = self.values.place(value, layout, BufferInit::Activation)?;
        let buffer = self.values.tensor(tensor).buffer;
        self.complete(Output::tensor(value, buffer, tensor));
        Ok(tensor)
    }

    /// Makes the output tensor of the group in `layout` and its epilogue, whose bindings follow the anchor's own
    /// `buffers`.
    pub(crate) fn epilogue(
        &mut self,
        layout: &Layout,
        buffers: &[BufferId],
    ) -> Result<Epilogue, CompileError> {
        let space = IterationSpace::new(&self.shape(self.group_result()?), layout);
        self.epilogue_over(layout, space, buffers, None)
    }

    /// The value that the group leaves.
    pub(crate) fn group_result(&self) -> Result<ValueId, CompileError> {
        match self.group.outputs.first() {
            Some(value) => Ok(*value),
            None => self.result(),
        }
    }

    /// As [`KernelBuilder::epilogue`], over a space of the anchor's own, which may read along `source`.
    pub(crate) fn epilogue_over(
        &mut self,
        layout: &Layout,
        space: IterationSpace,
        buffers: &[BufferId],
        source: Option<&View>,
    ) -> Result<Epilogue, CompileError> {
        let anchor = self.result()?;
        let group = self.group;
        self.epilogue_of(group, anchor, layout, space, buffers, source)
    }

    fn epilogue_of(
        &mut self,
        group: &Group,
        anchor: ValueId,
        layout: &Layout,
        space: IterationSpace,
        buffers: &[BufferId],
        source: Option<&View>,
    ) -> Result<Epilogue, CompileError> {
        let value = group.outputs.first().copied().unwrap_or(anchor);
        let values = &mut *self.values;
        let to = destination(values, group, value, layout)?;
        let addressing = Addressing { source, destination: to.view(), transient: false };
        let before = Anchor { value: Some(anchor), buffers };
        let code = fused(values, group, before, space.clone(), addressing)?;
        let output = output(values, value, layout.clone(), to, code.in_place)?;
        Ok(Epilogue { output, space, code, name: epilogue_name(values, group) })
    }

    /// As [`KernelBuilder::epilogue`], for an anchor whose template can start its sums at a bias along `axis` of its
    /// result.
    pub(crate) fn biased_epilogue(
        &mut self,
        axis: usize,
        layout: &Layout,
        buffers: &[BufferId],
    ) -> Result<BiasedEpilogue, CompileError> {
        let space = IterationSpace::new(&self.shape(self.group_result()?), layout);
        let Some(found) = bias(self.values, self.group, self.result()?, axis)? else {
            let epilogue = self.epilogue_over(layout, space, buffers, None)?;
            return Ok(BiasedEpilogue { epilogue, biased: false, buffers: buffers.to_vec() });
        };
        let buffers: Vec<BufferId> = buffers.iter().copied().chain([found.buffer]).collect();
        let epilogue = self.epilogue_of(&found.rest, found.anchor, layout, space, &buffers, None)?;
        Ok(BiasedEpilogue { epilogue, biased: true, buffers })
    }

    /// Appends the launch of an anchor's kernel, which computes all of the group's result.
    pub(crate) fn launch_anchor(&mut self, epilogue: Epilogue, launch: AnchorLaunch<'_>) {
        self.complete(epilogue.output.clone());
        self.launch_part(epilogue, launch);
    }

    /// As [`KernelBuilder::launch_anchor`], for a kernel that computes only part of the result.
    pub(crate) fn launch_part(&mut self, epilogue: Epilogue, launch: AnchorLaunch<'_>) {
        let mut params = Params::default();
        params.uint("count", epilogue.space.count());
        params.uint("inner", epilogue.space.inner());
        params.extend(launch.params);
        let shared = epilogue.code.template_values();
        let mut bindings: Vec<(BufferId, Access)> =
            launch.buffers.iter().map(|buffer| (*buffer, Access::Read)).collect();
        bindings.extend(&epilogue.code.reads);
        let out_binding = bindings.len() + 1;
        bindings.push((epilogue.output.buffer, Access::ReadWrite));
        params.extend(epilogue.code.params);
        let values = minijinja::context! { ..shared, ..launch.values };
        self.launch(KernelLaunch {
            template: launch.template,
            kernel: launch.kernel + &epilogue.name,
            name: self.group.name.clone(),
            values: minijinja::context! { out_binding, ..values },
            bindings,
            params,
            workgroups: launch.workgroups,
            writes: epilogue.output.tensor.into_iter().collect(),
            flops: launch.flops,
        });
    }
}

/// Workgroups for `invocations` invocations in a row.
pub(crate) fn grid(values: &Values<'_>, invocations: &Dim) -> [Dim; 3] {
    values.folded(&invocations.ceil_div(WORKGROUP))
}

/// A bias that the sums of an anchor can start with, so that the epilogue need not add it to each.
struct Bias {
    /// The buffer: one number for each index along the axis.
    buffer: BufferId,
    /// The group without the addition.
    rest: Group,
    /// What the anchor makes now: the value of the addition.
    anchor: ValueId,
}

/// Finds out whether the epilogue of a group begins with the addition of a known vector along `axis` of the anchor's
/// result.
fn bias(
    values: &mut Values<'_>,
    group: &Group,
    anchor: ValueId,
    axis: usize,
) -> Result<Option<Bias>, CompileError> {
    let graph = values.graph;
    let Some(node) = group.nodes.first().map(|id| graph.node(*id)) else { return Ok(None) };
    let [a, b] = node.inputs[..] else { return Ok(None) };
    let reads = |id: &NodeId| graph.node(*id).inputs.contains(&anchor);
    let once = group.nodes.iter().filter(|id| reads(id)).count() == 1 && !group.outputs.contains(&anchor);
    let vector = match (a == anchor, b == anchor) {
        (true, false) => b,
        (false, true) => a,
        (true, true) | (false, false) => return Ok(None),
    };
    let Some(tensor) = graph.as_constant(vector) else { return Ok(None) };
    let ty = graph.ty(anchor);
    let shape = tensor.shape();
    // The vector's axis, counted from the end as broadcasting does.
    let along = (axis + shape.len()).checked_sub(ty.rank());
    let Some(along) =
        along.filter(|along| shape.get(*along).is_some_and(|n| ty.shape[axis] == Dim::from(*n)))
    else {
        return Ok(None);
    };
    // Also where the axis has one element: another one that has more would not be a bias.
    let only = shape.iter().enumerate().all(|(i, n)| along == i || *n == 1);
    let float = matches!(tensor.dtype(), DType::F32 | DType::F16);
    if node.op != Op::Binary(BinaryOp::Add) || !once || !only || !float {
        return Ok(None);
    }
    let order = (0..shape.len()).filter(|a| *a != along).chain([along]).collect();
    let tensor = values.find(vector, &Layout { order, lanes: 4 })?;
    let tensor = tensor.ok_or_else(|| values.missing(vector))?;
    let nodes = group.nodes[1..].to_vec();
    let read_later = |id: &ValueId| nodes.iter().any(|n| graph.node(*n).inputs.contains(id));
    let inputs = group.inputs.iter().copied().filter(|id| *id != vector || read_later(id)).collect();
    let rest = Group { nodes, inputs, ..group.clone() };
    Ok(Some(Bias { buffer: values.tensor(tensor).buffer, rest, anchor: node.outputs[0] }))
}
