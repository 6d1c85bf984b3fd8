//! What kernels are held to.

use crate::measure::Measured;
use crate::name::Tile;

/// With more, a SIMD unit of RDNA 2 holds fewer than eight waves, too few to hide the latency of memory.
const MOST_VGPRS: u64 = 128;

/// Tiles of so many elements are large.
const LARGE_TILE: u64 = 64 * 64;
/// The least share of multiply-adds in the vector instructions of a tile's inner loop.
const LARGE_TILE_SHARE: f64 = 0.85;
const SMALL_TILE_SHARE: f64 = 0.75;

/// Registers and shares of kernels that move as much memory as they compute, by the start of their names: only with many waves
/// is enough on its way.
const OF_MEMORY: &[(&str, u64, f64)] = &[("conv_depthwise_", 80, 0.5), ("max_pool_", 64, 0.0)];

/// Kernels that are known to have a smaller share of multiply-adds.
#[derive(Debug, PartialEq)]
pub struct KnownMiss {
    /// Of the kernels' names.
    pub start: &'static str,
    /// What they have at least.
    pub share: f64,
    pub reason: &'static str,
}

/// Staging a vector, that is loading it and storing it in workgroup memory, takes about 22 vector instructions: its
/// address, bounds that are checked, and zeros selected for what is outside. A step of these tiles has few products for it.
pub const KNOWN_MISSES: &[KnownMiss] = &[
    KnownMiss {
        start: "conv_256x32x8",
        share: 0.73,
        reason: "8 terms a step: 256 products of an invocation for 3 staged vectors, or a look-up of taps, too",
    },
    KnownMiss {
        start: "conv_128x16x16",
        share: 0.64,
        reason: "16 columns: a staged vector has 64 products, and looking up taps comes to it for few channels",
    },
    KnownMiss {
        start: "conv_64x32x8",
        share: 0.73,
        reason: "8 terms a step: 128 products of an invocation for 2 staged vectors",
    },
    KnownMiss {
        start: "matmul_64x32x8",
        share: 0.73,
        reason: "8 terms a step: 128 products of an invocation for 2 staged vectors",
    },
    KnownMiss {
        start: "conv_64x16x16",
        share: 0.72,
        reason: "64 invocations only: 256 products of an invocation for 5 staged vectors",
    },
];

/// A limit that a kernel does not keep.
#[derive(Debug, PartialEq)]
pub struct Missed {
    pub limit: String,
    /// What excuses it.
    pub known: Option<&'static KnownMiss>,
}

/// The limits that a kernel does not keep.
pub fn missed(kernel: &str, measured: &Measured) -> Vec<Missed> {
    let mut missed = Vec::new();
    if measured.spilled_vgprs > 0 || measured.scratch > 0 {
        let (registers, bytes) = (measured.spilled_vgprs, measured.scratch);
        let limit = format!("{registers} VGPRs spilled, {bytes} bytes of scratch");
        missed.push(Missed { limit, known: None });
    }
    let of_memory = OF_MEMORY.iter().find(|(start, _, _)| kernel.starts_with(start));
    let most = of_memory.map_or(MOST_VGPRS, |(_, most, _)| *most);
    if measured.vgprs > most {
        let limit = format!("{} VGPRs, more than {most}", measured.vgprs);
        missed.push(Missed { limit, known: None });
    }
    missed.extend(small_share(KNOWN_MISSES, kernel, measured));
    missed
}

fn small_share(known: &'static [KnownMiss], kernel: &str, measured: &Measured) -> Option<Missed> {
    let of_memory = OF_MEMORY.iter().find(|(start, _, _)| kernel.starts_with(start));
    let of_tile =
        |tile: Tile| if tile.elements() >= LARGE_TILE { LARGE_TILE_SHARE } else { SMALL_TILE_SHARE };
    let tile = Tile::of(kernel).filter(|tile| !tile.bytes);
    let least = of_memory.map(|(_, _, share)| *share).or(tile.map(of_tile))?;
    let share = measured.inner_loop.and_then(|counts| counts.share()).unwrap_or(0.0);
    let known = known.iter().find(|known| kernel.starts_with(known.start) && share >= known.share);
    (share < least).then(|| Missed {
        limit: format!("{:.1} % multiply-adds, less than {:.0} %", 100.0 * share, 100.0 * least),
        known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Counts;

    fn with_share(multiply_adds: u64) -> Measured {
        let counts = Counts { multiply_adds, other_vector: 100 - multiply_adds, ..Default::default() };
        Measured { vgprs: 128, inner_loop: Some(counts), ..Default::default() }
    }

    #[test]
    fn each_limit_is_named() {
        let (good, medium) = (with_share(85), with_share(84));
        let spills = Measured { spilled_vgprs: 2, scratch: 512, ..Default::default() };
        for (kernel, measured, expected) in [
            ("conv_64x64x1_relu", good, None),
            ("conv_64x64x1_relu", medium, Some("84.0 % multiply-adds, less than 85 %")),
            ("conv_32x128x1", medium, Some("84.0 % multiply-adds, less than 85 %")),
            ("matmul_64x32x1", medium, None),
            ("matmul_64x32x1", with_share(74), Some("74.0 % multiply-adds, less than 75 %")),
            ("matmul_64x32x1", Measured::default(), Some("0.0 % multiply-adds, less than 75 %")),
            ("matmul_64x32x1_dot4", Measured::default(), None),
            ("map_add", Measured::default(), None),
            ("map_add", Measured { vgprs: 136, ..good }, Some("136 VGPRs, more than 128")),
            ("conv_depthwise_3_stride_1_relu", Measured { vgprs: 80, ..with_share(50) }, None),
            (
                "conv_depthwise_3_stride_1_relu",
                Measured { vgprs: 80, ..with_share(49) },
                Some("49.0 % multiply-adds, less than 50 %"),
            ),
            ("max_pool_3_stride_2", Measured { vgprs: 72, ..good }, Some("72 VGPRs, more than 64")),
            ("map_add", spills, Some("2 VGPRs spilled, 512 bytes of scratch")),
        ] {
            let found: Vec<String> =
                missed(kernel, &measured).into_iter().map(|missed| missed.limit).collect();
            assert_eq!(found, Vec::from_iter(expected), "{kernel}");
        }
    }

    #[test]
    fn a_known_miss_is_not_excused_for_less() {
        const KNOWN: &[KnownMiss] = &[KnownMiss { start: "conv_64x64x1", share: 0.6, reason: "narrow" }];
        let known = |share| small_share(KNOWN, "conv_64x64x1_relu", &with_share(share)).map(|m| m.known);
        assert_eq!([known(59), known(60), known(85)], [Some(None), Some(Some(&KNOWN[0])), None]);
    }
}
