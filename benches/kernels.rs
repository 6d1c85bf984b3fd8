//! Kernels on the device that is there: convolutions beside a fixed yardstick, and the other heavy operators.
//!
//! `cargo bench -p kiln-cnn --bench kernels`. Times are the device's own, by timestamps.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kiln::graph::ops::Conv;
use kiln::graph::{Builder, Graph, Op, Tensor};
use kiln::plan::{
    Access, Buffer, BufferKind, DType, Dispatch, Expr, Layout, OutputRef, Param, Program, Range, Role,
    Segment, Shader, Storage,
};
use kiln::{Device, DeviceOptions, HostTensor, Options, Plan, Requirements, Session};

/// Height and width, channels.
const SIZES: [(usize, usize); 3] = [(56, 64), (28, 128), (7, 512)];

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect()
}

/// A 3x3 convolution that keeps size and channels, or a depthwise one.
fn convolution(size: usize, channels: usize, groups: usize) -> Graph {
    let mut b = Builder::new("conv");
    let x = b.input("x", [1.into(), channels.into(), size.into(), size.into()]);
    let shape = [channels, channels / groups, 3, 3];
    let weight = Tensor::f32(shape, numbers(shape.iter().product())).expect("as many as the shape says");
    let w = b.parameter("w", weight);
    let y = b.apply("conv", Op::Conv(Conv { pads: vec![[1, 1]; 2], groups, ..Conv::new(2) }), &[x, w]);
    b.output("y", y);
    b.finish().expect("a right graph")
}

/// The yardstick as a plan of its own.
fn yardstick(size: usize, channels: usize) -> Plan {
    let (places, bytes) = (size * size, |floats: usize| (4 * floats) as u64);
    let (activation, weights) = (bytes(places * channels), bytes(9 * channels * channels));
    let range = |buffer, size| Range { buffer, offset: 0, size };
    let buffer =
        |name: &str, kind, size: u64| Buffer { name: name.into(), kind, size: size.next_multiple_of(256) };
    let number = |n: usize| Expr::constant(n as i64);
    let tensor = |name: &str, buffer| kiln::plan::Tensor {
        name: name.into(),
        dtype: DType::F32,
        storage: Storage::F32,
        shape: vec![number(places * channels)],
        layout: Layout::dense(1),
        place: range(buffer, activation),
    };
    let dispatch = Dispatch {
        name: "conv".into(),
        shader: 0,
        bindings: vec![range(0, activation), range(1, weights), range(2, activation)],
        params: [size, channels, places, 0].map(|n| Param::Int(number(n))).to_vec(),
        workgroups: [number(places.div_ceil(32)), number(channels / 64), number(1)],
        writes: vec![1],
        flops: number(2 * 9 * places * channels * channels),
        bytes: number(0),
    };
    Plan {
        name: "yardstick".into(),
        producer: "benches".into(),
        target: String::new(),
        symbols: vec![],
        requirements: Requirements {
            subgroup_size: Some(8),
            max_storage_buffer_binding_size: activation.max(weights),
            max_buffer_size: activation.max(weights).next_multiple_of(256),
            max_storage_buffers_per_shader_stage: 3,
            ..Requirements::default()
        },
        shaders: vec![Shader {
            name: "yardstick".into(),
            wgsl: include_str!("reference/conv_32x64.wgsl").into(),
            access: vec![Access::Read, Access::Read, Access::ReadWrite],
            params_size: 16,
        }],
        buffers: vec![
            buffer("x", BufferKind::Arena, activation),
            buffer("w", BufferKind::Weights, weights),
            buffer("y", BufferKind::Arena, activation),
        ],
        tensors: vec![tensor("x", 0), tensor("y", 2)],
        states: vec![],
        programs: vec![Program {
            name: "inference".into(),
            inputs: vec![0],
            roles: vec![Role::Data],
            outputs: vec![OutputRef { name: "y".into(), tensor: 1, sizes: vec![] }],
            guards: vec![],
            dispatches: vec![dispatch],
            repeats: vec![],
        }],
        metadata: Default::default(),
        data: vec![Segment {
            place: range(1, weights),
            bytes: numbers(9 * channels * channels).iter().flat_map(|x| x.to_le_bytes()).collect(),
        }],
    }
}

/// Adds a benchmark: the device's time for the dispatch called `conv`.
fn measure(c: &mut Criterion, device: &Device, group: &str, what: String, plan: &Plan) {
    let mut session = Session::load(device, plan).expect("a plan that loads");
    let program = &plan.programs[0];
    let input = &plan.tensors[program.inputs[0]];
    let shape: Vec<usize> = input.shape.iter().map(|d| d.eval(&[]) as usize).collect();
    let x =
        HostTensor::new(shape.clone(), numbers(shape.iter().product())).expect("as many as the shape says");
    let inputs = [(input.name.as_str(), &x)];
    session.run(&inputs).expect("a first run");
    let flops = program.dispatches.iter().map(|d| d.flops.eval(&[])).max().unwrap_or(0);
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(flops.unsigned_abs())).sample_size(20);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.bench_with_input(BenchmarkId::from_parameter(what), &(), |b, ()| {
        b.iter_custom(|count| {
            let runs = usize::try_from(count).unwrap_or(1);
            let profile = session.profile("inference", &inputs, runs).expect("a profile");
            let seconds: f64 = profile.kernels.iter().filter(|k| k.name == "conv").map(|k| k.seconds).sum();
            Duration::from_secs_f64(seconds * runs as f64)
        });
    });
    group.finish();
}

fn kernels(c: &mut Criterion) {
    let capabilities = kiln::default_device().expect("a device");
    let device =
        Device::open(&DeviceOptions::from_env(), &kiln::requirements_of(&capabilities)).expect("a device");
    let target = kiln::target_for(&capabilities);
    let compile = |graph: &Graph| {
        let options = Options { target: target.clone(), max: Default::default(), ..Options::default() };
        kiln::compile(graph, &options).expect("a graph that compiles").plan
    };
    for (size, channels) in SIZES {
        let name = format!("{size}x{size}x{channels}");
        measure(c, &device, "conv 3x3", format!("kiln {name}"), &compile(&convolution(size, channels, 1)));
        if capabilities.subgroup_min_size == 8 {
            measure(c, &device, "conv 3x3", format!("yardstick {name}"), &yardstick(size, channels));
        }
    }
    for (size, channels) in [(112, 32), (14, 576)] {
        let plan = compile(&convolution(size, channels, channels));
        measure(c, &device, "depthwise 3x3", format!("kiln {size}x{size}x{channels}"), &plan);
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
