// Exclusive prefix sums of lines of counts, in place: each invocation walks a chunk of a line.
//
// A long line takes two kernels of this template: one that leaves the sum of each chunk, and, once the sums have become
// prefix sums themselves, one that starts each chunk at its own (Blelloch, "Prefix Sums and Their Applications", 1990).
// Values: params, totals: whether the kernel only sums chunks; carried: whether chunks start at sums.
//% include "params"
@group(0) @binding(1) var<storage, ${ "read" if totals else "read_write" }> counts: array<u32>;
//% if totals or carried
@group(0) @binding(2) var<storage, ${ "read_write" if totals else "read" }> sums: array<u32>;
//% endif

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let line = i / params.chunks * params.size;
  let begin = i % params.chunks * params.chunk;
  let end = min(begin + params.chunk, params.size);
  var sum = ${ "sums[i]" if carried else "0u" };
  for (var k = begin; k < end; k++) {
    let own = counts[line + k];
//% if not totals
    counts[line + k] = sum;
//% endif
    sum += own;
  }
//% if totals
  sums[i] = sum;
//% endif
}
