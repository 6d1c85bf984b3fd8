// Softmax along an axis, or its logarithm, of a part of a row (or of four rows that lie side by side) an invocation, from
// the largest element of each row and the sum of exponentials.
//
// Padding at the end of a row, and rows that are padding themselves, become zero.
// Values: params, place, T; log; masked: whether some of the four rows are padding.
//% set four = T == "vec4<f32>"
//% set wide = wide[0] if four else T
//% set narrow = narrow[2] if four else types[2]
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] if four else types[0] }>;
@group(0) @binding(2) var<storage, read> rows: array<${ T }>;
@group(0) @binding(3) var<storage, read_write> out: array<${ fours[2] if four else types[2] }>;

//% include "grid"
${ place }
//% include "invocation_entry"
  let number = grid_index(id, groups);
  if number >= params.count {
    return;
  }
  let i = number % params.rows;
  let c = i % params.inner;
  let first = i32(place(i, c));
  let part = i32(number / params.rows);
  let begin = part * params.chunk;
  let end = min(begin + params.chunk, params.size);
  let largest = rows[i * 2u];
  let sum = rows[(i * 2u) + 1u];
//% if log
  let log_sum = log(sum);
//% endif
  for (var k = begin; k < end; k++) {
    let at = first + (k * params.step);
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
  if part == params.parts - 1 {
    for (var k = params.size; k < params.padded; k++) {
      out[first + (k * params.step)] = ${ narrow }(${ T }());
    }
  }
}
