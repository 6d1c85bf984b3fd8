// Convolution as a matrix product whose left matrix is gathered on the way: rows are output places, columns output
// channels, k runs over taps and input channels. One subgroup, or one invocation
// where there are no subgroups, makes one tile; see broadcast.wgsl.
//
// x is channels last; channels of a group come in fours. w is [group][column tile][kernel_d][kernel_h][kernel_w]
// [group_in][columns of the tile], or has rows of all columns, as `w_part`, `w_tile` and `w_step` say; `w_depth` of
// them belong to a tap.
// Loop iterations of an invocation: taps * group_in / 4, plus one for each vector of the tile.
// Values: params, operands, out_binding, element, store, stored; those of broadcast.wgsl; deep: whether there is a third
// spatial dimension; meets_zeros: whether there are zeros between input elements (transposed convolution); residue_classes:
// whether products with these are skipped, and batch_innermost: those with padding, see residue_classes.wgsl; merged_loops:
// whether neighbouring taps and their channels are neighbours in memory.
//% from "subgroup_entry" import entry
//% from "conv_rows" import position, at_depth, at_height, at_width, line
//% from "broadcast" import accumulators, any, step, finish
//% if batch_innermost and not single_lane
// Tint does not know that all invocations of a subgroup see the same `subgroupAny`.
diagnostic(off, subgroup_uniformity);
//% endif
//% include "product"

//% include "functions"
${ element }${ store }
//% if residue_classes
//% include "residue_classes"
//% endif
//% include "tap"

${ entry("row_tile", "z") }
//% if residue_classes
  let rows = params.class_rows;
  let class_number = row_tile / params.class_tiles;
  let first_row = row_tile % params.class_tiles * ${ row_vectors * lanes }u;
  if class_number >= params.classes {
    return;
  }
  let residue = residues(class_number);
  let first = first_taps(residue);
  // Where the first tap of the class's first position is.
  let begin = (residue - vec3<i32>(params.pad_d, params.pad_h, params.pad_w) + first) / steps_between();
//% else
  let rows = params.rows;
  let first_row = row_tile * ${ row_vectors * lanes }u;
  if first_row >= rows {
    return;
  }
//% endif
  let part = group.y / params.column_tiles;
  let tile = group.y % params.column_tiles;
  let columns_end = (part + 1u) * params.group_columns;
  let tile_column = part * params.group_columns + tile * ${ column_vectors * lanes }u;
  let first_column = tile_column + lane;
//% for j in range(column_vectors)
  let column_${ j } = min(first_column + ${ j * lanes }u, columns_end - 1u) - tile_column;
//% endfor
//% for s in range(row_vectors)
//% if residue_classes
  let row_of_${ s } = first_row + ${ s * lanes }u + lane;
  let output_${ s } = output_position(row_of_${ s }, residue);
${ position(s, "min(row_of_" ~ s ~ ", rows - 1u)") }
//% else
${ position(s, "min(first_row + " ~ (s * lanes) ~ "u + lane, rows - 1u)") }
//% endif
//% endfor
  let first_in = params.x_base + i32(part) * params.depth;
//% if residue_classes
  let first_w = part * params.w_part + tile * params.w_tile;
  var at = first_w;
//% else
  var at = part * params.w_part + tile * params.w_tile;
//% endif
${ accumulators() }
//% if deep
//% if residue_classes
  for (var kd = first.x; kd < params.kernel_d; kd += params.step_d) {
//% else
  for (var kd = 0; kd < params.kernel_d; kd++) {
//% endif
//% for s in range(row_vectors)
${ at_depth(s) }
//% endfor
//% endif
//% if residue_classes
  for (var kh = first.y; kh < params.kernel_h; kh += params.step_h) {
//% else
  for (var kh = 0; kh < params.kernel_h; kh++) {
//% endif
//% for s in range(row_vectors)
${ at_height(s) }
${ line(s) }
//% endfor
//% if batch_innermost
    if !${ any("h_", " >= 0") } {
      continue;
    }
//% endif
//% if merged_loops
    // A row of the window is contiguous: its taps and channels are one loop.
    for (var j = 0; j < params.kernel_w * params.depth; j++) {
//% for s in range(row_vectors)
      let near_${ s } = ow_${ s } * params.depth + j;
      let inside_${ s } = (near_${ s } >= 0) & (near_${ s } < params.in_w * params.depth) & (h_${ s } >= 0)
//% if deep
        & (d_${ s } >= 0)
//% endif
      ;
      let from_${ s } = select(0, line_${ s } * params.depth + params.x_base + near_${ s }, inside_${ s });
      let a_${ s } = select(vec4<${ number }>(), ${ wide[0] }(x[from_${ s }]), inside_${ s });
//% endfor
${ step("w", "at") }
      at += min(params.w_depth, 4u) * params.w_step;
    }
//% else
//% if residue_classes
    for (var kw = first.z; kw < params.kernel_w; kw += params.step_w) {
      at = first_w + u32((${ "kd * params.kernel_h + " if deep else "" }kh) * params.kernel_w + kw) * params.w_depth * params.w_step;
//% else
    for (var kw = 0; kw < params.kernel_w; kw++) {
//% endif
//% for s in range(row_vectors)
${ at_width(s) }
      let inside_${ s } = (v_${ s } >= 0) & (h_${ s } >= 0)
//% if deep
        & (d_${ s } >= 0)
//% endif
      ;
      let near_${ s } = select(0, (line_${ s } + v_${ s }) * params.x_step + first_in, inside_${ s });
//% endfor
//% if batch_innermost
      if !${ any("inside_", "") } {
        continue;
      }
//% endif
      for (var k = 0; k < params.depth; k++) {
//% for s in range(row_vectors)
        let a_${ s } = select(vec4<${ number }>(), ${ wide[0] }(x[near_${ s } + k]), inside_${ s });
//% endfor
${ step("w", "at") }
        at += 4u * params.w_step;
      }
      at -= (4u * u32(params.depth) - params.w_depth) * params.w_step;
    }
//% endif
  }
//% if deep
  }
//% endif
${ finish() }
}
