// Means of columns and sums of squared differences from them, in parts: each invocation goes over four columns of some rows, in
// blocks. Another kernel combines the parts.
//
// Differences are taken from an element of a block, so that no large squares are subtracted from each other, and means of parts
// are relative to the first row. Blocks and parts are combined as Chan, Golub and LeVeque do ("Algorithms for computing the sample
// variance", 1983, formula 2.1).
//
// What is looked at is computed on the way, by `element`, for the vector at row * inner + column. out is [part][2][column].
// Loop iterations of an invocation: rows of a part, and blocks.
// With `lanes`, a workgroup of so many invocations makes ${ side } vectors of a part: each invocation takes every so many rows, and a
// tree in workgroup memory combines those.
// Values: params, operands, out_binding, element; block; lanes, side, halves.
//% include "params"
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<vec4<f32>>;

//% include "grid"
//% include "functions"
${ element }
// Of some rows: how many they are, their mean relative to the first of all rows, and the sum of squared differences from it.
struct Moments {
  count: f32,
  mean: vec4<f32>,
  squares: vec4<f32>,
}

fn combine(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let share = b.count / max(count, 1.0);
  let apart = b.mean - a.mean;
  return Moments(count, a.mean + apart * share, a.squares + b.squares + apart * apart * (a.count * share));
}

fn value_at(row: u32, c: u32) -> vec4<f32> {
  return element(row * params.inner + c, c, vec4<f32>());
}

// The rows from `first` on, up to `end`, ${ "every " ~ (lanes // side) ~ "th" if lanes > 0 else "all" } of them.
fn moments(first: u32, end: u32, c: u32) -> Moments {
//% set apart = lanes // side if lanes > 0 else 1
  let base = value_at(0u, c);
  var all = Moments();
  var row = first;
  while row < end {
    let origin = value_at(row, c);
    let stop = min(row + ${ block * apart }u, end);
    var count = 1.0;
    var sum = vec4<f32>();
    var squares = vec4<f32>();
    for (row += ${ apart }u; row < stop; row += ${ apart }u) {
      let difference = value_at(row, c) - origin;
      sum += difference;
      squares += difference * difference;
      count += 1.0;
    }
    let mean = sum / count;
    all = combine(all, Moments(count, origin - base + mean, squares - sum * mean));
  }
  return all;
}
//% if lanes > 0
var<workgroup> counts: array<f32, ${ lanes }>;
var<workgroup> means: array<vec4<f32>, ${ lanes }>;
var<workgroup> squares_of: array<vec4<f32>, ${ lanes }>;
//% include "columns_entry"
  var all = moments(part * params.part + local / ${ side }u, end, c);
  counts[local] = all.count;
  means[local] = all.mean;
  squares_of[local] = all.squares;
  workgroupBarrier();
//% for half in halves
  if local < ${ half }u {
    let other = local + ${ half }u;
    all = combine(all, Moments(counts[other], means[other], squares_of[other]));
    counts[local] = all.count;
    means[local] = all.mean;
    squares_of[local] = all.squares;
  }
  workgroupBarrier();
//% endfor
  if (local < ${ side }u) & (column < params.inner) & (number < params.workgroups) {
    out[part * 2u * params.inner + column] = all.mean;
    out[(part * 2u + 1u) * params.inner + column] = all.squares;
  }
}
//% else
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let part = i / params.inner;
  let all = moments(part * params.part, min((part + 1u) * params.part, params.rows), c);
  out[part * 2u * params.inner + c] = all.mean;
  out[(part * 2u + 1u) * params.inner + c] = all.squares;
}
//% endif
