//! Launches of kernels, before memory is planned.

use kiln_graph::Dim;
use kiln_plan::Access;

use super::context::{Context, StorageId};
use super::operand::{Four, memory_scalar};
use crate::error::CompileError;
use crate::shader::Kernel;

/// A parameter word that may depend on symbols.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// `u32` or `i32`.
    Int(Dim),
    /// `f32`.
    Float(f32),
}

impl<D: Into<Dim>> From<D> for Word {
    fn from(dim: D) -> Self {
        Word::Int(dim.into())
    }
}

/// One launch of a kernel, on memory that has no place yet.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The layers it computes.
    pub name: String,
    /// Index of the kernel.
    pub shader: usize,
    /// The memory of each storage binding.
    pub bindings: Vec<(StorageId, Access)>,
    /// Parameter words.
    pub words: Vec<Word>,
    /// Workgroups.
    pub workgroups: [Dim; 3],
    /// Indices of the tensors it completes.
    pub writes: Vec<usize>,
    /// Floating point operations.
    pub flops: Dim,
}

/// Invocations of a workgroup of the kernels that handle one element, or vector of four, each.
pub const WORKGROUP: i64 = 64;

/// Parameters of a kernel: names for the template, words for the plan.
#[derive(Clone, Default)]
pub struct Params {
    names: Vec<(String, &'static str)>,
    words: Vec<Word>,
}

impl Params {
    /// Adds an unsigned number.
    pub fn uint(&mut self, name: impl Into<String>, dim: impl Into<Dim>) {
        self.names.push((name.into(), "u32"));
        self.words.push(Word::Int(dim.into()));
    }

    /// Adds a signed number.
    pub fn int(&mut self, name: impl Into<String>, dim: impl Into<Dim>) {
        self.names.push((name.into(), "i32"));
        self.words.push(Word::Int(dim.into()));
    }

    /// Adds a float.
    pub fn float(&mut self, name: impl Into<String>, value: f32) {
        self.names.push((name.into(), "f32"));
        self.words.push(Word::Float(value));
    }

    /// Whether there is a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(n, _)| n == name)
    }

    /// Adds all parameters of `other`.
    pub fn extend(&mut self, other: Params) {
        self.names.extend(other.names);
        self.words.extend(other.words);
    }

    /// The fields of the WGSL struct.
    pub fn fields(&self) -> String {
        self.names.iter().map(|(name, ty)| format!("  {name}: {ty},\n")).collect()
    }

    /// The words, in the order of the fields.
    pub fn words(&self) -> Vec<Word> {
        self.words.clone()
    }
}

/// A kernel that is about to be launched.
pub struct Request<'a> {
    /// The template.
    pub template: &'static str,
    /// What the kernel is called.
    pub kernel: String,
    /// The layers it computes.
    pub name: &'a str,
    /// Values for the holes, besides `params` and, for each binding in order, `types` of elements and what [`Four`] says.
    pub holes: minijinja::Value,
    /// The storage bindings, in order.
    pub bindings: Vec<(StorageId, Access)>,
    /// The parameters.
    pub params: Params,
    /// Workgroups.
    pub workgroups: [Dim; 3],
    /// Tensors it completes.
    pub writes: Vec<usize>,
    /// Floating point operations.
    pub flops: Dim,
}

impl Context<'_> {
    /// Makes the kernel, or finds it, and appends a launch.
    pub fn request(&mut self, request: Request<'_>) -> Result<(), CompileError> {
        let access: Vec<Access> = request.bindings.iter().map(|(_, access)| *access).collect();
        self.check_bindings(request.name, &access)?;
        let limit = i64::from(self.target.max_compute_workgroups_per_dimension);
        if request.workgroups.iter().any(|n| self.largest(n) > limit) {
            return Err(CompileError::Unsupported {
                node: request.name.into(),
                message: format!(
                    "needs {} x {} x {} workgroups; a dispatch has at most {limit} in each dimension. A smaller largest batch would do",
                    self.largest(&request.workgroups[0]),
                    self.largest(&request.workgroups[1]),
                    self.largest(&request.workgroups[2])
                ),
            });
        }
        let words = request.params.words();
        let elements = request.bindings.iter().map(|(storage, _)| self.memory[storage.0].element);
        let (types, fours): (Vec<_>, Vec<_>) = elements.map(|e| (memory_scalar(e), Four::of(e))).unzip();
        let wide: Vec<_> = fours.iter().map(|four| four.wide).collect();
        let narrow: Vec<_> = fours.iter().map(|four| four.narrow).collect();
        let fours: Vec<_> = fours.iter().map(|four| four.ty).collect();
        let shader = self.shaders.kernel(Kernel {
            template: request.template,
            name: request.kernel,
            holes: minijinja::context! { params => request.params.fields(), types, fours, wide, narrow, ..request.holes },
            access,
            words: words.len(),
        })?;
        self.launch(Launch {
            name: request.name.into(),
            shader,
            bindings: request.bindings,
            words,
            workgroups: request.workgroups,
            writes: request.writes,
            flops: request.flops,
        });
        Ok(())
    }

    /// Workgroups for `invocations` invocations in a row; the kernel finds its own index by `grid.wgsl`.
    pub fn grid(&self, invocations: &Dim) -> [Dim; 3] {
        self.fold(&invocations.ceil_div(WORKGROUP))
    }

    /// A row of workgroups, folded into several where it is too long for one.
    pub fn fold(&self, groups: &Dim) -> [Dim; 3] {
        let limit = i64::from(self.target.max_compute_workgroups_per_dimension);
        if self.largest(groups) <= limit {
            return [groups.clone(), 1.into(), 1.into()];
        }
        let row = 32_768.min(limit);
        [row.into(), groups.ceil_div(row), 1.into()]
    }
}
