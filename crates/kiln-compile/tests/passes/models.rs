//! Networks as PyTorch writes them, built by hand. Weights are small numbers in no particular order.

use kiln_graph::ops::{
    BatchNorm, BinaryOp, Conv, MatMul, Pool, PoolKind, Reduce, ReduceKind, Reshape, UnaryOp,
};
use kiln_graph::{Graph, GraphError, Op, Tensor, TensorType, ValueId};

/// Numbers in `low..high` that look random and are the same each time.
pub(crate) fn numbers(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| low + (high - low) * next()).collect()
}

pub(crate) struct Net {
    pub graph: Graph,
    seed: u64,
}

impl Net {
    pub(crate) fn new(name: &str) -> Self {
        Self { graph: Graph::new(name), seed: 1 }
    }

    pub(crate) fn weight(
        &mut self,
        name: &str,
        shape: &[usize],
        low: f32,
        high: f32,
    ) -> Result<ValueId, GraphError> {
        self.seed += 1;
        let data = numbers(self.seed, shape.iter().product(), low, high);
        let tensor = Tensor::f32(shape, data).map_err(|e| GraphError::Invalid(e.to_string()))?;
        self.graph.state(name, tensor)
    }

    pub(crate) fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        [cin, cout]: [usize; 2],
        [kernel, stride, pad]: [usize; 3],
    ) -> Result<ValueId, GraphError> {
        let weight = self.weight(&format!("{name}.weight"), &[cout, cin, kernel, kernel], -0.2, 0.2)?;
        let pad = i64::try_from(pad).map_err(|e| GraphError::Invalid(e.to_string()))?;
        let conv = Conv { strides: vec![stride; 2], pads: vec![[pad; 2]; 2], ..Conv::new(2) };
        self.graph.apply1(name, Op::Conv(conv), &[x, weight])
    }

    pub(crate) fn batch_norm(
        &mut self,
        name: &str,
        x: ValueId,
        channels: usize,
    ) -> Result<ValueId, GraphError> {
        let scale = self.weight(&format!("{name}.weight"), &[channels], 0.5, 1.5)?;
        let bias = self.weight(&format!("{name}.bias"), &[channels], -0.5, 0.5)?;
        let mean = self.weight(&format!("{name}.running_mean"), &[channels], -0.5, 0.5)?;
        let var = self.weight(&format!("{name}.running_var"), &[channels], 0.5, 1.5)?;
        let op = BatchNorm { epsilon: 1e-5, momentum: 0.9, training: false, frozen: false, unbiased: true };
        self.graph.apply1(name, Op::BatchNorm(op), &[x, scale, bias, mean, var])
    }

    pub(crate) fn relu(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        self.graph.apply1(name, Op::Unary(UnaryOp::Relu), &[x])
    }

    pub(crate) fn linear(
        &mut self,
        name: &str,
        x: ValueId,
        [cin, cout]: [usize; 2],
    ) -> Result<ValueId, GraphError> {
        let weight = self.weight(&format!("{name}.weight"), &[cout, cin], -0.2, 0.2)?;
        let bias = self.weight(&format!("{name}.bias"), &[cout], -0.2, 0.2)?;
        let product = MatMul { transpose_a: false, transpose_b: true };
        let y = self.graph.apply1(name, Op::MatMul(product), &[x, weight])?;
        self.graph.apply1(name, Op::Binary(BinaryOp::Add), &[y, bias])
    }

    fn basic_block(
        &mut self,
        name: &str,
        x: ValueId,
        [cin, cout]: [usize; 2],
        stride: usize,
    ) -> Result<ValueId, GraphError> {
        let y = self.conv(&format!("{name}.conv1"), x, [cin, cout], [3, stride, 1])?;
        let y = self.batch_norm(&format!("{name}.bn1"), y, cout)?;
        let y = self.relu(&format!("{name}.relu"), y)?;
        let y = self.conv(&format!("{name}.conv2"), y, [cout, cout], [3, 1, 1])?;
        let y = self.batch_norm(&format!("{name}.bn2"), y, cout)?;
        let shortcut = if stride == 1 {
            x
        } else {
            let z = self.conv(&format!("{name}.downsample.0"), x, [cin, cout], [1, stride, 0])?;
            self.batch_norm(&format!("{name}.downsample.1"), z, cout)?
        };
        let sum = self.graph.apply1(format!("{name}.add"), Op::Binary(BinaryOp::Add), &[y, shortcut])?;
        self.relu(&format!("{name}.relu"), sum)
    }
}

/// torchvision's resnet18 (He et al. 2015), with `width` channels in the first stage (64 there).
pub(crate) fn resnet18(width: usize, image: usize) -> Result<Graph, GraphError> {
    let mut net = Net::new("resnet18");
    let x = net.graph.input("x", TensorType::f32(["N".into(), 3.into(), image.into(), image.into()]))?;
    let y = net.conv("conv1", x, [3, width], [7, 2, 3])?;
    let y = net.batch_norm("bn1", y, width)?;
    let y = net.relu("relu", y)?;
    let pool = Pool { strides: vec![2; 2], pads: vec![[1; 2]; 2], ..Pool::new(PoolKind::Max, [3; 2]) };
    let mut y = net.graph.apply1("maxpool", Op::Pool(pool), &[y])?;
    let mut channels = width;
    for stage in 1..=4 {
        for block in 0..2 {
            let first = stage > 1 && block == 0;
            let (out, stride) = if first { (channels * 2, 2) } else { (channels, 1) };
            y = net.basic_block(&format!("layer{stage}.{block}"), y, [channels, out], stride)?;
            channels = out;
        }
    }
    let mean = Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep_dims: true };
    let y = net.graph.apply1("avgpool", Op::Reduce(mean), &[y])?;
    let y = net.graph.apply1(
        "flatten",
        Op::Reshape(Reshape { shape: vec!["N".into(), channels.into()] }),
        &[y],
    )?;
    let y = net.linear("fc", y, [channels, 10])?;
    net.graph.output("y", y)?;
    Ok(net.graph)
}
