//! Answers.

use kiln_plan::{DType, Layout, Plan, Requirements, Role, Storage};
use kiln_runtime::{Data, Device, DeviceOptions, HostTensor, RuntimeError, Session, f16};

use crate::plans;

fn open(plan: &Plan) -> Session {
    Session::open(plan).unwrap()
}

fn ramp(n: usize, start: f32) -> HostTensor {
    let elements: Vec<f32> = (0..n * 3).map(|i| start + i as f32).collect();
    HostTensor::new([n, 3], elements).unwrap()
}

fn floats(elements: &[f32]) -> HostTensor {
    HostTensor::new([elements.len()], elements.to_vec()).unwrap()
}

fn sums(n: usize, factor: f32) -> Vec<f32> {
    (0..n * 3).map(|i| factor * (100.0 + 2.0 * i as f32)).collect()
}

#[test]
fn one_plan_serves_every_batch_size() {
    let mut session = open(&plans::vector_add());
    for n in [1, 7, 1000, 22, 22] {
        let outputs = session.run(&[("x", &ramp(n, 0.0)), ("y", &ramp(n, 100.0))]).unwrap();
        for (name, factor) in [("sum", 1.0), ("scaled", 2.5)] {
            let output = outputs.get(name).unwrap();
            assert_eq!(output.shape(), [n, 3]);
            assert_eq!(output.as_f32().unwrap(), sums(n, factor), "{name} for N = {n}");
        }
    }
}

/// As many elements of an output as an integer of the run says, and no more than there are.
#[test]
fn the_data_decide_how_much_of_an_output_is_the_result() {
    let mut plan = plans::vector_add();
    plan.buffers.push(plans::buffer("sizes", kiln_plan::BufferKind::Arena, 512));
    for (name, offset) in [("rows", 0), ("columns", 256)] {
        plan.tensors.push(plans::tensor(name, DType::I32, vec![], plans::range(2, offset, 4)));
    }
    let size = |axis, tensor| kiln_plan::OutputSize { axis, tensor };
    let program = &mut plan.programs[0];
    program.inputs.extend([4, 5]);
    program.roles.extend([Role::Data; 2]);
    program.outputs[0].sizes = vec![size(0, 4), size(1, 5)];
    program.outputs[1].sizes = vec![size(1, 5)];
    let mut session = open(&plan);
    let number = |n: i32| HostTensor::new([], vec![n]).unwrap();
    for (rows, columns) in [(0, 3), (2, 2), (4, 1), (9, 7), (3, 0), (-1, 2)] {
        let inputs = [
            ("x", &ramp(4, 0.0)),
            ("y", &ramp(4, 100.0)),
            ("rows", &number(rows)),
            ("columns", &number(columns)),
        ];
        let outputs = session.run(&inputs).unwrap();
        let kept = |n: i32, most: usize| usize::try_from(n).unwrap_or(0).min(most);
        for (name, factor, rows) in [("sum", 1.0, kept(rows, 4)), ("scaled", 2.5, 4)] {
            let output = outputs.get(name).unwrap();
            let whole = sums(4, factor);
            let wanted = whole.chunks(3).take(rows).flat_map(|row| &row[..kept(columns, 3)]);
            assert_eq!(output.shape(), [rows, kept(columns, 3)]);
            assert_eq!(
                output.as_f32().unwrap(),
                wanted.copied().collect::<Vec<_>>(),
                "{name} {rows} {columns}"
            );
        }
    }
}

#[test]
fn awaiting_gives_the_same_as_waiting() {
    let mut session = open(&plans::vector_add());
    let (x, y) = (ramp(50, 0.0), ramp(50, 100.0));
    let pending = session.run_async(&[("x", &x), ("y", &y)]).unwrap();
    let outputs = pollster::block_on(pending).unwrap();
    assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(50, 1.0));

    // One that nobody waits for, and one that is asked until it is there.
    drop(session.run_async(&[("x", &y), ("y", &y)]).unwrap());
    let pending = session.run_async(&[("x", &x), ("y", &y)]).unwrap();
    while !pending.is_ready().unwrap() {
        std::thread::yield_now();
    }
    assert_eq!(pending.wait().unwrap(), outputs);
}

/// Whoever polls a device may be given what another thread waits for. 300 sessions, 10,000 runs.
#[test]
fn threads_share_a_device() {
    const THREADS: usize = 8;
    let plan = plans::vector_add();
    let device = open(&plan).device().clone();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (plan, device) = (&plan, &device);
            scope.spawn(move || {
                for n in (0..300).skip(thread).step_by(THREADS) {
                    let mut session = Session::load(device, plan).unwrap();
                    let (x, y) = (ramp(n + 1, 0.0), ramp(n + 1, 100.0));
                    for _ in 0..34 {
                        let outputs = session.run(&[("x", &x), ("y", &y)]).unwrap();
                        assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(n + 1, 1.0));
                    }
                }
            });
        }
    });
}

/// A device that is destroyed while threads run on it: each gets answers until then, and an error that says so behind it.
#[test]
fn threads_see_that_a_device_is_lost() {
    let plan = plans::vector_add();
    let device = open(&plan).device().clone();
    let started = std::sync::Barrier::new(9);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut session = Session::load(&device, &plan).unwrap();
                let (x, y) = (ramp(50, 0.0), ramp(50, 100.0));
                started.wait();
                loop {
                    match session.run(&[("x", &x), ("y", &y)]) {
                        Ok(outputs) => {
                            assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(50, 1.0));
                        }
                        Err(error) => break assert!(matches!(error, RuntimeError::Lost { .. }), "{error}"),
                    }
                }
            });
        }
        started.wait();
        std::thread::sleep(std::time::Duration::from_millis(20));
        device.raw().0.destroy();
    });
    assert!(matches!(Session::load(&device, &plan), Err(RuntimeError::Lost { .. })));
}

#[test]
fn sessions_move_between_threads() {
    let plan = plans::vector_add();
    let first = open(&plan);
    let second = Session::load(first.device(), &plan).unwrap();
    let threads = [first, second].map(|mut session| {
        std::thread::spawn(move || {
            for n in [3, 200, 3] {
                let outputs = session.run(&[("x", &ramp(n, 0.0)), ("y", &ramp(n, 100.0))]).unwrap();
                assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(n, 1.0));
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn replay_goes_on_from_the_same_inputs() {
    let mut session = open(&plans::shared_state());
    let mut replay = session.prepare("train", &[("x", &floats(&[1.0, 1.0, 0.0, -1.0]))]).unwrap();
    replay.run().unwrap();
    replay.submit().unwrap();
    replay.submit().unwrap();
    replay.wait().unwrap();
    let outputs = replay.outputs().unwrap();
    assert_eq!(outputs.get("state").unwrap().as_f32().unwrap(), [31.0, 62.0, 3.0, -116.0]);
}

#[test]
fn programs_share_weights_and_state() {
    let mut session = open(&plans::shared_state());
    session.warm_up().unwrap();
    let mut run = |program: &str, x: &[f32]| {
        let outputs = session.run_program(program, &[("x", &floats(x))]).unwrap();
        let (_, tensor) = outputs.into_iter().next().unwrap();
        tensor.as_f32().unwrap().to_vec()
    };
    assert_eq!(run("inference", &[1.0; 4]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run("train", &[1.0, 0.0, 2.0, 0.5]), [11.0, 2.0, 63.0, 24.0]);
    assert_eq!(run("inference", &[1.0, 1.0, 2.0, 2.0]), [11.0, 2.0, 126.0, 48.0]);
    let state = floats(&[0.0, -1.0, 5.0, 7.0]);
    let index = session.find_tensor("state").unwrap();
    session.write_tensor(index, &state).unwrap();
    let outputs = session.run_program("inference", &[("x", &floats(&[1.0; 4]))]).unwrap();
    assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), state.as_f32().unwrap());
}

#[test]
fn a_padded_layout_is_read_and_written_in_logical_order() {
    let mut session = open(&plans::padded());
    session.run(&[]).unwrap();
    let tensor = session.read_tensor(0).unwrap();
    assert_eq!(tensor.shape(), [2, 3, 5]);
    let place = |i: usize| ((i / 15) * 20 + (i % 5) * 4 + i / 5 % 3) as f32;
    assert_eq!(tensor.as_f32().unwrap(), (0..30).map(place).collect::<Vec<_>>());

    let other = HostTensor::new([2, 3, 5], (0..30).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
    session.write_tensor(0, &other).unwrap();
    assert_eq!(session.read_tensor(0).unwrap(), other);
}

#[test]
fn elements_of_any_width_are_padded() {
    let half = |i: u8| f16::from_f32(f32::from(i));
    let cases: [(DType, Storage, Data); 3] = [
        (DType::F16, Storage::F16, (0..30).map(half).collect::<Vec<_>>().into()),
        (DType::F64, Storage::F64, (0..30).map(f64::from).collect::<Vec<_>>().into()),
        (DType::I64, Storage::I64, (0..30).map(|i| i << 40).collect::<Vec<i64>>().into()),
    ];
    for (dtype, storage, data) in cases {
        let layout = Layout { order: vec![0, 2, 1], lanes: 4 };
        let mut session = open(&plans::keep(dtype, storage, &[2, 3, 5], layout));
        let given = HostTensor::new([2, 3, 5], data).unwrap();
        session.write_tensor(0, &given).unwrap();
        assert_eq!(session.read_tensor(0).unwrap(), given);
    }
}

#[test]
fn an_odd_number_of_halves() {
    let mut session = open(&plans::keep(DType::F16, Storage::F16, &[7], Layout::dense(1)));
    let given = HostTensor::new([7], (1..8).map(|i| f16::from_f32(i as f32)).collect::<Vec<_>>()).unwrap();
    let outputs = session.run(&[("x", &given)]).unwrap();
    assert_eq!(*outputs.get("x").unwrap(), given);
    assert_eq!(session.read_tensor(0).unwrap(), given);
    let one = plans::keep(DType::F16, Storage::F16, &[1], Layout::dense(1));
    let given = HostTensor::new([1], vec![f16::from_f32(-2.5)]).unwrap();
    assert_eq!(*open(&one).run(&[("x", &given)]).unwrap().get("x").unwrap(), given);
}

#[test]
fn every_element_type_goes_there_and_back() {
    let half = |x: &[f32]| x.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
    let cases: [Data; 11] = [
        vec![1.5f32, -0.0, f32::MIN_POSITIVE, f32::INFINITY].into(),
        half(&[1.5, -2.0, 65504.0, 0.000_061]).into(),
        vec![0.1f64, -2.0, 1e300, 0.0].into(),
        vec![i32::MIN, -1, 0, i32::MAX].into(),
        vec![i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)].into(),
        vec![0u8, 1, 128, 255].into(),
        vec![i8::MIN, -1, 0, i8::MAX].into(),
        vec![0u16, 1, 32768, u16::MAX].into(),
        vec![i16::MIN, -1, 0, i16::MAX].into(),
        vec![0u32, 1, 1 << 31, u32::MAX].into(),
        vec![false, true, true, false].into(),
    ];
    for data in cases {
        let dtype = data.dtype();
        let x = HostTensor::new([2, 2], data).unwrap();
        let outputs = open(&plans::copy(dtype)).run(&[("x", &x)]).unwrap();
        for (name, output) in outputs.iter() {
            assert_eq!(output, &x, "{name} of {}", dtype.name());
        }
    }
}

#[test]
fn no_workgroups_is_no_dispatch() {
    let mut session = open(&plans::sometimes_nothing());
    for (n, expected) in [(1, 1), (3, 2), (1, 1)] {
        let x = HostTensor::zeros(DType::I32, [n, 2]);
        let outputs = session.run(&[("x", &x)]).unwrap();
        assert_eq!(outputs.get("y").unwrap().as_i32().unwrap(), vec![expected; n * 2], "N = {n}");
    }
}

#[test]
fn a_run_can_be_followed_dispatch_by_dispatch() {
    let mut session = open(&plans::vector_add());
    let inputs = [("x", &ramp(7, 0.0)), ("y", &ramp(7, 100.0))];
    session.run_until("inference", &inputs, 0).unwrap();
    assert_eq!(session.read_tensor(2).unwrap().as_f32().unwrap(), sums(7, 1.0));
    assert_eq!(session.read_tensor(3).unwrap().as_f32().unwrap(), [0.0; 21]);
    session.run_dispatch("inference", 1).unwrap();
    assert_eq!(session.read_tensor(3).unwrap().as_f32().unwrap(), sums(7, 2.5));
}

#[test]
fn a_profile_has_each_dispatch() {
    let mut session = open(&plans::vector_add());
    let inputs = [("x", &ramp(700, 0.0)), ("y", &ramp(700, 100.0))];
    session.run(&inputs).unwrap();
    if !session.device().capabilities().timestamps {
        return;
    }
    let profile = session.profile("inference", &inputs, 5).unwrap();
    let facts: Vec<_> = profile
        .kernels
        .iter()
        .map(|k| (k.dispatch, k.name.as_str(), k.shader.as_str(), k.flops, k.bytes, k.workgroups))
        .collect();
    let expected = [
        (0, "add", "add", 4200.0, 25200.0, [33, 1, 1]),
        (1, "add and scale", "add", 4200.0, 25200.0, [33, 1, 1]),
    ];
    assert_eq!(facts, expected);
    let sum: f64 = profile.kernels.iter().map(|kernel| kernel.seconds).sum();
    assert!(profile.kernels.iter().all(|kernel| kernel.seconds > 0.0), "{profile:?}");
    assert!(profile.seconds > 0.0 && sum < 10.0 * profile.seconds, "{profile:?}");
}

#[test]
fn loading_is_measured() {
    let plan = plans::shared_state();
    let mut session = open(&plan);
    let before = session.report().clone();
    assert_eq!((before.weight_bytes, before.arena_bytes), (512, 512));
    assert!(before.total_bytes >= 1024 && before.first_run_seconds.is_none());
    assert!(before.kernel_seconds > 0.0 && before.shader_seconds.len() == plan.shaders.len());
    session.warm_up().unwrap();
    session.run(&[("x", &floats(&[0.0; 4]))]).unwrap();
    let after = session.report();
    assert!(after.warm_up_seconds.is_some() && after.first_run_seconds.is_some());
}

#[test]
fn a_plan_survives_its_file() {
    let folder = std::env::temp_dir().join(format!("kiln-runtime-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("state.kplan");
    plans::shared_state().save(&path).unwrap();
    let plan = Plan::load(&path);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(left, ["state.kplan"]);
    let outputs = open(&plan.unwrap()).run(&[("x", &floats(&[0.0; 4]))]).unwrap();
    assert_eq!(outputs.get("state").unwrap().as_f32().unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

/// Of a software driver the numbers say little, but they are some.
#[test]
fn speed_is_measured() {
    let device = Device::open(&DeviceOptions::from_env(), &Requirements::default()).unwrap();
    let speed = device.probe().unwrap();
    assert!((1..=1024).contains(&speed.cores), "{speed:?}");
    let products = f64::from(speed.cores) * f64::from(speed.lanes) * f64::from(speed.clock) * 1e6;
    assert!((1e8..1e15).contains(&products), "{speed:?}");
    assert!((1..20_000).contains(&speed.bandwidth), "{speed:?}");
    assert!((100..10_000_000).contains(&speed.launch), "{speed:?}");
}

/// Where the driver hands out compiled pipelines, they are in the folder after loading, and used by the next device.
#[test]
fn pipelines_are_kept() {
    let folder = std::env::temp_dir().join(format!("kiln-pipelines-{}", std::process::id()));
    let plan = plans::vector_add();
    for _ in 0..2 {
        let mut device = Device::open(&DeviceOptions::from_env(), &plan.requirements).unwrap();
        let hands_out = device.raw().0.features().contains(wgpu::Features::PIPELINE_CACHE);
        device.keep_pipelines(&folder);
        Session::load(&device, &plan).unwrap();
        let files = std::fs::read_dir(&folder).map_or(0, Iterator::count);
        assert_eq!(files, usize::from(hands_out));
        // What is damaged is compiled again.
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
