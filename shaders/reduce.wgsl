// Reduction over axes, one output vector (or element) an invocation, in a fixed order.
//
// Holes: params, operands, out_binding, element, place, store, stored; kind; loops: how many
// axes are walked (r0, r1, ..); vectors: whether four outputs lie side by side; along: whether the axis that is
// walked fastest is read four elements at a time; float: whether there can be NaN; total_type: what
// elements are combined in; total: the result, back in the range of its type; least: the largest (or
// smallest) of no integers.
struct Params {
${ params }}
@group(0) @binding(0) var<uniform> params: Params;
//% set read = fours[0] if vectors or along else types[0]
//% set sum = "vec4<" ~ total_type ~ ">" if vectors or along else total_type
//% set load = wide[0] if types[0] == "f16" and (vectors or along) else sum
//% set floats = "vec4<f32>" if vectors or along else "f32"
//% set bits = "vec4<i32>" if vectors or along else "i32"
//% set extreme = kind in ["reduce_max", "reduce_min"]
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
//% if extreme and float
  // Of no elements the largest is minus infinity; by bits that are no constant expression.
  let infinity = ${ "0xff800000u" if kind == "reduce_max" else "0x7f800000u" };
  var acc = ${ sum }(${ total_type }(bitcast<f32>(infinity)));
//% elif extreme
  var acc = ${ sum }(${ least });
//% elif kind == "reduce_prod"
  var acc = ${ sum }(1);
//% else
  var acc = ${ sum }();
//% endif
//% if extreme and float
  // Drivers' max and min may drop NaN; the bits of an absolute value are above infinity's for NaN alone.
  var seen = ${ bits }();
//% endif
//% for n in range(loops)
  for (var k${ n } = 0; k${ n } < params.r${ n }; k${ n }++) {
//% endfor
    let value = ${ load }(x[first
//% for n in range(loops)
      + k${ n } * params.r${ n }_step
//% endfor
    ]);
    acc = combine(acc, value);
//% if extreme and float
    seen = max(seen, bitcast<${ bits }>(${ floats }(value)) & ${ bits }(0x7fffffff));
//% endif
//% for n in range(loops)
  }
//% endfor
//% if along
  let pair = combine(acc, acc.zwxy);
  var total = combine(pair, pair.yxwz).x;
//% else
  var total = acc;
//% endif
//% if extreme and float
//% if along
  let seen_pair = max(seen, seen.zwxy);
  let most = max(seen_pair, seen_pair.yxwz).x;
  total = select(total, ${ total_type }(bitcast<f32>(most)), most > 0x7f800000);
//% else
  total = select(total, ${ sum }(bitcast<${ floats }>(seen)), seen > ${ bits }(0x7f800000));
//% endif
//% endif
//% if kind == "reduce_mean"
  total = total / ${ total_type }(params.combined);
//% endif
  store(i, c, element(i, c, ${ total }));
}
