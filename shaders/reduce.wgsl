// Reduction over axes, one output vector (or element) an invocation, in a fixed order.
//
// Sums and products are formed in parts of at most ${ block } elements each, and these in parts again, so that rounding
// errors do not add up. Where much is combined, invocations make parts of results for another kernel to combine.
//
// With `lanes`, a workgroup of so many invocations makes `side` results that lie side by side: each invocation combines every
// so many elements of one, and a tree in workgroup memory combines those.
//
// Values: params, operands, out_binding, element, place, store, stored; kind; lanes, side; loops: how many
// axes are walked (r0, r1, ..), and blocked: which of them in parts; splits: which of them (with the number of the split)
// invocations share; block; vectors: whether four outputs lie side by side; along: whether the axis that is
// walked fastest is read four elements at a time; float: whether there can be NaN; total_type: what
// elements are combined in; total: the result, back in the range of its type; least: the largest (or
// smallest) of no integers.
//% include "params"
//% set read = fours[0] if vectors or along else types[0]
//% set sum = "vec4<" ~ total_type ~ ">" if vectors or along else total_type
//% set load = wide[0] if types[0] == "f16" and (vectors or along) else sum
//% set floats = "vec4<f32>" if vectors or along else "f32"
//% set bits = "vec4<i32>" if vectors or along else "i32"
//% set extreme = kind in ["reduce_max", "reduce_min"]
/*% macro at(u) %*/first/*% for n in range(loops) %*/ + ${ "(k" ~ n ~ " + " ~ u ~ ")" if u > 0 and n == loops - 1 else "k" ~ n } * params.r${ n }_step/*% endfor %*//*% endmacro %*/
//% macro see(value)
//% if extreme and float
    seen = max(seen, bitcast<${ bits }>(${ floats }(${ value })) & ${ bits }(0x7fffffff));
//% endif
//% endmacro
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

// What no elements are combined to.
fn nothing() -> ${ sum } {
//% if extreme and float
  // Infinity, by bits that are not a constant expression.
  let infinity = ${ "0xff800000u" if kind == "reduce_max" else "0x7f800000u" };
  return ${ sum }(${ total_type }(bitcast<f32>(infinity)));
//% elif extreme
  return ${ sum }(${ least });
//% elif kind == "reduce_prod"
  return ${ sum }(1);
//% else
  return ${ sum }();
//% endif
}

//% if lanes > 0
// Where the terms of a result are, counted through all loops.
fn place_of(term: i32) -> i32 {
//% if loops == 1
  return term * params.r0_step;
//% else
  var rest = term;
  var at = 0;
//% for n in range(loops)|reverse
  at += rest % params.r${ n } * params.r${ n }_step;
  rest /= params.r${ n };
//% endfor
  return at;
//% endif
}

var<workgroup> parts: array<${ sum }, ${ lanes }>;
//% if extreme and float
var<workgroup> seen_parts: array<${ bits }, ${ lanes }>;
//% endif
@compute @workgroup_size(${ lanes })
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let wanted = (group.x + group.y * groups.x) * ${ side }u + local % ${ side }u;
  // All take part in the tree.
  let i = min(wanted, params.count - 1u);
//% else
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
//% endif
  let c = i % params.inner;
  let first = i32(place(i, c));
//% if lanes == 0
//% for n in range(loops)
//% if n in splits
  // The last parts may be short, or empty.
  let part_${ n } = i32(i / params.outputs_${ n } % params.parts_${ n });
  let end_${ n } = min(params.r${ n }, params.whole_${ n } - (part_${ n } * params.r${ n }));
//% else
  let end_${ n } = params.r${ n };
//% endif
//% endfor
//% endif
//% if extreme and float
  // Drivers' max and min may drop NaN; the bits of an absolute value are above infinity's for NaN alone.
  var seen = ${ bits }();
//% endif
//% if lanes > 0
/*% macro flat(u) %*/first + place_of(k/*% if u > 0 %*/ + ${ u * (lanes // side) }/*% endif %*/)/*% endmacro %*/
  var sum_0 = nothing();
  var k = i32(local / ${ side }u);
  while k < params.terms {
    var block = nothing();
    let stop = min(k + ${ block * (lanes // side) }, params.terms);
    // Loads that do not wait for each other, combined in the same order.
    for (; k + ${ 3 * (lanes // side) } < stop; k += ${ 4 * (lanes // side) }) {
//% for u in range(4)
      let value_${ u } = ${ load }(x[${ flat(u) }]);
//% endfor
//% for u in range(4)
${ see("value_" ~ u) }
      block = combine(block, value_${ u });
//% endfor
    }
    for (; k < stop; k += ${ lanes // side }) {
      let value = ${ load }(x[${ flat(0) }]);
${ see("value") }
      block = combine(block, value);
    }
    sum_0 = combine(sum_0, block);
  }
  parts[local] = sum_0;
//% if extreme and float
  seen_parts[local] = seen;
//% endif
  workgroupBarrier();
//% for half in halves
  if local < ${ half }u {
    parts[local] = combine(parts[local], parts[local + ${ half }u]);
//% if extreme and float
    seen_parts[local] = max(seen_parts[local], seen_parts[local + ${ half }u]);
//% endif
  }
  workgroupBarrier();
//% endfor
  if (local >= ${ side }u) | (wanted >= params.count) {
    return;
  }
  sum_0 = parts[local];
//% if extreme and float
  seen = seen_parts[local];
//% endif
//% else
//% set last = loops - 1
//% for n in range(loops)
  var sum_${ n } = nothing();
//% if blocked[n]
  for (var b${ n } = 0; b${ n } < end_${ n }; b${ n } += ${ block }) {
  var block_${ n } = nothing();
  let stop_${ n } = min(b${ n } + ${ block }, end_${ n });
//% endif
//% set begin = "b" ~ n if blocked[n] else "0"
//% set stop = "stop_" ~ n if blocked[n] else "end_" ~ n
//% if n == last
  // Loads that do not wait for each other, combined in the same order.
  var k${ n } = ${ begin };
  for (; k${ n } + 3 < ${ stop }; k${ n } += 4) {
//% for u in range(4)
    let value_${ u } = ${ load }(x[${ at(u) }]);
//% endfor
//% for u in range(4)
${ see("value_" ~ u) }
    ${ "block_" if blocked[n] else "sum_" }${ n } = combine(${ "block_" if blocked[n] else "sum_" }${ n }, value_${ u });
//% endfor
  }
  for (; k${ n } < ${ stop }; k${ n }++) {
//% else
  for (var k${ n } = ${ begin }; k${ n } < ${ stop }; k${ n }++) {
//% endif
//% endfor
    let value = ${ load }(x[${ at(0) }]);
${ see("value") }
//% for n in range(loops)|reverse
//% set inner = "value" if loop.first else "sum_" ~ (n + 1)
//% if blocked[n]
    block_${ n } = combine(block_${ n }, ${ inner });
  }
  sum_${ n } = combine(sum_${ n }, block_${ n });
  }
//% else
    sum_${ n } = combine(sum_${ n }, ${ inner });
  }
//% endif
//% endfor
//% endif
//% set acc = "sum_0" if loops > 0 or lanes > 0 else "value"
//% if along
  let pair = combine(${ acc }, ${ acc }.zwxy);
  var total = combine(pair, pair.yxwz).x;
//% else
  var total = ${ acc };
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
