// Depthwise convolution: each channel by itself, ${ run } neighbouring positions of four channels an invocation.
//
// What neighbours read twice is loaded once. x is channels last, w is [kernel_h][kernel_w][channels].
// Loop iterations of an invocation: kernel_h.
// Values: params, operands, out_binding, element, store, stored; run, how many positions; width, that of the kernel; stride, the
// stride along the width; biased, whether sums start at `bias`.
//% include "product"

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
//% if biased
  let first = ${ wide[2] }(bias[c]);
//% else
  let first = vec4<${ number }>();
//% endif
//% for t in range(run)
  var sum_${ t } = first;
//% endfor
  for (var kh = 0; kh < params.kernel_h; kh++) {
    let h = oh * params.stride_h + kh * params.dilation_h - params.pad_h;
    let inside = (h >= 0) & (h < params.in_h);
    let line = (n * params.in_h + h) * params.in_w;
//% for u in range((run - 1) * stride + width)
    let in_${ u } = inside & (left + ${ u } >= 0) & (left + ${ u } < params.in_w);
    let at_${ u } = u32(select(0, (line + left + ${ u }) * params.x_step + params.x_base, in_${ u })) + c;
    let x_${ u } = select(vec4<${ number }>(), ${ wide[0] }(x[at_${ u }]), in_${ u });
//% endfor
//% for k in range(width)
    let w_${ k } = ${ wide[1] }(w[u32(kh * ${ width } + ${ k }) * params.inner + c]);
//% for t in range(run)
    sum_${ t } += x_${ t * stride + k } * w_${ k };
//% endfor
//% endfor
  }
  let row = (n * params.out_h + oh) * params.out_w + run * ${ run };
//% for t in range(run)
  if run * ${ run } + ${ t } < params.out_w {
    let i = u32(row + ${ t }) * params.inner + c;
    store(i, c, element(i, c, sum_${ t }));
  }
//% endfor
}
