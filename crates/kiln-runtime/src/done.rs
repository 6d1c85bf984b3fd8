//! Word of commands that a program submits itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether commands that a program submits itself were executed.
#[derive(Debug, Default)]
pub(crate) struct Done {
    set: Mutex<bool>,
    told: Condvar,
}

impl Done {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self) {
        *self.lock() = true;
        self.told.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.lock()
    }

    /// The same behind later commands that are done: another thread may be about to say it.
    pub(crate) fn is_set_soon(&self) -> bool {
        let waiting = self.told.wait_timeout_while(self.lock(), SOON, |set| !*set);
        *waiting.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How long a thread may take to say what it has been told.
const SOON: Duration = Duration::from_secs(1);
