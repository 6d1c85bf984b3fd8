// Matrix product, one output vector (four columns of one row) an invocation.
//
// The plain strategy: right for every shape, fast for none. a is [batch][rows][a_row], b is [batch][depth][columns].
// Values: params, operands, out_binding, element, store, stored; split: whether launches make parts of sums, one after the
// other.
//% include "params"
@group(0) @binding(1) var<storage, read> a: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> b: array<${ fours[1] }>;
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let row = i32(i / params.inner);
//% if split
  let part = u32(row / params.rows) / params.part_batches;
  let batch = (row / params.rows) % i32(params.part_batches);
  let begin = min(part * params.depth, params.whole);
  let steps = min(params.depth, params.whole - begin);
  let first = u32((batch * params.a_batch) + (row % params.rows * params.a_row)) + begin;
  var at = u32(batch * params.b_batch) + c + (begin * params.inner);
//% else
  let batch = row / params.rows;
  let steps = params.depth;
  let first = u32((batch * params.a_batch) + (row % params.rows * params.a_row));
  var at = u32(batch * params.b_batch) + c;
//% endif
  var acc = vec4<${ number }>();
  for (var k = 0u; k < steps; k++) {
    acc += ${ number }(a[first + k]) * ${ wide[1] }(b[at]);
    at += params.inner;
  }
  store(i, c, element(i, c, acc));
}
