// Max and average pooling over a plane, ${ run } neighbouring places of four channels an invocation.
//
// What neighbours read twice is loaded once. Loop iterations of an invocation: kernel_h.
// Values: params, operands, out_binding, element, store, stored; run, how many positions; width, that of the window; stride, the
// stride along the width; max: largest or mean; include_pad: whether padding counts as zeros in the mean.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let index = grid_index(id, groups);
  if index >= params.runs * params.inner {
    return;
  }
  let c = index % params.inner;
  var rest = i32(index / params.inner);
  let run = rest % params.runs_w;
  rest /= params.runs_w;
  let oh = rest % params.out_h;
  let n = rest / params.out_h;
  let left = run * ${ run * stride } - params.pad_w;
//% if max
  // Minus infinity, by bits that are not a constant expression.
  let bits = 0xff800000u;
  let outside = vec4<f32>(bitcast<f32>(bits));
  // Drivers' max may drop NaN; the bits of an absolute value are above infinity's for NaN alone.
//% else
  let outside = vec4<f32>();
//% endif
//% for t in range(run)
  var acc_${ t } = outside;
//% if max
  var seen_${ t } = vec4<i32>();
//% endif
//% endfor
  var lines = 0;
  for (var kh = 0; kh < params.kernel_h; kh++) {
    let h = oh * params.stride_h + kh - params.pad_h;
    let within = (h >= 0) & (h < params.in_h);
//% if include_pad
    lines += i32(h < params.in_h + params.end_h);
//% else
    lines += i32(within);
//% endif
    let line = (n * params.in_h + h) * params.in_w;
//% for u in range((run - 1) * stride + width)
    let in_${ u } = within & (left + ${ u } >= 0) & (left + ${ u } < params.in_w);
    let at_${ u } = u32(select(0, (line + left + ${ u }) * params.x_step + params.x_base, in_${ u })) + c;
    let x_${ u } = select(outside, ${ wide[0] }(x[at_${ u }]), in_${ u });
//% if max
    let bits_${ u } = bitcast<vec4<i32>>(x_${ u }) & vec4<i32>(0x7fffffff);
//% endif
//% endfor
//% for k in range(width)
//% for t in range(run)
//% if max
    acc_${ t } = max(acc_${ t }, x_${ t * stride + k });
    seen_${ t } = max(seen_${ t }, bits_${ t * stride + k });
//% else
    acc_${ t } += x_${ t * stride + k };
//% endif
//% endfor
//% endfor
  }
  let row = (n * params.out_h + oh) * params.out_w + run * ${ run };
//% for t in range(run)
  if run * ${ run } + ${ t } < params.out_w {
    let i = u32(row + ${ t }) * params.inner + c;
//% if max
    let nan = seen_${ t } > vec4<i32>(0x7f800000);
    store(i, c, element(i, c, select(acc_${ t }, bitcast<vec4<f32>>(seen_${ t }), nan)));
//% else
    let first = left + ${ t * stride };
//% if include_pad
    let columns = min(first + ${ width }, params.in_w + params.end_w) - first;
//% else
    let columns = min(first + ${ width }, params.in_w) - max(first, 0);
//% endif
    store(i, c, element(i, c, acc_${ t } / f32(max(lines * columns, 1))));
//% endif
  }
//% endfor
}
