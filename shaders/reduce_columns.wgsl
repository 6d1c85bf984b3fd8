// Sums over rows, in parts: each invocation adds up four columns of some rows, in blocks, so that rounding errors do not
// add up. Parts are summed by another kernel, in a fixed order.
//
// What is summed is computed on the way, by `element`, for the vector at row * inner + column. out is [part][column].
// Loop iterations of an invocation: rows of a part, and blocks.
// Values: params, operands, out_binding, element; block.
//% include "params"
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<vec4<f32>>;

//% include "grid"
//% include "functions"
${ element }
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
