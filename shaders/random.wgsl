// Uniform random numbers from a counter, four an invocation: Philox4x32-10 (Salmon et al. 2011).
//
// Values: params.
//% include "params"
@group(0) @binding(1) var<storage, read> state: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<${ fours[1] }>;

//% include "grid"
// The upper and the lower half of a product. WGSL has no 64-bit numbers, so the upper half is put together from
// products of halves.
fn product(a: u32, b: u32) -> vec2<u32> {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return vec2<u32>(a1 * b1 + (middle >> 16u) + (other >> 16u), a * b);
}

//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  var word = vec4<u32>(i, params.stream, u32(state[2]), 0u);
  var key = vec2<u32>(u32(state[0]), u32(state[1]));
  for (var round = 0; round < 10; round++) {
    let first = product(0xd2511f53u, word.x);
    let second = product(0xcd9e8d57u, word.z);
    word = vec4<u32>(second.x ^ word.y ^ key.x, second.y, first.x ^ word.w ^ key.y, first.y);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  out[i] = ${ narrow[1] }(vec4<f32>(word >> vec4<u32>(8u)) / 16777216.0);
}
