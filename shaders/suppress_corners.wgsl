// The boxes of each line that are alive, one after the other: their corners, their areas, and where they come from, counted
// from one: those that get a zero there later are suppressed. A chunk of a line an invocation.
//
// Values: params, chunk; center: whether boxes are given by their middle and size, [x, y, width, height], rather than by
// opposite corners, [y, x, y, x], in any order.
//% include "params"
@group(0) @binding(1) var<storage, read> boxes: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> alive: array<u32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> corners: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> areas: array<f32>;
@group(0) @binding(6) var<storage, read_write> open: array<u32>;

//% include "grid"
//% include "invocation_entry"
  let number = grid_index(id, groups);
  if number >= params.count {
    return;
  }
  let first = number / params.counts * params.size;
  let begin = number % params.counts * ${ chunk }u;
  let end = min(begin + ${ chunk }u, params.size);
  var next = first + counts[number];
  for (var k = begin; k < end; k++) {
    let i = first + k;
    if alive[i] != 0u {
      let a = f32(boxes[4u * i]);
      let b = f32(boxes[4u * i + 1u]);
      let c = f32(boxes[4u * i + 2u]);
      let d = f32(boxes[4u * i + 3u]);
//% if center
      let low = vec2<f32>(a - c * 0.5, b - d * 0.5);
      let high = vec2<f32>(a + c * 0.5, b + d * 0.5);
//% else
      let low = min(vec2<f32>(b, a), vec2<f32>(d, c));
      let high = max(vec2<f32>(b, a), vec2<f32>(d, c));
//% endif
      let size = high - low;
      let area = size.x * size.y;
      // Drivers' min and max may drop a NaN, and numbers below the least normal one may be zeros.
      let bits = vec4<u32>(bitcast<u32>(a), bitcast<u32>(b), bitcast<u32>(c), bitcast<u32>(d)) & vec4<u32>(0x7fffffffu);
      let area_bits = bitcast<u32>(area);
      let proper = all(bits <= vec4<u32>(0x7f800000u)) && area_bits >= 0x00800000u && area_bits <= 0x7f800000u;
      corners[next] = vec4<f32>(low, high);
      areas[next] = select(0.0, area, proper);
      open[next] = k + 1u;
      next++;
    }
  }
}
