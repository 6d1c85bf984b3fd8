// Softmax along an axis, or its logarithm: one row (or four rows that lie side by side) an invocation.
//
// Three passes: the largest element, the sum of exponentials, the results. Padding at the end of a row, and rows that
// are padding themselves, become zero.
// Longer rows are shared by invocations: softmax_parts.wgsl, softmax_rows.wgsl, softmax_results.wgsl.
// Values: params, place, T; log; block; masked: whether some of the four rows are padding.
//% set four = T == "vec4<f32>"
//% set wide = wide[0] if four else T
//% set narrow = narrow[1] if four else types[1]
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] if four else types[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<${ fours[1] if four else types[1] }>;

//% include "grid"
${ place }
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let first = i32(place(i, c));
  var largest = ${ wide }(x[first]);
  for (var k = 1; k < params.size; k++) {
    largest = max(largest, ${ wide }(x[first + k * params.step]));
  }
  // In blocks, so that rounding errors do not add up.
  var sum = ${ T }();
  for (var block = 0; block < params.size; block += ${ block }) {
    var part = ${ T }();
    let stop = min(block + ${ block }, params.size);
    for (var k = block; k < stop; k++) {
      part += exp(${ wide }(x[first + k * params.step]) - largest);
    }
    sum += part;
  }
//% if log
  let log_sum = log(sum);
//% endif
  for (var k = 0; k < params.size; k++) {
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
  for (var k = params.size; k < params.padded; k++) {
    out[first + k * params.step] = ${ narrow }(${ T }());
  }
}
