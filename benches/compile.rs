//! How long compiling takes, and that it grows with the length of the network and no faster.
//!
//! `cargo bench -p kiln --bench compile`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kiln::graph::{Builder, Graph, Tensor};
use kiln::{Options, Target};

/// Convolutions and activations in a row.
fn chain(layers: usize) -> Graph {
    let mut b = Builder::new("chain");
    let mut x = b.input("x", ["N".into(), 8.into(), 16.into(), 16.into()]);
    for n in 0..layers / 2 {
        let w =
            b.parameter(&format!("conv{n}.weight"), Tensor::f32([8, 8, 3, 3], vec![0.1; 576]).expect("576"));
        x = b.conv2d(&format!("conv{n}"), x, w, None, 1, 1);
        x = b.relu(&format!("relu{n}"), x);
    }
    b.output("y", x);
    b.finish().expect("a right graph")
}

fn compile(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile a chain");
    group.sample_size(10);
    for layers in [500, 1000, 2000, 4000] {
        let graph = chain(layers);
        let options = Options { target: Target::lavapipe(), max: [("N".to_owned(), 8)].into() };
        group.throughput(Throughput::Elements(layers as u64));
        group.bench_with_input(BenchmarkId::from_parameter(layers), &graph, |b, graph| {
            b.iter(|| kiln::compile(graph, &options).expect("a graph that compiles"));
        });
    }
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
