//! What the name of a kernel tells: `conv_64x32x16_add_relu` makes tiles of 64 rows by 32 columns, 16 terms at a time.

/// A tile that a workgroup makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile {
    pub rows: u64,
    pub columns: u64,
    /// Terms of a step.
    pub depth: u64,
    /// Multiplies bytes, four at a time.
    pub bytes: bool,
}

impl Tile {
    /// The tile of a kernel for convolutions or matrix products.
    pub fn of(kernel: &str) -> Option<Self> {
        let rest =
            ["conv_", "matmul_", "winograd_products_"].iter().find_map(|start| kernel.strip_prefix(start))?;
        let mut parts = rest.split('_');
        let sizes: Option<Vec<u64>> = parts.next()?.split('x').map(|size| size.parse().ok()).collect();
        // A fourth number says how many buffers there are in workgroup memory.
        let ([rows, columns, depth] | [rows, columns, depth, _]) = sizes?[..] else { return None };
        Some(Self { rows, columns, depth, bytes: parts.next() == Some("dot4") })
    }

    pub fn elements(&self) -> u64 {
        self.rows * self.columns
    }

    /// How often the loop over the terms of a step runs: four terms at a time, of bytes sixteen.
    pub fn turns(&self) -> u64 {
        self.depth / if self.bytes { 16 } else { 4 }
    }
}

/// The part of a name that the kernels of one family and tile share: without the epilogue.
pub fn family(kernel: &str) -> String {
    let parts: Vec<&str> = kernel.split('_').collect();
    let ends = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    let count = match (kernel, parts.iter().position(ends)) {
        (kernel, Some(size)) if kernel.contains("_dot4") => size + 2,
        (_, Some(size)) => size + 1,
        (kernel, None) if kernel.starts_with("map_") => 1,
        _ if matches!(parts.get(2), Some(&("columns" | "grad" | "side"))) => 3,
        _ => 2,
    };
    parts[..count.min(parts.len())].join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tiles() {
        let tile = |rows, columns, depth, bytes| Some(Tile { rows, columns, depth, bytes });
        for (name, expected) in [
            ("conv_64x32x16_add_relu", tile(64, 32, 16, false)),
            ("matmul_128x128x8", tile(128, 128, 8, false)),
            ("conv_64x64x16x2_relu", tile(64, 64, 16, false)),
            ("winograd_products_64x32x16", tile(64, 32, 16, false)),
            ("conv_64x64x32_dot4_clamp_min", tile(64, 64, 32, true)),
            ("conv_grad_4x4", None),
            ("winograd_output_4_add_relu", None),
            ("conv_depthwise_3_stride_1", None),
            ("map_add", None),
        ] {
            assert_eq!(Tile::of(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_families() {
        for (name, expected) in [
            ("conv_64x32x16_add_relu", "conv_64x32x16"),
            ("conv_64x64x32_dot4_clamp_min", "conv_64x64x32_dot4"),
            ("conv_depthwise_3_stride_1_add", "conv_depthwise_3"),
            ("max_pool_2_stride_2", "max_pool_2"),
            ("reduce_sum_columns_div", "reduce_sum_columns"),
            ("max_pool_grad_blocks_mul", "max_pool_grad"),
            ("reduce_sum_mul_sub_select", "reduce_sum"),
            ("map_mul_add", "map"),
            ("matmul_direct_mul_sub", "matmul_direct"),
            ("copy", "copy"),
        ] {
            assert_eq!(family(name), expected, "{name}");
        }
    }
}
