// Sums over rows, in parts: each invocation adds up four columns of some rows, in blocks, so that rounding errors do not
// add up. Parts are summed by another kernel, in a fixed order.
//
// What is summed is computed on the way, by `element`, for the vector at row * inner + column. out is [part][column].
// Loop iterations of an invocation: rows of a part, and blocks.
// With `lanes`, a workgroup of so many invocations makes ${ side } vectors of a part: each invocation adds up every so many rows,
// and a tree in workgroup memory adds up those.
// Values: params, operands, out_binding, element; block; lanes, side, halves.
//% include "params"
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<vec4<f32>>;

//% include "grid"
//% include "functions"
${ element }
//% if lanes > 0
//% set apart = lanes // side
var<workgroup> parts: array<vec4<f32>, ${ lanes }>;
//% include "columns_entry"
  var acc = vec4<f32>();
  var row = part * params.part + local / ${ side }u;
  while row < end {
    var sum = vec4<f32>();
    let stop = min(row + ${ block * apart }u, end);
    // Loads that do not wait for each other, added up in the same order.
    for (; row + ${ 3 * apart }u < stop; row += ${ 4 * apart }u) {
//% for u in range(4)
      let value_${ u } = element((row + ${ u * apart }u) * params.inner + c, c, vec4<f32>());
//% endfor
//% for u in range(4)
      sum += value_${ u };
//% endfor
    }
    for (; row < stop; row += ${ apart }u) {
      sum += element(row * params.inner + c, c, vec4<f32>());
    }
    acc += sum;
  }
  parts[local] = acc;
  workgroupBarrier();
//% for half in halves
  if local < ${ half }u {
    parts[local] += parts[local + ${ half }u];
  }
  workgroupBarrier();
//% endfor
  if (local < ${ side }u) & (column < params.inner) & (number < params.workgroups) {
    out[part * params.inner + column] = parts[local];
  }
}
//% else
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let part = i / params.inner;
  let end = min((part + 1u) * params.part, params.rows);
  var acc = vec4<f32>();
  for (var begin = part * params.part; begin < end; begin += ${ block }u) {
    var sum = vec4<f32>();
    let stop = min(begin + ${ block }u, end);
    for (var row = begin; row < stop; row++) {
      sum += element(row * params.inner + c, c, vec4<f32>());
    }
    acc += sum;
  }
  out[i] = acc;
}
//% endif
