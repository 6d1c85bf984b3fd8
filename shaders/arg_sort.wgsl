// The indices that sort a value along an axis, one element an invocation.
//
// An element counts those that come before it, and so knows its place, which no other has: equal elements keep their
// order, and NaN is larger than everything. Each writes its own index there.
// Values: params, element_type, descending, float, double.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

//% include "grid"
//% if double
//% include "functions"
//% endif
//% if float
// Numbers in the order of floats: both zeros are one number, and so are all NaN.
fn key(value: f32) -> i32 {
  let bits = bitcast<i32>(value);
  let ordered = select(bits, bits ^ 0x7fffffff, bits < 0);
  let zero = (bits & 0x7fffffff) == 0;
  let nan = (bits & 0x7fffffff) > 0x7f800000;
  return select(select(ordered, 0, zero), 0x7fffffff, nan);
}
//% else
fn key(value: ${ element_type }) -> ${ element_type } {
  return value;
}
//% endif
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let after = i % params.step;
  let own = i32(i / params.step % params.size);
  let line = i / (params.step * params.size) * (params.step * params.size) + after;
  let value = key(${ element_type }(x[i]));
  var place = 0u;
  for (var k = 0; k < i32(params.size); k++) {
    let other = key(${ element_type }(x[line + u32(k) * params.step]));
//% set order = ">" if descending else "<"
//% if double
    let nan = is_nan_double(value);
    let other_nan = is_nan_double(other);
    let equal = (nan && other_nan) || (other == value);
//% if descending
    let before = (other_nan && !nan) || (other > value);
//% else
    let before = (nan && !other_nan) || (other < value);
//% endif
    let first = before || (equal && (k < own));
//% else
    let first = (other ${ order } value) || ((other == value) && (k < own));
//% endif
    place += u32(first);
  }
  out[line + place * params.step] = own;
}
