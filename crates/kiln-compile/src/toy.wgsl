// A pointwise convolution: one output vector an invocation, no window.
// Values: params, operands, out_binding, element, store, stored.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> w: array<${ fours[1] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let at = params.x_base + i32(i / params.inner) * params.x_step;
  var acc = vec4<f32>();
  for (var k = 0; k < params.channels; k++) {
    acc += f32(x[at + k]) * ${ wide[1] }(w[u32(k) * params.inner + c]);
  }
  store(i, c, element(i, c, acc));
}
