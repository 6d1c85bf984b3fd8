//! What a page calls. Memory that a page fills is allocated here and handed over with the call; results stay where they are
//! until the next call.

#![allow(unsafe_code, reason = "a page hands over addresses")]

use std::cell::RefCell;

use crate::{Answer, compile};

thread_local! {
    static ANSWER: RefCell<Answer> = const { RefCell::new(Answer { plan: Vec::new(), report: String::new() }) };
}

/// Memory for bytes that a page hands over; null if there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kiln_allocate(size: usize) -> *mut u8 {
    let mut bytes = Vec::<u8>::new();
    if bytes.try_reserve_exact(size).is_err() {
        return std::ptr::null_mut();
    }
    // `with_capacity` may give more than it is asked for, and this may not: its capacity is how it is freed.
    debug_assert!(bytes.capacity() == size || size == 0);
    std::mem::ManuallyDrop::new(bytes).as_mut_ptr()
}

/// Compiles. Returns whether there is a plan; if not, the report is why.
///
/// # Safety
///
/// Each pointer is from [`kiln_allocate`] with that size and is not used any more, or its size is 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn kiln_compile(
    model: *mut u8,
    model_size: usize,
    weights: *mut u8,
    weights_size: usize,
    request: *mut u8,
    request_size: usize,
) -> bool {
    // What a panic says is all that is left of it.
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|panic| {
            ANSWER.with_borrow_mut(|answer| answer.report = format!("a defect of Kiln: {panic}"));
        }));
    }
    // SAFETY: as promised, with the capacities that they were allocated with.
    let [model, weights, request] =
        unsafe { [taken(model, model_size), taken(weights, weights_size), taken(request, request_size)] };
    let (answer, is_plan) = match compile(model, weights, &request) {
        Ok(answer) => (answer, true),
        Err(report) => (Answer { plan: Vec::new(), report }, false),
    };
    ANSWER.set(answer);
    is_plan
}

/// # Safety
///
/// See [`kiln_compile`].
unsafe fn taken(bytes: *mut u8, size: usize) -> Vec<u8> {
    if bytes.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: as promised. Whoever allocated has written all of it, or it is zeros, as memory of WebAssembly is.
    unsafe { Vec::from_raw_parts(bytes, size, size) }
}

/// The plan that was made last.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kiln_plan() -> *const u8 {
    ANSWER.with_borrow(|answer| answer.plan.as_ptr())
}

/// Bytes of the plan.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kiln_plan_size() -> usize {
    ANSWER.with_borrow(|answer| answer.plan.len())
}

/// What is said of the plan, as JSON, or why there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kiln_report() -> *const u8 {
    ANSWER.with_borrow(|answer| answer.report.as_ptr())
}

/// Bytes of the report.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kiln_report_size() -> usize {
    ANSWER.with_borrow(|answer| answer.report.len())
}
