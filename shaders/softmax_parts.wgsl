// The largest element of a part of a row, and the sum of the exponentials of all less that, for long rows of softmax: one
// part of a row (or of four rows that lie side by side) an invocation.
//
// out has the two one after the other, [part][row].
// Values: params, place, T; block.
//% set four = T == "vec4<f32>"
//% set wide = wide[0] if four else T
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] if four else types[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<${ T }>;

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
  let begin = i32(number / params.rows) * params.chunk;
  let end = min(begin + params.chunk, params.size);
  let infinity = 0xff800000u;
  var largest = ${ T }(bitcast<f32>(infinity));
  for (var k = begin; k < end; k++) {
    largest = max(largest, ${ wide }(x[first + (k * params.step)]));
  }
  // Of nothing but minus infinity the exponentials are zeros.
  let shift = select(${ T }(), largest, largest > ${ T }(bitcast<f32>(infinity)));
  var sum = ${ T }();
  for (var block = begin; block < end; block += ${ block }) {
    var part = ${ T }();
    let stop = min(block + ${ block }, end);
    for (var k = block; k < stop; k++) {
      part += exp(${ wide }(x[first + (k * params.step)]) - shift);
    }
    sum += part;
  }
  out[number * 2u] = largest;
  out[(number * 2u) + 1u] = sum;
}
