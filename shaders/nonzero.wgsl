// The positions of elements that are not zero, in order: a block of elements an invocation.
//
// One kernel of this template counts them, in each block and in an empty one behind the last, so that the last of the
// prefix sums is how many there are. Another one writes the positions of a block from its prefix sum on, and a third one
// zeros behind the last position.
// Values: params, step: `count`, `place` or `rest`; kind: of elements (`float`, `double` or `integer`); element_type; block.
//% include "params"
//% if step == "rest"
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<${ types[1] }>;
//% else
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
@group(0) @binding(2) var<storage, ${ "read_write" if step == "count" else "read" }> counts: array<u32>;
//% if step == "place"
@group(0) @binding(3) var<storage, read_write> out: array<${ types[2] }>;
//% endif
//% endif

//% include "grid"
//% if step != "rest"
//% if kind == "double"
//% include "functions"
//% endif
fn is_found(value: ${ element_type }) -> bool {
//% if kind == "float"
  // By the bits, since drivers may assume that there is no NaN.
  return (bitcast<u32>(value) & 0x7fffffffu) != 0u;
//% elif kind == "double"
  return is_nan_double(value) || value != 0.0lf;
//% else
  return value != ${ element_type }();
//% endif
}
//% endif
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
//% if step == "rest"
  if i >= counts[params.blocks] {
    out[i] = ${ types[1] }();
  }
//% else
  let begin = i * ${ block }u;
  let end = min(begin + ${ block }u, params.elements);
  var found = ${ "0u" if step == "count" else "counts[i]" };
  for (var k = begin; k < end; k++) {
    if is_found(${ element_type }(x[k])) {
//% if step == "place"
      if found < params.size {
        out[found] = ${ types[2] }(k);
      }
//% endif
      found++;
    }
  }
//% if step == "count"
  counts[i] = found;
//% endif
//% endif
}
