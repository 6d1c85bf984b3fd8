// The lines by how many of their boxes are alive, most first, so that the kernels of later blocks can stop at the first line
// that has no such block.
//
// Values: params.
//% include "params"
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> order: array<u32>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let own = counts[(i + 1u) * params.counts - 1u];
  var place = 0u;
  for (var k = 0u; k < params.count; k++) {
    let other = counts[(k + 1u) * params.counts - 1u];
    place += u32(other > own || (other == own && k < i));
  }
  order[place] = i;
}
