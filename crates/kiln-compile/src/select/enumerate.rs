//! All candidates for a problem, and which of them a target admits. Demands are checked here and nowhere else, so that a
//! refusal is data.

use std::fmt;

use super::cost::time;
use crate::kernels::family::{Choice, Demands, Estimate, Family};
use crate::kernels::problem::Problem;
use crate::target::Target;

/// Why a target does not admit a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Loops of an invocation are too long.
    LoopIterations {
        /// Iterations of an invocation.
        needed: i64,
        /// The target's limit.
        limit: i64,
    },
    /// Workgroups are too large.
    Invocations {
        /// Invocations of a workgroup.
        needed: u32,
        /// The target's limit.
        limit: u32,
    },
    /// Workgroup memory is too small.
    WorkgroupMemory {
        /// Bytes.
        needed: u32,
        /// The target's limit.
        limit: u32,
    },
    /// Subgroups are of another size, or of no fixed one.
    SubgroupSize {
        /// The size the kernel is written for.
        needed: u32,
        /// The target's.
        has: Option<u32>,
    },
    /// A buffer cannot be bound at once.
    Binding {
        /// Bytes.
        needed: i64,
        /// The target's limit.
        limit: u64,
    },
    /// Sums are of other products than the operator's, where the caller asks for these.
    Rearranged,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoopIterations { needed, limit } => {
                write!(f, "needs {needed} loop iterations of an invocation; the target allows {limit}")
            }
            Self::Invocations { needed, limit } => {
                write!(f, "needs workgroups of {needed} invocations; the target has at most {limit}")
            }
            Self::WorkgroupMemory { needed, limit } => {
                write!(f, "needs {needed} bytes of workgroup memory; the target has {limit}")
            }
            Self::SubgroupSize { needed, has: Some(has) } => {
                write!(f, "needs subgroups of {needed}; the target has subgroups of {has}")
            }
            Self::SubgroupSize { needed, has: None } => {
                write!(f, "needs subgroups of {needed}; the target has none of a fixed size")
            }
            Self::Binding { needed, limit } => {
                write!(f, "needs a buffer of {needed} bytes; the target binds at most {limit} at once")
            }
            Self::Rearranged => {
                write!(f, "adds up other products than the operator's, whose rounding errors are larger")
            }
        }
    }
}

/// A variant that computes a problem.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The family and its knobs.
    pub choice: Choice,
    /// What it would take.
    pub estimate: Estimate,
    /// The same as nanoseconds, for comparison with other candidates.
    pub time: f64,
    /// Why the target does not admit it.
    pub refusal: Option<Refusal>,
}

/// All candidates of the families of a table.
pub(crate) fn candidates(
    table: &[&Family],
    problem: &Problem,
    target: &Target,
    precise: bool,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for family in table {
        for knobs in (family.space)(problem, target) {
            let refusal = refusal(&(family.demands)(problem, &knobs), target, precise);
            let estimate = (family.cost)(problem, &knobs, target);
            let time = time(&estimate, target);
            let choice = Choice { family: family.name, knobs };
            candidates.push(Candidate { choice, estimate, time, refusal });
        }
    }
    candidates
}

/// What of the demands a target does not fulfil, or a caller does not want, if anything.
fn refusal(demands: &Demands, target: &Target, precise: bool) -> Option<Refusal> {
    let Demands {
        loop_iterations,
        invocations,
        workgroup_memory,
        subgroup_size,
        binding,
        rearranged,
        operands: _,
    } = demands;
    if *rearranged && precise {
        return Some(Refusal::Rearranged);
    }
    if let Some(needed) = subgroup_size.filter(|needed| target.subgroup_size != Some(*needed)) {
        return Some(Refusal::SubgroupSize { needed, has: target.subgroup_size });
    }
    if *invocations > target.max_compute_invocations_per_workgroup {
        let limit = target.max_compute_invocations_per_workgroup;
        return Some(Refusal::Invocations { needed: *invocations, limit });
    }
    if *workgroup_memory > target.max_compute_workgroup_storage_size {
        let limit = target.max_compute_workgroup_storage_size;
        return Some(Refusal::WorkgroupMemory { needed: *workgroup_memory, limit });
    }
    let limit = target.max_storage_buffer_binding_size;
    if u64::try_from(*binding).is_ok_and(|needed| needed > limit) {
        return Some(Refusal::Binding { needed: *binding, limit });
    }
    (*loop_iterations > target.max_loop_iterations)
        .then_some(Refusal::LoopIterations { needed: *loop_iterations, limit: target.max_loop_iterations })
}
