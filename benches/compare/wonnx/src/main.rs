//! Times wonnx on one model, in the same terms as `kiln bench --json`: the time from the start of the program's work to
//! the first answer (reading, compiling, uploading, first run), and the median time of later runs.
//!
//!     bench-wonnx MODEL.onnx INPUT_NAME INPUT.bin RUNS
//!
//! INPUT.bin is raw little-endian f32. wonnx needs every dimension known; `prepare_models.py` sees to that.

use std::collections::HashMap;
use std::error::Error;
use std::time::Instant;

use wonnx::utils::{InputTensor, OutputTensor};
use wonnx::Session;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, input_name, input_file, runs] = arguments.as_slice() else {
        return Err("usage: bench-wonnx MODEL.onnx INPUT_NAME INPUT.bin RUNS".into());
    };
    let runs: usize = runs.parse()?;
    let values: Vec<f32> = std::fs::read(input_file)?
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let inputs = HashMap::from([(input_name.clone(), InputTensor::from(values.as_slice()))]);

    let start = Instant::now();
    let session = pollster::block_on(Session::from_path(model))?;
    let loaded = start.elapsed();
    let first = pollster::block_on(session.run(&inputs))?;
    let first_answer = start.elapsed();

    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        pollster::block_on(session.run(&inputs))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);

    let Some(OutputTensor::F32(output)) = first.into_values().next() else {
        return Err("the model has no output of type f32".into());
    };
    println!(
        "{}",
        serde_json::json!({
            "engine": "wonnx",
            "median_ms": times[times.len() / 2],
            "first_answer_ms": first_answer.as_secs_f64() * 1e3,
            "load_ms": loaded.as_secs_f64() * 1e3,
            "output": output,
        })
    );
    Ok(())
}
