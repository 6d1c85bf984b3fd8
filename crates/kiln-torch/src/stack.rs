//! The stack on which programs are evaluated, by recursion. It carries what the limits allow.

use crate::error::ImportError;

/// Bytes of the stack.
#[cfg(not(target_arch = "wasm32"))]
const STACK: usize = 1 << 30;

/// Runs on a thread with a stack that is large enough.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn on_large_stack<T: Send>(
    run: impl FnOnce() -> Result<T, ImportError> + Send,
) -> Result<T, ImportError> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("python".into()).stack_size(STACK).spawn_scoped(scope, run);
        let failed = |what: &str| ImportError::plain(format!("the source cannot be evaluated: {what}"), None);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(failed("an error in Kiln itself; please report it with the file")),
            Err(error) => Err(failed(&error.to_string())),
        }
    })
}

/// WebAssembly has no other threads, and the stack that the linker and the browser give it: where that is not enough, the
/// instance ends.
#[cfg(target_arch = "wasm32")]
pub(crate) fn on_large_stack<T>(run: impl FnOnce() -> Result<T, ImportError>) -> Result<T, ImportError> {
    run()
}
