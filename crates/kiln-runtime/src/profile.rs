//! Profiling: a run with each dispatch in a pass of its own and a timestamp before and after.

use kiln_plan::Dispatch;

use crate::error::RuntimeError;
use crate::outputs::Readback;
use crate::session::Session;
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
    /// What it took on the device: the median of all runs.
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
        let count = self.program(index)?.dispatches.len();
        let sets = self.query_sets(count);
        let mut stamps = Vec::new();
        for _ in 0..runs.max(1) {
            stamps.push(self.timed_run(index, count, &sets)?);
        }

        let period = f64::from(self.device.queue.get_timestamp_period()) * 1e-9;
        let elapsed = |from: Option<&u64>, to: Option<&u64>| {
            // A wrapped or missing timestamp counts as no time rather than as centuries.
            from.zip(to).map_or(0.0, |(from, to)| to.saturating_sub(*from) as f64 * period)
        };
        let seconds = median(stamps.iter().map(|run| elapsed(run.first(), run.last())).collect());
        let of_dispatch =
            |i: usize| median(stamps.iter().map(|run| elapsed(run.get(2 * i), run.get(2 * i + 1))).collect());

        let bound = self.programs.get(index).and_then(|ready| ready.bound.as_ref());
        let values = bound.map(|bound| bound.symbols.as_slice()).unwrap_or_default();
        let workgroups = bound.map(|bound| bound.workgroups.as_slice()).unwrap_or_default();
        let kernel = |(i, (dispatch, workgroups)): (usize, (&Dispatch, &[u32; 3]))| KernelTime {
            dispatch: i,
            name: dispatch.name.clone(),
            shader: self.plan.shaders.get(dispatch.shader).map(|s| s.name.clone()).unwrap_or_default(),
            seconds: of_dispatch(i),
            flops: dispatch.flops.eval(values) as f64,
            bytes: dispatch.bytes.eval(values) as f64,
            workgroups: *workgroups,
        };
        let dispatches = self.program(index)?.dispatches.iter().zip(workgroups).enumerate();
        let kernels = dispatches.filter(|(_, (_, counts))| !counts.contains(&0)).map(kernel).collect();
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
        count: usize,
        sets: &[wgpu::QuerySet],
    ) -> Result<Vec<u64>, RuntimeError> {
        if count == 0 {
            return Ok(vec![]);
        }
        let mut encoder = self.encoder();
        for i in 0..count {
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
            self.encode_dispatches(&mut pass, index, i..i + 1)?;
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
