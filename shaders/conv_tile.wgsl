// Convolution as a matrix product whose left matrix is gathered on the way: rows are output places, columns output
// channels, k runs over taps and input channels. One workgroup makes one tile; see workgroup_tile.wgsl.
//
// x is channels last; channels of a group come in fours. w is [group][column tile][kernel_d][kernel_h][kernel_w]
// [group_in][columns of the tile], or has rows of all columns, as `w_part`, `w_tile` and `w_step` say; `w_depth` of
// them belong to a tap.
// Loop iterations of an invocation: 5/16 of taps * group_in.
// Values: params, operands, out_binding, element, store, stored; meets_zeros: whether there are zeros between input elements
// (transposed convolution), and residue_classes: whether products with these are
// skipped, see residue_classes.wgsl.
//% from "workgroup_tile" import declarations, entry, accumulators, step, finish
//% include "product"
${ declarations() }
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
  let first_row = row_tile % params.class_tiles * 64u;
  if class_number >= params.classes {
    return;
  }
  let residue = residues(class_number);
  let first_tap = first_taps(residue);
  // Where the first tap of the class's first place falls, and how many taps there are.
  let begin = (residue - vec3<i32>(params.pad_d, params.pad_h, params.pad_w) + first_tap) / steps_between();
  let kernel = vec3<i32>(params.kernel_d, params.kernel_h, params.kernel_w);
  let taps = max((kernel - first_tap + steps_between() - 1) / steps_between(), vec3<i32>());
//% else
  let rows = params.rows;
  let first_row = (group.x + group.z * groups.x) * 64u;
  if first_row >= rows {
    return;
  }
  let taps = vec3<i32>(params.kernel_d, params.kernel_h, params.kernel_w);
//% endif
  let part = group.y / params.column_tiles;
  let tile = group.y % params.column_tiles;
  let columns_end = (part + 1u) * params.group_columns;
  let tile_column = part * params.group_columns + tile * 16u;
  // The row this invocation loads from.
//% if residue_classes
  let place = position_in_class(min(first_row + t / 4u, rows - 1u));
  let ow = place.z + begin.z;
  let oh = place.y + begin.y;
  let od = place.x + begin.x;
  let image = place.w * params.in_d;
//% else
  var place = i32(min(first_row + t / 4u, rows - 1u));
  let ow = place % params.out_w * params.stride_w - params.pad_w;
  place /= params.out_w;
  let oh = place % params.out_h * params.stride_h - params.pad_h;
  place /= params.out_h;
  let od = place % params.out_d * params.stride_d - params.pad_d;
  let image = place / params.out_d * params.in_d;
//% endif
  let first_in = params.x_base + i32(part) * params.depth;
  let loaded = min(tile_column + t % 16u, columns_end - 1u) - tile_column;
  let first_w = part * params.w_part + tile * params.w_tile + loaded;
  let steps = taps.x * taps.y * taps.z * params.depth;
${ accumulators() }
  for (var at = 0; at < steps; at += 4) {
    let mine = at + i32(t % 4u);
    let c = mine % params.depth;
    var window = mine / params.depth;
    let v = tap(ow + window % taps.z * params.dilation_w, params.step_w, params.in_w);
    window /= max(taps.z, 1);
    let h = tap(oh + window % taps.y * params.dilation_h, params.step_h, params.in_h);
    let d = tap(od + window / max(taps.y, 1) * params.dilation_d, params.step_d, params.in_d);
    let inside = mine < steps && d >= 0 && h >= 0 && v >= 0;
    let near = (((image + d) * params.in_h + h) * params.in_w + v) * params.x_step + first_in + c;
    let left_vector = select(vec4<${ number }>(), ${ wide[0] }(x[select(0, near, inside)]), inside);
    let row = u32(at) * 4u + t / 16u;
    let tap_row = row % (4u * u32(params.depth));
    let known = row < u32(steps) * 4u && tap_row < params.w_depth;
//% if residue_classes
    var number = i32(row) / (4 * params.depth);
    let tap_w = first_tap.z + number % taps.z * params.step_w;
    number /= max(taps.z, 1);
    let tap_h = first_tap.y + number % taps.y * params.step_h;
    let tap_d = first_tap.x + number / max(taps.y, 1) * params.step_d;
    let window_of = u32((tap_d * params.kernel_h + tap_h) * params.kernel_w + tap_w);
//% else
    let window_of = row / (4u * u32(params.depth));
//% endif
    let w_row = window_of * params.w_depth + tap_row;
    let right_vector = select(vec4<${ number }>(), ${ wide[1] }(w[select(0u, first_w + w_row * params.w_step, known)]), known);
${ step() }
  }
${ finish() }
}
