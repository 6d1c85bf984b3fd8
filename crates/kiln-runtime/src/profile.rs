//! Profiling: a run with each dispatch in a pass of its own and a timestamp before and after.

use kiln_plan::Dispatch;

use crate::error::RuntimeError;
use crate::outputs::Readback;
use crate::session::Session;
use crate::steps::schedule;
use crate::tensor::HostTensor;

/// A query set holds so many timestamps at most; two belong to a dispatch.
const QUERIES: usize = 4096;
const STAMP: u64 = 8;

/// One dispatch of a profiled run.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// Its position in the program.
    pub dispatch: usize,
    /// The layers it computes.
    pub name: String,
    /// Its kernel.
    pub shader: String,
    /// How often it was run: one, or the number of steps of its loop.
    pub steps: usize,
    /// When it began, in seconds since the first one did: the median of all runs; of a loop, its first step.
    pub begin: f64,
    /// What it took on the device, in all steps: the median of all runs.
    pub seconds: f64,
    /// Floating point operations.
    pub flops: f64,
    /// Bytes read and written if everything is moved once.
    pub bytes: f64,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
}

/// A profiled program.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// One entry for each dispatch that was run, in order.
    pub kernels: Vec<KernelTime>,
    /// From the first timestamp to the last: the median of all runs.
    pub seconds: f64,
}

impl Profile {
    /// The share of the time in which no kernel runs: the device goes from one to the next.
    pub fn idle(&self) -> f64 {
        let busy: f64 = self.kernels.iter().map(|kernel| kernel.seconds).sum();
        if self.seconds > 0.0 { (1.0 - busy / self.seconds).max(0.0) } else { 0.0 }
    }
}

impl Session {
    /// Times each dispatch of a program over a number of runs, at least one. The first run after loading compiles;
    /// have one before this.
    pub fn profile(
        &mut self,
        program: &str,
        inputs: &[(&str, &HostTensor)],
        runs: usize,
    ) -> Result<Profile, RuntimeError> {
        if !self.device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let adapter = self.device.capabilities().name.clone();
            return Err(RuntimeError::NoTimestamps { adapter });
        }
        let index = self.program_index(program)?;
        self.set_inputs(index, inputs)?;
        let steps = self.programs.get(index).and_then(|ready| ready.bound.as_ref());
        let steps = steps.map(|bound| bound.steps.clone()).unwrap_or_default();
        let program = self.program(index)?;
        let order: Vec<_> = schedule(program, &steps, 0..program.dispatches.len()).collect();
        // Where the times of each dispatch are: one for each of its steps.
        let mut places = vec![vec![]; program.dispatches.len()];
        for (n, (dispatch, _)) in order.iter().enumerate() {
            places.get_mut(*dispatch).into_iter().for_each(|places| places.push(n));
        }
        let sets = self.query_sets(order.len());
        let mut stamps = Vec::new();
        for _ in 0..runs.max(1) {
            stamps.push(self.timed_run(index, &order, &sets)?);
        }

        let period = f64::from(self.device.queue.get_timestamp_period()) * 1e-9;
        let elapsed = |from: Option<&u64>, to: Option<&u64>| {
            // A wrapped or missing timestamp counts as no time rather than as centuries.
            from.zip(to).map_or(0.0, |(from, to)| to.saturating_sub(*from) as f64 * period)
        };
        let seconds = median(stamps.iter().map(|run| elapsed(run.first(), run.last())).collect());
        let of_run = |run: &Vec<u64>, places: &[usize]| {
            places.iter().map(|n| elapsed(run.get(2 * n), run.get(2 * n + 1))).sum::<f64>()
        };
        let steps_of = |i: usize| places.get(i).map_or(&[][..], Vec::as_slice);
        let of_dispatch = |i: usize| median(stamps.iter().map(|run| of_run(run, steps_of(i))).collect());

        let begin_of = |i: usize| {
            let first = steps_of(i).first().copied().unwrap_or(0);
            median(stamps.iter().map(|run| elapsed(run.first(), run.get(2 * first))).collect())
        };

        let bound = self.programs.get(index).and_then(|ready| ready.bound.as_ref());
        let values = bound.map(|bound| bound.symbols.as_slice()).unwrap_or_default();
        let workgroups = bound.map(|bound| bound.workgroups.as_slice()).unwrap_or_default();
        let kernel = |(i, (dispatch, workgroups)): (usize, (&Dispatch, &[u32; 3]))| KernelTime {
            dispatch: i,
            name: dispatch.name.clone(),
            shader: self.plan.shaders.get(dispatch.shader).map(|s| s.name.clone()).unwrap_or_default(),
            begin: begin_of(i),
            seconds: of_dispatch(i),
            steps: steps_of(i).len(),
            flops: dispatch.flops.eval(values) as f64 * steps_of(i).len() as f64,
            bytes: dispatch.bytes.eval(values) as f64 * steps_of(i).len() as f64,
            workgroups: *workgroups,
        };
        let dispatches = self.program(index)?.dispatches.iter().zip(workgroups).enumerate();
        let runs =
            |(i, (_, counts)): &(usize, (_, &[u32; 3]))| !counts.contains(&0) && !steps_of(*i).is_empty();
        let kernels = dispatches.filter(runs).map(kernel).collect();
        Ok(Profile { kernels, seconds })
    }

    fn query_sets(&self, dispatches: usize) -> Vec<wgpu::QuerySet> {
        let sets = (2 * dispatches).div_ceil(QUERIES);
        let create = |i: usize| {
            let count = (2 * dispatches - i * QUERIES).min(QUERIES);
            self.device.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: u32::try_from(count).unwrap_or(u32::MAX),
            })
        };
        (0..sets).map(create).collect()
    }

    /// Two timestamps for each dispatch.
    fn timed_run(
        &mut self,
        index: usize,
        order: &[(usize, u64)],
        sets: &[wgpu::QuerySet],
    ) -> Result<Vec<u64>, RuntimeError> {
        let count = order.len();
        if count == 0 {
            return Ok(vec![]);
        }
        let mut encoder = self.encoder();
        for (i, at) in order.iter().enumerate() {
            let Some(set) = sets.get(2 * i / QUERIES) else { break };
            let query = u32::try_from(2 * i % QUERIES).unwrap_or(0);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: Some(query),
                    end_of_pass_write_index: Some(query + 1),
                }),
            });
            self.encode_step(&mut pass, index, *at)?;
        }
        let size = 2 * count as u64 * STAMP;
        let resolved = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut at = 0;
        for (i, set) in sets.iter().enumerate() {
            let queries = u32::try_from((2 * count - i * QUERIES).min(QUERIES)).unwrap_or(0);
            encoder.resolve_query_set(set, 0..queries, &resolved, at);
            at += u64::from(queries) * STAMP;
        }
        let readback = Readback::start(self, encoder, &[(resolved, 0, size)])?;
        readback
            .wait(self, |bytes| bytes.as_chunks().0.iter().map(|stamp| u64::from_ne_bytes(*stamp)).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
