//! Tiles that a workgroup computes through workgroup memory: their sizes, what they demand, and what they cost on a GPU.

use super::family::{Estimate, Knobs, float};
use super::problem::ceil_div;
use crate::target::Target;

/// A tile of a workgroup, see `shaders/workgroup_tile.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkgroupTile {
    /// Rows.
    pub m: u32,
    /// Columns, in elements.
    pub n: u32,
    /// Terms that are in workgroup memory at a time.
    pub k: u32,
    /// Rows of an invocation: 4 or 8.
    pub rows_of: u32,
    /// Column vectors of an invocation: 1 or 2.
    pub vectors_of: u32,
    /// Whether operands are whole numbers of 8 bits, of which four are multiplied at once.
    pub dot4: bool,
    /// How many times there is room for the parts in workgroup memory: with two, a step waits once.
    pub buffers: u32,
}

/// Loop iterations of an invocation beside those over k: over its rows in the end, and over the table of taps.
const MORE_ITERATIONS: i64 = 32;

/// Lines that an iteration of the innermost loop multiplies, as `workgroup_tile.wgsl` has it.
const UNROLLED: i64 = 4;

/// What a load of a vector from workgroup memory takes beside a multiply-add of vectors. With 4x4 elements an invocation,
/// workgroup memory limits NVIDIA's cards to half of their peak, and with 8x8 it is just as fast.
const SHARED_LOAD: f64 = 4.0;

/// What a load of a vector from memory takes, with its address, and with its way into workgroup memory.
const STAGED_VECTOR: f64 = 12.0;

/// What a barrier takes.
const BARRIER: f64 = 10.0;

/// A part of a sum has at least so many times `k` terms, and a sum at most so many parts.
const SHORTEST_PART: i64 = 4;
const MOST_PARTS: i64 = 16;

const fn tile(sizes: [u32; 3], rows_of: u32, vectors_of: u32) -> WorkgroupTile {
    let [m, n, k] = sizes;
    WorkgroupTile { m, n, k, rows_of, vectors_of, dot4: false, buffers: 1 }
}

/// The same with two buffers, for targets with more workgroup memory than WebGPU promises.
const fn buffered(sizes: [u32; 3], rows_of: u32, vectors_of: u32) -> WorkgroupTile {
    WorkgroupTile { buffers: 2, ..tile(sizes, rows_of, vectors_of) }
}

/// The tiles that are candidates: of floats, with few terms at a time for few channels, then more. Larger ones than 4x4 an
/// invocation need 256 invocations, or compilers for Intel's cards spill; see `benches/README.md`.
const TILES: [WorkgroupTile; 19] = [
    tile([64, 64, 16], 4, 1),
    tile([64, 64, 8], 4, 1),
    tile([64, 64, 32], 4, 1),
    tile([128, 128, 8], 8, 2),
    tile([128, 128, 16], 8, 2),
    tile([128, 64, 16], 8, 1),
    tile([64, 128, 16], 8, 1),
    tile([32, 128, 16], 4, 2),
    tile([256, 32, 8], 8, 1),
    tile([64, 32, 16], 4, 1),
    tile([64, 32, 8], 4, 1),
    tile([32, 64, 16], 4, 1),
    tile([32, 32, 16], 4, 1),
    tile([32, 32, 8], 4, 1),
    tile([32, 32, 32], 4, 1),
    tile([128, 16, 16], 4, 1),
    tile([64, 16, 16], 4, 1),
    buffered([64, 64, 16], 4, 1),
    buffered([64, 128, 16], 8, 1),
];

/// Tiles of small weights, beside those.
const SMALL_TILES: [WorkgroupTile; 3] =
    [tile([16, 64, 16], 4, 1), tile([16, 32, 16], 4, 1), tile([32, 16, 16], 4, 1)];

impl WorkgroupTile {
    /// The tiles for sums of outer products, whose results are as small as weights are.
    pub(crate) fn of_outer_products() -> Vec<Self> {
        TILES.into_iter().chain(SMALL_TILES).collect()
    }

    /// `64x64x16`: rows, columns, and terms that are in workgroup memory at a time.
    pub(crate) fn name(self) -> String {
        let Self { m, n, k, dot4, buffers, .. } = self;
        let twice = if buffers == 2 { "x2" } else { "" };
        format!("{m}x{n}x{k}{twice}{}", if dot4 { "_dot4" } else { "" })
    }

    /// Adds the tile's template values to `others`.
    pub(crate) fn template_values(self, others: minijinja::Value) -> minijinja::Value {
        let Self { m, n, k, rows_of, vectors_of, dot4, buffers } = self;
        let invocations = self.invocations();
        minijinja::context! {
            tile_m => m, tile_n => n, tile_k => k, rows_of, vectors_of, packed => dot4, buffers, invocations, ..others
        }
    }

    /// All tiles for operands that are floats or integers of 32 bits, or, with `dot4`, of 8: these take a quarter of the
    /// workgroup memory, so more terms fit.
    pub(crate) fn all(dot4: bool) -> Vec<Self> {
        if !dot4 {
            return TILES.to_vec();
        }
        let usual = TILES.into_iter().filter(|tile| tile.k == 16 && tile.buffers == 1);
        usual.flat_map(|tile| [16, 32].map(|k| Self { k, dot4, ..tile })).collect()
    }

    /// As parameters.
    pub(crate) fn knobs(self) -> Knobs {
        let knobs = [
            ("tile_m", i64::from(self.m)),
            ("tile_n", i64::from(self.n)),
            ("tile_k", i64::from(self.k)),
            ("lanes", i64::from(self.invocations())),
            ("rows_of", i64::from(self.rows_of)),
            ("vectors_of", i64::from(self.vectors_of)),
        ];
        let knobs = Knobs::new(knobs);
        let knobs = if self.buffers == 2 { knobs.with("buffers", 2) } else { knobs };
        if self.dot4 { knobs.with("dot4", 1) } else { knobs }
    }

    /// The tile with these parameters, if they are of one.
    pub(crate) fn of(knobs: &Knobs) -> Option<Self> {
        let get = |name| u32::try_from(knobs.get(name)).unwrap_or(0);
        let k = get("tile_k");
        let (rows_of, vectors_of) = (get("rows_of").max(1), get("vectors_of").max(1));
        let dot4 = knobs.get("dot4") == 1;
        let buffers = get("buffers").max(1);
        (k > 0).then(|| Self { m: get("tile_m"), n: get("tile_n"), k, rows_of, vectors_of, dot4, buffers })
    }

    /// Invocations of the workgroup.
    pub(crate) fn invocations(self) -> u32 {
        self.m * self.n / (4 * self.rows_of * self.vectors_of)
    }

    /// Lines of either part in workgroup memory: terms, or words of four of them.
    fn lines(self) -> u32 {
        if self.dot4 { self.k / 4 } else { self.k }
    }

    /// Bytes of workgroup memory; a line of the left part has a vector more, and a table of taps has 4 bytes for each.
    pub(crate) fn workgroup_memory(self) -> u32 {
        self.buffers * self.lines() * 4 * (self.m + 4 + self.n)
    }

    /// Loop iterations of an invocation for so many times `k` terms, with those of up to three loops around them.
    pub(crate) fn iterations(self, times: i64) -> i64 {
        times.saturating_mul(i64::from(self.lines()) / UNROLLED + 3).saturating_add(MORE_ITERATIONS)
    }

    /// How many times `k` terms it takes for `vectors` vectors of four terms.
    pub(crate) fn times(self, vectors: i64) -> i64 {
        ceil_div(vectors, i64::from(self.k / 4))
    }

    /// Into how many parts the sums over `vectors` vectors of four terms, each of so many `taps`, are worth splitting where
    /// there are so many tiles: until each core has two, as long as a part is some steps long. Taps stay together.
    pub(crate) fn parts(self, target: &Target, tiles: i64, vectors: i64, taps: i64) -> i64 {
        let wanted = ceil_div(2 * i64::from(target.cores), tiles.max(1));
        let times = self.times(vectors);
        let most = times.min(times.saturating_mul(taps) / SHORTEST_PART).min(MOST_PARTS);
        // As few as are equally long.
        ceil_div(times, ceil_div(times, wanted.min(most).max(1)).max(1)).max(1)
    }

    /// How many tiles products of `rows` rows and `columns` columns of vectors have.
    pub(crate) fn tiles(self, products: i64, rows: i64, columns: i64) -> i64 {
        let row_tiles = ceil_div(rows, i64::from(self.m)).max(1);
        let column_tiles = ceil_div(columns, i64::from(self.n / 4)).max(1);
        row_tiles.saturating_mul(column_tiles).saturating_mul(products.max(1))
    }

    /// What a product of `rows` rows and `columns` columns of vectors takes on a GPU, of which each element is the sum of
    /// `times` times `k` terms, `products` times. Tiles are dealt to the cores, of which the last ones leave some idle; a core
    /// with fewer invocations than it has lanes is not faster. `invocations` are those that would take as long if all cores
    /// had as many.
    pub(crate) fn cost(self, target: &Target, sizes: [i64; 2], times: i64, products: i64) -> Estimate {
        let [rows, columns] = sizes;
        let (rows_of, vectors_of) = (f64::from(self.rows_of), f64::from(self.vectors_of));
        let lines = f64::from(self.lines());
        let moved = if self.dot4 { vectors_of } else { 0.0 };
        let multiplied = lines * (rows_of * vectors_of + moved);
        let loaded = lines * SHARED_LOAD * (rows_of / 4.0 + vectors_of);
        let invocations = f64::from(self.invocations());
        let staged = (f64::from(self.m * self.k / 4) + lines * f64::from(self.n / 4)) / invocations;
        let step = multiplied.max(loaded) + STAGED_VECTOR * staged + BARRIER / f64::from(self.buffers);
        let tiles = self.tiles(products, rows, columns);
        let cores = i64::from(target.cores).max(1);
        let of_core =
            ceil_div(tiles, cores).saturating_mul(i64::from(self.invocations())).max(i64::from(target.lanes));
        let stored = STAGED_VECTOR * rows_of * vectors_of;
        Estimate {
            launches: 1,
            invocations: float(of_core.saturating_mul(cores)),
            work: float(times) * step + stored,
            traffic: float(tiles) * float(times) * f64::from((self.m + self.n) * self.lines() * 4),
            ..Estimate::default()
        }
    }
}
