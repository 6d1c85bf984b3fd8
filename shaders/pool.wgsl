// Max and average pooling, one output vector (four channels of one place) an invocation.
//
// Values: params, operands, out_binding, element, store, stored; max: largest or mean; include_pad: whether padding
// (but nothing beyond it) counts as zeros in the mean.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
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
//% if max
  // Minus infinity, by bits that are not a constant expression.
  let lowest = 0xff800000u;
  var acc = vec4<f32>(bitcast<f32>(lowest));
  // Drivers' max may drop NaN; the bits of an absolute value are above infinity's for NaN alone.
  var seen = vec4<i32>();
//% else
  var acc = vec4<f32>(0.0);
  var counted = 0;
//% endif
  for (var kd = 0; kd < params.kernel_d; kd++) {
    let d = od * params.stride_d + kd * params.dilation_d - params.pad_d;
//% if not max
    // Lines and planes by themselves, so that rounding errors do not add up.
    var plane = vec4<f32>();
//% endif
    for (var kh = 0; kh < params.kernel_h; kh++) {
      let h = oh * params.stride_h + kh * params.dilation_h - params.pad_h;
//% if not max
      var line = vec4<f32>();
//% endif
      for (var kw = 0; kw < params.kernel_w; kw++) {
        let w = ow * params.stride_w + kw * params.dilation_w - params.pad_w;
        let inside = (d >= 0) & (d < params.in_d) & (h >= 0) & (h < params.in_h) & (w >= 0) & (w < params.in_w);
        if inside {
          let at = (((n * params.in_d + d) * params.in_h + h) * params.in_w + w) * params.x_step + params.x_base;
//% if max
          let value = ${ wide[0] }(x[u32(at) + c]);
          acc = max(acc, value);
          seen = max(seen, bitcast<vec4<i32>>(value) & vec4<i32>(0x7fffffff));
//% else
          line += ${ wide[0] }(x[u32(at) + c]);
//% endif
        }
//% if not max
//% if include_pad
        counted += i32(d < params.in_d + params.end_d && h < params.in_h + params.end_h && w < params.in_w + params.end_w);
//% else
        counted += i32(inside);
//% endif
//% endif
      }
//% if not max
      plane += line;
//% endif
    }
//% if not max
    acc += plane;
//% endif
  }
//% if max
  acc = select(acc, bitcast<vec4<f32>>(seen), seen > vec4<i32>(0x7f800000));
//% else
  acc = acc / f32(max(counted, 1));
//% endif
  store(i, c, element(i, c, acc));
}
