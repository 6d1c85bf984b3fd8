//! The figures of a kernel that count.

use crate::assembly::{self, Counts};
use crate::device::{Compiled, Device};
use crate::dump::Kernel;
use crate::name::Tile;
use crate::spirv;

#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Vector registers of a lane.
    pub vgprs: u64,
    /// How many waves fit on a SIMD unit.
    pub waves: u64,
    /// Bytes of workgroup memory.
    pub lds: u64,
    pub spilled_vgprs: u64,
    pub spilled_sgprs: u64,
    /// Bytes of memory for private arrays and spilled registers.
    pub scratch: u64,
    /// The instructions of one turn of the inner loop.
    pub inner_loop: Option<Counts>,
}

/// Compiles a kernel and counts; gives its assembly, too.
pub fn measure(device: &Device, kernel: &Kernel) -> Result<(Measured, String), String> {
    let compiled = device.compile(&spirv::translate(&kernel.wgsl)?)?;
    Ok((figures(&kernel.name, &compiled)?, compiled.assembly))
}

fn figures(kernel: &str, compiled: &Compiled) -> Result<Measured, String> {
    let turns = Tile::of(kernel).map_or(1, |tile| tile.turns());
    Ok(Measured {
        vgprs: compiled.statistic("VGPRs")?,
        waves: compiled.statistic("Subgroups per SIMD")?,
        lds: compiled.statistic("LDS size")?,
        spilled_vgprs: compiled.statistic("Spilled VGPRs")?,
        spilled_sgprs: compiled.statistic("Spilled SGPRs")?,
        scratch: compiled.statistic("Scratch size")?,
        inner_loop: assembly::inner_loop(&compiled.assembly, turns),
    })
}
