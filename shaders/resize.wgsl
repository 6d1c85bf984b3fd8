// Nearest and linear interpolation of up to three spatial dimensions, one output vector an invocation.
//
// Of an axis, each element comes from one of the input, or from two neighbours. Which ones says a table (for linear
// interpolation, the first one and the share of the second), or a ratio of integers: the place of element i is
// (i * factor + shift) / divisor.
// Values: params, operands, out_binding, element, store, stored; linear; axes: of d, h, w those there are; kinds: by axis,
// `same` (nothing is resized), `table` or `ratio`; tabled; single: whether the only element of an axis is the first one.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
//% if tabled
@group(0) @binding(2) var<storage, read> table: array<${ "vec2<f32>" if linear else "i32" }>;
//% endif
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
fn at(place: i32, c: u32) -> vec4<f32> {
  return ${ wide[0] }(x[u32((place * params.x_step) + params.x_base) + c]);
}

//% if linear
// An element of the input, and the share of the one behind it.
struct Near {
  first: i32,
  share: f32,
}

//% for axis in axes|reverse
//% set inner = axes[axes|length - loop.index0:]
//% set rest = (inner|join(", ") ~ ", ") if inner else ""
//% set next = "along_" ~ inner[0] if inner else "at"
// Along the axes from here on; `before` counts the places of those before.
fn along_${ axis }(before: i32, ${ axis }: Near${ ", " if inner else "" }${ inner|join(": Near, ") }${ ": Near" if inner else "" }, c: u32) -> vec4<f32> {
  let start = before * params.in_${ axis };
  let first = ${ next }(start + ${ axis }.first, ${ rest }c);
//% if kinds[axis] == "same"
  return first;
//% else
  let second = ${ next }(start + min(${ axis }.first + 1, params.in_${ axis } - 1), ${ rest }c);
  return mix(first, second, ${ axis }.share);
//% endif
}

//% endfor
//% endif
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  var rest = i32(i / params.inner);
//% for axis in axes|reverse
  let out_${ axis } = rest % params.out_${ axis };
  rest /= params.out_${ axis };
//% if kinds[axis] == "same"
  let first_${ axis } = out_${ axis };
  let share_${ axis } = 0.0;
//% elif kinds[axis] == "table" and linear
  let pair_${ axis } = table[params.table_${ axis } + out_${ axis }];
  let first_${ axis } = i32(pair_${ axis }.x);
  let share_${ axis } = pair_${ axis }.y;
//% elif kinds[axis] == "table"
  let first_${ axis } = table[params.table_${ axis } + out_${ axis }];
//% else
  let divisor_${ axis } = max(params.divisor_${ axis }, 1);
  var sum_${ axis } = (out_${ axis } * params.factor_${ axis }) + params.shift_${ axis };
//% if single
  sum_${ axis } = select(sum_${ axis }, 0, params.out_${ axis } == 1);
//% endif
  // Within the input; the last element has none behind it.
  sum_${ axis } = clamp(sum_${ axis }, 0, (params.in_${ axis } - 1) * divisor_${ axis });
  let first_${ axis } = sum_${ axis } / divisor_${ axis };
  let share_${ axis } = f32(sum_${ axis } - (first_${ axis } * divisor_${ axis })) / f32(divisor_${ axis });
//% endif
//% endfor
//% if linear
//% for axis in axes
  let near_${ axis } = Near(first_${ axis }, share_${ axis });
//% endfor
  let acc = along_${ axes[0] }(rest, near_${ axes|join(", near_") }, c);
//% else
  var place = rest;
//% for axis in axes
  place = (place * params.in_${ axis }) + first_${ axis };
//% endfor
  let acc = at(place, c);
//% endif
  store(i, c, element(i, c, acc));
}
