// Which element of each window of a max pooling is chosen, four channels an invocation: the first of the largest, or the last
// NaN. The numbers of four taps are the bytes of a word.
//
// x is channels last, out is [place][vector of channels]. Loop iterations of an invocation: taps.
// Values: params.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  var rest = i32(i / params.inner);
  let w = rest % params.out_w * params.stride_w - params.pad_w;
  rest /= params.out_w;
  let h = rest % params.out_h * params.stride_h - params.pad_h;
  rest /= params.out_h;
  let d = rest % params.out_d * params.stride_d - params.pad_d;
  let image = rest / params.out_d * params.in_d;
  var largest = vec4<f32>();
  // No tap yet.
  var chosen = vec4<u32>(255u);
  var tap = 0u;
  for (var kd = 0; kd < params.kernel_d; kd++) {
    let e = d + kd * params.dilation_d;
    for (var kh = 0; kh < params.kernel_h; kh++) {
      let g = h + kh * params.dilation_h;
      for (var kw = 0; kw < params.kernel_w; kw++) {
        let v = w + kw * params.dilation_w;
        if (e >= 0) & (e < params.in_d) & (g >= 0) & (g < params.in_h) & (v >= 0) & (v < params.in_w) {
          let value = ${ wide[0] }(x[u32((((image + e) * params.in_h + g) * params.in_w + v) * params.x_step + params.x_base) + c]);
          // Drivers may assume that there is no NaN: its bits tell.
          let nan = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
          let largest_nan = (bitcast<vec4<u32>>(largest) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
          let larger = (chosen == vec4<u32>(255u)) | nan | (!largest_nan & (value > largest));
          largest = select(largest, value, larger);
          chosen = select(chosen, vec4<u32>(tap), larger);
        }
        tap++;
      }
    }
  }
  out[i] = chosen.x | (chosen.y << 8u) | (chosen.z << 16u) | (chosen.w << 24u);
}
