// Reduction over axes, one output vector (or element) an invocation, in a fixed order.
//
// Holes: params, operands, out_binding, element, place, store, stored; kind; loops: how many
// axes are walked (r0, r1, ..); vectors: whether four outputs lie side by side; along: whether the axis that is
// walked fastest is read four elements at a time; element_type: what is read; total_type: what it is
// combined in; total: the result, back in the range of its type.
struct Params {
${ params }}
@group(0) @binding(0) var<uniform> params: Params;
//% set read = "vec4<" ~ element_type ~ ">" if vectors or along else element_type
//% set sum = "vec4<" ~ total_type ~ ">" if vectors or along else total_type
@group(0) @binding(1) var<storage, read> x: array<${ read }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ place }${ element }${ store }
fn combine(a: ${ sum }, b: ${ sum }) -> ${ sum } {
//% if kind == "reduce_max"
  return max(a, b);
//% elif kind == "reduce_min"
  return min(a, b);
//% elif kind == "reduce_prod"
  return a * b;
//% else
  return a + b;
//% endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let first = i32(place(i, c));
//% if kind == "reduce_max" or kind == "reduce_min"
  var acc = ${ sum }(x[first]);
//% elif kind == "reduce_prod"
  var acc = ${ sum }(1);
//% else
  var acc = ${ sum }();
//% endif
//% for n in range(loops)
  for (var k${ n } = 0; k${ n } < params.r${ n }; k${ n }++) {
//% endfor
    acc = combine(acc, ${ sum }(x[first
//% for n in range(loops)
      + k${ n } * params.r${ n }_step
//% endfor
    ]));
//% for n in range(loops)
  }
//% endfor
//% if along
  let pair = combine(acc, acc.zwxy);
  var total = combine(pair, pair.yxwz).x;
//% else
  var total = acc;
//% endif
//% if kind == "reduce_mean"
  total = total / ${ total_type }(params.combined);
//% endif
  store(i, c, element(i, c, ${ total }));
}
