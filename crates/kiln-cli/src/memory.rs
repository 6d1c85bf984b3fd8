//! `--memory`

use std::fmt;
use std::str::FromStr;

use clap::Args;
use kiln::Compiled;
use kiln::train::Training;
use miette::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::table::bytes;

/// The memory that a training may take on the device, from a flag or a recipe.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct MemoryArgument {
    /// Bytes that a training may take on the device (2GiB, 512MiB, 1.5GB): where it would take more, it keeps fewer
    /// activations for the backward pass and computes the others again
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}

impl MemoryArgument {
    /// The bytes.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.memory.map(|size| size.0)
    }

    /// Refuses a limit where nothing is trained.
    pub(crate) fn needs_training(&self, trains: bool) -> Result<()> {
        if self.memory.is_some() && !trains {
            bail!("--memory limits what a training takes; it needs --train");
        }
        Ok(())
    }

    /// A training within the memory that is asked for, else with its own limit.
    pub(crate) fn limits(&self, training: Training) -> Training {
        Training { memory: self.bytes().or(training.memory), ..training }
    }
}

/// A number of bytes with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ByteSize(u64);

const UNITS: [(&str, f64); 9] = [
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
    ("TiB", 1099511627776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find(|(name, _)| {
            let end = text.len().checked_sub(name.len()).and_then(|at| text.get(at..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(name))
        });
        let (number, factor) =
            unit.map_or((text, 1.0), |(name, factor)| (&text[..text.len() - name.len()], *factor));
        let bytes = number.trim().parse::<f64>().map(|number| (number * factor).floor());
        match bytes {
            // Above 2^53, floats are not exact, and no device has as much.
            Ok(bytes) if (1.0..=9007199254740992.0).contains(&bytes) => Ok(Self(bytes as u64)),
            _ => Err(format!("`{text}` is no size in bytes; it should be as 2GiB, 512MiB or 1.5GB")),
        }
    }
}

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for ByteSize {
    /// As a recipe says it; exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
        let (name, size) =
            binary.into_iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / size)
    }
}

/// Says what a training computes again for want of memory.
pub(crate) fn note(compiled: &Compiled) {
    if let Some(recomputed) = compiled.recomputed {
        note!(
            "{} on the device instead of {}: a step computes {} nodes again, {:.0} % of the forward pass",
            bytes(compiled.memory.total()),
            bytes(recomputed.without.total()),
            recomputed.nodes,
            100.0 * recomputed.share_of_forward
        );
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_have_units() {
        for (text, bytes, shown) in [
            ("2GiB", 2 << 30, "2GiB"),
            ("512 mib", 512 << 20, "512MiB"),
            ("1.5GB", 1_500_000_000, "1500000000B"),
            ("0.5KiB", 512, "512B"),
            ("4096", 4096, "4KiB"),
            ("7b", 7, "7B"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
            assert_eq!(shown.parse(), Ok(size));
        }
        for wrong in ["", "GiB", "-1GiB", "0", "nan", "inf", "2 giga", "1e30GiB", "é"] {
            assert!(wrong.parse::<ByteSize>().is_err_and(|error| error.contains("2GiB")), "{wrong}");
        }
    }
}
