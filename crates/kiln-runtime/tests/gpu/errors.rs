//! What a person is told who asks for what cannot be. Every message is written out: it is what they see.

use std::time::Duration;

use kiln_plan::{Access, DType, LIMITS, Limits, Plan, Requirements};
use kiln_runtime::{Device, DeviceOptions, HostTensor, RuntimeError, Session, SessionOptions};

use crate::plans;

fn zeros(shape: &[usize]) -> HostTensor {
    HostTensor::zeros(DType::F32, shape)
}

fn message<T>(result: Result<T, RuntimeError>) -> String {
    result.err().map_or_else(|| "no error".to_string(), |error| error.to_string())
}

#[test]
fn inputs_that_do_not_fit() {
    let mut session = Session::open(&plans::vector_add()).unwrap();
    let (good, two, flat) = (zeros(&[2, 3]), zeros(&[2, 4]), zeros(&[6]));
    let (three, many, none) = (zeros(&[3, 3]), zeros(&[1001, 3]), zeros(&[0, 3]));
    let ints = HostTensor::zeros(DType::I64, [2, 3]);
    type Inputs<'a> = &'a [(&'a str, &'a HostTensor)];
    let cases: &[(Inputs, &str)] = &[
        (&[("x", &good)], "input `y` is missing; it takes f32 of shape [N, 3] (N up to 1000)"),
        (&[("x", &good), ("z", &good)], "there is no input \"z\"; the program takes `x`, `y`"),
        (&[("x", &good), ("x", &good), ("y", &good)], "input `x` is given twice"),
        (&[("x", &good), ("y", &ints)], "input `y` is i64, f32 is expected"),
        (&[("x", &two), ("y", &good)], "input `x` has shape [2, 4], [N, 3] (N up to 1000) is expected"),
        (&[("x", &flat), ("y", &good)], "input `x` has shape [6], [N, 3] (N up to 1000) is expected"),
        (&[("x", &good), ("y", &three)], "input `y` has N = 3, but input `x` has N = 2"),
        (
            &[("x", &many), ("y", &many)],
            "input `x` has N = 1001, the plan was made for N of at most 1000: compile the model again with a \
             larger maximum (`kiln compile --max N=1001`)",
        ),
        (&[("x", &none), ("y", &none)], "input `x` has N = 0; it must be at least 1"),
    ];
    for (inputs, expected) in cases {
        assert_eq!(message(session.run(inputs)), *expected);
    }
    // None of this has harmed the session.
    assert_eq!(message(session.run(&[("x", &good), ("y", &good)])), "no error");
}

#[test]
fn numbers_that_do_not_fit() {
    let mut session = Session::open(&plans::copy(DType::I64)).unwrap();
    let x = HostTensor::new([1, 2], vec![7i64, 1 << 31]).unwrap();
    let expected = "input `x`, element 1: 2147483648 does not fit the i32 that the device stores";
    assert_eq!(message(session.run(&[("x", &x)])), expected);
    assert_eq!(
        message(HostTensor::new([2, 3], vec![0f32; 5])),
        "a tensor of shape [2, 3] has 6 elements, 5 are given"
    );
    assert_eq!(message(x.as_f32()), "a tensor is i64, it was read as f32");
}

#[test]
fn names_that_are_not_there() {
    let mut session = Session::open(&plans::shared_state()).unwrap();
    let x = zeros(&[4]);
    assert_eq!(
        message(session.run_program("eval", &[])),
        "there is no program \"eval\"; the plan has `train`, `inference`"
    );
    assert_eq!(
        message(session.run(&[("x", &x)]).unwrap().get("y")),
        "there is no output \"y\"; the program gives `state`"
    );
    assert_eq!(message(session.read_tensor(3)), "there is no tensor 3, the plan has 3");
    assert_eq!(
        message(session.run_until("train", &[("x", &x)], 1)),
        "there is no dispatch 1, program `train` has 1"
    );
    assert_eq!(
        message(session.write_tensor(1, &zeros(&[5]))),
        "input `state` has shape [5], [4] is expected"
    );
}

#[test]
fn devices_that_are_not_there() {
    let open = |backend: Option<&str>, adapter: Option<&str>| {
        let [backend, adapter] = [backend, adapter].map(|name| name.map(str::to_string));
        message(Device::open(&DeviceOptions { backend, adapter }, &Requirements::default()))
    };
    assert_eq!(
        open(Some("valkan"), None),
        "\"valkan\" is not a backend; use `vulkan`, `metal` or `dx12` (WGPU_BACKEND)"
    );
    let nobody = open(None, Some("no such adapter"));
    assert!(nobody.starts_with("no adapter's name contains \"no such adapter\"; there are: `"), "{nobody}");
    if cfg!(target_os = "linux") {
        let none = open(Some("metal"), None);
        assert!(none.contains("no GPU adapter was found") && none.contains("mesa-vulkan-drivers"), "{none}");
    }
}

#[test]
fn requirements_that_are_not_met() {
    let options = DeviceOptions::from_env();
    let adapter = kiln_runtime::adapters(&options).unwrap().remove(0);
    let none = Requirements::default();
    let (has, name) = (adapter.max_buffer_size, &adapter.name);
    let needs = has + 7;
    let large = Requirements { max_buffer_size: needs, ..none.clone() };
    assert_eq!(
        message(Device::open(&options, &large)),
        format!(
            "the plan needs {needs} bytes in one buffer, adapter `{name}` has {has} (7 too few): use another \
             adapter or compile for this one"
        )
    );
    let odd = Requirements { subgroup_size: Some(3), ..none.clone() };
    let refused = message(Device::open(&options, &odd));
    assert!(refused.contains("subgroup"), "{refused}");

    // A device that was opened for another plan.
    let device = Device::open(&options, &none).unwrap();
    let plan = Plan { requirements: odd, ..plans::vector_add() };
    let refused = message(Session::load(&device, &plan));
    assert!(refused.contains("subgroup"), "{refused}");
}

#[test]
fn memory_that_is_not_there() {
    let plan = plans::vector_add();
    let device = Device::open(&DeviceOptions::from_env(), &plan.requirements).unwrap();
    let load = |memory_limit| {
        Session::load_with(&device, &plan, SessionOptions { memory_limit, ..SessionOptions::default() })
    };
    let needs = load(None).unwrap().report().total_bytes;
    assert_eq!(message(load(Some(needs))), "no error");
    assert_eq!(
        message(load(Some(needs - 1))),
        format!(
            "the plan needs {needs} bytes on the device, {} are available: reduce the maximum batch (`kiln \
             compile --max N=...`)",
            needs - 1
        )
    );
}

#[test]
fn shaders_that_are_wrong() {
    let plan = plans::vector_add();
    let load = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        message(Session::open(&plan))
    };
    let garbled = load(&|plan| plan.shaders[0].wgsl = "fn main( {".to_string());
    assert!(garbled.starts_with("shader `add` was refused: "), "{garbled}");
    let nameless = load(&|plan| plan.shaders[0].wgsl = plan.shaders[0].wgsl.replace("main", "start"));
    assert!(nameless.starts_with("shader `add` was refused: "), "{nameless}");
    let access = load(&|plan| {
        plan.shaders[0].access[2] = Access::Read;
    });
    assert!(access.starts_with("shader `add` was refused: "), "{access}");
    let unchecked = load(&|plan| plan.programs[0].dispatches[1].bindings[2].offset = 1 << 20);
    assert_eq!(
        unchecked,
        "program `inference`, dispatch 1 `add and scale`, binding 2: bytes 1048576..1060576 are outside buffer \
         `outputs` of 24064 bytes"
    );
}

/// Kernels that come near the limits are compiled, on whatever stack the caller has; those beyond are not tried.
#[test]
fn kernels_near_the_limits() {
    let with = |functions: String, body: String| {
        let mut plan = plans::vector_add();
        let wgsl = &mut plan.shaders[0].wgsl;
        *wgsl = wgsl.replace("if id.x", &format!("{body} if id.x")) + &functions;
        plan
    };
    let nothing = String::new;
    let chain = |count: usize| {
        let calls =
            (1..count).map(|i| format!("\nfn g{i}(a: f32) -> f32 {{ return g{}(g{}(a)); }}", i - 1, i - 1));
        "\nfn g0(a: f32) -> f32 { return a + 1.0; }".to_string() + &calls.collect::<String>()
    };
    let near = [
        with(nothing(), format!("var a = x[0]; a = a{};", " + a".repeat(240))),
        with(nothing(), format!("var a = {}1.0{};", "-(".repeat(60), ")".repeat(60))),
        with(nothing(), "if x[0] > 1.0 { return; } else ".repeat(50) + "{}"),
        with(nothing(), "for (var i = 0u; i < p.count; i++) { if x[i] < -1.0 {".repeat(28) + &"}".repeat(56)),
        with(chain(10), "var a = g9(x[0]);".to_string()),
    ];
    let beyond = [
        with(nothing(), format!("var a = x[0]; a = a{};", " + a".repeat(400))),
        with(nothing(), format!("var a = {}true;", "!".repeat(10_000))),
        with(nothing(), "if x[0] > 1.0 { return; } else ".repeat(80) + "{}"),
        with(chain(26), "var a = g25(x[0]);".to_string()),
    ];
    // A stack that would not do for them.
    let small = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        let x = zeros(&[2, 3]);
        for plan in &near {
            let mut session = Session::open(plan).unwrap();
            session.run(&[("x", &x), ("y", &x)]).unwrap();
        }
        for plan in &beyond {
            let found = message(Session::open(plan));
            assert!(found.starts_with("shader 0 `add`: ") && found.contains("at most"), "{found}");
        }
    });
    small.unwrap().join().unwrap();
}

/// How much a run may do is bounded for the largest symbols when a plan is loaded, and again for those of a run.
#[test]
fn more_workgroups_than_allowed() {
    let device = Device::open(&DeviceOptions::from_env(), &Requirements::default()).unwrap();
    let load = |plan: &Plan, workgroups| {
        let limits = Limits { workgroups, ..LIMITS };
        Session::load_with(&device, plan, SessionOptions { limits, ..SessionOptions::default() })
    };
    // 47 for each of the two dispatches at N = 1000.
    let plan = plans::vector_add();
    assert_eq!(
        message(load(&plan, 93)),
        "program `inference`, dispatch 1 `add and scale`: 94 workgroups in a run with all symbols at their \
         maximum, at most 93 are \
         allowed; a host program can raise `Limits::workgroups`"
    );
    load(&plan, 94).unwrap();
    // Fewer as N grows.
    let mut plan = plan;
    for dispatch in &mut plan.programs[0].dispatches {
        let mut falling = plans::scaled(-1);
        falling.terms.extend(plans::c(1001).terms);
        dispatch.workgroups = [falling, plans::c(1), plans::c(1)];
    }
    let mut session = load(&plan, 100).unwrap();
    let (few, many) = (zeros(&[1, 3]), zeros(&[1000, 3]));
    session.run(&[("x", &many), ("y", &many)]).unwrap();
    assert_eq!(
        message(session.run(&[("x", &few), ("y", &few)])),
        "1000 workgroups in a run up to `add`, at most 100 are allowed; a host program can raise \
         `SessionOptions::limits`"
    );
}

#[test]
fn a_device_that_is_lost() {
    let mut session = Session::open(&plans::shared_state()).unwrap();
    let x = zeros(&[4]);
    session.run(&[("x", &x)]).unwrap();
    session.device().raw().0.destroy();
    for _ in 0..2 {
        let lost = message(session.run(&[("x", &x)]));
        assert!(lost.starts_with("the device was lost: "), "{lost}");
    }
    assert!(matches!(session.warm_up(), Err(RuntimeError::Lost { .. })));
    assert!(matches!(session.read_tensor(0), Err(RuntimeError::Lost { .. })));
    let device = session.device().clone();
    assert!(matches!(Session::load(&device, &plans::shared_state()), Err(RuntimeError::Lost { .. })));
}

#[test]
fn a_device_that_takes_too_long() {
    let plan = plans::slow();
    let device = Device::open(&DeviceOptions::from_env(), &plan.requirements).unwrap();
    let options = SessionOptions { timeout: Some(Duration::ZERO), ..SessionOptions::default() };
    let mut session = Session::load_with(&device, &plan, options).unwrap();
    let late = "no answer from the device within 0ns: it hangs, or the limit is too short";
    // On a busy machine a run may be done before whoever waits for it comes to look: that is an answer in time.
    assert!((0..100).any(|_| message(session.run(&[])) == late));
    assert!((0..100).any(|_| {
        let pending = session.run_async(&[]).unwrap();
        message(pollster::block_on(pending)) == late
    }));
    // The device goes on; another session gets its answer.
    let mut patient = Session::load(&device, &plan).unwrap();
    assert_eq!(message(patient.run(&[])), "no error");
}
