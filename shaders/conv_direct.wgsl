// Convolution of any kind, one output vector (four channels of one place) an invocation.
//
// The plain strategy: right for every shape, fast for none. x is channels last; w is
// [kernel_d][kernel_h][kernel_w][group_in][out channels].
// Values: params, operands, out_binding, element, store, stored; aligned: whether the four output channels share
// a group; meets_zeros: whether there are zeros between input elements
// (transposed convolution).
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> w: array<${ fours[1] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "tap"

//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  var rest = i32(i / params.inner);
  let ow = rest % params.out_w;
  rest /= params.out_w;
  let oh = rest % params.out_h;
  rest /= params.out_h;
  let od = rest % params.out_d;
  let n = rest / params.out_d;
//% if aligned
  let first = i32(c) * 4 / params.group_out * params.group_in;
//% else
  let first = (vec4<i32>(i32(c) * 4) + vec4<i32>(0, 1, 2, 3)) / params.group_out * params.group_in;
//% endif
  var acc = vec4<${ number }>();
  var row = c;
  for (var kd = 0; kd < params.kernel_d; kd++) {
    let d = tap(od * params.stride_d + kd * params.dilation_d - params.pad_d, params.step_d, params.in_d);
    for (var kh = 0; kh < params.kernel_h; kh++) {
      let h = tap(oh * params.stride_h + kh * params.dilation_h - params.pad_h, params.step_h, params.in_h);
      for (var kw = 0; kw < params.kernel_w; kw++) {
        let v = tap(ow * params.stride_w + kw * params.dilation_w - params.pad_w, params.step_w, params.in_w);
        if d < 0 || h < 0 || v < 0 {
          row += u32(params.group_in) * params.inner;
          continue;
        }
        let at = (((n * params.in_d + d) * params.in_h + h) * params.in_w + v) * params.x_step + params.x_base;
        for (var ci = 0; ci < params.group_in; ci++) {
//% if aligned
          acc += ${ number }(x[at + first + ci]) * ${ wide[1] }(w[row]);
//% else
          let near = at + first + ci;
          acc += vec4<${ number }>(${ number }(x[near.x]), ${ number }(x[near.y]), ${ number }(x[near.z]), ${ number }(x[near.w])) * ${ wide[1] }(w[row]);
//% endif
          row += params.inner;
        }
      }
    }
  }
  store(i, c, element(i, c, acc));
}
