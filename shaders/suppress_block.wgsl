// Which boxes of a block are kept, of those that no box of an earlier block has suppressed: line by line a workgroup.
//
// Each box that is open finds which later ones of the block it overlaps, as bits in workgroup memory. One invocation then walks
// from box to box, and lists those that are kept, the number of them in front, for the boxes of later blocks.
// Values: params, block; first: whether this is the first block; limited: whether a line keeps only so many boxes, counted in
// `totals`; those of suppress_overlap.wgsl.
//% set words = block // 32
//% include "params"
@group(0) @binding(1) var<storage, read> corners: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> areas: array<f32>;
@group(0) @binding(3) var<storage, read> open: array<u32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(7) var<storage, read_write> kept: array<u32>;
//% if limited
@group(0) @binding(8) var<storage, read_write> totals: array<u32>;
//% endif
var<workgroup> box_corners: array<vec4<f32>, ${ block }>;
var<workgroup> box_areas: array<f32, ${ block }>;
var<workgroup> flags: array<u32, ${ block }>;
var<workgroup> open_bits: array<u32, ${ words }>;
var<workgroup> kept_bits: array<u32, ${ words }>;
var<workgroup> overlaps: array<array<u32, ${ words }>, ${ block }>;

//% include "suppress_overlap"
@compute @workgroup_size(${ block })
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) t: u32,
) {
  for (var n = group.y; n < params.lines; n += groups.y) {
    let line = order[n];
    let alive = counts[(line + 1u) * params.counts - 1u];
    if alive <= params.begin {
      break;
    }
    let i = line * params.size + params.begin + t;
    var corner = vec4<f32>();
    var area = 0.0;
    var source = 0u;
//% if limited and not first
    // A line that has kept all that it may compares no more.
    let there = params.begin + t < alive && totals[line] < params.most;
//% else
    let there = params.begin + t < alive;
//% endif
    if there {
      corner = corners[i];
      area = areas[i];
      source = open[i];
    }
    box_corners[t] = corner;
    box_areas[t] = area;
    flags[t] = min(source, 1u);
    workgroupBarrier();
    if t < ${ words }u {
      var bits = 0u;
      for (var b = 0u; b < 32u; b++) {
        bits |= flags[t * 32u + b] << b;
      }
      open_bits[t] = bits;
      kept_bits[t] = 0u;
    }
    workgroupBarrier();
    for (var w = 0u; w < ${ words }u; w++) {
      // The boxes of this word that come later; none where this box is suppressed.
      let after = select(select(0u, ~((2u << (t & 31u)) - 1u), w == t >> 5u), 0xffffffffu, w > t >> 5u);
      var left = select(0u, open_bits[w] & after, source != 0u);
      var bits = 0u;
      while left != 0u {
        let b = firstTrailingBit(left);
        let j = w * 32u + b;
        if overlap(corner, area, box_corners[j], box_areas[j]) {
          bits |= 1u << b;
        }
        left &= left - 1u;
      }
      overlaps[t][w] = bits;
    }
    workgroupBarrier();
    if t == 0u {
      let list = line * ${ block + 1 }u;
      var found = 0u;
//% if limited
      var room = params.most${ "" if first else " - totals[line]" };
//% endif
//% for w in range(words)
      var left_${ w } = open_bits[${ w }];
//% endfor
//% for w in range(words)
      while left_${ w } != 0u${ " && room > 0u" if limited } {
        let b = firstTrailingBit(left_${ w });
        let j = ${ w * 32 }u + b;
        kept_bits[${ w }] |= 1u << b;
        found++;
//% if limited
        room--;
//% endif
        chosen[list + found] = j;
        left_${ w } &= left_${ w } - 1u;
//% for v in range(w, words)
        left_${ v } &= ~overlaps[j][${ v }];
//% endfor
      }
//% endfor
      chosen[list] = found;
//% if limited
      totals[line] = params.most - room;
//% endif
    }
    workgroupBarrier();
    if ((kept_bits[t >> 5u] >> (t & 31u)) & 1u) != 0u {
      kept[line * params.size + source - 1u] = 1u;
    }
  }
}
