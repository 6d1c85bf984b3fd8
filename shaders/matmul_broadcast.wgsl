// Matrix product, one subgroup (or one invocation, where there are none) a tile; see broadcast.wgsl.
//
// a is [batch][rows][a_step vectors], its rows padded with zeros; w is [batch][column tile][depth][columns of the tile],
// or has rows of all columns, as `w_tile` and `w_step` say.
// Loop iterations of an invocation: depth / 4, plus one for each vector of the tile.
// A launch makes the columns from `columns_begin` to `columns_end`: a matrix too large to be bound comes in parts.
// Values: params, operands, out_binding, element, store, stored; those of broadcast.wgsl; split: whether batches are parts of sums.
//% from "subgroup_entry" import entry
//% from "broadcast" import accumulators, step, finish
//% include "product"

//% include "functions"
${ element }${ store }
${ entry("row_tile", "z") }
  let tile = row_tile;
  let batch = tile / params.row_tiles;
  let rows = (batch + 1u) * params.rows;
  let first_row = batch * params.rows + tile % params.row_tiles * ${ row_vectors * lanes }u;
  if batch >= params.batches {
    return;
  }
  let tile_column = params.columns_begin + group.y * ${ column_vectors * lanes }u;
  let columns_end = params.columns_end;
  let first_column = tile_column + lane;
//% for j in range(column_vectors)
  let column_${ j } = min(first_column + ${ j * lanes }u, columns_end - 1u) - tile_column;
//% endfor
//% if split
  let own = batch % params.part_batches;
  let begin = min(batch / params.part_batches * params.depth, params.whole);
  let steps = min(params.depth, params.whole - begin);
  let first_left = (own * params.a_batch) + begin;
  var at = (own * params.w_batch) + (group.y * params.w_tile) + (begin * 4u * params.w_step);
//% else
  let steps = params.depth;
  let first_left = batch * params.a_batch;
  var at = batch * params.w_batch + group.y * params.w_tile;
//% endif
//% for s in range(row_vectors)
  let near_${ s } = first_left
    + (min(first_row + ${ s * lanes }u + lane, rows - 1u) - batch * params.rows) * params.a_step;
//% endfor
${ accumulators() }
  for (var k = 0u; k < steps; k++) {
//% for s in range(row_vectors)
    let a_${ s } = ${ wide[0] }(x[near_${ s } + k]);
//% endfor
${ step("w", "at") }
    at += 4u * params.w_step;
  }
${ finish() }
}
