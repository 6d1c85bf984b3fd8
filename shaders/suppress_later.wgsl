// Closes the boxes behind a block that a kept box of the block overlaps: a box an invocation.
//
// Values: params, block; those of suppress_overlap.wgsl.
//% include "params"
@group(0) @binding(1) var<storage, read> corners: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> areas: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> open: array<u32>;

//% include "grid"
//% include "suppress_overlap"
//% include "invocation_entry"
  let number = grid_index(id, groups);
  if number >= params.count {
    return;
  }
  let line = number / params.later;
  let begin = line * params.size + params.begin;
  let i = begin + ${ block }u + number % params.later;
  let list = line * ${ block + 1 }u;
  let found = chosen[list];
  if found == 0u || open[i] == 0u {
    return;
  }
  let corner = corners[i];
  let area = areas[i];
  for (var n = 1u; n <= found; n++) {
    let j = begin + chosen[list + n];
    if overlap(corners[j], areas[j], corner, area) {
      open[i] = 0u;
      break;
    }
  }
}
