//! How a program came to its dispatches, for those who look at a plan: which launches each dispatch is made of, and what lies
//! where in memory, from when to when.

use kiln_graph::Dim;

use super::place::Placed;
use crate::lower::merged::Merged;
use crate::lower::program::Lowered;
use crate::wgsl::params::Uniform;

/// The dispatches of a program and their memory.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// The launches, in the order in which the groups were lowered; [`Selection::dispatches`](crate::Selection::dispatches)
    /// are numbers of these.
    pub launches: Vec<Launched>,
    /// What each dispatch of the plan's program is made of.
    pub dispatches: Vec<Dispatched>,
    /// The tensors that lie in arenas.
    pub memory: Vec<Live>,
}

/// A launch of a kernel.
#[derive(Clone, Debug)]
pub struct Launched {
    /// The layers it computes.
    pub name: String,
    /// Its kernel, in [`Compiled::kernels`](crate::Compiled::kernels).
    pub kernel: usize,
    /// Workgroups, as expressions over the symbols.
    pub workgroups: [Dim; 3],
    /// The parameters, in the order of the kernel's structure.
    pub parameters: Vec<String>,
}

/// How launches share a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// There is one.
    Alone,
    /// Each has workgroups of its own.
    SideBySide,
    /// One workgroup runs them one after the other.
    InSequence,
}

impl Sharing {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::SideBySide => "side by side",
            Self::InSequence => "in sequence",
        }
    }
}

/// The launches of a dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatched {
    /// Numbers of launches, in an order in which they could run one by one.
    pub launches: Vec<usize>,
    /// How they share it.
    pub sharing: Sharing,
}

/// A tensor in an arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What it was made for.
    pub name: String,
    /// Index of the plan's buffer.
    pub buffer: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes, with the padding that alignment asks for.
    pub size: u64,
    /// The first dispatch that needs it.
    pub first: usize,
    /// The last one; the number of dispatches for what is needed afterwards.
    pub last: usize,
}

/// What is known of a program before it has dispatches.
pub(super) fn launches(program: &Lowered) -> Vec<Launched> {
    let word = |uniform: &Uniform| match uniform {
        Uniform::Int(dim) => dim.to_string(),
        Uniform::Float(value) => format!("{value:?}"),
    };
    let launched = program.launches.iter().map(|launch| Launched {
        name: launch.name.clone(),
        kernel: launch.shader,
        workgroups: launch.workgroups.clone(),
        parameters: launch.uniforms.iter().map(word).collect(),
    });
    launched.collect()
}

/// The dispatches that `merged` has become: one, or one for each launch.
pub(super) fn dispatched(merged: &Merged, dispatches: usize) -> Vec<Dispatched> {
    let launches = merged.launches();
    let sharing = match merged {
        Merged::Alone(_) => Sharing::Alone,
        Merged::SideBySide(_) => Sharing::SideBySide,
        Merged::InSequence(_) => Sharing::InSequence,
    };
    if dispatches == 1 {
        return vec![Dispatched { launches, sharing }];
    }
    launches.into_iter().map(|n| Dispatched { launches: vec![n], sharing: Sharing::Alone }).collect()
}

/// Tensors with the dispatches that need them, by `first_of`: the plan's first dispatch of each merged one, and behind them how
/// many there are.
pub(super) fn live(placed: &[Placed], first_of: &[usize]) -> Vec<Live> {
    let end = first_of.last().copied().unwrap_or(0);
    let first = |n: usize| first_of.get(n).copied().unwrap_or(end);
    let last = |n: usize| match first_of.get(n + 1) {
        Some(next) => next.saturating_sub(1).max(first(n)),
        None => end,
    };
    let live = placed.iter().map(|placed| Live {
        name: placed.name.clone(),
        buffer: placed.range.buffer,
        offset: placed.range.offset,
        size: placed.size,
        first: first(placed.first),
        last: last(placed.last),
    });
    live.collect()
}
