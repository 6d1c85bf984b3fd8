//! Files, as they are written and as they are read.
//!
//! All that Kiln writes to disk goes through here:
//!
//! - [`write()`] and [`write_with`] replace a file such that its name shows either the old contents or the new ones,
//!   whenever the process or the machine stops.
//! - A [`Log`] only grows; a [`Mark`] says how much of it counts, so that a torn end is cut off.
//! - A [`Lock`] keeps a second process out of a folder.
//!
//! Files are also read through here, since they may be untrusted. Opening a FIFO waits for a writer, a device never
//! ends, a sparse or compressed file can be a thousand times as large as its stored bytes:
//!
//! - [`open`] takes regular files only, and knows the [allowance](Opened::allowance) of each: a multiple of the bytes on
//!   the disk, against which readers count what they allocate.
//! - [`room_for`] and [`buffer`] refuse what does not fit into the memory that is free.

#![deny(clippy::as_conversions)]

mod durable;
mod failpoints;
mod lock;
mod log;
mod memory;
mod regular;

pub use durable::{remove_temporaries, write, write_with};
pub use lock::{Lock, LockError};
pub use log::{Log, Mark};
pub use memory::{NoRoom, buffer, free, room_for, size_in_words, wide};
pub use regular::{ALWAYS_ALLOWED, MOST_PER_BYTE, Opened, allowance, open, read, read_text};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
