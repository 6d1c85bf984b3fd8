//! What host and device did when, in the trace event format of Chrome ("Trace Event Format", a document of the Catapult project),
//! which Perfetto reads, too.

use std::time::Instant;

use kiln::Profile;
use serde_json::{Value, json};

/// The track of the host.
const HOST: u32 = 1;
/// The track of the device.
const DEVICE: u32 = 2;

/// Events since it was made.
pub(crate) struct Timeline {
    origin: Instant,
    events: Vec<Value>,
}

impl Timeline {
    /// Without events but for the names of the tracks.
    pub(crate) fn new() -> Self {
        let track = |thread: u32, name: &str| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": { "name": name } });
        Self { origin: Instant::now(), events: vec![track(HOST, "host"), track(DEVICE, "device")] }
    }

    /// Something that the host has done from `start` to now.
    pub(crate) fn host(&mut self, name: &str, start: Instant) {
        let begin = start.saturating_duration_since(self.origin).as_secs_f64();
        self.add(HOST, name, begin, start.elapsed().as_secs_f64(), json!({}));
    }

    /// The dispatches of a run that was started at `start`. When exactly it began, the device does not say.
    pub(crate) fn device(&mut self, profile: &Profile, start: Instant) {
        let begin = start.saturating_duration_since(self.origin).as_secs_f64();
        for kernel in &profile.kernels {
            let [x, y, z] = kernel.workgroups;
            let details = json!({
                "kernel": kernel.shader,
                "workgroups": format!("{x} x {y} x {z}"),
                "flops": kernel.flops,
                "bytes": kernel.bytes,
                "steps": kernel.steps,
            });
            self.add(DEVICE, &kernel.name, begin + kernel.begin, kernel.seconds, details);
        }
    }

    /// Times are in seconds here and in microseconds there.
    fn add(&mut self, track: u32, name: &str, begin: f64, seconds: f64, details: Value) {
        self.events.push(json!({
            "name": name, "ph": "X", "pid": 1, "tid": track, "ts": begin * 1e6, "dur": seconds * 1e6, "args": details,
        }));
    }

    /// The file.
    pub(crate) fn to_json(&self) -> String {
        json!({ "traceEvents": self.events, "displayTimeUnit": "ms" }).to_string()
    }
}
