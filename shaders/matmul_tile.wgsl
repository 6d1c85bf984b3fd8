// Matrix product, one workgroup a tile; see workgroup_tile.wgsl.
//
// a is [batch][rows][depth vectors], its rows padded with zeros; w is [batch][column tile][depth][columns of the tile],
// or has rows of all columns, as `w_tile` and `w_step` say.
// Loop iterations of an invocation: 5/16 of the depth.
// A launch makes the columns from `columns_begin` to `columns_end`: a matrix too large to be bound comes in parts.
// Values: params, operands, out_binding, element, store, stored; split: whether batches are parts of sums.
//% from "workgroup_tile" import declarations, entry, accumulators, step, finish
//% include "product"
${ declarations() }
//% include "functions"
${ element }${ store }
${ entry() }
  let number = group.x + group.z * groups.x;
  let batch = number / params.row_tiles;
  if batch >= params.batches {
    return;
  }
  let rows = (batch + 1u) * params.rows;
  let first_row = batch * params.rows + number % params.row_tiles * 64u;
  let columns_end = params.columns_end;
  let tile_column = params.columns_begin + group.y * 16u;
//% if split
  let own = batch % params.part_batches;
  let begin = min(batch / params.part_batches * params.depth, params.whole);
  let steps = min(params.depth, params.whole - begin);
  let first_left = (own * params.a_batch) + begin;
  let first_right = (own * params.w_batch) + (group.y * params.w_tile) + (begin * 4u * params.w_step);
//% else
  let steps = params.depth;
  let first_left = batch * params.a_batch;
  let first_right = batch * params.w_batch + group.y * params.w_tile;
//% endif
  let near = first_left + (min(first_row + t / 4u, rows - 1u) - batch * params.rows) * params.a_step;
  let loaded = min(tile_column + t % 16u, columns_end - 1u) - tile_column;
  let first_w = first_right + loaded;
${ accumulators() }
  for (var at = 0u; at < steps; at += 4u) {
    let mine = at + t % 4u;
    let inside = mine < steps;
    let left_vector = select(vec4<${ number }>(), ${ wide[0] }(x[near + select(0u, mine, inside)]), inside);
    let row = at * 4u + t / 16u;
    let known = row < steps * 4u;
    let right_vector = select(vec4<${ number }>(), ${ wide[1] }(w[first_w + select(0u, row * params.w_step, known)]), known);
${ step() }
  }
${ finish() }
}
