// Gradient of a convolution's weight (or of a matrix product's), in parts: products of two vectors, summed over places.
//
// One subgroup, or one invocation where there are none, makes a tile of ${ 4 * row_vectors } rows (channels of dy) and
// ${ column_vectors * lanes } columns (a tap and four channels of x each) of one part: some lines of places. Lanes own columns and hand
// each other the vectors of dy by broadcast. Parts are summed by another kernel, in a fixed order.
//
// x and dy are channels last. out is [part][row][column]. `pointwise`: all positions are one line and there are no taps.
// Loop iterations of an invocation: lines of a part * (places of a line / ${ places } + 1).
// Values: params; lanes, row_vectors, column_vectors of a lane, places at a time; single_lane; pointwise; deep: whether there
// is a third spatial dimension; meets_zeros: whether there are zeros between elements of x.
//% from "subgroup_entry" import entry
//% set slots = places * row_vectors
//% set loads = (slots + lanes - 1) // lanes
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read> dy: array<${ fours[1] }>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

//% if not pointwise
//% include "tap"

//% endif
${ entry("number", "y") }
  if number >= params.tiles {
    return;
  }
  let row_tile = number % params.row_tiles;
  let rest = number / params.row_tiles;
  let part = rest / params.column_tiles;
  let first_column = rest % params.column_tiles * ${ column_vectors * lanes }u + lane;
  // Rows and columns of a group of channels.
  let channels = row_tile / params.group_tiles;
  let first_row = channels * params.group_rows + row_tile % params.group_tiles * ${ row_vectors }u;
  let end_row = (channels + 1u) * params.group_rows;
//% for s in range(column_vectors)
  let column_${ s } = min(first_column + ${ s * lanes }u, params.columns - 1u);
//% if pointwise
  let from_${ s } = params.x_base + i32(column_${ s });
//% else
  var taps_${ s } = i32(column_${ s }) / params.depth;
  let from_${ s } = params.x_base + i32(channels) * params.depth + i32(column_${ s }) % params.depth;
  let tap_w_${ s } = taps_${ s } % params.kernel_w * params.dilation_w - params.pad_w;
  taps_${ s } /= params.kernel_w;
  let tap_h_${ s } = taps_${ s } % params.kernel_h * params.dilation_h - params.pad_h;
//% if deep
  let tap_d_${ s } = taps_${ s } / params.kernel_h * params.dilation_d - params.pad_d;
//% endif
//% endif
//% for r in range(4 * row_vectors)
  var sum_${ r }_${ s } = vec4<f32>();
//% endfor
//% endfor
//% for m in range(loads)
  let slot_${ m } = lane + ${ m * lanes }u;
  let ahead_${ m } = i32(slot_${ m } / ${ row_vectors }u);
  let row_${ m } = first_row + slot_${ m } % ${ row_vectors }u;
  let known_${ m } = row_${ m } < end_row;
  let near_${ m } = params.dy_base + i32(row_${ m });
//% endfor
//% if pointwise
  let begin = i32(part) * params.part;
  let end = min(begin + params.part, params.places);
  let line_start = 0;
  for (var ow = begin; ow < end; ow += ${ places }) {
//% else
  let begin = i32(part) * params.part;
  let end_line = min(begin + params.part, params.lines);
  var oh = begin % params.out_h;
//% if deep
  var od = begin / params.out_h % params.out_d;
  var image = begin / params.out_h / params.out_d;
//% else
  var image = begin / params.out_h;
//% endif
  let end = params.out_w;
  for (var line = begin; line < end_line; line++) {
    let line_start = line * params.out_w;
//% for s in range(column_vectors)
    let h_${ s } = tap(oh * params.stride_h + tap_h_${ s }, params.step_h, params.in_h);
//% if deep
    let d_${ s } = tap(od * params.stride_d + tap_d_${ s }, params.step_d, params.in_d);
    let start_${ s } = ((image * params.in_d + d_${ s }) * params.in_h + h_${ s }) * params.in_w;
    let there_${ s } = (h_${ s } >= 0) & (d_${ s } >= 0);
//% else
    let start_${ s } = (image * params.in_h + h_${ s }) * params.in_w;
    let there_${ s } = h_${ s } >= 0;
//% endif
//% endfor
    for (var ow = 0; ow < end; ow += ${ places }) {
//% endif
//% for m in range(loads)
      let use_${ m } = known_${ m } & (ow + ahead_${ m } < end);
      let b_${ m } = select(vec4<f32>(), ${ wide[1] }(dy[select(0, (line_start + ow + ahead_${ m }) * params.dy_step + near_${ m }, use_${ m })]), use_${ m });
//% endfor
//% for s in range(column_vectors)
//% for j in range(places)
//% if pointwise
      let in_${ s }_${ j } = ow + ${ j } < end;
      let a_${ s }_${ j } = select(vec4<f32>(), ${ wide[0] }(x[select(0, (ow + ${ j }) * params.x_step + from_${ s }, in_${ s }_${ j })]), in_${ s }_${ j });
//% else
      let w_${ s }_${ j } = tap((ow + ${ j }) * params.stride_w + tap_w_${ s }, params.step_w, params.in_w);
      let in_${ s }_${ j } = there_${ s } & (w_${ s }_${ j } >= 0);
      let a_${ s }_${ j } = select(vec4<f32>(), ${ wide[0] }(x[select(0, (start_${ s } + w_${ s }_${ j }) * params.x_step + from_${ s }, in_${ s }_${ j })]), in_${ s }_${ j });
//% endif
//% endfor
//% endfor
//% for v in range(row_vectors)
//% for j in range(places)
//% set at = j * row_vectors + v
//% if single_lane
      let r_${ v }_${ j } = b_${ at };
//% else
      let r_${ v }_${ j } = subgroupBroadcast(b_${ at // lanes }, ${ at % lanes }u);
//% endif
//% endfor
//% for k in range(4)
//% for s in range(column_vectors)
      sum_${ 4 * v + k }_${ s } +=
//% for j in range(places)
        ${ "+ " if j > 0 else "" }r_${ v }_${ j }[${ k }] * a_${ s }_${ j }
//% endfor
      ;
//% endfor
//% endfor
//% endfor
//% if not pointwise
    }
    oh += 1;
    if oh == params.out_h {
      oh = 0;
//% if deep
      od += 1;
      if od == params.out_d {
        od = 0;
        image += 1;
      }
//% else
      image += 1;
//% endif
    }
//% endif
  }
//% for s in range(column_vectors)
  if first_column + ${ s * lanes }u < params.columns {
//% for r in range(4 * row_vectors)
    if (first_row + ${ r // 4 }u < end_row) & (first_row * 4u + ${ r }u < params.rows) {
      out[(part * params.rows + first_row * 4u + ${ r }u) * params.columns + column_${ s }] = sum_${ r }_${ s };
    }
//% endfor
  }
//% endfor
}
