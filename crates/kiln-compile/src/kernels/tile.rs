//! Tiles of a matrix product: how many rows and columns are computed together, by how many invocations, and what that
//! costs.

use kiln_graph::Dim;

use super::builder::WORKGROUP;
use super::family::{Demands, Estimate, Knobs, OperandLayout, float};
use super::problem::ceil_div;
use crate::memory::values::{FOLDED_ROW, Values};
use crate::target::{DeviceClass, Target};

/// What computes a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tile {
    /// A subgroup, by broadcasts: for software adapters, where a broadcast costs nothing.
    Broadcast {
        /// The subgroup size.
        lanes: u32,
        /// Row vectors of a lane: the tile has `lanes * row_vectors` rows.
        row_vectors: u32,
        /// Column vectors of a lane: the tile has `lanes * column_vectors` columns of vectors.
        column_vectors: u32,
    },
    /// An invocation, in its registers: 8 rows and 2 columns of vectors.
    Register,
    /// A workgroup of 256 invocations, through workgroup memory: 64 rows and 16 columns of vectors.
    Workgroup,
}

const WORKGROUP_INVOCATIONS: i64 = 256;
const WORKGROUP_BYTES: u32 = 8 << 10;

/// Subgroups that a tile of broadcasts is written for; its accumulators do not fit the registers of larger ones.
pub(super) const BROADCAST_LANES: std::ops::RangeInclusive<u32> = 4..=16;

/// The size of subgroups that listings assume where a target has none: that of lavapipe.
const USUAL_LANES: u32 = 8;

impl Tile {
    /// All tiles for a target, whether it admits them or not.
    pub(crate) fn all(target: &Target) -> Vec<Tile> {
        let lanes = target.subgroup_size.unwrap_or(USUAL_LANES);
        let mut tiles = vec![];
        if BROADCAST_LANES.contains(&lanes) {
            for row_vectors in [4, 2, 1] {
                for column_vectors in [2, 1] {
                    tiles.push(Tile::Broadcast { lanes, row_vectors, column_vectors });
                }
            }
        }
        tiles.extend([Tile::Register, Tile::Workgroup]);
        tiles
    }

    /// As parameters: `tile_m` rows and `tile_n` columns (in elements) by `lanes` invocations.
    pub(crate) fn knobs(self) -> Knobs {
        Knobs::new([("tile_m", self.rows()), ("tile_n", 4 * self.columns()), ("lanes", self.lanes())])
    }

    /// The tile with these parameters.
    pub(crate) fn of(knobs: &Knobs) -> Tile {
        let lanes = u32::try_from(knobs.get("lanes")).unwrap_or(1).max(1);
        let along = |name| u32::try_from(knobs.get(name)).unwrap_or(0);
        match i64::from(lanes) {
            1 => Tile::Register,
            WORKGROUP_INVOCATIONS => Tile::Workgroup,
            _ => Tile::Broadcast {
                lanes,
                row_vectors: along("tile_m") / lanes,
                column_vectors: along("tile_n") / 4 / lanes,
            },
        }
    }

    fn lanes(self) -> i64 {
        match self {
            Tile::Broadcast { lanes, .. } => i64::from(lanes),
            Tile::Register => 1,
            Tile::Workgroup => WORKGROUP_INVOCATIONS,
        }
    }

    /// Rows of the tile.
    pub(crate) fn rows(self) -> i64 {
        match self {
            Tile::Broadcast { lanes, row_vectors, .. } => i64::from(lanes * row_vectors),
            Tile::Register => 8,
            Tile::Workgroup => 64,
        }
    }

    /// Columns of the tile, in vectors of four.
    pub(crate) fn columns(self) -> i64 {
        match self {
            Tile::Broadcast { lanes, column_vectors, .. } => i64::from(lanes * column_vectors),
            Tile::Register => 2,
            Tile::Workgroup => 16,
        }
    }

    /// Columns of the tile, in elements.
    pub(crate) fn width(self) -> usize {
        usize::try_from(4 * self.columns()).unwrap_or(4)
    }

    /// Loop iterations of an invocation for `steps` steps of four along k.
    pub(crate) fn iterations(self, steps: i64) -> i64 {
        match self {
            Tile::Broadcast { .. } | Tile::Register => steps,
            Tile::Workgroup => ceil_div(steps, 4).saturating_mul(5).saturating_add(4),
        }
    }

    /// What a tile needs, for `steps` steps of four along k.
    pub(crate) fn demands(self, operands: Vec<OperandLayout>, steps: i64) -> Demands {
        let loop_iterations = self.iterations(steps);
        let (subgroup_size, invocations, workgroup_memory) = match self {
            Tile::Broadcast { lanes, .. } => (Some(lanes), lanes, 0),
            Tile::Register => (None, u32::try_from(WORKGROUP).unwrap_or(64), 0),
            Tile::Workgroup => (None, u32::try_from(WORKGROUP_INVOCATIONS).unwrap_or(256), WORKGROUP_BYTES),
        };
        Demands { operands, loop_iterations, invocations, workgroup_memory, subgroup_size }
    }

    /// What a product of `rows` rows and `columns` columns of vectors with `depth` terms takes in these tiles.
    ///
    /// The work of a tile counts what is computed beyond the edges of the product. Rows of a tile share what is loaded of
    /// the right matrix, columns what is loaded of the left; on lavapipe, the work of a covered element is
    /// `(0.3 + 0.7 / row vectors) * (0.6 + 0.4 / column vectors)` beside that of the smallest tile of broadcasts. The
    /// numbers are chosen so that the cheapest tile is the one that Kiln took before it had estimates
    /// (`select/tests.rs`); they are not times.
    pub(crate) fn cost(self, target: &Target, rows: i64, columns: i64, depth: i64) -> Estimate {
        let row_tiles = ceil_div(rows, self.rows()).max(1);
        let column_tiles = ceil_div(columns, self.columns()).max(1);
        let invocations = row_tiles.saturating_mul(column_tiles).saturating_mul(self.lanes());
        let covered = float(self.rows()) * float(self.columns()) / float(self.lanes());
        let elements = match (target.class, self) {
            (DeviceClass::Cpu, Tile::Broadcast { row_vectors, column_vectors, .. }) => {
                covered * row_reuse(row_vectors) * (0.6 + 0.4 / f64::from(column_vectors))
            }
            // A lane that is by itself gathers what a subgroup loads in a line: three times the work of a column, and
            // rows that share loads as they do in the best tile of broadcasts.
            (DeviceClass::Cpu, Tile::Register) => {
                let lanes = i64::from(target.subgroup_size.unwrap_or(USUAL_LANES));
                let best = [1u32, 2, 4].map(|vectors| {
                    let tile_rows = lanes * i64::from(vectors);
                    float(ceil_div(rows, tile_rows).max(1).saturating_mul(tile_rows)) * row_reuse(vectors)
                });
                3.0 * best.into_iter().fold(f64::INFINITY, f64::min) * 2.0 / float(row_tiles)
            }
            // Workgroup memory is memory like any other there, and each barrier splits the loop.
            (DeviceClass::Cpu, Tile::Workgroup) => covered * 6.0,
            (DeviceClass::Gpu, Tile::Workgroup) => covered * 1.5,
            // Until they are measured on a GPU, the other tiles are taken only where that of a workgroup is not admitted,
            // even if most of it is beyond the product's edges.
            (DeviceClass::Gpu, Tile::Broadcast { .. } | Tile::Register) => covered * 100.0,
        };
        Estimate { launches: 1, invocations: float(invocations), work: elements * float(depth), bytes: 0.0 }
    }

    /// `32x64`, in elements.
    pub(crate) fn name(self) -> String {
        format!("{}x{}", self.rows(), 4 * self.columns())
    }

    /// A grid for `row_tiles` by `column_tiles` tiles: x and, where that is too long, z count row tiles.
    pub(crate) fn grid(self, values: &Values<'_>, row_tiles: &Dim, column_tiles: Dim) -> [Dim; 3] {
        let row_tiles = match self {
            Tile::Broadcast { .. } | Tile::Workgroup => row_tiles.clone(),
            Tile::Register => row_tiles.ceil_div(WORKGROUP),
        };
        let limit = i64::from(values.target.max_compute_workgroups_per_dimension);
        if values.maximum(&row_tiles) <= limit {
            return [row_tiles, column_tiles, 1.into()];
        }
        let long = FOLDED_ROW.min(limit);
        [long.into(), column_tiles, row_tiles.ceil_div(long)]
    }

    /// Adds the tile's template values to `others`.
    pub(crate) fn template_values(self, others: minijinja::Value) -> minijinja::Value {
        match self {
            Tile::Broadcast { lanes, row_vectors, column_vectors } => {
                minijinja::context! { lanes, row_vectors, column_vectors, single_lane => false, ..others }
            }
            Tile::Register => {
                minijinja::context! { lanes => 1, row_vectors => 8, column_vectors => 2, single_lane => true, ..others }
            }
            Tile::Workgroup => others,
        }
    }
}

/// Work of an element beside a tile with one row vector a lane.
fn row_reuse(row_vectors: u32) -> f64 {
    0.3 + 0.7 / f64::from(row_vectors)
}
