// The largest element of each row and the sum of the exponentials of all less that, from those of parts: one row (or four
// rows that lie side by side) an invocation.
//
// x and out have the two one after the other, [part][row] and [row].
// Values: params, T; block.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ T }>;
@group(0) @binding(2) var<storage, read_write> out: array<${ T }>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  var largest = x[i * 2u];
  for (var part = 1; part < params.parts; part++) {
    largest = max(largest, x[((u32(part) * params.rows) + i) * 2u]);
  }
  let infinity = 0xff800000u;
  let lowest = ${ T }(bitcast<f32>(infinity));
  var sum = ${ T }();
  for (var block = 0; block < params.parts; block += ${ block }) {
    var part_sum = ${ T }();
    let stop = min(block + ${ block }, params.parts);
    for (var part = block; part < stop; part++) {
      let at = ((u32(part) * params.rows) + i) * 2u;
      // The sum of a part that has nothing but minus infinity is zero, or not a number.
      let own = x[at];
      part_sum += x[at + 1u] * select(${ T }(1.0), exp(own - largest), own > lowest);
    }
    sum += part_sum;
  }
  out[i * 2u] = largest;
  out[(i * 2u) + 1u] = sum;
}
