//! Plans in C: `include/kiln.h` is generated from this file.
//!
//! Every function takes pointers of the caller, so every function is unsafe to call; what each pointer has to be is in the
//! text above it. Panics end at the border, as `KILN_INTERNAL`.

#![allow(unsafe_code, reason = "C hands over pointers")]
#![allow(non_camel_case_types, reason = "constants of C share one namespace")]

mod tensor;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use kiln_runtime::{HostTensor, Plan, RuntimeError, Session, Value};

pub use tensor::{KilnTensor, KilnType, KilnValue};

/// What a function has come to; `kiln_error` has the text.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KilnStatus {
    /// Nothing went wrong.
    KILN_OK = 0,
    /// An argument is null, not UTF-8, or out of range.
    KILN_ARGUMENT = 1,
    /// The plan cannot be read.
    KILN_PLAN = 2,
    /// There is no device for the plan, or it failed.
    KILN_DEVICE = 3,
    /// An input is missing, or of another type or shape than the plan takes.
    KILN_INPUT = 4,
    /// A defect of Kiln.
    KILN_INTERNAL = 5,
}

use KilnStatus::*;

/// A plan on a device. Threads may have sessions of their own; one session is for one thread at a time.
pub struct KilnSession {
    session: Session,
    inputs: Vec<Described>,
    outputs: Vec<Described>,
    results: Vec<tensor::Held>,
}

/// A value with what C points at.
struct Described {
    value: Value,
    name: CString,
    shape: Vec<i64>,
}

type Failure = (KilnStatus, String);

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

/// The text of the last error on this thread; empty if the last function that can fail did not. It is there until the next call
/// on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_error() -> *const c_char {
    ERROR.with_borrow(|text| text.as_ptr())
}

/// Opens a plan file on the device that WGPU_BACKEND and WGPU_ADAPTER_NAME choose, or the first there is.
///
/// # Safety
/// `path` is a string that ends in zero; `session` is a place for a pointer, which is null if this fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_open(path: *const c_char, session: *mut *mut KilnSession) -> KilnStatus {
    guarded(|| {
        // SAFETY: the caller has a place for a pointer there.
        let place = unsafe { session.as_mut() }.ok_or_else(|| null("session"))?;
        *place = std::ptr::null_mut();
        // SAFETY: the caller's strings end in zero.
        let path = unsafe { text(path, "path") }?;
        let plan = Plan::load(path).map_err(|error| (KILN_PLAN, error.to_string()))?;
        let session = Session::open(&plan).map_err(failure)?;
        let described = |values: Vec<Value>| values.into_iter().map(Described::new).collect();
        let (inputs, outputs) = (described(session.inputs()), described(session.outputs()));
        *place = Box::into_raw(Box::new(KilnSession { session, inputs, outputs, results: vec![] }));
        Ok(())
    })
}

/// Frees a session and everything that points into it; null is nothing.
///
/// # Safety
/// `session` is from `kiln_open`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_close(session: *mut KilnSession) {
    // What a panic leaves is lost, and C goes on.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if !session.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(session) });
        }
    }));
}

/// How many inputs there are; 0 for null.
///
/// # Safety
/// `session` is null or from `kiln_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_input_count(session: *const KilnSession) -> usize {
    // SAFETY: the caller's session is open.
    unsafe { session.as_ref() }.map_or(0, |session| session.inputs.len())
}

/// How many outputs there are; 0 for null.
///
/// # Safety
/// `session` is null or from `kiln_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_output_count(session: *const KilnSession) -> usize {
    // SAFETY: the caller's session is open.
    unsafe { session.as_ref() }.map_or(0, |session| session.outputs.len())
}

/// What an input is. The name and the shape are there until `kiln_close`.
///
/// # Safety
/// `session` is from `kiln_open`, `value` is a place for a `KilnValue`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_input(
    session: *const KilnSession,
    index: usize,
    value: *mut KilnValue,
) -> KilnStatus {
    // SAFETY: as this function's.
    unsafe { describe(session, |session| &session.inputs, index, value) }
}

/// What an output is. The name and the shape are there until `kiln_close`.
///
/// # Safety
/// `session` is from `kiln_open`, `value` is a place for a `KilnValue`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_output(
    session: *const KilnSession,
    index: usize,
    value: *mut KilnValue,
) -> KilnStatus {
    // SAFETY: as this function's.
    unsafe { describe(session, |session| &session.outputs, index, value) }
}

/// Runs the plan's first program and waits for its outputs. Inputs are copied before this returns.
///
/// # Safety
/// `session` is from `kiln_open`, no other thread uses it; `inputs` are `count` tensors, each with as many bytes and sizes as
/// it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_run(
    session: *mut KilnSession,
    inputs: *const KilnTensor,
    count: usize,
) -> KilnStatus {
    guarded(|| {
        // SAFETY: the caller's session is open, and this thread's.
        let session = unsafe { session.as_mut() }.ok_or_else(|| null("session"))?;
        session.results.clear();
        // SAFETY: the caller has so many tensors there.
        let inputs = unsafe { tensor::slice(inputs, count, "inputs") }?;
        let mut given: Vec<(String, HostTensor)> = Vec::with_capacity(count);
        for input in inputs {
            // SAFETY: the caller's tensors have what they say.
            given.push(unsafe { input.read() }?);
        }
        let given: Vec<_> = given.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outputs = session.session.run(&given).map_err(failure)?;
        session.results =
            outputs.into_iter().map(|(name, tensor)| tensor::Held::new(&name, tensor)).collect();
        Ok(())
    })
}

/// An output of the last run. Everything it points at is there until the next run of the session, or `kiln_close`.
///
/// # Safety
/// `session` is from `kiln_open`, `tensor` is a place for a `KilnTensor`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_result(
    session: *const KilnSession,
    index: usize,
    tensor: *mut KilnTensor,
) -> KilnStatus {
    guarded(|| {
        // SAFETY: the caller's session is open.
        let session = unsafe { session.as_ref() }.ok_or_else(|| null("session"))?;
        // SAFETY: the caller has a place for a tensor there.
        let place = unsafe { tensor.as_mut() }.ok_or_else(|| null("tensor"))?;
        let there = session.results.len();
        let held = session.results.get(index);
        *place =
            held.ok_or_else(|| (KILN_ARGUMENT, format!("there is no result {index} of {there}")))?.lent();
        Ok(())
    })
}

/// # Safety
/// `session` is null or open, `value` is null or a place for a value.
unsafe fn describe(
    session: *const KilnSession,
    list: fn(&KilnSession) -> &Vec<Described>,
    index: usize,
    value: *mut KilnValue,
) -> KilnStatus {
    guarded(|| {
        // SAFETY: as this function's.
        let list = list(unsafe { session.as_ref() }.ok_or_else(|| null("session"))?);
        // SAFETY: as this function's.
        let place = unsafe { value.as_mut() }.ok_or_else(|| null("value"))?;
        let missing = || (KILN_ARGUMENT, format!("there is no value {index} of {}", list.len()));
        let described = list.get(index).ok_or_else(missing)?;
        *place = KilnValue {
            name: described.name.as_ptr(),
            dtype: described.value.dtype.into(),
            rank: described.shape.len(),
            shape: described.shape.as_ptr(),
            largest: described.value.largest.as_ptr(),
        };
        Ok(())
    })
}

impl Described {
    fn new(value: Value) -> Self {
        let size = |size: &Option<usize>| size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1);
        let (name, shape) = (c_text(&value.name), value.shape.iter().map(size).collect());
        Self { value, name, shape }
    }
}

/// Does something, and keeps its error for `kiln_error`.
fn guarded(work: impl FnOnce() -> Result<(), Failure>) -> KilnStatus {
    let result = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err((KILN_INTERNAL, "Kiln panicked: this is a defect".to_string())));
    let (status, text) = result.err().unwrap_or((KILN_OK, String::new()));
    ERROR.with_borrow_mut(|error| *error = c_text(&text));
    status
}

fn null(what: &str) -> Failure {
    (KILN_ARGUMENT, format!("`{what}` is null"))
}

/// # Safety
/// `text` is null or ends in zero.
unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(null(what));
    }
    // SAFETY: as this function's.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| (KILN_ARGUMENT, format!("`{what}` is not UTF-8")))
}

/// C's strings end at a zero.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

fn failure(error: RuntimeError) -> Failure {
    let status = match &error {
        RuntimeError::Plan(_) => KILN_PLAN,
        RuntimeError::NoSuchInput { .. }
        | RuntimeError::MissingInput { .. }
        | RuntimeError::InputTwice { .. }
        | RuntimeError::InputType { .. }
        | RuntimeError::InputShape { .. }
        | RuntimeError::Contradiction { .. }
        | RuntimeError::TooLarge { .. }
        | RuntimeError::TooSmall { .. }
        | RuntimeError::Guard { .. }
        | RuntimeError::NothingFits { .. }
        | RuntimeError::Range { .. }
        | RuntimeError::Elements { .. } => KILN_INPUT,
        _ => KILN_DEVICE,
    };
    (status, error.to_string())
}
