//! All that Kiln writes to disk goes through here.
//!
//! - [`write`] and [`write_with`] replace a file such that its name shows either the old contents or the new ones,
//!   whenever the process or the machine stops.
//! - A [`Log`] only grows; a [`Mark`] says how much of it counts, so that a torn end is cut off.
//! - A [`Lock`] keeps a second process out of a folder.

mod durable;
mod failpoints;
mod lock;
mod log;

pub use durable::{remove_temporaries, write, write_with};
pub use lock::{Lock, LockError};
pub use log::{Log, Mark};
