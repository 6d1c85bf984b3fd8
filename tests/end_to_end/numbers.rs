//! Numbers that look random, from formulas that the scripts for oracles have, too: inputs and weights that need no file.

use kiln_graph::{Graph, Tensor};

/// Numbers between -1 and 1 that look random (a linear congruential generator; Knuth, MMIX).
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Weights for the tensor of a state dict called `name`, as `tests/oracles/source_oracles.py` has them: from the name and
/// the place of each element (a counter through SplitMix64; Steele, Lea and Flood 2014), scaled to what the name says.
fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let splitmix = |z: u64| {
        let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let first = u64::from(crc32fast::hash(name.as_bytes())) << 32;
    let fan_in: usize = shape.iter().skip(1).product();
    let scale = |u: f64| {
        if shape.len() > 1 {
            u * (3.0 / fan_in as f64).sqrt() * 1.2
        } else if name.ends_with("running_var") {
            1.0 + 0.5 * u
        } else if name.ends_with("running_mean") {
            0.2 * u
        } else if name.ends_with("weight") {
            1.0 + 0.3 * u
        } else {
            0.1 * u
        }
    };
    let count: usize = shape.iter().product();
    let u = (0..count as u64).map(|i| (splitmix(first + i) >> 40) as f64 / f64::from(1u32 << 23) - 1.0);
    u.map(|u| scale(u) as f32).collect()
}

/// A graph whose states are all such weights.
pub(crate) fn with_weights(mut graph: Graph) -> Graph {
    for id in graph.states().to_vec() {
        let shape = graph.ty(id).static_shape().expect("numbers");
        let values = weights(&graph.value(id).name, &shape);
        graph.set_state(id, Tensor::f32(shape, values).expect("as many as the shape says")).expect("a state");
    }
    graph
}
