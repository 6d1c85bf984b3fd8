//! The plans of these tests, and the few words they are written with.

use kiln_plan::*;

pub(crate) fn n() -> Expr {
    scaled(1)
}

pub(crate) fn c(value: i64) -> Expr {
    Expr::constant(value)
}

/// `scale * N`.
pub(crate) fn scaled(scale: i64) -> Expr {
    Expr { terms: vec![Term { coefficient: scale, factors: vec![Factor::Symbol(0)] }] }
}

/// `ceil(scale * N / divisor)`.
pub(crate) fn ceil_div(scale: i64, divisor: i64) -> Expr {
    let mut dividend = scaled(scale);
    dividend.terms.push(Term { coefficient: divisor - 1, factors: vec![] });
    Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::FloorDiv(dividend, divisor)] }] }
}

pub(crate) fn range(buffer: usize, offset: u64, size: u64) -> Range {
    Range { buffer, offset, size }
}

pub(crate) fn buffer(name: &str, kind: BufferKind, size: u64) -> Buffer {
    Buffer { name: name.to_string(), kind, size }
}

pub(crate) fn tensor(name: &str, dtype: DType, shape: Vec<Expr>, place: Range) -> Tensor {
    let storage = match dtype {
        DType::F32 | DType::F16 => Storage::F32,
        DType::F64 => Storage::F64,
        DType::I32 | DType::I64 | DType::I16 | DType::I8 => Storage::I32,
        DType::U32 | DType::U16 | DType::U8 | DType::Bool => Storage::U32,
    };
    let layout = Layout::dense(shape.len());
    Tensor { name: name.to_string(), dtype, storage, shape, layout, place }
}

pub(crate) fn output(name: &str, tensor: usize) -> OutputRef {
    OutputRef { name: name.to_string(), tensor, sizes: vec![] }
}

pub(crate) fn dispatch(
    name: &str,
    shader: usize,
    bindings: Vec<Range>,
    params: Vec<Param>,
    x: Expr,
) -> Dispatch {
    let workgroups = [x, c(1), c(1)];
    let (flops, bytes) = (c(0), c(0));
    Dispatch { name: name.to_string(), shader, bindings, params, workgroups, writes: vec![], flops, bytes }
}

/// `sum = x + y` and `scaled = factor * (x + y)` for `[N, 3]`, `N` up to 1000.
pub(crate) fn vector_add() -> Plan {
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
        target: String::new(),
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
        states: vec![],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![0, 1],
            roles: vec![Role::Data; 2],
            outputs: vec![output("sum", 2), output("scaled", 3)],
            guards: vec![],
            dispatches: vec![add("add", sum, 1.0, 2), add("add and scale", scaled_sum, 2.5, 3)],
            repeats: vec![],
        }],
        data: vec![],
        metadata: Default::default(),
    }
}

fn shader(name: &str, access: &[Access], params_size: u32, wgsl: &str) -> Shader {
    Shader { name: name.to_string(), wgsl: wgsl.to_string(), access: access.to_vec(), params_size }
}

/// A plan without symbols and requirements, for the rest to be filled in.
pub(crate) fn empty(name: &str) -> Plan {
    Plan {
        name: name.to_string(),
        producer: "by hand".to_string(),
        target: String::new(),
        symbols: vec![],
        requirements: Requirements::default(),
        shaders: vec![],
        buffers: vec![],
        tensors: vec![],
        states: vec![],
        programs: vec![],
        data: vec![],
        metadata: Default::default(),
    }
}

/// Two programs and one state of four numbers, at first (1, 2, 3, 4): `train` adds `w * x` to it with the weights
/// w = (10, 20, 30, 40), `inference` gives `state * x`.
pub(crate) fn shared_state() -> Plan {
    let train = "
        @group(0) @binding(1) var<storage, read> w: array<f32>;
        @group(0) @binding(2) var<storage, read> x: array<f32>;
        @group(0) @binding(3) var<storage, read_write> s: array<f32>;
        @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            s[id.x] += w[id.x] * x[id.x];
        }";
    let apply = "
        @group(0) @binding(1) var<storage, read> s: array<f32>;
        @group(0) @binding(2) var<storage, read> x: array<f32>;
        @group(0) @binding(3) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            y[id.x] = s[id.x] * x[id.x];
        }";
    let access = [Access::Read, Access::Read, Access::ReadWrite];
    let [w, s, x, y] = [0, 1, 2, 3].map(|buffer| range(buffer, 0, 16));
    let bytes = |values: [f32; 4]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let program = |name: &str, out, dispatch| Program {
        name: name.to_string(),
        inputs: vec![0],
        roles: vec![Role::Data],
        outputs: vec![out],
        guards: vec![],
        dispatches: vec![dispatch],
        repeats: vec![],
    };
    Plan {
        shaders: vec![shader("train", &access, 0, train), shader("apply", &access, 0, apply)],
        buffers: vec![
            buffer("weights", BufferKind::Weights, 256),
            buffer("state", BufferKind::State, 256),
            buffer("inputs", BufferKind::Arena, 256),
            buffer("outputs", BufferKind::Arena, 256),
        ],
        tensors: vec![
            tensor("x", DType::F32, vec![c(4)], x),
            tensor("state", DType::F32, vec![c(4)], s),
            tensor("y", DType::F32, vec![c(4)], y),
        ],
        states: vec![1],
        programs: vec![
            program("train", output("state", 1), dispatch("update", 0, vec![w, x, s], vec![], c(1))),
            program("inference", output("y", 2), dispatch("apply", 1, vec![s, x, y], vec![], c(1))),
        ],
        metadata: Default::default(),
        data: vec![
            Segment { place: w, bytes: bytes([10.0, 20.0, 30.0, 40.0]) },
            Segment { place: s, bytes: bytes([1.0, 2.0, 3.0, 4.0]) },
        ],
        ..empty("shared state")
    }
}

/// Fills a tensor of 2 x 3 x 5 elements, its second dimension stored fastest and padded to four, with the place of
/// each element in memory.
pub(crate) fn padded() -> Plan {
    let wgsl = "
        @group(0) @binding(1) var<storage, read_write> t: array<f32>;
        @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            t[id.x] = f32(id.x);
        }";
    let place = range(0, 0, 2 * 5 * 4 * 4);
    let layout = Layout { order: vec![0, 2, 1], lanes: 4 };
    Plan {
        shaders: vec![shader("places", &[Access::ReadWrite], 0, wgsl)],
        buffers: vec![buffer("arena", BufferKind::Arena, 256)],
        tensors: vec![Tensor { layout, ..tensor("t", DType::F32, vec![c(2), c(3), c(5)], place) }],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![],
            roles: vec![],
            outputs: vec![],
            guards: vec![],
            dispatches: vec![dispatch("places", 0, vec![place], vec![], c(5))],
            repeats: vec![],
        }],
        ..empty("padded")
    }
}

/// Keeps `x`, which lies in memory as `layout` says, and gives it back if it is dense.
pub(crate) fn keep(dtype: DType, storage: Storage, shape: &[i64], layout: Layout) -> Plan {
    let place = range(0, 0, 512);
    let shape = shape.iter().map(|size| c(*size)).collect();
    let given = if layout.is_dense() { vec![0] } else { vec![] };
    Plan {
        buffers: vec![buffer("arena", BufferKind::Arena, 512)],
        tensors: vec![Tensor { layout, storage, ..tensor("x", dtype, shape, place) }],
        programs: vec![Program {
            name: "inference".to_string(),
            outputs: given.iter().map(|index| output("x", *index)).collect(),
            roles: vec![Role::Data; given.len()],
            inputs: given,
            guards: vec![],
            dispatches: vec![],
            repeats: vec![],
        }],
        ..empty("keep")
    }
}

/// Gives back `x` of shape `[N, 2]`, `N` up to 4, as it is in memory.
pub(crate) fn copy(dtype: DType) -> Plan {
    let wgsl = "
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        @group(0) @binding(2) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(2) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            y[id.x] = x[id.x];
        }";
    let wide = matches!(dtype, DType::F64);
    let words = if wide { 2 } else { 1 };
    let [x, y] = [0, 1].map(|buffer| range(buffer, 0, 32 * words));
    let workgroups = Expr { terms: vec![Term { coefficient: words.cast_signed(), ..n().terms.remove(0) }] };
    Plan {
        symbols: vec![Symbol { name: "N".to_string(), max: 4 }],
        shaders: vec![shader("copy", &[Access::Read, Access::ReadWrite], 0, wgsl)],
        buffers: vec![buffer("in", BufferKind::Arena, 256), buffer("out", BufferKind::Arena, 256)],
        tensors: vec![tensor("x", dtype, vec![n(), c(2)], x), tensor("y", dtype, vec![n(), c(2)], y)],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![0],
            roles: vec![Role::Data],
            outputs: vec![output("y", 1), output("the input itself", 0)],
            guards: vec![],
            dispatches: vec![dispatch("copy", 0, vec![x, y], vec![], workgroups)],
            repeats: vec![],
        }],
        ..empty("copy")
    }
}

/// Fills `y` with ones, then with twos by `N - 1` workgroups: none at all for one row.
pub(crate) fn sometimes_nothing() -> Plan {
    let wgsl = "
        struct Params { value: u32, a: u32, b: u32, c: u32 }
        @group(0) @binding(0) var<uniform> p: Params;
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        @group(0) @binding(2) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(8) fn main(@builtin(local_invocation_id) id: vec3<u32>) {
            y[id.x] = p.value + x[id.x];
        }";
    let mut plan = copy(DType::I32);
    plan.shaders = vec![shader("fill", &[Access::Read, Access::ReadWrite], 16, wgsl)];
    let [x, y] = [0, 1].map(|buffer| range(buffer, 0, 32));
    let mut less = n();
    less.terms.push(Term { coefficient: -1, factors: vec![] });
    let fill = |value, x_count| dispatch("fill", 0, vec![x, y], vec![Param::Int(c(value))], x_count);
    if let Some(program) = plan.programs.first_mut() {
        program.dispatches = vec![fill(1, c(1)), fill(2, less)];
    }
    plan
}

/// The mean of each colour of an image of 4 x 4, as scores of three classes.
pub(crate) fn colours() -> Plan {
    let wgsl = "
        @group(0) @binding(1) var<storage, read> image: array<f32>;
        @group(0) @binding(2) var<storage, read_write> scores: array<f32>;
        @compute @workgroup_size(3) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            var sum = 0.0;
            for (var i = 0u; i < 16u; i++) { sum += image[16u * id.x + i]; }
            scores[id.x] = sum / 16.0;
        }";
    let [image, scores] = [range(0, 0, 8 * 48 * 4), range(1, 0, 8 * 3 * 4)];
    Plan {
        symbols: vec![Symbol { name: "N".to_string(), max: 8 }],
        shaders: vec![shader("means", &[Access::Read, Access::ReadWrite], 0, wgsl)],
        buffers: vec![buffer("in", BufferKind::Arena, 1536), buffer("out", BufferKind::Arena, 256)],
        tensors: vec![
            tensor("image", DType::F32, vec![n(), c(3), c(4), c(4)], image),
            tensor("scores", DType::F32, vec![n(), c(3)], scores),
        ],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![0],
            roles: vec![Role::Data],
            outputs: vec![output("scores", 1)],
            guards: vec![],
            dispatches: vec![dispatch("means", 0, vec![image, scores], vec![], n())],
            repeats: vec![],
        }],
        ..empty("colours")
    }
}

/// Takes some milliseconds on any device: twenty times 50,000 steps that each need the one before.
pub(crate) fn slow() -> Plan {
    let wgsl = "
        @group(0) @binding(1) var<storage, read_write> x: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            var v = x[id.x];
            for (var i = 0u; i < 50000u; i++) { v = sqrt(v + 2.0); }
            x[id.x] = v;
        }";
    let x = range(0, 0, 8 * 64 * 4);
    Plan {
        shaders: vec![shader("slow", &[Access::ReadWrite], 0, wgsl)],
        buffers: vec![buffer("x", BufferKind::Arena, x.size)],
        tensors: vec![tensor("x", DType::F32, vec![c(512)], x)],
        programs: vec![Program {
            name: "inference".to_string(),
            inputs: vec![],
            roles: vec![],
            outputs: vec![output("x", 0)],
            guards: vec![],
            dispatches: vec![dispatch("slow", 0, vec![x], vec![], c(8)); 20],
            repeats: vec![],
        }],
        ..empty("slow")
    }
}
