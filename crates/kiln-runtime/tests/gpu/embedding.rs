//! Sessions on a device that a program has opened itself, and runs among its own commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kiln_plan::{DType, Layout, Plan, Requirements, Role, Storage};
use kiln_runtime::{Cancel, Device, HostTensor, Input, RuntimeError, Session, wgpu};

use crate::plans;

/// An instance, an adapter and a device that know nothing of Kiln but what a plan asks for.
pub(crate) struct App {
    pub adapter: wgpu::Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// What its own handler of errors was told.
    pub told: Arc<AtomicUsize>,
}

impl App {
    pub(crate) fn new(requirements: &Requirements) -> Self {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let adapter = adapters.into_iter().next().expect("an adapter");
        let descriptor = Device::descriptor(&adapter, requirements).unwrap();
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        device.on_uncaptured_error(Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        Self { adapter, device, queue, told }
    }

    pub(crate) fn session(&self, plan: &Plan) -> Session {
        Session::load(&Device::from_wgpu(self.device.clone(), self.queue.clone()), plan).unwrap()
    }

    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    fn buffer(&self, size: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    fn floats(&self, numbers: &[f32]) -> wgpu::Buffer {
        let buffer = self.buffer(numbers.len() as u64 * 4);
        self.queue.write_buffer(
            &buffer,
            0,
            &numbers.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<_>>(),
        );
        buffer
    }

    /// What a buffer of floats holds when everything submitted is done.
    fn read(&self, from: &wgpu::Buffer) -> Vec<f32> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let size = from.size();
        let to = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let to = self.device.create_buffer(&to);
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(from, 0, &to, 0, size);
        self.queue.submit([encoder.finish()]);
        to.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let bytes = to.get_mapped_range(..).unwrap();
        bytes.chunks_exact(4).map(|word| f32::from_ne_bytes(word.try_into().unwrap())).collect()
    }
}

fn ramp(n: usize, start: f32) -> Vec<f32> {
    (0..n * 3).map(|i| start + i as f32).collect()
}

fn rows(n: usize, start: f32) -> HostTensor {
    HostTensor::new([n, 3], ramp(n, start)).unwrap()
}

fn sums(n: usize, start: f32) -> Vec<f32> {
    (0..n * 3).map(|i| start + 2.0 * i as f32).collect()
}

#[test]
fn a_device_of_the_programs_own_is_enough() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let mut session = app.session(&plan);
    let outputs = session.run(&[("x", &rows(7, 0.0)), ("y", &rows(7, 5.0))]).unwrap();
    assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(7, 5.0));
}

#[test]
fn what_a_device_was_opened_without_is_named() {
    let app = App::new(&plans::vector_add().requirements);
    let device = Device::from_wgpu(app.device.clone(), app.queue.clone());
    let with = |change: fn(&mut Requirements)| {
        let mut plan = plans::vector_add();
        change(&mut plan.requirements);
        Session::load(&device, &plan).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let advice = "open it with what `Device::descriptor` says";
    assert_eq!(
        with(|needs| needs.shader_int64 = true),
        format!("the plan needs 64-bit integers in kernels, which the device was opened without: {advice}")
    );
    assert_eq!(
        with(|needs| needs.max_compute_workgroup_storage_size = 16385),
        format!("the plan needs 16385 bytes of workgroup memory, the device was opened with 16384: {advice}")
    );
    // What no device of the adapter can be opened with is said before one is.
    let mut needs = plans::vector_add().requirements;
    needs.max_storage_buffers_per_shader_stage = u32::MAX;
    let refused = Device::descriptor(&app.adapter, &needs).unwrap_err();
    assert!(
        matches!(refused, RuntimeError::Limit { what: "storage buffers in one dispatch", .. }),
        "{refused}"
    );
    // A plan with all of it runs on a device that was opened so.
    let mut plan = plans::vector_add();
    plan.requirements.max_compute_workgroup_storage_size = 16385;
    if Device::descriptor(&app.adapter, &plan.requirements).is_ok() {
        App::new(&plan.requirements).session(&plan);
    }
}

/// Errors of a session are returned by it; the program's handler is not told.
#[test]
fn handlers_of_errors_stay_the_programs_own() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let device = Device::from_wgpu(app.device.clone(), app.queue.clone());
    let mut wrong = plan.clone();
    wrong.shaders[0].wgsl = wrong.shaders[0].wgsl.replace("p.factor", "p.missing");
    assert!(matches!(Session::load(&device, &wrong), Err(RuntimeError::Shader { .. })));
    assert_eq!(app.told.load(Ordering::Relaxed), 0);
    app.buffer(u64::MAX);
    assert_eq!(app.told.load(Ordering::Relaxed), 1, "the program's own mistakes");
    let outputs = app.session(&plan).run(&[("x", &rows(2, 0.0)), ("y", &rows(2, 0.0))]).unwrap();
    assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), sums(2, 0.0));
    app.device.destroy();
    // Nobody tells Kiln, and nothing answers.
    let x = rows(2, 0.0);
    let lost = Session::load(&device, &plan).and_then(|mut session| session.run(&[("x", &x), ("y", &x)]));
    let lost = lost.err().map(|error| error.to_string());
    assert!(lost.as_ref().is_some_and(|text| text.starts_with("the device was lost")), "{lost:?}");
}

/// Several runs in one encoder, of other sizes and with inputs from everywhere, and one that the session submits itself before
/// these are submitted.
#[test]
fn runs_are_recorded_before_anything_is_submitted() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let mut session = app.session(&plan);
    let mut encoder = app.encoder();
    let sizes = [4usize, 9, 4, 1000, 1];
    let kept = sizes.map(|n| app.buffer(n as u64 * 12));
    for (n, kept) in sizes.iter().zip(&kept) {
        let x = app.floats(&[&[f32::NAN; 4], ramp(*n, 0.0).as_slice()].concat());
        let inputs =
            [("x", Input::Buffer(x.slice(16..), &[*n, 3])), ("y", Input::Host(&rows(*n, *n as f32)))];
        let run = session.encode(&mut encoder, "inference", &inputs).unwrap();
        let sum = run.output("sum").unwrap();
        assert_eq!((sum.shape.as_slice(), sum.size, sum.dtype), (&[*n, 3][..], kept.size(), DType::F32));
        encoder.copy_buffer_to_buffer(&sum.buffer, sum.offset, kept, 0, sum.size);
        assert!(!run.is_done());
    }
    let meanwhile = session.run(&[("x", &rows(50, 0.0)), ("y", &rows(50, 100.0))]).unwrap();
    assert_eq!(meanwhile.get("sum").unwrap().as_f32().unwrap(), sums(50, 100.0));
    app.queue.submit([encoder.finish()]);
    for (n, kept) in sizes.iter().zip(&kept) {
        assert_eq!(app.read(kept), sums(*n, *n as f32), "{n}");
    }
    assert_eq!(app.told.load(Ordering::Relaxed), 0);
}

#[test]
fn outputs_are_inputs_of_another_session() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let (mut first, mut second) = (app.session(&plan), app.session(&plan));
    let mut encoder = app.encoder();
    let host = [("x", Input::Host(&rows(6, 0.0))), ("y", Input::Host(&rows(6, 0.0)))];
    let run = first.encode(&mut encoder, "inference", &host).unwrap();
    let sum = run.output("sum").unwrap();
    // One of the second session's inputs is written to its place by other commands of the program.
    let place = second.place("inference", "y", &[6, 3]).unwrap();
    encoder.copy_buffer_to_buffer(&sum.buffer, sum.offset, &place.buffer, place.offset, place.size);
    let inputs = [("x", Input::Buffer(sum.slice(), &sum.shape)), ("y", Input::InPlace(&[6, 3]))];
    let last = second.encode(&mut encoder, "inference", &inputs).unwrap();
    app.queue.submit([encoder.finish()]);
    let outputs = second.read(&last).unwrap().wait().unwrap();
    let four: Vec<f32> = ramp(6, 0.0).iter().map(|x| 4.0 * x).collect();
    assert_eq!(outputs.get("sum").unwrap().as_f32().unwrap(), four);
    assert!(last.is_done());
    assert_eq!(pollster::block_on(first.read(&run).unwrap()).unwrap().get("sum").unwrap().shape(), [6, 3]);
}

#[test]
fn outputs_that_are_not_there_are_not_read() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let (mut session, mut other) = (app.session(&plan), app.session(&plan));
    let (x, y) = (rows(3, 0.0), rows(3, 1.0));
    let inputs = [("x", Input::Host(&x)), ("y", Input::Host(&y))];
    let mut encoder = app.encoder();
    let run = session.encode(&mut encoder, "inference", &inputs).unwrap();
    let read = |session: &mut Session, run| session.read(run).and_then(|pending| pending.wait());
    assert!(matches!(read(&mut session, &run), Err(RuntimeError::NotSubmitted)));
    app.queue.submit([encoder.finish()]);
    assert_eq!(read(&mut session, &run).unwrap().get("sum").unwrap().as_f32().unwrap(), sums(3, 1.0));
    assert!(matches!(read(&mut other, &run), Err(RuntimeError::Device { .. })));
    assert!(matches!(run.output("mean"), Err(RuntimeError::NoSuchOutput { .. })));
    session.run(&[("x", &y), ("y", &y)]).unwrap();
    assert!(matches!(read(&mut session, &run), Err(RuntimeError::Overwritten)));
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let plan = plans::vector_add();
    let app = App::new(&plan.requirements);
    let mut session = app.session(&plan);
    let buffer = app.floats(&ramp(4, 0.0));
    let usage = wgpu::BufferUsages::STORAGE;
    let secret = wgpu::BufferDescriptor { label: None, size: 48, usage, mapped_at_creation: false };
    let secret = app.device.create_buffer(&secret);
    let integers = HostTensor::new([4, 3], vec![1i32; 12]).unwrap();
    let y = rows(4, 0.0);
    let mut refusal = |x: Input<'_>| {
        let inputs = [("x", x), ("y", Input::Host(&y))];
        session.encode(&mut app.encoder(), "inference", &inputs).unwrap_err().to_string()
    };
    for (input, text) in [
        (Input::Buffer(secret.slice(..), &[4, 3]), "its buffer is without the usage COPY_SRC"),
        (Input::Buffer(buffer.slice(2..), &[3, 3]), "its buffer is given from byte 2, not a multiple of 4"),
        (Input::Buffer(buffer.slice(4..), &[4, 3]), "44 bytes are given, [4, 3] of f32 takes 48"),
    ] {
        assert_eq!(refusal(input), format!("input `x` cannot be read from its buffer: {text}"));
    }
    let shape = "input `x` has shape [4, 4], [N, 3] (N up to 1000) is expected";
    assert_eq!(refusal(Input::Buffer(app.floats(&ramp(6, 0.0)).slice(..), &[4, 4])), shape);
    assert_eq!(refusal(Input::InPlace(&[4, 4])), shape);
    assert_eq!(refusal(Input::Host(&integers)), "input `x` is i32, f32 is expected");
    assert!(refusal(Input::InPlace(&[3, 3])).contains("but input"));
    assert_eq!(
        session.place("inference", "x", &[1001, 3]).unwrap_err().to_string(),
        "input `x` has shape [1001, 3], [N, 3] (N up to 1000) is expected"
    );
    assert_eq!(app.told.load(Ordering::Relaxed), 0);
}

#[test]
fn a_session_says_what_it_takes_and_gives() {
    let session = Session::open(&plans::vector_add()).unwrap();
    assert_eq!(session.programs().collect::<Vec<_>>(), ["inference"]);
    let inputs = session.inputs();
    assert_eq!(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let x = &inputs[0];
    assert_eq!((x.dtype, x.storage, x.role), (DType::F32, Storage::F32, Some(Role::Data)));
    assert_eq!((x.shape.as_slice(), x.largest.as_slice()), (&[None, Some(3)][..], &[1000, 3][..]));
    assert_eq!(x.dimensions, ["N", "3"]);
    assert_eq!(x.to_string(), "f32 of shape [N, 3] (N up to 1000)");
    let outputs = session.program_outputs("inference").unwrap();
    assert_eq!(outputs, session.outputs());
    assert_eq!((outputs[1].name.as_str(), outputs[1].role), ("scaled", None));
    assert!(matches!(session.program_inputs("train"), Err(RuntimeError::NoSuchProgram { .. })));
    let kept = plans::keep(DType::I64, Storage::I32, &[2, 5], Layout::dense(2));
    let input = Session::open(&kept).unwrap().inputs().remove(0);
    assert_eq!((input.dtype, input.storage, input.shape), (DType::I64, Storage::I32, vec![Some(2), Some(5)]));
}

#[test]
fn shared_weights_are_there_once() {
    let plan = plans::shared_state();
    let mut first = Session::open(&plan).unwrap();
    let four = |numbers: [f32; 4]| HostTensor::new([4], numbers.to_vec()).unwrap();
    let run = move |session: &mut Session, program: &str, x: [f32; 4]| {
        let outputs = session.run_program(program, &[("x", &four(x))]).unwrap();
        let (_, tensor) = outputs.into_iter().next().unwrap();
        tensor.as_f32().unwrap().to_vec()
    };
    assert_eq!(run(&mut first, "train", [1.0, 0.0, 0.0, 0.0]), [11.0, 2.0, 3.0, 4.0]);
    let mut second = first.share().unwrap();
    assert_eq!(second.report().weight_bytes, first.report().weight_bytes - 256);
    // The state is as it was, and each has its own from here on.
    assert_eq!(run(&mut second, "inference", [1.0; 4]), [11.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(&mut second, "train", [0.0, 1.0, 0.0, 0.0]), [11.0, 22.0, 3.0, 4.0]);
    assert_eq!(run(&mut first, "inference", [1.0; 4]), [11.0, 2.0, 3.0, 4.0]);
    drop(first);
    let handle = std::thread::spawn(move || run(&mut second, "train", [0.0, 0.0, 1.0, 1.0]));
    assert_eq!(handle.join().unwrap(), [11.0, 22.0, 33.0, 44.0]);
}

#[test]
fn a_run_is_cancelled_between_dispatches() {
    // Some seconds of work, if it were done.
    let mut plan = plans::slow();
    let dispatches = &mut plan.programs[0].dispatches;
    let one = dispatches[0].clone();
    dispatches.resize(4000, one);
    let mut session = Session::open(&plan).unwrap();
    let cancel = Cancel::new();
    let other = cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.cancel();
        Instant::now()
    });
    let ended = session.run_unless(&cancel, "inference", &[]);
    let late = thread.join().unwrap().elapsed();
    assert!(matches!(ended, Err(RuntimeError::Cancelled)), "{ended:?}");
    assert!(late < Duration::from_secs(2), "{late:?}");
    // Before it begins, and not at all.
    assert!(matches!(session.run_unless(&cancel, "inference", &[]), Err(RuntimeError::Cancelled)));
    let plan = plans::vector_add();
    let mut session = Session::open(&plan).unwrap();
    let (x, y) = (rows(30, 0.0), rows(30, 1.0));
    let outputs = session.run_unless(&Cancel::new(), "inference", &[("x", &x), ("y", &y)]).unwrap();
    assert_eq!(outputs, session.run(&[("x", &x), ("y", &y)]).unwrap());
}
