// Softmax along an axis, or its logarithm: one row (or four rows that lie side by side) a workgroup.
//
// The passes of softmax.wgsl; each invocation takes every ${ lanes }th element, and trees in workgroup memory combine what
// invocations have found, in a fixed order.
// Values: params, place, T; log; masked: whether some of the four rows are padding; lanes; halves, the steps of a tree.
//% set four = T == "vec4<f32>"
//% set wide = wide[0] if four else T
//% set narrow = narrow[1] if four else types[1]
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] if four else types[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<${ fours[1] if four else types[1] }>;

${ place }
var<workgroup> parts: array<${ T }, ${ lanes }>;

//% macro tree(name, combined)
fn ${ name }(local: u32, own: ${ T }) -> ${ T } {
  // What was found before has been read.
  workgroupBarrier();
  parts[local] = own;
  workgroupBarrier();
//% for half in halves
  if local < ${ half }u {
    let other = parts[local + ${ half }u];
    parts[local] = ${ combined };
  }
  workgroupBarrier();
//% endfor
  return parts[0];
}
//% endmacro
${ tree("largest_of", "max(parts[local], other)") }
${ tree("sum_of", "parts[local] + other") }
@compute @workgroup_size(${ lanes })
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let wanted = group.x + group.y * groups.x;
  // All take part in the trees.
  let i = min(wanted, params.count - 1u);
  let c = i % params.inner;
  let first = i32(place(i, c));
  let begin = i32(local);
  var own = ${ wide }(x[first]);
  var k = begin;
  for (; k + ${ 3 * lanes } < params.size; k += ${ 4 * lanes }) {
//% for u in range(4)
    let value_${ u } = ${ wide }(x[first + (k + ${ u * lanes }) * params.step]);
//% endfor
//% for u in range(4)
    own = max(own, value_${ u });
//% endfor
  }
  for (; k < params.size; k += ${ lanes }) {
    own = max(own, ${ wide }(x[first + k * params.step]));
  }
  let largest = largest_of(local, own);
  var part = ${ T }();
  k = begin;
  for (; k + ${ 3 * lanes } < params.size; k += ${ 4 * lanes }) {
//% for u in range(4)
    let value_${ u } = ${ wide }(x[first + (k + ${ u * lanes }) * params.step]);
//% endfor
//% for u in range(4)
    part += exp(value_${ u } - largest);
//% endfor
  }
  for (; k < params.size; k += ${ lanes }) {
    part += exp(${ wide }(x[first + k * params.step]) - largest);
  }
  let sum = sum_of(local, part);
  if wanted >= params.count {
    return;
  }
//% if log
  let log_sum = log(sum);
//% endif
  for (k = begin; k < params.size; k += ${ lanes }) {
    let at = first + k * params.step;
//% if log
    // Not less their sum, in which a large number would drown the logarithm.
    let value = (${ wide }(x[at]) - largest) - log_sum;
//% else
    let value = exp(${ wide }(x[at]) - largest) / sum;
//% endif
//% if masked
    out[at] = ${ narrow }(select(vec4<f32>(), value, vec4<u32>(c * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.valid)));
//% else
    out[at] = ${ narrow }(value);
//% endif
  }
  for (k = params.size + begin; k < params.padded; k += ${ lanes }) {
    out[first + k * params.step] = ${ narrow }(${ T }());
  }
}
