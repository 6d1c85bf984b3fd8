// How many boxes are alive in each chunk of a line, and in an empty one behind the last, so that the last of a line's prefix
// sums is how many are alive in it. No box is kept yet.
//
// Values: params, chunk.
//% include "params"
@group(0) @binding(1) var<storage, read> alive: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> kept: array<u32>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let first = i / params.counts * params.size;
  let begin = i % params.counts * ${ chunk }u;
  let end = min(begin + ${ chunk }u, params.size);
  var found = 0u;
  for (var k = begin; k < end; k++) {
    found += select(0u, 1u, alive[first + k] != 0u);
    kept[first + k] = 0u;
  }
  counts[i] = found;
}
