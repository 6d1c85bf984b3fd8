//! The plans of these tests, and the few words they are written with.

use kiln_plan::*;

pub fn n() -> Expr {
    scaled(1)
}

pub fn c(value: i64) -> Expr {
    Expr::constant(value)
}

/// `scale * N`.
pub fn scaled(scale: i64) -> Expr {
    Expr { terms: vec![Term { coefficient: scale, factors: vec![Factor::Symbol(0)] }] }
}

/// `ceil(scale * N / divisor)`.
pub fn ceil_div(scale: i64, divisor: i64) -> Expr {
    let mut dividend = scaled(scale);
    dividend.terms.push(Term { coefficient: divisor - 1, factors: vec![] });
    Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::FloorDiv(dividend, divisor)] }] }
}

pub fn range(buffer: usize, offset: u64, size: u64) -> Range {
    Range { buffer, offset, size }
}

pub fn buffer(name: &str, kind: BufferKind, size: u64) -> Buffer {
    Buffer { name: name.to_string(), kind, size }
}

pub fn tensor(name: &str, dtype: DType, shape: Vec<Expr>, place: Range) -> Tensor {
    let storage = match dtype {
        DType::F32 | DType::F16 | DType::F64 => Storage::F32,
        DType::I32 | DType::I64 => Storage::I32,
        DType::U8 | DType::Bool => Storage::U32,
    };
    let layout = Layout::dense(shape.len());
    Tensor { name: name.to_string(), dtype, storage, shape, layout, place }
}

pub fn output(name: &str, tensor: usize) -> OutputRef {
    OutputRef { name: name.to_string(), tensor }
}

pub fn dispatch(name: &str, shader: usize, bindings: Vec<Range>, params: Vec<Param>, x: Expr) -> Dispatch {
    let workgroups = [x, c(1), c(1)];
    let (flops, bytes) = (c(0), c(0));
    Dispatch { name: name.to_string(), shader, bindings, params, workgroups, writes: vec![], flops, bytes }
}

/// `sum = x + y` and `scaled = factor * (x + y)` for `[N, 3]`, `N` up to 1000.
pub fn vector_add() -> Plan {
    let size: u64 = 1000 * 3 * 4;
    let place = size.next_multiple_of(256);
    let wgsl = "
        struct Params { count: u32, factor: f32, a: u32, b: u32 }
        @group(0) @binding(0) var<uniform> p: Params;
        @group(0) @binding(1) var<storage, read> x: array<f32>;
        @group(0) @binding(2) var<storage, read> y: array<f32>;
        @group(0) @binding(3) var<storage, read_write> z: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < p.count { z[id.x] = p.factor * (x[id.x] + y[id.x]); }
        }";
    let access = vec![Access::Read, Access::Read, Access::ReadWrite];
    let shader = Shader { name: "add".to_string(), wgsl: wgsl.to_string(), access, params_size: 16 };
    let [x, y] = [range(0, 0, size), range(0, place, size)];
    let [sum, scaled_sum] = [range(1, 0, size), range(1, place, size)];
    let params = |factor| vec![Param::Int(scaled(3)), Param::Float(factor)];
    let add = |name, to, factor, writes| Dispatch {
        writes: vec![writes],
        flops: scaled(6),
        bytes: scaled(36),
        ..dispatch(name, 0, vec![x, y, to], params(factor), ceil_div(3, 64))
    };
    let shape = || vec![n(), c(3)];
    Plan {
        name: "vector add".to_string(),
        producer: "by hand".to_string(),
        symbols: vec![Symbol { name: "N".to_string(), max: 1000 }],
        requirements: Requirements::default(),
        shaders: vec![shader],
        buffers: vec![
            buffer("inputs", BufferKind::Arena, 2 * place),
            buffer("outputs", BufferKind::Arena, 2 * place),
        ],
        tensors: vec![
            tensor("x", DType::F32, shape(), x),
            tensor("y", DType::F32, shape(), y),
            tensor("sum", DType::F32, shape(), sum),
            tensor("scaled", DType::F32, shape(), scaled_sum),
        ],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![0, 1],
            outputs: vec![output("sum", 2), output("scaled", 3)],
            dispatches: vec![add("add", sum, 1.0, 2), add("add and scale", scaled_sum, 2.5, 3)],
        }],
        data: vec![],
    }
}
