//! A plan file is read back as it was, and whatever else is read is refused by name.

use crate::*;

fn c(value: i64) -> Expr {
    Expr::constant(value)
}

fn n() -> Expr {
    Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::Symbol(0)] }] }
}

fn floor_div(dividend: Expr, divisor: i64) -> Expr {
    Expr { terms: vec![Term { coefficient: 1, factors: vec![Factor::FloorDiv(dividend, divisor)] }] }
}

fn range(buffer: usize, offset: u64, size: u64) -> Range {
    Range { buffer, offset, size }
}

/// Something of everything a plan can have.
pub(crate) fn sample() -> Plan {
    let text = |text: &str| text.to_string();
    let buffer = |name: &str, kind, size| Buffer { name: text(name), kind, size };
    let tensor = |name: &str, dtype, storage, shape: Vec<Expr>, place| Tensor {
        name: text(name),
        dtype,
        storage,
        layout: Layout::dense(shape.len()),
        shape,
        place,
    };
    let image = range(2, 0, 8 * 3 * 4 * 4);
    let features = Tensor {
        layout: Layout { order: vec![0, 2, 1], lanes: 4 },
        ..tensor("features", DType::F16, Storage::F16, vec![n(), c(3), c(4)], range(3, 0, 512))
    };
    Plan {
        name: text("sample"),
        producer: text("by hand"),
        target: text("portable"),
        symbols: vec![Symbol { name: text("N"), max: 8 }],
        requirements: Requirements {
            subgroup_size: Some(8),
            max_buffer_size: 300 << 20,
            ..Requirements::GUARANTEED
        },
        shaders: vec![
            Shader {
                name: text("conv"),
                wgsl: text("// not looked at here"),
                access: vec![Access::Read, Access::Read, Access::ReadWrite],
                params_size: 16,
            },
            Shader { name: text("count"), wgsl: text(""), access: vec![Access::ReadWrite], params_size: 0 },
        ],
        buffers: vec![
            buffer("weights", BufferKind::Weights, 512),
            buffer("state", BufferKind::State, 256),
            buffer("arena 0", BufferKind::Arena, 512),
            buffer("arena 1", BufferKind::Arena, 1024),
        ],
        tensors: vec![
            tensor("image", DType::U8, Storage::U32, vec![n(), c(3), c(4)], image),
            features,
            tensor("steps", DType::I64, Storage::I32, vec![], range(1, 0, 4)),
        ],
        states: vec![2],
        programs: vec![Program {
            name: text("inference"),
            inputs: vec![0],
            roles: vec![Role::Data],
            outputs: vec![
                OutputRef { name: text("image"), tensor: 0, sizes: vec![OutputSize { axis: 1, tensor: 2 }] },
                OutputRef { name: text("steps"), tensor: 2, sizes: vec![] },
            ],
            guards: vec![],
            dispatches: vec![
                Dispatch {
                    name: text("conv1 + relu"),
                    shader: 0,
                    bindings: vec![range(0, 256, 100), image, range(3, 0, 512)],
                    params: vec![
                        Param::Int(floor_div(floor_div(n(), 2), 3)),
                        Param::Float(-0.5),
                        Param::Int(c(-1)),
                    ],
                    workgroups: [floor_div(n(), 4), c(1), c(1)],
                    writes: vec![1],
                    flops: n(),
                    bytes: c(0),
                },
                Dispatch {
                    name: text("steps + 1"),
                    shader: 1,
                    bindings: vec![range(1, 0, 4)],
                    params: vec![],
                    workgroups: [c(1), c(1), c(1)],
                    writes: vec![2],
                    flops: c(1),
                    bytes: c(8),
                },
            ],
            repeats: vec![Repeat { name: text("count"), first: 1, count: 1, steps: n() }],
        }],
        data: vec![
            Segment { place: range(0, 256, 100), bytes: (0..100).collect() },
            Segment { place: range(0, 0, 4), bytes: vec![1, 2, 3, 4] },
            Segment { place: range(1, 0, 4), bytes: vec![0; 4] },
        ],
        metadata: metadata::tests::samples().swap_remove(0),
    }
}

pub(crate) fn unchecked(plan: &Plan) -> Vec<u8> {
    let mut bytes = Vec::new();
    plan.write_unchecked(&mut bytes).unwrap();
    bytes
}

/// Makes the checksums right again, so that damage is met by what comes after them.
pub(crate) fn repair(bytes: &mut [u8]) {
    let length = usize::try_from(u64::from_le_bytes(bytes[16..24].try_into().unwrap())).unwrap_or(usize::MAX);
    let header = bytes.get(36..36usize.saturating_add(length)).map(crc32fast::hash);
    bytes[12..16].copy_from_slice(&header.unwrap_or(0).to_le_bytes());
    let prefix = crc32fast::hash(&bytes[..32]);
    bytes[32..36].copy_from_slice(&prefix.to_le_bytes());
}

#[test]
fn a_plan_is_read_back_as_it_was() {
    let plan = sample();
    let bytes = plan.to_bytes().unwrap();
    assert_eq!(Plan::read(&bytes).unwrap(), plan);
    assert_eq!(bytes.len() % 256, 0);
    // Weights lie at multiples of 256, in order, and uninterrupted.
    let start = bytes.len() - 3 * 256;
    assert_eq!(bytes[start..start + 100], plan.data[0].bytes);
    assert_eq!(bytes[start + 256..start + 260], plan.data[1].bytes);

    let small = Plan { data: vec![], programs: vec![], ..plan };
    assert_eq!(Plan::read(&small.to_bytes().unwrap()).unwrap(), small);
    for metadata in metadata::tests::samples() {
        let other = Plan { metadata, ..small.clone() };
        assert_eq!(Plan::read(&other.to_bytes().unwrap()).unwrap(), other);
    }
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = std::env::temp_dir().join(format!("kiln-plan-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("net.kplan");
    let [first, second] = ["first", "second"].map(|name| Plan { name: name.to_string(), ..sample() });
    first.save(&path).unwrap();
    second.save(&path).unwrap();
    let broken = Plan { tensors: vec![], ..sample() };
    let refused = broken.save(&path);
    let read = Plan::load(&path);
    let missing = Plan::load(folder.join("other.kplan"));
    let nowhere = first.save(path.join("net.kplan"));
    let files = std::fs::read_dir(&folder).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(read.unwrap(), second);
    assert!(matches!(refused, Err(PlanError::Invalid { .. })));
    assert!(matches!(missing, Err(PlanError::File { path, .. }) if path.ends_with("other.kplan")));
    assert!(matches!(nowhere, Err(PlanError::Write { path, .. }) if path.ends_with("net.kplan")));
    assert_eq!(files, 1, "nothing is left behind");
}

#[test]
fn a_changed_byte_is_noticed() {
    let good = sample().to_bytes().unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Plan::read(&bad).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_cut_file_is_noticed() {
    let good = sample().to_bytes().unwrap();
    for length in 0..good.len() {
        assert!(Plan::read(&good[..length]).is_err(), "cut at {length}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(matches!(Plan::read(&longer), Err(PlanError::Trailing { count: 1 })));
}

/// Whoever writes checksums can write anything. What is accepted then is a plan that passes, and the same when
/// written and read again.
#[test]
fn damage_behind_good_checksums_does_no_harm() {
    let good = sample().to_bytes().unwrap();
    let mut accepted = 0;
    let mut try_out = |mut bytes: Vec<u8>| {
        repair(&mut bytes);
        if let Ok(plan) = Plan::read(&bytes) {
            accepted += 1;
            check(&plan).unwrap();
            assert_eq!(
                Plan::read(&plan.to_bytes().unwrap()).unwrap().to_bytes().unwrap(),
                plan.to_bytes().unwrap()
            );
        }
    };
    for at in 8..good.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, good[at] ^ 1, good[at].wrapping_add(1), good[at] ^ 0x80] {
            let mut bytes = good.clone();
            bytes[at] = value;
            try_out(bytes);
        }
    }
    // A few bytes at once, chosen by a linear congruential generator (constants of Knuth's MMIX).
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random(4) {
            let at = 12 + random(good.len() - 12);
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        try_out(bytes);
    }
    assert!(accepted > 1000, "most weights may be anything, so many files are accepted: {accepted}");
}

#[test]
fn files_that_are_no_plans() {
    let good = sample().to_bytes().unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let prefix = crc32fast::hash(&bad[..32]);
        bad[32..36].copy_from_slice(&prefix.to_le_bytes());
        bad
    };
    let huge = u64::MAX.to_le_bytes();
    let mut weights = good.clone();
    weights[good.len() - 3 * 256] ^= 1;
    let weights_length = 3u64 * 256;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "not a plan file: it begins with \"\""),
        (b"KILN".to_vec(), "the plan file is truncated: prefix needs 36 bytes, 4 are there"),
        (
            b"\x89PNG\r\n\x1a\n and so on".to_vec(),
            "not a plan file: it begins with \"\u{fffd}PNG\\r\\n\\u{1a}\\n\"",
        ),
        (
            with(8, &[4, 0, 0, 0]),
            "plan format version 4; this build reads version 5: compile the model again (`kiln compile MODEL -o PLAN`)",
        ),
        (
            with(8, &[6, 0, 0, 0]),
            "plan format version 6; this build reads version 5: compile the model again",
        ),
        (with(16, &huge), "the plan: 18446744073709551615 bytes of header, at most 33554432 are allowed"),
        (with(16, &(32u64 << 20).to_le_bytes()), "the plan file is truncated: header needs 33554432 bytes"),
        (
            with(24, &huge),
            "the plan file is truncated: weights section needs 18446744073709551615 bytes, 768 are there",
        ),
        (with(24, &(weights_length - 256).to_le_bytes()), "256 bytes follow the end of the plan"),
        (with(12, &[0; 4]), "the header of the plan file is damaged: checksum "),
        (weights, "the weights section of the plan file is damaged: checksum "),
    ];
    for (bytes, expected) in cases {
        let found = Plan::read(&bytes).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}\n  should begin {expected}");
    }
}

#[test]
fn a_segment_larger_than_the_file_takes_no_memory() {
    let mut plan = sample();
    plan.buffers[0].size = 1 << 60;
    plan.data[0].place.size = 1 << 59;
    let mut bytes = unchecked(&plan);
    let header = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    let there = bytes.len() as u64 - (36 + header).next_multiple_of(256);
    bytes[24..32].copy_from_slice(&there.to_le_bytes());
    repair(&mut bytes);
    assert_eq!(
        Plan::read(&bytes).unwrap_err().to_string(),
        format!(
            "the plan file is truncated: weights section needs 576460752303423488 bytes, {there} are there"
        )
    );
}

#[test]
fn a_million_items_of_two_bytes_take_no_memory() {
    // Program (tag 8) with dispatches (tag 4) of no bytes, and shaders (tag 5) the same way.
    let dispatches = [0x22, 0].repeat(1 << 20);
    let program = [&[0x42, 0x80, 0x80, 0x80, 0x01], dispatches.as_slice()].concat();
    // Metadata (tag 10) with classes (tag 2) of no bytes, or names of targets (tag 4, and 1 in it).
    let names = |tag| [tag, 0].repeat((1 << 16) + 1);
    let classes = [&[0x52, 0x82, 0x80, 0x08], names(0x12).as_slice()].concat();
    let targets = [&[0x52, 0x86, 0x80, 0x08, 0x22, 0x82, 0x80, 0x08], names(0x0a).as_slice()].concat();
    let cases = [
        (program, "the plan: 1048576 dispatches in a program, at most 262144 are allowed"),
        ([0x2a, 0].repeat(1 << 20), "the plan: 1048576 shaders, at most 16384 are allowed"),
        ([0x42, 0].repeat(1 << 20), "the plan: 1048576 programs, at most 64 are allowed"),
        (classes, "the plan: 65537 classes, at most 65536 are allowed"),
        (targets, "the plan: 65537 targets, at most 65536 are allowed"),
    ];
    for (header, expected) in cases {
        let mut bytes = vec![0; (36 + header.len()).next_multiple_of(256)];
        bytes[..8].copy_from_slice(b"KILNPLAN");
        bytes[8] = 5;
        bytes[16..24].copy_from_slice(&(header.len() as u64).to_le_bytes());
        bytes[36..36 + header.len()].copy_from_slice(&header);
        repair(&mut bytes);
        assert_eq!(Plan::read(&bytes).unwrap_err().to_string(), expected);
    }
}

#[test]
fn expressions_nested_without_end_are_refused() {
    for depth in [16, 17, 1000] {
        let mut plan = sample();
        plan.programs[0].dispatches[0].flops = (1..depth).fold(n(), |expr, _| floor_div(expr, 2));
        let found = Plan::read(&unchecked(&plan));
        match depth {
            16 => assert_eq!(found.unwrap(), plan),
            17 => assert_eq!(
                found.unwrap_err().to_string(),
                "program `inference`, dispatch 0 `conv1 + relu`: an expression is nested 16 deep or more"
            ),
            _ => assert!(matches!(found, Err(PlanError::Header(_)))),
        }
    }
}

/// A change that makes a plan impossible, and what is said of it; `{conv}` is its first dispatch.
type Impossible = (fn(&mut Plan), &'static str);

const IMPOSSIBLE: &[Impossible] = &[
    (|p| p.symbols[0].max = 0, "symbol `N`: the maximum is 0, it must be at least 1"),
    (|p| p.symbols.push(p.symbols[0].clone()), "the plan: two symbols are called `N`"),
    (|p| p.programs.push(p.programs[0].clone()), "the plan: two programs are called `inference`"),
    (
        |p| p.symbols = (0..33).map(|i| Symbol { name: i.to_string(), max: 1 }).collect(),
        "the plan: 33 symbols, at most 32 are allowed",
    ),
    (
        |p| p.shaders[1].wgsl = format!("fn f() {{ let b = {}true; }}", "!".repeat(5000)),
        "shader 1 `count`: 513 tokens in a statement of its source, at most 512 are allowed",
    ),
    (
        |p| {
            let wgsl =
                "var<workgroup> w: array<f32, 16000>;\nvar<workgroup> v: array<f32, 16000>;".to_string();
            let shader = Shader { wgsl, ..p.shaders[0].clone() };
            p.shaders.extend(vec![shader; 100]);
        },
        "the shaders together: 3201400 tokens of source once calls, constants, structures and arrays are written \
         out, at most 496416 are allowed",
    ),
    (
        |p| {
            p.requirements.max_storage_buffers_per_shader_stage = u32::MAX;
            p.shaders[0].access = vec![Access::Read; 100_000];
        },
        "shader 0 `conv`: 100000 storage buffers in a dispatch, at most 1024 are allowed",
    ),
    (
        |p| p.programs[0].dispatches[0].workgroups = [c(65_535), c(65_535), c(1)],
        "program `inference`, dispatch 0 `conv1 + relu`: 4294836225 workgroups with all symbols at \
         their maximum for 996 bytes \
         of bindings: there is nothing for them to do",
    ),
    (
        |p| {
            p.requirements.max_buffer_size = 1 << 40;
            p.requirements.max_storage_buffer_binding_size = 1 << 40;
            p.buffers[3].size = 1 << 34;
            p.programs[0].dispatches[0].bindings[2].size = 1 << 34;
            p.programs[0].dispatches[0].workgroups = [c(32_768), c(32_769), c(1)];
        },
        "program `inference`, dispatch 0 `conv1 + relu`: 1073774592 workgroups in a run with all \
         symbols at their maximum, at \
         most 1073741824 are allowed; a host program can raise `Limits::workgroups`",
    ),
    (
        |p| {
            p.shaders[1].params_size = 64 << 10;
            let dispatch = p.programs[0].dispatches[1].clone();
            p.programs[0].dispatches.extend(vec![dispatch; 5000]);
        },
        "program `inference`: 268435712 bytes of parameters, at most 268435456 are allowed",
    ),
    (
        |p| p.shaders[0].params_size = 20,
        "shader 0 `conv`: the size of its parameters 20 is not a multiple of 16",
    ),
    (
        |p| p.shaders[0].access = vec![Access::Read; 9],
        "shader 0 `conv`: 9 storage buffers in a dispatch, but the plan asks devices for 8: its requirements \
         are wrong",
    ),
    (|p| p.buffers[1].size = 0, "buffer 1 `state`: its size is 0, and empty buffers cannot be bound"),
    (|p| p.buffers[1].size = 300, "buffer 1 `state`: its size 300 is not a multiple of 256"),
    (
        |p| p.buffers[1].size = 1 << 30,
        "buffer 1 `state`: 1073741824 bytes in a buffer, but the plan asks devices for 314572800: its \
         requirements are wrong",
    ),
    (|p| p.tensors[0].place.buffer = 4, "tensor 0 `image`: buffer 4 does not exist, there are 4"),
    (|p| p.tensors[0].place.offset = 128, "tensor 0 `image`: the offset 128 is not a multiple of 256"),
    (|p| p.tensors[0].place.size = 385, "tensor 0 `image`: the size 385 is not a multiple of 4"),
    (|p| p.tensors[0].place.size = 0, "tensor 0 `image`: its size is 0, and empty ranges cannot be bound"),
    (
        |p| p.tensors[0].place.offset = 256,
        "tensor 0 `image`: bytes 256..640 are outside buffer `arena 0` of 512 bytes",
    ),
    (
        |p| p.tensors[0].place.size = u64::MAX - 3,
        "tensor 0 `image`: bytes 0..18446744073709551612 are outside buffer `arena 0` of 512 bytes",
    ),
    (
        |p| p.tensors[0].shape[1] = c(4),
        "tensor 0 `image`: it takes 512 bytes with all symbols at their maximum, its range has 384",
    ),
    (
        |p| p.tensors[0].shape[1] = c(i64::MAX),
        "tensor 0 `image`: it takes 1180591620717411303296 bytes with all symbols at their maximum, its \
         range has 384",
    ),
    (
        |p| p.tensors[0].shape[1] = c(-3),
        "tensor 0 `image`: dimension 1 is -3 with all symbols at their maximum",
    ),
    (
        |p| p.tensors[1].layout.order = vec![0, 1, 1],
        "tensor 1 `features`: the layout [0, 1, 1] is not an order of 3 dimensions",
    ),
    (
        |p| p.tensors[1].layout.order = vec![0, 1],
        "tensor 1 `features`: the layout [0, 1] is not an order of 3 dimensions",
    ),
    (|p| p.tensors[1].layout.lanes = 3, "tensor 1 `features`: 3 lanes, 1 or 4 are possible"),
    (|p| p.tensors[1].layout.lanes = 0, "tensor 1 `features`: 0 lanes, 1 or 4 are possible"),
    (|p| p.tensors[1].storage = Storage::I32, "tensor 1 `features`: f16 elements cannot be stored as i32"),
    (|p| p.tensors[0].shape[0] = n_plus_symbol(1), "tensor 0 `image`: symbol 1 does not exist, there are 1"),
    (
        |p| p.tensors[0].shape[0] = floor_div(n(), 0),
        "tensor 0 `image`: an expression divides by 0; divisors are at least 1",
    ),
    (
        |p| p.tensors[0].shape[0] = Expr { terms: vec![Term { coefficient: 1, factors: vec![] }; 5000] },
        "tensor 0 `image`: an expression has more than 4096 parts",
    ),
    (
        |p| p.programs[0].inputs = vec![1],
        "program `inference`: input `features` is not dense and in order (order [0, 2, 1], 4 lanes)",
    ),
    (
        |p| p.programs[0].outputs[0].tensor = 1,
        "program `inference`: output `features` is not dense and in order (order [0, 2, 1], 4 lanes)",
    ),
    (
        |p| p.programs[0].outputs[0].sizes[0].axis = 3,
        "program `inference`: the size of axis 3 of the output `image` is wrong: it has to be an integer without dimensions, one for each axis",
    ),
    (
        |p| p.programs[0].outputs[0].sizes[0].tensor = 0,
        "program `inference`: the size of axis 1 of the output `image` is wrong: it has to be an integer without dimensions, one for each axis",
    ),
    (
        |p| p.programs[0].outputs[0].sizes.push(OutputSize { axis: 1, tensor: 2 }),
        "program `inference`: the size of axis 1 of the output `image` is wrong: it has to be an integer without dimensions, one for each axis",
    ),
    (
        |p| p.programs[0].outputs[0].sizes[0].tensor = 7,
        "program `inference`: tensor 7 does not exist, there are 3",
    ),
    (|p| p.programs[0].inputs = vec![0, 0], "program `inference`: two inputs are called `image`"),
    (|p| p.programs[0].roles.clear(), "program `inference`: 0 roles for 1 inputs"),
    (|p| p.states = vec![3], "the states: tensor 3 does not exist, there are 3"),
    (|p| p.states = vec![0], "the states: `image` is not in a buffer for states"),
    (|p| p.states = vec![2, 2], "the states: two states are called `steps`"),
    (
        |p| p.programs[0].outputs[1].name = "image".to_string(),
        "program `inference`: two outputs are called `image`",
    ),
    (|p| p.programs[0].inputs[0] = 3, "program `inference`: tensor 3 does not exist, there are 3"),
    (|p| conv_of(p).shader = 2, "{conv}: shader 2 does not exist, there are 2"),
    (|p| conv_of(p).writes = vec![9], "{conv}: tensor 9 does not exist, there are 3"),
    (|p| conv_of(p).bindings.truncate(2), "{conv}: 2 bindings, its shader `conv` has 3"),
    (
        |p| conv_of(p).params = vec![Param::Float(0.0); 5],
        "{conv}: 5 parameter words (20 bytes) do not fit the 16 bytes of shader `conv`",
    ),
    (
        |p| conv_of(p).workgroups[1] = c(65_536),
        "{conv}: 65536 workgroups in y with all symbols at their maximum, 0 to 65535 are possible",
    ),
    (
        |p| conv_of(p).workgroups[2] = c(-1),
        "{conv}: -1 workgroups in z with all symbols at their maximum, 0 to 65535 are possible",
    ),
    (
        |p| conv_of(p).bindings[2] = range(0, 0, 4),
        "{conv}, binding 2: writes buffer `weights`, which holds weights: they are only read",
    ),
    (
        |p| conv_of(p).bindings[2] = range(2, 0, 4),
        "{conv}, binding 2: buffer `arena 0` is bound read-only by binding 1 and read-write by binding 2; WebGPU \
         refuses that in one dispatch",
    ),
    (
        |p| conv_of(p).bindings[0].size = 300,
        "{conv}, binding 0: bytes 256..556 are outside buffer `weights` of 512 bytes",
    ),
    (
        |p| p.data[0].place.buffer = 2,
        "segment 0: data for buffer `arena 0`, an arena: what it holds before a run has no meaning",
    ),
    (
        |p| {
            p.data[1].place.size = 260;
            p.data[1].bytes = vec![0; 260];
        },
        "segment 0: overlaps segment 1 in buffer `weights`",
    ),
    (
        |p| p.metadata.classes = vec!["x".repeat(1025)],
        "the classes in the metadata: the name of a class has 1025 bytes, at most 1024 are allowed",
    ),
    (
        |p| preprocessing_of(p).std = vec![0.5, 0.0, 0.5],
        "the preprocessing in the metadata: the deviation is 0, which cannot be used",
    ),
    (
        |p| preprocessing_of(p).mean = vec![f32::NAN],
        "the preprocessing in the metadata: the mean is NaN, which cannot be used",
    ),
    (
        |p| preprocessing_of(p).mean = vec![0.5; 4],
        "the preprocessing in the metadata: 4 numbers for the mean; one, or 3, would fit",
    ),
    (
        |p| {
            let pictures = Pictures { crop: Some([0, 1]), ..Pictures::default() };
            preprocessing_of(p).source = InputSource::Pictures(pictures);
        },
        "the preprocessing in the metadata: the side of what is cut out is 0, which cannot be used",
    ),
    (
        |p| p.metadata.targets = Some(Targets { std: vec![-1.0], ..Targets::default() }),
        "the targets in the metadata: the deviation is -1, which cannot be used",
    ),
    (
        |p| {
            let measures = vec![Measure { name: "loss".to_string(), value: f64::INFINITY }];
            p.metadata.provenance = Some(Provenance { measures, ..Provenance::default() });
        },
        "the provenance in the metadata: the measure is inf, which cannot be used",
    ),
    (
        |p| p.metadata.provenance = Some(Provenance { data: "x".repeat(5000), ..Provenance::default() }),
        "the provenance in the metadata: the name of the data has 5000 bytes, at most 4096 are allowed",
    ),
];

/// Each impossible plan, with what is said of it.
pub(crate) fn impossible() -> impl Iterator<Item = (Plan, String)> {
    IMPOSSIBLE.iter().map(|(change, expected)| {
        let mut plan = sample();
        change(&mut plan);
        (plan, expected.replace("{conv}", "program `inference`, dispatch 0 `conv1 + relu`"))
    })
}

#[test]
fn plans_that_cannot_be() {
    for (plan, expected) in impossible() {
        assert_eq!(check(&plan).unwrap_err().to_string(), expected);
        assert_eq!(plan.to_bytes().unwrap_err().to_string(), expected);
        assert_eq!(Plan::read(&unchecked(&plan)).unwrap_err().to_string(), expected);
    }
    let mut plan = sample();
    plan.data[0].bytes.truncate(96);
    assert_eq!(check(&plan).unwrap_err().to_string(), "segment 0: 96 bytes of data for a range of 100");
}

fn conv_of(plan: &mut Plan) -> &mut Dispatch {
    &mut plan.programs[0].dispatches[0]
}

fn preprocessing_of(plan: &mut Plan) -> &mut Preprocessing {
    plan.metadata.preprocessing.as_mut().unwrap()
}

fn n_plus_symbol(index: usize) -> Expr {
    let mut expr = n();
    expr.terms.push(Term { coefficient: 1, factors: vec![Factor::Symbol(index)] });
    expr
}
