//! Signals that stop a training: Ctrl-C, and SIGTERM from a service manager or a batch system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether the process was asked to stop. The first signal only sets this; a second one ends the process at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let this = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the signal that sets the flag does not find it set.
            flag::register_conditional_shutdown(signal, status(signal), Arc::clone(&this.asked))?;
            flag::register(signal, Arc::clone(&this.asked))?;
            let number = usize::try_from(signal).unwrap_or(0);
            flag::register_usize(signal, Arc::clone(&this.signal), number)?;
        }
        Ok(this)
    }

    /// Whether there was a signal.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Forgets the signal that ended something before: the next one is the first again, for whoever listens then.
    pub(crate) fn forget(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// The exit status of a process that a signal has ended, as shells have it.
    pub(crate) fn status(&self) -> u8 {
        let signal = i32::try_from(self.signal.load(Ordering::Relaxed)).unwrap_or(SIGINT);
        u8::try_from(status(signal)).unwrap_or(u8::MAX)
    }
}

fn status(signal: i32) -> i32 {
    128 + signal
}
