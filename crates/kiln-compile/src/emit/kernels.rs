//! The kernels of a plan: those of single launches and merged ones, of which the plan has what is used.

use kiln_plan::{Program, Requirements, Shader};

use crate::merge::kernel::Apart;
use crate::wgsl::template::Templates;

/// See the module's text.
pub(crate) struct Kernels {
    /// All kernels so far.
    pub templates: Templates,
    /// Those of single launches, taken apart where they can be merged.
    pub apart: Vec<Option<Apart>>,
}

impl Kernels {
    /// Of kernels that are there and what they are made of.
    pub(crate) fn new(templates: Templates, apart: Vec<Option<Apart>>) -> Self {
        Self { templates, apart }
    }

    /// The kernels that programs use, which are numbered anew, and what is asked of a device.
    pub(super) fn finish(self, programs: &mut [Program]) -> (Vec<Shader>, Requirements) {
        let mut kernels: Vec<Option<Shader>> = self.templates.kept.into_iter().map(Some).collect();
        let mut numbers = vec![None; kernels.len()];
        let mut used = Vec::new();
        for dispatch in programs.iter_mut().flat_map(|program| &mut program.dispatches) {
            let number = &mut numbers[dispatch.shader];
            if let Some(kernel) = kernels[dispatch.shader].take() {
                *number = Some(used.len());
                used.push(kernel);
            }
            dispatch.shader = number.unwrap_or_default();
        }
        (used, self.templates.requirements)
    }
}
