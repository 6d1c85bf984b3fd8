// Index of the largest or smallest element along an axis, one output an invocation.
//
// Holes: params, place, element_type, better (when a later element wins).
struct Params {
${ params }}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

//% include "grid"
//% include "functions"
${ place }
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let first = i32(place(i, c));
  var best = ${ element_type }(x[first]);
  var index = 0;
  for (var k = 1; k < params.size; k++) {
    let value = ${ element_type }(x[first + k * params.step]);
    if ${ better } {
      best = value;
      index = k;
    }
  }
  out[i] = index;
}
