//! The broadcast tile: how many rows and columns one subgroup makes.

use kiln_graph::Dim;

use super::context::Context;
use crate::target::Strategy;

/// Rows and columns of a tile, in subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The subgroup size.
    pub size: u32,
    /// Row vectors of a lane: the tile has `size * p` rows.
    pub p: u32,
    /// Column vectors of a lane: the tile has `size * q` columns of vectors.
    pub q: u32,
}

impl Tile {
    /// The tile for a product of `rows` rows and `columns` columns of vectors, if the target is one for broadcasts.
    ///
    /// Many rows share what is read of the right matrix, many columns what is read of the left; a tile that is larger
    /// than the product computes what nobody wants.
    pub fn choose(ctx: &Context<'_>, rows: &Dim, columns: usize) -> Option<Self> {
        let Strategy::Broadcast { subgroup_size } = ctx.target.strategy else { return None };
        let size = i64::from(subgroup_size);
        let rows = ctx.largest(rows);
        let p = if rows > 2 * size {
            4
        } else if rows > size {
            2
        } else {
            1
        };
        let covered = |q: usize| columns.div_ceil(q * size.unsigned_abs() as usize) * q;
        // A wide tile does a quarter more in the same time.
        let q = if covered(2) * 4 > covered(1) * 5 { 1 } else { 2 };
        Some(Self { size: subgroup_size, p, q })
    }

    /// Rows of the tile.
    pub fn rows(self) -> i64 {
        i64::from(self.size * self.p)
    }

    /// Columns of the tile, in vectors of four.
    pub fn columns(self) -> i64 {
        i64::from(self.size * self.q)
    }

    /// Loop iterations it takes to finish it.
    pub fn iterations(self) -> i64 {
        i64::from(self.size * self.p * self.q)
    }

    /// A grid of `row_tiles` by `column_tiles` workgroups: x and, where that is too long, z count row tiles.
    pub fn grid(ctx: &Context<'_>, row_tiles: &Dim, column_tiles: Dim) -> [Dim; 3] {
        let limit = i64::from(ctx.target.max_compute_workgroups_per_dimension);
        if ctx.largest(row_tiles) <= limit {
            return [row_tiles.clone(), column_tiles, 1.into()];
        }
        let long = 32_768.min(limit);
        [long.into(), column_tiles, row_tiles.ceil_div(long)]
    }

    /// Adds the holes of `broadcast.wgsl`.
    pub fn holes(self, others: minijinja::Value) -> minijinja::Value {
        minijinja::context! { S => self.size, p => self.p, q => self.q, ..others }
    }
}
