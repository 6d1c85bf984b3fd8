//! How long compiling takes, and that it grows with the length of the network and no faster.
//!
//! `cargo bench -p kiln-cnn --bench compile`

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

/// Matrix products in a row, each with a weight of its own.
fn products(layers: usize) -> Graph {
    let mut b = Builder::new("products");
    let mut x = b.input("x", ["N".into(), 4.into()]);
    for n in 0..layers {
        let w = b.parameter(&format!("fc{n}.weight"), Tensor::f32([4, 4], vec![0.1; 16]).expect("16"));
        x = b.linear(&format!("fc{n}"), x, w, None);
    }
    b.output("y", x);
    b.finish().expect("a right graph")
}

/// Inputs side by side, each with a result: all of them are in memory at once.
fn inputs(count: usize) -> Graph {
    let mut b = Builder::new("inputs");
    for n in 0..count {
        let x = b.input(&format!("x{n}"), ["N".into(), 4.into()]);
        let y = b.relu(&format!("relu{n}"), x);
        b.output(&format!("y{n}"), y);
    }
    b.finish().expect("a right graph")
}

fn compile(c: &mut Criterion) {
    type Family = (&'static str, fn(usize) -> Graph, &'static [usize]);
    let families: &[Family] = &[
        ("compile a chain", chain, &[500, 1000, 2000, 4000]),
        ("compile products", products, &[1000, 4000, 16_000]),
        ("compile inputs", inputs, &[1000, 4000, 16_000]),
    ];
    for (name, graph, sizes) in families {
        let mut group = c.benchmark_group(*name);
        group.sample_size(10);
        for size in *sizes {
            let graph = graph(*size);
            let options = Options {
                target: Target::lavapipe(),
                max: [("N".to_owned(), 8)].into(),
                ..Options::default()
            };
            group.throughput(Throughput::Elements(*size as u64));
            group.bench_with_input(BenchmarkId::from_parameter(size), &graph, |b, graph| {
                b.iter(|| kiln::compile(graph, &options).expect("a graph that compiles"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, compile);
criterion_main!(benches);
