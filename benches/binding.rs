//! What another size costs: a U-Net with open height and width, prepared for the sizes that it is prepared for already, and for
//! others in turn. Both upload the inputs; the difference is binding symbols, checking guards, and computing parameters.
//!
//! `cargo bench -p kiln-cnn --bench binding`

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kiln::{DType, HostTensor, Model, ModelOptions, Options, Session, Target};

const U_NET: &str = "import torch
from torch import nn

def block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU())

class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([block(3, 8), block(8, 16), block(16, 32), block(32, 64)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)])
        self.join = nn.ModuleList([block(64, 32), block(32, 16), block(16, 8)])
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        levels = []
        for down in self.down[:-1]:
            x = down(x)
            levels.append(x)
            x = self.pool(x)
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([levels.pop(), up(x)], 1))
        return self.last(x)
";

fn session() -> Session {
    let file = std::env::temp_dir().join(format!("kiln-binding-{}.py", std::process::id()));
    std::fs::write(&file, U_NET).expect("a writable folder");
    let mut options = ModelOptions::default();
    options.source.inputs = vec!["3,H,W".into()];
    let model = Model::read(&file, &options).expect("a model");
    std::fs::remove_file(&file).expect("it is there");
    let max = [("N", 1), ("H", 512), ("W", 512)].map(|(name, most)| (name.to_owned(), most)).into();
    let options = Options { target: Target::lavapipe(), max, ..Options::default() };
    let compiled = kiln::compile(&model.graph, &options).expect("a plan");
    Session::open(&compiled.plan).expect("a device")
}

fn binding(c: &mut Criterion) {
    let mut session = session();
    let inputs = [[64, 64], [72, 64]].map(|[h, w]| HostTensor::zeros(DType::F32, [1, 3, h, w]));
    let mut group = c.benchmark_group("prepare a U-Net");
    group.sample_size(20);
    for (name, others) in [("for the same sizes", 0), ("for other sizes", 1)] {
        let mut turn = 0;
        group.bench_function(name, |bencher| {
            // Runs in between, which are not timed, take what was uploaded.
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    turn = (turn + others) % 2;
                    let start = Instant::now();
                    let mut replay = session.prepare("inference", &[("x", &inputs[turn])]).expect("it fits");
                    spent += start.elapsed();
                    replay.run().expect("an answer");
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, binding);
criterion_main!(benches);
