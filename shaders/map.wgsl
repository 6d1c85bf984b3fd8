// A chain of elementwise operators, a copy between layouts, or both.
//
// An invocation makes 4 or 1 neighbours along the output's fastest dimension.
// Values: params, operands, out_binding, and of lower/expression: element, store, stored.
struct Params {
${ params }}
@group(0) @binding(0) var<uniform> params: Params;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  store(i, c, element(i, c, ${ T }()));
}
