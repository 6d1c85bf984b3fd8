// Gradient of a pooling, one vector of the pooling's input (four channels of one place) an invocation.
//
// Each place looks for the windows it is in: window `o` has it as tap `t` where o*stride + t*dilation - pad is the
// place. So nothing has to be added up by several invocations. windows_d, windows_h, windows_w: in how many windows a
// place can be.
// Values: params, operands, out_binding, element, store, stored; max: largest (the first of equal ones, the last NaN) or
// mean; winners: whether a table says which tap of each window is the largest, four channels a word (pool_winner.wgsl);
// include_pad: whether padding (but nothing beyond it) counts in the mean.
//% include "params"
@group(0) @binding(1) var<storage, read> dy: array<${ fours[0] }>;
//% if winners
@group(0) @binding(2) var<storage, read> winners: array<u32>;
//% elif max
@group(0) @binding(2) var<storage, read> x: array<${ fours[1] }>;
//% endif
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
// The window that is `back` before the last one that `place` (counted with the padding before it) can be in, and the
// tap that `place` is there; a tap of -1 if it is none.
fn window(place: i32, back: i32, stride: i32, dilation: i32, kernel: i32, size: i32) -> vec2<i32> {
  let number = place / stride - back;
  let apart = place - number * stride;
  let there = (number >= 0) & (number < size) & (apart % dilation == 0) & (apart / dilation < kernel);
  return vec2<i32>(number, select(-1, apart / dilation, there));
}

//% if not max
// How many taps of a window that begins at `begin` lie between `low` and `high`.
fn counted(begin: i32, low: i32, high: i32, kernel: i32, dilation: i32) -> i32 {
  let first = (max(low - begin, 0) + dilation - 1) / dilation;
  let end = (max(high - begin, 0) + dilation - 1) / dilation;
  return max(min(end, kernel) - first, 0);
}
//% endif

//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  var rest = i32(i / params.inner);
  let w = rest % params.in_w;
  rest /= params.in_w;
  let h = rest % params.in_h;
  rest /= params.in_h;
  let d = rest % params.in_d;
  let n = rest / params.in_d;
//% if max and not winners
  let own = ${ wide[1] }(x[u32((((n * params.in_d + d) * params.in_h + h) * params.in_w + w) * params.x_step + params.x_base) + c]);
  let own_nan = is_nan(own);
//% endif
  var acc = vec4<f32>(0.0);
  for (var back_d = 0; back_d < params.windows_d; back_d++) {
    let window_d = window(d + params.pad_d, back_d, params.stride_d, params.dilation_d, params.kernel_d, params.out_d);
    for (var back_h = 0; back_h < params.windows_h; back_h++) {
      let window_h = window(h + params.pad_h, back_h, params.stride_h, params.dilation_h, params.kernel_h, params.out_h);
      for (var back_w = 0; back_w < params.windows_w; back_w++) {
        let window_w = window(w + params.pad_w, back_w, params.stride_w, params.dilation_w, params.kernel_w, params.out_w);
        let od = window_d.x;
        let oh = window_h.x;
        let ow = window_w.x;
        let kd = window_d.y;
        let kh = window_h.y;
        let kw = window_w.y;
        if kd < 0 || kh < 0 || kw < 0 {
          continue;
        }
        let place = ((n * params.out_d + od) * params.out_h + oh) * params.out_w + ow;
        let share = ${ wide[0] }(dy[u32(place * params.dy_step + params.dy_base) + c]);
        let from_d = od * params.stride_d - params.pad_d;
        let from_h = oh * params.stride_h - params.pad_h;
        let from_w = ow * params.stride_w - params.pad_w;
//% if winners
        let tap = u32((kd * params.kernel_h + kh) * params.kernel_w + kw);
        let bytes = (vec4<u32>(winners[u32(place) * params.inner + c]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
        acc += select(vec4<f32>(), share, bytes == vec4<u32>(tap));
//% elif max
        // Taps before this one have to be smaller, those behind it not larger. If it is NaN, those behind it are not.
        let tap = (kd * params.kernel_h + kh) * params.kernel_w + kw;
        var chosen = vec4<bool>(true);
        for (var jd = 0; jd < params.kernel_d; jd++) {
          let e = from_d + jd * params.dilation_d;
          for (var jh = 0; jh < params.kernel_h; jh++) {
            let g = from_h + jh * params.dilation_h;
            for (var jw = 0; jw < params.kernel_w; jw++) {
              let v = from_w + jw * params.dilation_w;
              if (e >= 0) & (e < params.in_d) & (g >= 0) & (g < params.in_h) & (v >= 0) & (v < params.in_w) {
                let near = ${ wide[1] }(x[u32((((n * params.in_d + e) * params.in_h + g) * params.in_w + v) * params.x_step + params.x_base) + c]);
                let other = (jd * params.kernel_h + jh) * params.kernel_w + jw;
                let near_nan = is_nan(near);
                let smaller = (near < own) | ((near == own) & vec4<bool>(other >= tap));
                chosen = chosen & select(smaller & !near_nan, !(near_nan & vec4<bool>(other > tap)), own_nan);
              }
            }
          }
        }
        acc += select(vec4<f32>(0.0), share, chosen);
//% else
//% if include_pad
        let size = counted(from_d, -params.pad_d, params.in_d + params.end_d, params.kernel_d, params.dilation_d)
          * counted(from_h, -params.pad_h, params.in_h + params.end_h, params.kernel_h, params.dilation_h)
          * counted(from_w, -params.pad_w, params.in_w + params.end_w, params.kernel_w, params.dilation_w);
//% else
        let size = counted(from_d, 0, params.in_d, params.kernel_d, params.dilation_d)
          * counted(from_h, 0, params.in_h, params.kernel_h, params.dilation_h)
          * counted(from_w, 0, params.in_w, params.kernel_w, params.dilation_w);
//% endif
        acc += share / f32(max(size, 1));
//% endif
      }
    }
  }
  store(i, c, element(i, c, acc));
}
