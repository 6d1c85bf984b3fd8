// Convolution as a matrix product whose left matrix is gathered on the way: rows are output positions, columns output
// channels, k runs over taps and input channels. One workgroup makes one tile; see workgroup_tile.wgsl.
//
// x is channels last; channels of a group come in fours. w is [group][column tile][kernel_d][kernel_h][kernel_w]
// [group_in][columns of the tile], or has rows of all columns, as `w_part`, `w_tile` and `w_step` say; `w_depth` of
// them belong to a tap. Lines of packed columns are four terms.
// Taps are the outer loops and channels the inner one, so that no index is divided on the way. Where there is only one vector
// of channels (`flat_taps`), a step takes several taps instead, which a table in workgroup memory lists.
// Loop iterations of an invocation: those of Tile::iterations for each tap, or for all taps.
// Values: params, operands, out_binding, element, store, stored; those of workgroup_tile.wgsl; deep: whether there is a third
// spatial dimension; meets_zeros: whether there are zeros between input elements (transposed convolution), and
// residue_classes: whether products with these are skipped, see residue_classes.wgsl; flat_taps; tap_count, for the table;
// split: whether sums are parts, of `part_depth` vectors of channels each.
//% from "conv_rows" import position, at_depth, at_height, at_width, line
//% from "workgroup_tile" import declarations, entry, slots, accumulators, right_vector, step, finish, left_slots, right_slots, vectors, of_vector
//% include "product"
${ declarations() }
//% if flat_taps
// Where each tap is beside the first: 10 bits for each dimension, the width in the lowest.
var<workgroup> table: array<u32, ${ tap_count }>;

//% endif
//% include "functions"
${ element }${ store }
//% if residue_classes
//% include "residue_classes"
//% endif
//% include "tap"

${ entry() }
//% if residue_classes
  let rows = params.class_rows;
  let row_tile = group.x + group.z * groups.x;
  let class_number = row_tile / params.class_tiles;
  let first_row = row_tile % params.class_tiles * ${ tile_m }u;
  if class_number >= params.classes {
    return;
  }
  let residue = residues(class_number);
  let first = first_taps(residue);
  // Where the first tap of the class's first position is.
  let begin = (residue - vec3<i32>(params.pad_d, params.pad_h, params.pad_w) + first) / steps_between();
//% elif split
  let number = group.x + group.z * groups.x;
  let share = number / params.row_tiles;
  if share >= params.parts {
    return;
  }
  // Rows of a part follow those of the part before.
  let rows = (share + 1u) * params.rows;
  let first_row = share * params.rows + number % params.row_tiles * ${ tile_m }u;
//% else
  let rows = params.rows;
  let first_row = (group.x + group.z * groups.x) * ${ tile_m }u;
  if first_row >= rows {
    return;
  }
//% endif
  let part = group.y / params.column_tiles;
  let tile = group.y % params.column_tiles;
  let columns_end = (part + 1u) * params.group_columns;
  let tile_column = part * params.group_columns + tile * ${ tile_n // 4 }u;
${ slots() }
//% for s in range(left_slots)
${ position(s, "min(first_row + left_row_" ~ s ~ ", rows - 1u)" ~ (" - share * params.rows" if split else "")) }
//% endfor
  let first_in = params.x_base + i32(part) * params.depth;
  let first_w = part * params.w_part + tile * params.w_tile + min(tile_column + right_column, columns_end - 1u) - tile_column;
${ accumulators() }
//% if flat_taps
  for (var number = t; number < ${ tap_count }u; number += ${ invocations }u) {
    let rest = i32(number) / params.kernel_w;
    let tap_w = i32(number) % params.kernel_w * params.dilation_w;
    let tap_h = rest % params.kernel_h * params.dilation_h;
    let tap_d = rest / params.kernel_h * params.dilation_d;
    table[number] = u32(tap_w) | (u32(tap_h) << 10u) | (u32(tap_d) << 20u);
  }
  workgroupBarrier();
  for (var at = 0u; at < ${ tap_count }u; at += ${ vectors }u) {
    let known = at + left_k < ${ tap_count }u;
    let packed_tap = table[min(at + left_k, ${ tap_count - 1 }u)];
    let tap_w = i32(packed_tap & 1023u);
    let tap_h = i32((packed_tap >> 10u) & 1023u);
//% if deep
    let tap_d = i32(packed_tap >> 20u);
//% endif
//% for s in range(left_slots)
    let v_${ s } = ow_${ s } + tap_w;
    let h_${ s } = oh_${ s } + tap_h;
    // Negative numbers are large ones without a sign.
//% if deep
    let d_${ s } = od_${ s } + tap_d;
    let inside_${ s } = known & (u32(v_${ s }) < u32(params.in_w)) & (u32(h_${ s }) < u32(params.in_h)) & (u32(d_${ s }) < u32(params.in_d));
    let near_${ s } = (((image_${ s } + d_${ s }) * params.in_h + h_${ s }) * params.in_w + v_${ s }) * params.x_step + first_in;
//% else
    let inside_${ s } = known & (u32(v_${ s }) < u32(params.in_w)) & (u32(h_${ s }) < u32(params.in_h));
    let near_${ s } = ((image_${ s } + h_${ s }) * params.in_w + v_${ s }) * params.x_step + first_in;
//% endif
    let left_vector_${ s } = select(vec4<${ number }>(), ${ wide[0] }(x[select(0, near_${ s }, inside_${ s })]), inside_${ s });
//% endfor
//% for s in range(right_slots)
    let tap_${ s } = at + right_line_${ s } / ${ of_vector }u;
    let tap_row_${ s } = right_line_${ s } % ${ of_vector }u;
    let known_${ s } = (tap_${ s } < ${ tap_count }u) & (tap_row_${ s } < params.w_depth);
    let w_row_${ s } = tap_${ s } * params.w_depth + tap_row_${ s };
${ right_vector(s, "first_w + w_row_" ~ s ~ " * params.w_step") }
//% endfor
${ step() }
  }
//% else
//% if deep
//% if residue_classes
  for (var kd = first.x; kd < params.kernel_d; kd += params.step_d) {
//% else
  for (var kd = 0; kd < params.kernel_d; kd++) {
//% endif
//% for s in range(left_slots)
${ at_depth(s) }
//% endfor
//% endif
//% if residue_classes
  for (var kh = first.y; kh < params.kernel_h; kh += params.step_h) {
//% else
  for (var kh = 0; kh < params.kernel_h; kh++) {
//% endif
//% for s in range(left_slots)
${ at_height(s) }
//% if deep
    let there_${ s } = (d_${ s } >= 0) & (h_${ s } >= 0);
//% else
    let there_${ s } = h_${ s } >= 0;
//% endif
${ line(s) }
//% endfor
//% if residue_classes
    for (var kw = first.z; kw < params.kernel_w; kw += params.step_w) {
//% else
    for (var kw = 0; kw < params.kernel_w; kw++) {
//% endif
    let first_of_tap = first_w + u32((${ "kd * params.kernel_h + " if deep else "" }kh) * params.kernel_w + kw) * params.w_depth * params.w_step;
//% for s in range(left_slots)
${ at_width(s) }
    let inside_${ s } = there_${ s } & (v_${ s } >= 0);
    let near_${ s } = (line_${ s } + v_${ s }) * params.x_step + first_in;
//% endfor
//% if split
    let end = min(i32(share + 1u) * params.part_depth, params.depth);
    for (var at = i32(share) * params.part_depth; at < end; at += ${ vectors }) {
//% else
    for (var at = 0; at < params.depth; at += ${ vectors }) {
//% endif
      let c = at + i32(left_k);
//% for s in range(left_slots)
      let use_${ s } = inside_${ s } & (c < params.depth);
      let left_vector_${ s } = select(vec4<${ number }>(), ${ wide[0] }(x[select(0, near_${ s } + c, use_${ s })]), use_${ s });
//% endfor
//% for s in range(right_slots)
      let w_row_${ s } = u32(at) * ${ of_vector }u + right_line_${ s };
      let known_${ s } = w_row_${ s } < params.w_depth;
${ right_vector(s, "first_of_tap + w_row_" ~ s ~ " * params.w_step") }
//% endfor
${ step() }
    }
    }
  }
//% if deep
  }
//% endif
//% endif
${ finish() }
}
