//! How much memory is free, and whether something fits into it.

use std::fmt;
use std::fs;

/// Smaller pieces are not checked: they fit, or nothing does.
const SMALL: u64 = 64 << 20;

/// Something takes more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes that it takes.
    pub needed: u64,
    /// Bytes that are free, if it is known.
    pub free: Option<u64>,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of memory would be needed", size_in_words(self.needed))?;
        match self.free {
            Some(free) => write!(f, ", but {} are free", size_in_words(free)),
            None => write!(f, ", which the system did not grant"),
        }
    }
}

impl std::error::Error for NoRoom {}

/// A size in memory as files have sizes. It is the same number, as no machine has a `usize` wider than 64 bits.
#[allow(clippy::as_conversions, reason = "usize has at most 64 bits")]
pub const fn wide(n: usize) -> u64 {
    n as u64
}

/// A number of bytes for a message: `1.5 GiB`.
pub fn size_in_words(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    #[allow(clippy::as_conversions, reason = "it is rounded to a tenth")]
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// Bytes of memory that are free for this process, where the system says so (Linux).
pub fn free() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemAvailable:"));
    let system = system.map(|kibibytes| kibibytes.saturating_mul(1024));
    [system, container()].into_iter().flatten().min()
}

/// What is left of the limit of a container. Cached files count as used there, and are given up when needed.
fn container() -> Option<u64> {
    const GROUP: &str = "/sys/fs/cgroup";
    let number = |name: &str| fs::read_to_string(format!("{GROUP}/{name}")).ok()?.trim().parse::<u64>().ok();
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    let cached =
        fs::read_to_string(format!("{GROUP}/memory.stat")).ok().and_then(|text| field(&text, "file "));
    Some(most.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

/// The number behind a word at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Checks that so many bytes fit into the memory that is free.
pub fn room_for(bytes: u64) -> Result<(), NoRoom> {
    if bytes < SMALL {
        return Ok(());
    }
    match free() {
        Some(free) if bytes > free => Err(NoRoom { needed: bytes, free: Some(free) }),
        Some(_) | None => Ok(()),
    }
}

/// An empty vector with room for `count` elements; an error instead of an end of the program where there is none.
pub fn buffer<T>(count: usize) -> Result<Vec<T>, NoRoom> {
    let bytes = u64::try_from(count.saturating_mul(size_of::<T>())).unwrap_or(u64::MAX);
    room_for(bytes)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(count).map_err(|_| NoRoom { needed: bytes, free: None })?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::{NoRoom, buffer, field, room_for, size_in_words};

    #[test]
    fn what_cannot_fit_is_refused() {
        assert_eq!(room_for(1000), Ok(()));
        let error = buffer::<u64>(1 << 50).expect_err("more than any machine has");
        assert!(error.to_string().starts_with("8.0 PiB of memory would be needed"), "{error}");
        assert!(buffer::<u64>(usize::MAX).is_err());
        assert_eq!(buffer::<u64>(10).map(|buffer| buffer.capacity()), Ok(10));
    }

    #[test]
    fn sizes_are_readable() {
        for (bytes, words) in
            [(12, "12 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (5 << 60, "5120.0 PiB")]
        {
            assert_eq!(size_in_words(bytes), words);
        }
        let none = NoRoom { needed: 1 << 30, free: Some(1 << 20) };
        assert_eq!(none.to_string(), "1.0 GiB of memory would be needed, but 1.0 MiB are free");
        assert_eq!(field("MemTotal: 9 kB\nMemAvailable:   77 kB\n", "MemAvailable:"), Some(77));
    }
}
