//! Tiles of a matrix product: how many rows and columns are computed together, by how many invocations, and what that
//! costs.

use kiln_graph::Dim;

use super::builder::WORKGROUP;
use super::family::{Demands, Estimate, Knobs, OperandLayout, float};
use super::problem::ceil_div;
use super::workgroup_tile::WorkgroupTile;
use crate::element::WordOf;
use crate::memory::values::Values;
use crate::target::{DeviceClass, FOLDED_ROW, Target};

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
    /// An invocation, in its registers.
    Register {
        /// Rows.
        rows: u32,
        /// Columns of vectors.
        vectors: u32,
    },
    /// A workgroup, through workgroup memory.
    Workgroup(WorkgroupTile),
}

/// Subgroups that a tile of broadcasts is written for; its accumulators do not fit the registers of larger ones.
pub(super) const BROADCAST_LANES: std::ops::RangeInclusive<u32> = 4..=16;

/// The size of subgroups that listings assume where a target has none: that of lavapipe.
const USUAL_LANES: u32 = 8;

/// Matrix products, as far as the cost of tiles depends on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products {
    /// How many.
    pub count: i64,
    /// Rows of each.
    pub rows: i64,
    /// Columns of each, in vectors of four.
    pub columns: i64,
    /// Terms of each sum.
    pub terms: i64,
    /// How often the loop of a tile runs, see [`Tile::times`].
    pub times: i64,
}

impl Tile {
    /// All tiles for a target, whether it admits them or not; with `dot4` also those of whole numbers of 8 bits.
    pub(crate) fn all(target: &Target, dot4: bool) -> Vec<Tile> {
        let lanes = target.subgroup_size.unwrap_or(USUAL_LANES);
        let mut tiles = vec![];
        if BROADCAST_LANES.contains(&lanes) {
            for row_vectors in [4, 2, 1] {
                for column_vectors in [2, 1] {
                    tiles.push(Tile::Broadcast { lanes, row_vectors, column_vectors });
                }
            }
        }
        // Where workgroup memory is memory like any other, these are the tiles of a GPU, and few registers leave room for more
        // invocations.
        let registers: &[(u32, u32)] = match target.class {
            DeviceClass::Cpu => &[(8, 2)],
            DeviceClass::Gpu => &[(8, 2), (8, 1), (4, 1)],
        };
        tiles.extend(
            registers.iter().map(|(rows, vectors)| Tile::Register { rows: *rows, vectors: *vectors }),
        );
        let of_bytes = if dot4 { WorkgroupTile::all(true) } else { vec![] };
        // Workgroup memory is memory like any other on a CPU, so there is not much to choose from.
        let most = if target.class == DeviceClass::Cpu { 1 } else { usize::MAX };
        let workgroups = WorkgroupTile::all(false).into_iter().chain(of_bytes);
        tiles.extend(workgroups.take(most).map(Tile::Workgroup));
        tiles
    }

    /// As parameters: `tile_m` rows and `tile_n` columns (in elements) by `lanes` invocations.
    pub(crate) fn knobs(self) -> Knobs {
        if let Tile::Workgroup(tile) = self {
            return tile.knobs();
        }
        Knobs::new([("tile_m", self.rows()), ("tile_n", 4 * self.columns()), ("lanes", self.lanes())])
    }

    /// The tile with these parameters.
    pub(crate) fn of(knobs: &Knobs) -> Tile {
        if let Some(tile) = WorkgroupTile::of(knobs) {
            return Tile::Workgroup(tile);
        }
        let lanes = u32::try_from(knobs.get("lanes")).unwrap_or(1).max(1);
        let along = |name| u32::try_from(knobs.get(name)).unwrap_or(0);
        match i64::from(lanes) {
            1 => Tile::Register { rows: along("tile_m"), vectors: along("tile_n") / 4 },
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
            Tile::Register { .. } => 1,
            Tile::Workgroup(tile) => i64::from(tile.invocations()),
        }
    }

    /// Whether what is multiplied are whole numbers of 8 bits.
    pub(crate) fn dot4(self) -> bool {
        matches!(self, Tile::Workgroup(tile) if tile.dot4)
    }

    /// What the words of a right matrix of 8-bit numbers are made of.
    pub(crate) fn word_of(self) -> WordOf {
        if self.dot4() { WordOf::Terms } else { WordOf::Columns }
    }

    /// Lines of the right matrix for a vector of four terms.
    pub(crate) fn lines_of_vector(self) -> usize {
        if self.dot4() { 1 } else { 4 }
    }

    /// Rows of the tile.
    pub(crate) fn rows(self) -> i64 {
        match self {
            Tile::Broadcast { lanes, row_vectors, .. } => i64::from(lanes * row_vectors),
            Tile::Register { rows, .. } => i64::from(rows),
            Tile::Workgroup(tile) => i64::from(tile.m),
        }
    }

    /// Columns of the tile, in vectors of four.
    pub(crate) fn columns(self) -> i64 {
        match self {
            Tile::Broadcast { lanes, column_vectors, .. } => i64::from(lanes * column_vectors),
            Tile::Register { vectors, .. } => i64::from(vectors),
            Tile::Workgroup(tile) => i64::from(tile.n / 4),
        }
    }

    /// Columns of the tile, in elements.
    pub(crate) fn width(self) -> usize {
        usize::try_from(4 * self.columns()).unwrap_or(4)
    }

    /// Into how many parts sums are worth splitting, beside not at all, whose terms are so many `taps` of vectors.
    pub(crate) fn parts(self, target: &Target, products: &Products, taps: i64) -> Option<i64> {
        let Products { count, rows, columns, terms, .. } = *products;
        let vectors = ceil_div(terms / taps.max(1), 4);
        let parts = match (target.class, self) {
            (DeviceClass::Gpu, Tile::Workgroup(tile)) => {
                tile.parts(target, tile.tiles(count, rows, columns), vectors, taps)
            }
            (DeviceClass::Gpu | DeviceClass::Cpu, _) => 1,
        };
        (parts > 1).then_some(parts)
    }

    /// How often a tile's loop over `vectors` vectors of four along k runs.
    pub(crate) fn times(self, vectors: i64) -> i64 {
        match self {
            Tile::Broadcast { .. } | Tile::Register { .. } => vectors,
            Tile::Workgroup(tile) => tile.times(vectors),
        }
    }

    /// Vectors of four terms that a tile's loop takes at a time.
    pub(crate) fn step(self) -> i64 {
        match self {
            Tile::Broadcast { .. } | Tile::Register { .. } => 1,
            Tile::Workgroup(tile) => i64::from(tile.k / 4),
        }
    }

    /// What a tile needs, whose loop runs so many times in all.
    pub(crate) fn demands(self, operands: Vec<OperandLayout>, times: i64) -> Demands {
        let (subgroup_size, invocations, workgroup_memory) = match self {
            Tile::Broadcast { lanes, .. } => (Some(lanes), lanes, 0),
            Tile::Register { .. } => (None, u32::try_from(WORKGROUP).unwrap_or(64), 0),
            Tile::Workgroup(tile) => (None, tile.invocations(), tile.workgroup_memory()),
        };
        let loop_iterations = match self {
            Tile::Broadcast { .. } | Tile::Register { .. } => times,
            Tile::Workgroup(tile) => tile.iterations(times),
        };
        Demands {
            operands,
            loop_iterations,
            invocations,
            workgroup_memory,
            subgroup_size,
            ..Demands::default()
        }
    }

    /// What products take in these tiles.
    ///
    /// The work of a tile counts what is computed beyond the edges of the product. Rows of a tile share what is loaded of
    /// the right matrix, columns what is loaded of the left; on lavapipe, the work of a covered element is
    /// `(0.3 + 0.7 / row vectors) * (0.6 + 0.4 / column vectors)` beside that of the smallest tile of broadcasts. The
    /// numbers are chosen so that the cheapest tile is the one that Kiln took before it had estimates
    /// (`select/tests.rs`); they are not times.
    pub(crate) fn cost(self, target: &Target, products: &Products) -> Estimate {
        let Products { count, rows, columns, terms, times } = *products;
        if let (DeviceClass::Gpu, Tile::Workgroup(tile)) = (target.class, self) {
            let estimate = tile.cost(target, [rows, columns], times, count);
            let slower = if target.own_workgroup_memory { 1.0 } else { WORK_OF_ORDINARY_MEMORY };
            return Estimate { work: estimate.work * slower, ..estimate };
        }
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
            (DeviceClass::Cpu, Tile::Register { .. }) => {
                let lanes = i64::from(target.subgroup_size.unwrap_or(USUAL_LANES));
                let best = [1u32, 2, 4].map(|vectors| {
                    let tile_rows = lanes * i64::from(vectors);
                    float(ceil_div(rows, tile_rows).max(1).saturating_mul(tile_rows)) * row_reuse(vectors)
                });
                3.0 * best.into_iter().fold(f64::INFINITY, f64::min) * 2.0 / float(row_tiles)
            }
            // Workgroup memory is memory like any other there, and each barrier splits the loop.
            (DeviceClass::Cpu, Tile::Workgroup(_)) => covered * 6.0,
            // A vector of four terms of each row is loaded, and four vectors of each column.
            (DeviceClass::Gpu, Tile::Register { rows, vectors }) if !target.own_workgroup_memory => {
                covered + WORK_OF_A_LOAD * (f64::from(rows) / 4.0 + f64::from(vectors))
            }
            // Until they are measured on a GPU, the other tiles are taken only where that of a workgroup is not admitted,
            // even if most of it is beyond the product's edges.
            (DeviceClass::Gpu, Tile::Broadcast { .. } | Tile::Register { .. } | Tile::Workgroup(_)) => {
                covered * 100.0
            }
        };
        let invocations = float(invocations) * float(count);
        Estimate { launches: 1, invocations, work: elements * float(terms), ..Estimate::default() }
    }

    /// `32x64`, in elements; with the terms that are in workgroup memory at a time, `64x64x16`.
    pub(crate) fn name(self) -> String {
        match self {
            Tile::Broadcast { .. } | Tile::Register { .. } => {
                format!("{}x{}", self.rows(), 4 * self.columns())
            }
            Tile::Workgroup(tile) => tile.name(),
        }
    }

    /// The template of the tile: that of a workgroup, or the other one.
    pub(crate) fn template(self, workgroup: &'static str, other: &'static str) -> &'static str {
        if matches!(self, Tile::Workgroup(_)) { workgroup } else { other }
    }

    /// A grid for `row_tiles` by `column_tiles` tiles: x and, where that is too long, z count row tiles.
    pub(crate) fn grid(self, values: &Values<'_>, row_tiles: &Dim, column_tiles: Dim) -> [Dim; 3] {
        let row_tiles = match self {
            Tile::Broadcast { .. } | Tile::Workgroup(_) => row_tiles.clone(),
            Tile::Register { .. } => row_tiles.ceil_div(WORKGROUP),
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
            Tile::Register { rows, vectors } => {
                minijinja::context! { lanes => 1, row_vectors => rows, column_vectors => vectors, single_lane => true, ..others }
            }
            Tile::Workgroup(tile) => tile.template_values(minijinja::context! { outer => false, ..others }),
        }
    }
}

/// Work of a load of a GPU that goes to a cache, beside a multiply-add of vectors.
const WORK_OF_A_LOAD: f64 = 3.0;

/// Work of a tile through workgroup memory that is memory like any other, beside one through a core's own: it loads as much
/// from there as a tile in registers, after it has stored it there.
const WORK_OF_ORDINARY_MEMORY: f64 = 8.0;

/// Work of an element beside a tile with one row vector a lane.
fn row_reuse(row_vectors: u32) -> f64 {
    0.3 + 0.7 / f64::from(row_vectors)
}
