// Nearest and linear interpolation of up to three spatial dimensions, one output vector an invocation.
//
// Holes: params, operands, out_binding, element, store, stored; linear; coordinates: an expression for the input
// coordinate of output coordinate `place`; nearest: an expression that rounds it; scales: whether they are given.
struct Params {
${ params }}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
// The input coordinate of an output coordinate, within the input.
fn source(place: i32, size: i32, to: i32, scale: f32) -> f32 {
  let at = ${ coordinates };
  return clamp(at, 0.0, f32(size - 1));
}

fn at(n: i32, d: i32, h: i32, w: i32, c: u32) -> vec4<f32> {
  let place = ((n * params.in_d + d) * params.in_h + h) * params.in_w + w;
  return ${ wide[0] }(x[u32(place * params.x_step + params.x_base) + c]);
}

//% if linear
fn row(n: i32, d: i32, h: i32, w: f32, c: u32) -> vec4<f32> {
  let first = i32(w);
  return mix(at(n, d, h, first, c), at(n, d, h, min(first + 1, params.in_w - 1), c), fract(w));
}

fn sheet(n: i32, d: i32, h: f32, w: f32, c: u32) -> vec4<f32> {
  let first = i32(h);
  return mix(row(n, d, first, w, c), row(n, d, min(first + 1, params.in_h - 1), w, c), fract(h));
}
//% else
fn nearest(at: f32, size: i32) -> i32 {
  return clamp(i32(${ nearest }), 0, size - 1);
}
//% endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
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
//% if scales
  let scale = vec3<f32>(params.scale_d, params.scale_h, params.scale_w);
//% else
  let scale = vec3<f32>(f32(params.out_d), f32(params.out_h), f32(params.out_w))
    / vec3<f32>(f32(params.in_d), f32(params.in_h), f32(params.in_w));
//% endif
  let d = source(od, params.in_d, params.out_d, scale.x);
  let h = source(oh, params.in_h, params.out_h, scale.y);
  let w = source(ow, params.in_w, params.out_w, scale.z);
//% if linear
  let first = i32(d);
  let acc = mix(sheet(n, first, h, w, c), sheet(n, min(first + 1, params.in_d - 1), h, w, c), fract(d));
//% else
  let acc = at(n, nearest(d, params.in_d), nearest(h, params.in_h), nearest(w, params.in_w), c);
//% endif
  store(i, c, element(i, c, acc));
}
