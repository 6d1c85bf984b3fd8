//! The order of launches, and which of them become one dispatch.
//!
//! Launches are taken in their order. What cannot be merged stays where it is. The others wait: those with little to do until
//! something needs them, the others if that keeps little memory alive for longer. When something is needed, what else is ready
//! goes with it.

use std::collections::HashMap;

use kiln_plan::Access;

use super::dependencies::{Dependency, dependencies};
use super::kernel::{Apart, WORKGROUP};
use crate::lower::merged::Merged;
use crate::lower::realize::Launch;
use crate::memory::buffer::BufferId;
use crate::target::{DeviceClass, Target};

/// What is needed to know of a program's launches.
pub(crate) struct Launches<'a> {
    /// The launches.
    pub all: &'a [Launch],
    /// Their kernels, taken apart where that is possible.
    pub kernels: &'a [Option<Apart>],
    /// The largest value of a dimension.
    pub maximum: &'a dyn Fn(&kiln_graph::Dim) -> i64,
    /// Bytes of a buffer that only lives within a run; none of others.
    pub bytes: &'a dyn Fn(BufferId) -> u64,
    /// The device.
    pub target: &'a Target,
}

/// Launches that one dispatch runs, at most: the text of each kernel is in it.
const MOST_LAUNCHES: usize = 256;

/// Different kernels of one dispatch, at most.
const MOST_KERNELS: usize = 24;

/// How far ahead others are looked for that are ready when something is dispatched.
const AHEAD: usize = 48;

/// What waits, or is computed early, may keep so much of what all buffers take alive.
const SHARE_KEPT: u64 = 64;

/// The same, in any case.
const LEAST_KEPT: u64 = 1 << 20;

/// How a launch can be dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Alone.
    Fixed,
    /// Beside others.
    Free,
    /// In one workgroup, with others before and after it, too.
    Little,
}

/// All launches in dispatches.
pub(crate) fn schedule(launches: &Launches<'_>) -> Vec<Merged> {
    let waits = dependencies(launches.all, launches.kernels);
    let mut followers: Vec<Vec<Dependency>> = vec![vec![]; launches.all.len()];
    for (n, waits) in waits.iter().enumerate() {
        for Dependency { on, by_index } in waits {
            followers[*on].push(Dependency { on: n, by_index: *by_index });
        }
    }
    let kinds = launches.all.iter().map(|launch| kind(launches, launch)).collect();
    let mut last_use = HashMap::new();
    for (n, launch) in launches.all.iter().enumerate() {
        for (buffer, _) in &launch.bindings {
            last_use.insert(*buffer, n);
        }
    }
    let buffers: u64 = last_use.keys().map(|buffer| (launches.bytes)(*buffer)).sum();
    let kept = (buffers / SHARE_KEPT).max(LEAST_KEPT);
    let done = vec![false; launches.all.len()];
    let mut scheduler = Scheduler {
        launches,
        waits,
        followers,
        kinds,
        last_use,
        kept,
        done,
        waiting: vec![],
        dispatches: vec![],
    };
    scheduler.run();
    scheduler.dispatches
}

fn kind(launches: &Launches<'_>, launch: &Launch) -> Kind {
    let [x, y, z] = launch.workgroups.each_ref().map(|n| (launches.maximum)(n));
    let Some(kernel) = launches.kernels[launch.shader].as_ref().filter(|_| z == 1) else {
        return Kind::Fixed;
    };
    if !kernel.is_plain() {
        return match launches.target.class {
            DeviceClass::Cpu => Kind::Fixed,
            DeviceClass::Gpu => Kind::Free,
        };
    }
    let invocations = u64::try_from(x * i64::from(WORKGROUP)).unwrap_or(u64::MAX);
    let each = launch.iterations.saturating_add(1);
    let is_little = match launches.target.class {
        // There barriers, and parameters that differ from workgroup to workgroup, cost more than launches, but for the
        // smallest ones.
        DeviceClass::Cpu if invocations.saturating_mul(each) <= 1_024 => return Kind::Free,
        DeviceClass::Cpu => return Kind::Fixed,
        // A few dozen loads one after the other take as long as a launch.
        DeviceClass::Gpu => {
            let rounds = invocations.div_ceil(u64::from(lanes(launches.target)));
            rounds.saturating_mul(each) <= 64 && rounds <= 4
        }
    };
    if is_little && y == 1 { Kind::Little } else { Kind::Free }
}

/// Invocations of a workgroup that runs launches in sequence.
pub(crate) fn lanes(target: &Target) -> u32 {
    match target.class {
        // Barriers are what takes time there, and they take it for each subgroup.
        DeviceClass::Cpu => 64,
        DeviceClass::Gpu => target.max_compute_invocations_per_workgroup.min(256),
    }
}

struct Scheduler<'a> {
    launches: &'a Launches<'a>,
    /// For each launch, those it waits for, and those that wait for it.
    waits: Vec<Vec<Dependency>>,
    followers: Vec<Vec<Dependency>>,
    kinds: Vec<Kind>,
    last_use: HashMap<BufferId, usize>,
    /// Bytes that may be kept for longer than in the order of the launches.
    kept: u64,
    done: Vec<bool>,
    /// Launches before the present one that are not done.
    waiting: Vec<usize>,
    dispatches: Vec<Merged>,
}

impl Scheduler<'_> {
    fn run(&mut self) {
        for n in 0..self.launches.all.len() {
            if self.done[n] {
                continue;
            }
            let kept: u64 = self.waiting.iter().map(|other| self.kept_by(*other)).sum();
            match self.kinds[n] {
                Kind::Fixed => {
                    self.flush(self.needed(&self.waits[n]), n);
                    self.dispatch(Merged::Alone(n));
                }
                Kind::Little => self.waiting.push(n),
                Kind::Free if kept + self.kept_by(n) <= self.kept => self.waiting.push(n),
                Kind::Free => {
                    self.waiting.push(n);
                    let mut needed = self.needed(&self.waits[n]);
                    needed.push(n);
                    self.flush(needed, n);
                }
            }
        }
        self.flush(self.waiting.clone(), self.launches.all.len());
    }

    /// Bytes that stay alive until a launch has run.
    fn kept_by(&self, n: usize) -> u64 {
        self.bytes(n, Access::Read, |buffer| self.last_use.get(&buffer) == Some(&n))
    }

    /// Bytes of results of a launch.
    fn made_by(&self, n: usize) -> u64 {
        self.bytes(n, Access::ReadWrite, |_| true)
    }

    fn bytes(&self, n: usize, access: Access, counts: impl Fn(BufferId) -> bool) -> u64 {
        let bound = self.launches.all[n].bindings.iter();
        let counted = bound.filter(|(buffer, how)| *how == access && counts(*buffer));
        counted.map(|(buffer, _)| (self.launches.bytes)(*buffer)).sum()
    }

    /// All launches that have to be done for `waits`, in order.
    fn needed(&self, waits: &[Dependency]) -> Vec<usize> {
        let mut needed: Vec<usize> = Vec::new();
        let mut stack: Vec<usize> = waits.iter().map(|dependency| dependency.on).collect();
        while let Some(n) = stack.pop() {
            if !self.done[n] && !needed.contains(&n) {
                needed.push(n);
                stack.extend(self.waits[n].iter().map(|dependency| dependency.on));
            }
        }
        needed.sort_unstable();
        needed
    }

    /// Dispatches what is needed before launch `before`, and what is ready beside it.
    fn flush(&mut self, needed: Vec<usize>, before: usize) {
        let mut needed = needed;
        loop {
            needed.retain(|n| !self.done[*n]);
            if needed.is_empty() {
                return;
            }
            let sequence = self.sequence(&needed, before);
            // One alone may share a grid with others.
            if sequence.len() < 2 {
                let parts = self.parts(&needed, before);
                self.dispatch(match &parts[..] {
                    [part] if part.len() == 1 => Merged::Alone(part[0]),
                    _ => Merged::SideBySide(parts),
                });
            } else {
                self.dispatch(Merged::InSequence(self.stages(&sequence)));
            }
        }
    }

    fn dispatch(&mut self, merged: Merged) {
        for n in merged.launches() {
            self.done[n] = true;
        }
        self.waiting.retain(|n| !self.done[*n]);
        self.dispatches.push(merged);
    }

    /// Launches with little to do that others wait for, if any are needed: these and all that can go with them.
    fn sequence(&self, needed: &[usize], before: usize) -> Vec<usize> {
        let mut members: Vec<usize> = Vec::new();
        let mut iterations = 0u64;
        let mut kernels: Vec<usize> = Vec::new();
        let end = (before + AHEAD).min(self.launches.all.len());
        let ahead = (before..end).filter(|n| !self.waiting.contains(n));
        for n in self.waiting.iter().copied().chain(ahead) {
            let is_ready = self.waits[n].iter().all(|wait| self.done[wait.on] || members.contains(&wait.on));
            if self.done[n] || self.kinds[n] != Kind::Little || !is_ready || !self.has_followers(n) {
                continue;
            }
            let more = self.iterations(n);
            let is_new = !kernels.contains(&self.launches.all[n].shader);
            let fits = iterations + more <= self.most_iterations()
                && members.len() < MOST_LAUNCHES
                && kernels.len() + usize::from(is_new) <= MOST_KERNELS;
            if !fits {
                break;
            }
            iterations += more;
            if is_new {
                kernels.push(self.launches.all[n].shader);
            }
            members.push(n);
        }
        let is_any = members.iter().any(|n| needed.contains(n));
        if is_any { members } else { vec![] }
    }

    /// The kernel of a launch, if it can be merged.
    fn kernel(&self, n: usize) -> Option<&Apart> {
        self.launches.kernels[self.launches.all[n].shader].as_ref()
    }

    /// Whether a launch waits for this one that cannot be in the same part of a grid.
    fn has_followers(&self, n: usize) -> bool {
        self.followers[n].iter().any(|follower| !self.done[follower.on] && !follower.by_index)
    }

    /// Loop iterations of an invocation of the workgroup that runs launches in sequence.
    fn iterations(&self, n: usize) -> u64 {
        let launch = &self.launches.all[n];
        let invocations =
            u64::try_from((self.launches.maximum)(&launch.workgroups[0]) * i64::from(WORKGROUP))
                .unwrap_or(u64::MAX);
        let rounds = invocations.div_ceil(u64::from(lanes(self.launches.target)));
        rounds.saturating_mul(launch.iterations.saturating_add(1)).saturating_add(1)
    }

    fn most_iterations(&self) -> u64 {
        u64::try_from(self.launches.target.max_loop_iterations).unwrap_or(u64::MAX)
    }

    /// Launches in stages: what waits for others of them by more than the index is in a later one.
    fn stages(&self, sequence: &[usize]) -> Vec<Vec<usize>> {
        let mut stage_of = HashMap::new();
        let mut stages: Vec<Vec<usize>> = Vec::new();
        for n in sequence {
            let after = |wait: &Dependency| {
                stage_of.get(&wait.on).map(|stage: &usize| stage + usize::from(!wait.by_index))
            };
            let stage = self.waits[*n].iter().filter_map(after).max().unwrap_or(0);
            stage_of.insert(*n, stage);
            stages.resize(stages.len().max(stage + 1), vec![]);
            stages[stage].push(*n);
        }
        stages
    }

    /// Parts of a grid: what is needed and ready, and what else is.
    fn parts(&self, needed: &[usize], before: usize) -> Vec<Vec<usize>> {
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let mut part_of = HashMap::new();
        let mut kernels: Vec<usize> = Vec::new();
        let (mut early, mut memory) = (0, 0);
        // Workgroups are of one size, that of what is needed first.
        let is_ready = |n: &&usize| self.waits[**n].iter().all(|wait| self.done[wait.on]);
        let first = needed.iter().find(is_ready).and_then(|n| self.kernel(*n));
        let width = first.map_or(WORKGROUP, |kernel| kernel.width);
        let end = self.launches.all.len();
        let ahead = (before..end).filter(|n| !self.waiting.contains(n));
        for (place, n) in self.waiting.iter().copied().chain(ahead).enumerate() {
            let is_ahead = place >= self.waiting.len();
            if self.done[n] || self.kinds[n] == Kind::Fixed {
                continue;
            }
            let open: Vec<&Dependency> = self.waits[n].iter().filter(|wait| !self.done[wait.on]).collect();
            // What is far ahead is worth a look only if it waits for nothing at all.
            if is_ahead && n > before + AHEAD && !self.waits[n].is_empty() {
                continue;
            }
            let part = match &open[..] {
                [] => None,
                [first, ..] => {
                    let part = part_of.get(&first.on).copied();
                    let same = |wait: &&Dependency| wait.by_index && part_of.get(&wait.on).copied() == part;
                    if part.is_none() || !open.iter().all(same) {
                        continue;
                    }
                    part
                }
            };
            let is_new = !kernels.contains(&self.launches.all[n].shader);
            let is_wanted = needed.contains(&n) || self.kinds[n] == Kind::Free || !self.has_followers(n);
            let made = if is_ahead { self.made_by(n) } else { 0 };
            let Some(kernel) = self.kernel(n).filter(|kernel| kernel.width == width) else { continue };
            let more = if is_new { kernel.workgroup_memory } else { 0 };
            let most = u64::from(self.launches.target.max_compute_workgroup_storage_size);
            // Each kernel has memory of its own.
            let fits = early + made <= self.kept
                && memory + more <= most
                && part_of.len() < MOST_LAUNCHES
                && kernels.len() + usize::from(is_new) <= MOST_KERNELS;
            if !is_wanted || !fits {
                continue;
            }
            early += made;
            memory += more;
            if is_new {
                kernels.push(self.launches.all[n].shader);
            }
            let part = part.unwrap_or_else(|| {
                parts.push(vec![]);
                parts.len() - 1
            });
            parts[part].push(n);
            part_of.insert(n, part);
        }
        parts
    }
}
