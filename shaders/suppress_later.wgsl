// Closes the boxes behind a block that a kept box of the block overlaps: some boxes of a line an invocation, line by
// line.
//
// Values: params, block; boxes: how many an invocation compares with each that it loads; those of suppress_overlap.wgsl.
//% include "params"
@group(0) @binding(1) var<storage, read> corners: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> areas: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> open: array<u32>;

//% include "suppress_overlap"
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) t: u32,
) {
  let begin = params.begin + ${ block }u + group.x * ${ 64 * boxes }u;
  for (var n = group.y; n < params.lines; n += groups.y) {
    let line = order[n];
    let alive = counts[(line + 1u) * params.counts - 1u];
    if alive <= begin {
      break;
    }
    let first = line * params.size;
    let list = line * ${ block + 1 }u;
    let found = chosen[list];
//% for p in range(boxes)
    let place_${ p } = begin + ${ 64 * p }u + t;
    let i_${ p } = first + min(place_${ p }, alive - 1u);
    let corner_${ p } = corners[i_${ p }];
    // What is not there, or suppressed already, overlaps nothing.
    let area_${ p } = select(0.0, areas[i_${ p }], place_${ p } < alive && open[i_${ p }] != 0u);
    var hit_${ p } = false;
//% endfor
    for (var m = 1u; m <= found; m++) {
      let j = first + params.begin + chosen[list + m];
      let corner = corners[j];
      let area = areas[j];
      var done = true;
//% for p in range(boxes)
      hit_${ p } = hit_${ p } | overlap(corner, area, corner_${ p }, area_${ p });
      done = done & (hit_${ p } | (area_${ p } == 0.0));
//% endfor
      if done {
        break;
      }
    }
//% for p in range(boxes)
    if hit_${ p } {
      open[i_${ p }] = 0u;
    }
//% endfor
  }
}
