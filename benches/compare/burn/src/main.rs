//! Times training steps of burn on its wgpu backend: `bench-burn NETWORK BATCH STEPS` prints one line of JSON.

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::{relu, tanh};
use burn::tensor::{Device, Distribution, Int, Tensor};

/// Convolutions, each followed by what the network says; then linear layers.
#[derive(Module, Debug)]
struct Net {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    pools: Vec<MaxPool2d>,
    linears: Vec<Linear>,
    smooth: bool,
}

impl Net {
    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for (n, conv) in self.convs.iter().enumerate() {
            x = conv.forward(x);
            // Fleuret's net pools first; both orders are the same for rectified values.
            let last = self.norms.len() + 1 == self.convs.len() && n + 1 == self.convs.len();
            if !last {
                x = if self.smooth { tanh(x) } else { relu(x) };
            }
            if let Some(norm) = self.norms.get(n) {
                x = norm.forward(x);
            }
            if let Some(pool) = self.pools.get(n) {
                x = pool.forward(x);
            }
        }
        let mut x = x.flatten::<2>(1, 3);
        for (n, linear) in self.linears.iter().enumerate() {
            x = linear.forward(x);
            if n + 1 < self.linears.len() {
                x = if self.smooth { tanh(x) } else { relu(x) };
            }
        }
        x
    }
}

fn network(name: &str, device: &Device) -> (Net, [usize; 3], usize) {
    let conv = |inputs, outputs, kernel: usize, stride: usize, padding: usize| {
        Conv2dConfig::new([inputs, outputs], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
            .init(device)
    };
    let pool = |size: usize| MaxPool2dConfig::new([size, size]).with_strides([size, size]).init();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
    match name {
        "net" => (
            Net {
                convs: vec![conv(3, 16, 3, 1, 1), conv(16, 8, 3, 1, 1)],
                norms: vec![],
                pools: vec![pool(2), pool(2)],
                linears: vec![linear(512, 32), linear(32, 2)],
                smooth: true,
            },
            [3, 32, 32],
            2,
        ),
        "fleuret_mnist" => (
            Net {
                convs: vec![conv(1, 32, 5, 1, 0), conv(32, 64, 5, 1, 0)],
                norms: vec![],
                pools: vec![pool(3), pool(2)],
                linears: vec![linear(256, 200), linear(200, 10)],
                smooth: false,
            },
            [1, 28, 28],
            10,
        ),
        _ => {
            let channels = [1, 8, 16, 32, 64, 10];
            let convs = (0..5).map(|n| {
                let kernel = if n == 0 { 5 } else { 3 };
                conv(channels[n], channels[n + 1], kernel, 2, kernel / 2)
            });
            let norms = (0..4).map(|n| BatchNormConfig::new(channels[n + 1]).init(device));
            let net = Net {
                convs: convs.collect(),
                norms: norms.collect(),
                pools: vec![],
                linears: vec![],
                smooth: false,
            };
            (net, [1, 28, 28], 10)
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (name, batch, steps) =
        (&arguments[1], arguments[2].parse::<usize>().unwrap(), arguments[3].parse::<usize>().unwrap());
    let device = Device::wgpu(Default::default()).autodiff();
    let start = Instant::now();
    let (mut model, [channels, height, width], classes) = network(name, &device);
    let x = Tensor::<4>::random([batch, channels, height, width], Distribution::Uniform(-1.0, 1.0), &device);
    let labels: Vec<i32> = (0..batch).map(|i| (i % classes) as i32).collect();
    let y = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = SgdConfig::new().init();
    let mut step = || {
        let value = loss.forward(model.forward(x.clone()), y.clone());
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        model = optimizer.step(0.01, model.clone(), gradients);
        value.into_scalar::<f32>()
    };
    step();
    let first = start.elapsed().as_secs_f64() * 1e3;
    for _ in 0..3 {
        step();
    }
    let mut times: Vec<f64> = (0..steps)
        .map(|_| {
            let start = Instant::now();
            step();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{{\"median_ms\": {:.3}, \"first_ms\": {first:.1}}}", times[times.len() / 2]);
}
