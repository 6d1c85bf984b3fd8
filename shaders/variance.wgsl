// The variance of columns, of the means and the sums of squared differences of parts of their rows; one output vector (or element)
// an invocation, in a fixed order. Parts are combined all at once: squared differences of a part from the mean of all are those
// from its own mean and, for each row, the squared difference between both.
//
// Values: params, operands, out_binding, element, place, store, stored; vectors: whether four outputs lie side by side.
//% include "params"
//% set number = "vec4<f32>" if vectors else "f32"
@group(0) @binding(1) var<storage, read> x: array<${ number }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ place }${ element }${ store }
// How many rows a part has; the last ones may be short, or empty.
fn size_of(part: i32) -> f32 {
  return f32(clamp(params.rows - part * params.part, 0, params.part));
}

//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let first = i32(place(i, c));
  var mean = ${ number }();
  for (var part = 0; part < params.r0; part++) {
    mean += size_of(part) * x[first + part * params.r0_step];
  }
  mean /= f32(params.rows);
  var squares = ${ number }();
  for (var part = 0; part < params.r0; part++) {
    let at = first + part * params.r0_step;
    let apart = x[at] - mean;
    squares += x[at + params.squares] + size_of(part) * apart * apart;
  }
  store(i, c, element(i, c, squares / f32(params.rows)));
}
