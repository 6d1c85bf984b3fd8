// Gradient of a convolution's weight in parts, one element an invocation: for groups of channels that are no
// multiples of four. With `vectors`, each channel is a group of its own and an invocation makes four of them.
//
// x and dy are channels last. out is [part][tap][channel] with vectors, else [part][row][column of tap and channel].
// Loop iterations of an invocation: places of a part.
// Values: params; vectors; meets_zeros: whether there are zeros between elements of x.
//% set T = "vec4<f32>" if vectors else "f32"
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ "vec4<" ~ types[0] ~ ">" if vectors else types[0] }>;
@group(0) @binding(2) var<storage, read> dy: array<${ "vec4<" ~ types[1] ~ ">" if vectors else types[1] }>;
@group(0) @binding(3) var<storage, read_write> out: array<${ T }>;

//% include "grid"
//% include "tap"

//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  var rest = i32(i);
//% if vectors
  let row = rest % params.rows;
  let channel = row;
  rest /= params.rows;
  var taps = rest % params.taps;
  let part = rest / params.taps;
//% else
  let column = rest % params.columns;
  rest /= params.columns;
  let row = rest % params.rows;
  let part = rest / params.rows;
  let channel = row / params.group_rows * params.depth + column % params.depth;
  var taps = column / params.depth;
//% endif
  let kw = taps % params.kernel_w;
  taps /= params.kernel_w;
  let kh = taps % params.kernel_h;
  let kd = taps / params.kernel_h;
  var acc = ${ T }();
  let end = min((part + 1) * params.part, params.places);
  for (var place = part * params.part; place < end; place++) {
    let ow = place % params.out_w;
    let line = place / params.out_w;
    let oh = line % params.out_h;
    let plane = line / params.out_h;
    let od = plane % params.out_d;
    let n = plane / params.out_d;
    let d = tap(od * params.stride_d + kd * params.dilation_d - params.pad_d, params.step_d, params.in_d);
    let h = tap(oh * params.stride_h + kh * params.dilation_h - params.pad_h, params.step_h, params.in_h);
    let v = tap(ow * params.stride_w + kw * params.dilation_w - params.pad_w, params.step_w, params.in_w);
    if d >= 0 && h >= 0 && v >= 0 {
      let at = (((n * params.in_d + d) * params.in_h + h) * params.in_w + v) * params.x_step + params.x_base;
      acc += ${ T }(x[at + channel]) * ${ T }(dy[place * params.dy_step + params.dy_base + row]);
    }
  }
  out[i] = acc;
}
