//! The tile of a matrix product: how many rows and columns are made together, and by whom.

use kiln_graph::Dim;

use super::context::Context;
use super::kernel::WORKGROUP;
use crate::target::Strategy;

/// What makes a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// A subgroup, by broadcasts.
    Broadcast {
        /// The subgroup size.
        size: u32,
        /// Row vectors of a lane: the tile has `size * p` rows.
        p: u32,
        /// Column vectors of a lane: the tile has `size * q` columns of vectors.
        q: u32,
    },
    /// An invocation, in its registers: 8 rows and 2 columns of vectors.
    Register,
    /// A workgroup of 256 invocations, through workgroup memory: 64 rows and 16 columns of vectors.
    Workgroup,
}

impl Tile {
    /// The tile for a product of `rows` rows and `columns` columns of vectors on this target.
    ///
    /// Many rows share what is read of the right matrix, many columns what is read of the left; a tile that is larger
    /// than the product computes what nobody wants.
    pub fn choose(ctx: &Context<'_>, rows: &Dim, columns: usize) -> Self {
        let size = match ctx.target.strategy {
            Strategy::Broadcast { subgroup_size } => subgroup_size,
            Strategy::RegisterTile => return Tile::Register,
            Strategy::WorkgroupTile => return Tile::Workgroup,
        };
        if columns <= 2 {
            return Tile::Register;
        }
        let lanes = i64::from(size);
        let rows = ctx.largest(rows);
        let p = if rows > 2 * lanes {
            4
        } else if rows > lanes {
            2
        } else {
            1
        };
        let covered = |q: usize| columns.div_ceil(q * size as usize) * q;
        // A wide tile does a quarter more in the same time.
        let q = if covered(2) * 4 > covered(1) * 5 { 1 } else { 2 };
        Tile::Broadcast { size, p, q }
    }

    /// Rows of the tile.
    pub fn rows(self) -> i64 {
        match self {
            Tile::Broadcast { size, p, .. } => i64::from(size * p),
            Tile::Register => 8,
            Tile::Workgroup => 64,
        }
    }

    /// Columns of the tile, in vectors of four.
    pub fn columns(self) -> i64 {
        match self {
            Tile::Broadcast { size, q, .. } => i64::from(size * q),
            Tile::Register => 2,
            Tile::Workgroup => 16,
        }
    }

    /// Loop iterations of an invocation for `steps` steps of four along k.
    pub fn iterations(self, steps: &Dim) -> Dim {
        match self {
            Tile::Broadcast { .. } | Tile::Register => steps.clone(),
            Tile::Workgroup => steps.ceil_div(4) * 5.into() + 4.into(),
        }
    }

    /// A function of WGSL that says whether something holds for any row of the tile, and how to write what a lane says
    /// of its own rows: a name that the row's number is put behind, and what follows.
    pub fn any(self) -> (&'static str, impl Fn(&str, &str) -> String) {
        let (function, rows) = match self {
            Tile::Broadcast { p, .. } => ("subgroupAny", p),
            Tile::Register => ("", 8),
            Tile::Workgroup => ("", 0),
        };
        let each = move |name: &str, rest: &str| {
            (0..rows).map(|row| format!("{name}{row}{rest}")).collect::<Vec<_>>().join(" || ")
        };
        (function, each)
    }

    /// `32x64`, in elements.
    pub fn name(self) -> String {
        format!("{}x{}", self.rows(), 4 * self.columns())
    }

    /// A grid for `row_tiles` by `column_tiles` tiles: x and, where that is too long, z count row tiles.
    pub fn grid(self, ctx: &Context<'_>, row_tiles: &Dim, column_tiles: Dim) -> [Dim; 3] {
        let row_tiles = match self {
            Tile::Broadcast { .. } | Tile::Workgroup => row_tiles.clone(),
            Tile::Register => row_tiles.ceil_div(WORKGROUP),
        };
        let limit = i64::from(ctx.target.max_compute_workgroups_per_dimension);
        if ctx.largest(&row_tiles) <= limit {
            return [row_tiles, column_tiles, 1.into()];
        }
        let long = 32_768.min(limit);
        [long.into(), column_tiles, row_tiles.ceil_div(long)]
    }

    /// Adds the tile's holes to `others`.
    pub fn holes(self, others: minijinja::Value) -> minijinja::Value {
        match self {
            Tile::Broadcast { size, p, q } => {
                minijinja::context! { S => size, p, q, alone => false, ..others }
            }
            Tile::Register => minijinja::context! { S => 1, p => 8, q => 2, alone => true, ..others },
            Tile::Workgroup => others,
        }
    }
}
