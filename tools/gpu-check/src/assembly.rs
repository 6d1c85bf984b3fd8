//! What the inner loop of a kernel consists of, counted in the text of its machine code.
//!
//! RADV prints basic blocks (`BB12:`) with an instruction a line. A branch to a block that does not come later closes a loop.
//! The inner loop of a tile is the smallest one that writes to workgroup memory and multiplies: it loads parts of both
//! matrices, waits, and multiplies them. (Barriers do not mark it: where one wave is the whole workgroup, the compiler removes
//! them.) The multiplication is itself a loop over the terms of a step, which the compiler may have unrolled; where it has
//! not, that loop counts as often as it runs. Of a kernel that writes nothing to workgroup memory, it is the loop with most
//! multiply-adds.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::{Add, Mul, RangeInclusive};

/// A loop with fewer multiply-adds computes means or quotients, not the products of a tile.
const FEWEST_MULTIPLY_ADDS: u64 = 9;

/// Instructions by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Of floats, and dot products of bytes.
    pub multiply_adds: u64,
    /// All other vector instructions that compute.
    pub other_vector: u64,
    /// Workgroup memory.
    pub lds: u64,
    /// Buffers.
    pub memory: u64,
    pub scalar: u64,
}

impl Counts {
    /// How much of the vector instructions are multiply-adds, from 0 to 1, unless there are only a few.
    pub fn share(&self) -> Option<f64> {
        let all = self.multiply_adds + self.other_vector;
        (self.multiply_adds >= FEWEST_MULTIPLY_ADDS).then(|| self.multiply_adds as f64 / all as f64)
    }

    fn of(operation: &str) -> Self {
        let mut counts = Self::default();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| operation.starts_with(prefix));
        if starts(&["v_mad_u", "v_mad_i"]) {
            // Integers, of which indices are made.
            counts.other_vector = 1;
        } else if starts(&["v_fma", "v_mad", "v_mac", "v_pk_fma", "v_dot"]) {
            counts.multiply_adds = 1;
        } else if starts(&["v_"]) {
            counts.other_vector = 1;
        } else if starts(&["ds_"]) {
            counts.lds = 1;
        } else if starts(&["buffer_", "global_"]) {
            counts.memory = 1;
        } else if starts(&["s_"]) {
            counts.scalar = 1;
        }
        counts
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            multiply_adds: self.multiply_adds + other.multiply_adds,
            other_vector: self.other_vector + other.other_vector,
            lds: self.lds + other.lds,
            memory: self.memory + other.memory,
            scalar: self.scalar + other.scalar,
        }
    }
}

impl Mul<u64> for Counts {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            multiply_adds: self.multiply_adds * times,
            other_vector: self.other_vector * times,
            lds: self.lds * times,
            memory: self.memory * times,
            scalar: self.scalar * times,
        }
    }
}

/// The instructions that one turn of the inner loop takes, or nothing where there is no loop. `turns` says how often the
/// loop over the terms of a step runs.
pub fn inner_loop(assembly: &str, turns: u64) -> Option<Counts> {
    let code = Code::parse(assembly);
    let multiply_adds = |range: &Range| code.count(range).multiply_adds;
    let blocks = |range: &Range| range.end() - range.start();
    let multiplies = |range: &&Range| multiply_adds(range) >= FEWEST_MULTIPLY_ADDS;
    let fills = code.loops.iter().filter(|range| multiplies(range) && code.writes_lds(range));
    let inner = fills
        .min_by_key(|range| blocks(range))
        .or_else(|| code.loops.iter().max_by_key(|range| (multiply_adds(range), Reverse(blocks(range)))))?;

    let within =
        |range: &Range| range != inner && inner.start() <= range.start() && range.end() <= inner.end();
    let terms = code.loops.iter().filter(|range| within(range) && multiplies(range));
    let terms = terms.max_by_key(|range| multiply_adds(range));
    let all = inner.clone().map(|block| {
        let times = if terms.is_some_and(|terms| terms.contains(&block)) { turns } else { 1 };
        code.count(&(block..=block)) * times
    });
    Some(all.fold(Counts::default(), Add::add))
}

/// Positions of blocks.
type Range = RangeInclusive<usize>;

struct Code<'a> {
    blocks: Vec<Block<'a>>,
    loops: Vec<Range>,
}

struct Block<'a> {
    name: &'a str,
    /// Without operands.
    operations: Vec<&'a str>,
    /// Names of the blocks that it may branch to.
    targets: Vec<&'a str>,
}

impl<'a> Code<'a> {
    fn parse(assembly: &'a str) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        for line in assembly.lines() {
            // The encoding is behind the semicolon.
            let line = line.split(';').next().unwrap_or_default().trim();
            if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with("BB")) {
                blocks.push(Block { name, operations: Vec::new(), targets: Vec::new() });
            } else if let (Some(block), Some(operation)) = (blocks.last_mut(), line.split_whitespace().next())
            {
                block.operations.push(operation);
                if operation.starts_with("s_branch") || operation.starts_with("s_cbranch") {
                    block.targets.extend(line.split_whitespace().nth(1));
                }
            }
        }
        let positions: HashMap<&str, usize> =
            blocks.iter().enumerate().map(|(position, block)| (block.name, position)).collect();
        let mut loops = Vec::new();
        for (end, block) in blocks.iter().enumerate() {
            let starts = block.targets.iter().filter_map(|target| positions.get(target));
            loops.extend(starts.filter(|start| **start <= end).map(|start| *start..=end));
        }
        Self { blocks, loops }
    }

    fn operations(&self, range: &Range) -> impl Iterator<Item = &'a str> {
        self.blocks[range.clone()].iter().flat_map(|block| block.operations.iter().copied())
    }

    fn count(&self, range: &Range) -> Counts {
        self.operations(range).map(Counts::of).fold(Counts::default(), Add::add)
    }

    fn writes_lds(&self, range: &Range) -> bool {
        self.operations(range).any(|operation| operation.starts_with("ds_write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tile: clearing of workgroup memory, a loop over steps with a loop over terms, an epilogue.
    fn tile(multiply_adds: usize) -> String {
        let products = "	v_fmac_f32_e32 v1, v2, v3 ; 560a0d07\n".repeat(multiply_adds);
        format!(
            "BB0:
	ds_write_b128 v1, v[4:7]  ; db7c0000 00000401
	s_branch BB0              ; bf82fff1
BB1:
	s_cbranch_scc1 BB6        ; bf85035a
BB2:
	buffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen
	v_mad_u32_u24 v9, v8, v7, v6
	s_barrier
	ds_write_b128 v1, v[0:3]
	s_barrier
BB3:
	ds_read_b128 v[0:3], v1
{products}	s_cbranch_scc0 BB3
BB4:
	s_branch BB1
BB6:
	v_add_f32_e32 v1, v2, v3
	global_store_dword v1, v2, off
"
        )
    }

    #[test]
    fn the_loop_over_terms_counts_as_often_as_it_runs() {
        let counts = inner_loop(&tile(20), 4);
        let expected = Counts { multiply_adds: 80, other_vector: 1, lds: 1 + 4, memory: 1, scalar: 4 + 4 };
        assert_eq!(counts, Some(expected));
        assert_eq!(expected.share(), Some(80.0 / 81.0));
    }

    #[test]
    fn barriers_and_loops_around_steps_do_not_matter() {
        let taps = |tile: &str| tile.replace("BB6:", "BB5:\n	s_branch BB1\nBB6:");
        let unrolled = tile(20).replace("s_cbranch_scc0 BB3", "s_nop 0");
        let counts = inner_loop(&taps(&unrolled), 4);
        let expected = Counts { multiply_adds: 20, other_vector: 1, lds: 2, memory: 1, scalar: 5 };
        assert_eq!(counts, Some(expected));
        let without = inner_loop(&taps(&unrolled.replace("	s_barrier\n", "")), 4);
        assert_eq!(without, Some(Counts { scalar: 3, ..expected }));
    }

    #[test]
    fn a_loop_with_few_products_is_not_that_over_terms() {
        let products = "	v_fmac_f32_e32 v1, v2, v3\n".repeat(8);
        let code = tile(8).replace("BB4:\n", &format!("BB4:\n{products}"));
        let counts = inner_loop(&code, 4).unwrap();
        assert_eq!((counts.multiply_adds, counts.lds), (16, 2));
    }

    #[test]
    fn without_workgroup_memory_the_loop_with_most_products_counts() {
        let code = "BB0:
	v_fma_f32 v1, v2, v3, v4
	s_cbranch_scc1 BB0
BB1:
	v_dot4_i32_i8 v1, v2, v3, v1
	v_pk_fma_f16 v1, v2, v3, v1
	v_mul_f32 v1, v2, v3
	global_load_dword v1, v2, off
	s_cbranch_vccnz BB1
";
        let expected = Counts { multiply_adds: 2, other_vector: 1, lds: 0, memory: 1, scalar: 1 };
        assert_eq!(inner_loop(code, 1), Some(expected));
    }

    #[test]
    fn a_kernel_need_not_have_a_loop() {
        assert_eq!(inner_loop("BB0:\n	s_cbranch_scc1 BB1\nBB1:\n	s_endpgm\n", 1), None);
        assert_eq!(Counts::default().share(), None);
    }
}
