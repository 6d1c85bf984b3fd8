// Matrix product, one workgroup a tile; see workgroup_tile.wgsl.
//
// a is [batch][rows][depth vectors], its rows padded with zeros; w is [batch][column tile][depth][columns of the tile],
// or has rows of all columns, as `w_tile` and `w_step` say. Lines of packed columns are four terms.
// Loop iterations of an invocation: those of Tile::iterations for the depth.
// A launch makes the columns from `columns_begin` to `columns_end`: a matrix too large to be bound comes in parts.
// Values: params, operands, out_binding, element, store, stored; split: whether batches are parts of sums.
//% from "workgroup_tile" import declarations, entry, slots, accumulators, right_vector, step, finish, left_slots, right_slots, vectors, of_vector
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
  let first_row = batch * params.rows + number % params.row_tiles * ${ tile_m }u;
  let columns_end = params.columns_end;
  let tile_column = params.columns_begin + group.y * ${ tile_n // 4 }u;
//% if split
  let own = batch % params.part_batches;
  let begin = min(batch / params.part_batches * params.depth, params.whole);
  let steps = min(params.depth, params.whole - begin);
  let first_left = (own * params.a_batch) + begin;
  let first_right = (own * params.w_batch) + (group.y * params.w_tile) + (begin * ${ of_vector }u * params.w_step);
//% else
  let steps = params.depth;
  let first_left = batch * params.a_batch;
  let first_right = batch * params.w_batch + group.y * params.w_tile;
//% endif
${ slots() }
//% for s in range(left_slots)
  let near_${ s } = first_left + (min(first_row + left_row_${ s }, rows - 1u) - batch * params.rows) * params.a_step;
//% endfor
  let first_w = first_right + min(tile_column + right_column, columns_end - 1u) - tile_column;
${ accumulators() }
  for (var at = 0u; at < steps; at += ${ vectors }u) {
    let mine = at + left_k;
    let inside = mine < steps;
//% for s in range(left_slots)
    let left_vector_${ s } = select(vec4<${ number }>(), ${ wide[0] }(x[near_${ s } + select(0u, mine, inside)]), inside);
//% endfor
//% for s in range(right_slots)
    let line_${ s } = at * ${ of_vector }u + right_line_${ s };
    let known_${ s } = line_${ s } < steps * ${ of_vector }u;
${ right_vector(s, "first_w + line_" ~ s ~ " * params.w_step") }
//% endfor
${ step() }
  }
${ finish() }
}
