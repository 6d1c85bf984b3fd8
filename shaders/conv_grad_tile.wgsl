// Gradient of a convolution's weight (or of a matrix product's), in parts: products of two vectors, summed over positions. One
// workgroup makes one tile of a part; see workgroup_tile.wgsl: rows are channels of dy, columns a tap and four channels of x
// each, k runs over the positions of a part, line by line.
//
// x and dy are channels last. out is [part][row][column]. Parts are summed by another kernel, in a fixed order. `pointwise`: all
// positions are one line and there are no taps.
// Loop iterations of an invocation: those of Tile::iterations for the positions of each line of a part.
// Values: params; those of workgroup_tile.wgsl; pointwise; deep: whether there is a third spatial dimension; meets_zeros:
// whether there are zeros between elements of x.
//% from "workgroup_tile" import declarations, entry, slots, accumulators, step, left_slots, right_slots, column_step, row_step
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read> dy: array<${ fours[1] }>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
${ declarations() }
//% if not pointwise
//% include "tap"

//% endif
${ entry() }
  let number = group.x + group.y * groups.x;
  if number >= params.tiles {
    return;
  }
  let row_tile = number % params.row_tiles;
  let rest = number / params.row_tiles;
  let part = rest / params.column_tiles;
  let first_column = rest % params.column_tiles * ${ tile_n // 4 }u;
  // Rows and columns of a group of channels, in vectors.
  let channels = row_tile / params.group_tiles;
  let first_row = channels * params.group_rows + row_tile % params.group_tiles * ${ tile_m // 4 }u;
  let end_row = (channels + 1u) * params.group_rows;
${ slots() }
  let known_row = first_row + left_row < end_row;
  let near = params.dy_base + i32(first_row + left_row);
  let column = min(first_column + right_column, params.columns - 1u);
//% if pointwise
  let from_column = params.x_base + i32(column);
//% else
  var taps = i32(column) / params.depth;
  let from_column = params.x_base + i32(channels) * params.depth + i32(column) % params.depth;
  let tap_w = taps % params.kernel_w * params.dilation_w - params.pad_w;
  taps /= params.kernel_w;
  let tap_h = taps % params.kernel_h * params.dilation_h - params.pad_h;
//% if deep
  let tap_d = taps / params.kernel_h * params.dilation_d - params.pad_d;
//% endif
//% endif
${ accumulators() }
//% if pointwise
  let begin = i32(part) * params.part;
  let end = min(begin + params.part, params.places);
  let line_start = 0;
  for (var ow = begin; ow < end; ow += ${ tile_k }) {
//% else
  let begin = i32(part) * params.part;
  let end_line = min(begin + params.part, params.lines);
  let end = params.out_w;
  for (var line = begin; line < end_line; line++) {
    let oh = line % params.out_h;
//% if deep
    let od = line / params.out_h % params.out_d;
    let image = line / params.out_h / params.out_d;
    let d = tap(od * params.stride_d + tap_d, params.step_d, params.in_d);
    let h = tap(oh * params.stride_h + tap_h, params.step_h, params.in_h);
    let there = (h >= 0) & (d >= 0);
    let start = ((image * params.in_d + d) * params.in_h + h) * params.in_w;
//% else
    let image = line / params.out_h;
    let h = tap(oh * params.stride_h + tap_h, params.step_h, params.in_h);
    let there = h >= 0;
    let start = (image * params.in_h + h) * params.in_w;
//% endif
    let line_start = line * params.out_w;
    for (var ow = 0; ow < end; ow += ${ tile_k }) {
//% endif
//% for s in range(left_slots)
      let place_${ s } = ow + i32(left_line_${ s });
      let use_${ s } = known_row & (place_${ s } < end);
      let left_vector_${ s } = select(vec4<f32>(), ${ wide[1] }(dy[select(0, (line_start + place_${ s }) * params.dy_step + near, use_${ s })]), use_${ s });
//% endfor
//% for s in range(right_slots)
      let at_${ s } = ow + i32(right_line_${ s });
//% if pointwise
      let in_${ s } = at_${ s } < end;
      let right_vector_${ s } = select(vec4<f32>(), ${ wide[0] }(x[select(0, at_${ s } * params.x_step + from_column, in_${ s })]), in_${ s });
//% else
      let v_${ s } = tap(at_${ s } * params.stride_w + tap_w, params.step_w, params.in_w);
      let in_${ s } = there & (v_${ s } >= 0) & (at_${ s } < end);
      let right_vector_${ s } = select(vec4<f32>(), ${ wide[0] }(x[select(0, (start + v_${ s }) * params.x_step + from_column, in_${ s })]), in_${ s });
//% endif
//% endfor
${ step() }
//% if not pointwise
    }
//% endif
  }
//% for j in range(vectors_of)
  let column_${ j } = first_column + own_column + ${ j * column_step }u;
  if column_${ j } < params.columns {
//% for r in range(rows_of)
    let row_${ r } = first_row + own_row + ${ (r // 4) * row_step }u;
    if (row_${ r } < end_row) & (row_${ r } * 4u + ${ r % 4 }u < params.rows) {
      out[(part * params.rows + row_${ r } * 4u + ${ r % 4 }u) * params.columns + column_${ j }] = sum_${ r }_${ j };
    }
//% endfor
  }
//% endfor
}
