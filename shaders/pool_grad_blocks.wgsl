// Gradient of a max pooling whose windows do not overlap, one window (of four channels) an invocation: it finds the
// first of the largest elements, or the last NaN, and writes the places of its block, those up to the next window, or to
// the end.
//
// x and dy are channels last; windows begin where there is no padding.
// Loop iterations of an invocation: twice the places of a block.
// Values: params, operands, out_binding, element, store, stored.
//% include "params"
@group(0) @binding(1) var<storage, read> dy: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read> x: array<${ fours[1] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let number = grid_index(id, groups);
  if number >= params.windows {
    return;
  }
  let c = number % params.inner;
  var rest = i32(number / params.inner);
  let place = rest;
  let ow = rest % params.out_w;
  rest /= params.out_w;
  let oh = rest % params.out_h;
  rest /= params.out_h;
  let od = rest % params.out_d;
  let n = rest / params.out_d;
  let d = od * params.stride_d;
  let h = oh * params.stride_h;
  let w = ow * params.stride_w;
  let image = n * params.in_d;
  var largest = ${ wide[1] }(x[u32(((((image + d) * params.in_h + h) * params.in_w) + w) * params.x_step + params.x_base) + c]);
  var chosen = vec4<i32>(0);
  for (var kd = 0; kd < min(params.kernel_d, params.in_d - d); kd++) {
    for (var kh = 0; kh < min(params.kernel_h, params.in_h - h); kh++) {
      let line = ((image + d + kd) * params.in_h + h + kh) * params.in_w + w;
      for (var kw = 0; kw < min(params.kernel_w, params.in_w - w); kw++) {
        let value = ${ wide[1] }(x[u32((line + kw) * params.x_step + params.x_base) + c]);
        let larger = is_nan(value) | (!is_nan(largest) & (value > largest));
        largest = select(largest, value, larger);
        chosen = select(chosen, vec4<i32>((kd * params.kernel_h + kh) * params.kernel_w + kw), larger);
      }
    }
  }
  let share = ${ wide[0] }(dy[u32(place * params.dy_step + params.dy_base) + c]);
  let end_d = select(d + params.stride_d, params.in_d, od == params.out_d - 1);
  let end_h = select(h + params.stride_h, params.in_h, oh == params.out_h - 1);
  let end_w = select(w + params.stride_w, params.in_w, ow == params.out_w - 1);
  for (var e = d; e < end_d; e++) {
    for (var g = h; g < end_h; g++) {
      for (var v = w; v < end_w; v++) {
        let inside = (e - d < params.kernel_d) & (g - h < params.kernel_h) & (v - w < params.kernel_w);
        let tap = select(-1, ((e - d) * params.kernel_h + g - h) * params.kernel_w + v - w, inside);
        let i = u32(((image + e) * params.in_h + g) * params.in_w + v) * params.inner + c;
        store(i, c, element(i, c, select(vec4<f32>(), share, chosen == vec4<i32>(tap))));
      }
    }
  }
}
