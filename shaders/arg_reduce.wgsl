// Index of the largest or smallest element along an axis, one output an invocation: of all elements, of a part of them,
// or of those that were found in parts before.
//
// Values: params, place, element_type, better (when a later element wins); found: whether `candidates` has the indices
// of the elements to look at.
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ types[0] }>;
//% if found
@group(0) @binding(2) var<storage, read> candidates: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<i32>;
//% else
@group(0) @binding(2) var<storage, read_write> out: array<i32>;
//% endif

//% include "grid"
//% include "functions"
${ place }
// The place along the axis of the element to look at.
fn candidate(number: i32, result: u32) -> i32 {
//% if found
  return candidates[(u32(number) * params.outputs) + result];
//% else
  return number;
//% endif
}

//% include "invocation_entry"
  let number = grid_index(id, groups);
  if number >= params.count {
    return;
  }
  let i = number % params.outputs;
  let c = i % params.inner;
  let first = i32(place(i, c));
  // Parts behind the end look at the last element again, which changes nothing.
  let begin = min(i32(number / params.outputs) * params.chunk, params.size - 1);
  let end = min(begin + params.chunk, params.size);
  var index = candidate(begin, i);
  var best = ${ element_type }(x[first + (index * params.step)]);
  for (var k = begin + 1; k < end; k++) {
    let other = candidate(k, i);
    let value = ${ element_type }(x[first + (other * params.step)]);
    if ${ better } {
      best = value;
      index = other;
    }
  }
  out[number] = index;
}
