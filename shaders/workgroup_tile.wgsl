/*# The core of the workgroup kernels: a tile of `tile_m` rows and `tile_n` columns, computed by `invocations` invocations
   through workgroup memory.

   `tile_k` terms at a time, a part of either matrix is loaded into workgroup memory: the left one transposed, as vectors of
   four rows, so that all an invocation multiplies comes in whole vectors. Each invocation has `rows_of` rows (in fours,
   `row_step` fours apart) and `vectors_of` column vectors (`column_step` apart) of the tile, in accumulators with names.
   A line of the left part is one vector longer than it needs to be, so that rows that are written together fall into
   different banks. Indices are masked, so that compilers see that they are in bounds and drop naga's checks.

   Slot s of an invocation holds on the left the vector `left_k` of row `left_row_s`, on the right the vector
   `right_column` of line `right_line_s`: of a term, or of four terms where operands are packed. In an outer product, the
   vectors of the left matrix are four rows of a term, too: `left_row` of line `left_line_s`.
   Macros: declarations(); entry(); slots(), which declares these places; accumulators(); right_vector(s, at), which loads
   element `at` of w where `known_s`; step(), after which `left_vector_s` and `right_vector_s` are multiplied; finish().
   For kernels: left_slots, right_slots; vectors, of which a step has so many along k; of_vector, lines of each of them.
   With two buffers, what is loaded goes to one while other invocations may still multiply what is in the other one, so that a
   step waits once and not twice.
   Values: buffers, one or two; outer, whether it is an outer product; tile_m, tile_n, tile_k, rows_of, vectors_of, invocations; packed: whether words of four whole numbers of 8 bits
   are multiplied, moved: whether numbers of the left matrix are `left_from` more than what their words say;
   biased, whether sums start at `bias`; residue_classes, whether rows go to positions of their own.
   This split into tiles is common practice (see the CUDA C++ Best Practices Guide on shared memory). #*/
//% set lines = tile_k // 4 if packed else tile_k
//% set cell = "u32" if packed else number
//% set sum = "i32" if packed else number
//% set columns = tile_n // 4
//% set vectors = tile_k // 4
//% set column_step = columns // vectors_of
//% set row_step = tile_m // rows_of
//% set of_vector = 1 if packed else 4
//% set unrolled = 4
//% set here = "[buffer & 1u]" if buffers == 2 else ""
//% set left_slots = (tile_m * vectors + invocations - 1) // invocations
//% set right_slots = (lines * columns + invocations - 1) // invocations
//% macro declarations()
//% if buffers == 2
var<workgroup> left: array<array<array<vec4<${ cell }>, ${ tile_m // 4 + 1 }>, ${ lines }>, 2>;
var<workgroup> right: array<array<array<vec4<${ cell }>, ${ columns }>, ${ lines }>, 2>;
//% else
var<workgroup> left: array<array<vec4<${ cell }>, ${ tile_m // 4 + 1 }>, ${ lines }>;
var<workgroup> right: array<array<vec4<${ cell }>, ${ columns }>, ${ lines }>;
//% endif

//% if packed
// Products of words of four terms: of a row with four columns.
fn products(row: u32, columns: vec4<u32>) -> vec4<i32> {
  return vec4<i32>(
    dot4I8Packed(row, columns.x),
    dot4I8Packed(row, columns.y),
    dot4I8Packed(row, columns.z),
    dot4I8Packed(row, columns.w),
  );
}
//% endif
//% endmacro
//% macro entry()
@compute @workgroup_size(${ invocations })
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) t: u32,
) {
  let own_column = t % ${ column_step }u;
  let own_row = t / ${ column_step }u;
//% endmacro
//% macro slots()
//% if outer
  let left_row = t % ${ tile_m // 4 }u;
//% for s in range(left_slots)
  let left_line_${ s } = t / ${ tile_m // 4 }u + ${ s * (invocations // (tile_m // 4)) }u;
//% endfor
//% else
  let left_k = t % ${ vectors }u;
//% for s in range(left_slots)
  let left_row_${ s } = t / ${ vectors }u + ${ s * (invocations // vectors) }u;
//% endfor
//% endif
  let right_column = t % ${ columns }u;
//% for s in range(right_slots)
  let right_line_${ s } = t / ${ columns }u + ${ s * (invocations // columns) }u;
//% endfor
//% endmacro
//% macro accumulators()
//% if buffers == 2
  var buffer = 0u;
//% endif
//% for j in range(vectors_of)
//% if biased and not packed
  let first_${ j } = ${ wide[2] }(bias[min(tile_column + own_column + ${ j * column_step }u, columns_end - 1u)]);
//% else
  let first_${ j } = vec4<${ sum }>();
//% endif
//% for r in range(rows_of)
  var sum_${ r }_${ j } = first_${ j };
//% endfor
//% if moved
  var moved_${ j } = vec4<i32>();
//% endif
//% endfor
//% endmacro
//% macro right_vector(s, at)
//% if packed
    let right_vector_${ s } = select(vec4<u32>(), w[select(0u, ${ at }, known_${ s })], known_${ s });
//% else
    let right_vector_${ s } = select(vec4<${ number }>(), ${ wide[1] }(w[select(0u, ${ at }, known_${ s })]), known_${ s });
//% endif
//% endmacro
//% macro step()
//% if buffers == 1
    workgroupBarrier();
//% endif
//% for s in range(left_slots)
//% if tile_m * vectors < invocations
    if ${ "left_line_" ~ s ~ " < " ~ lines if outer else "left_row_" ~ s ~ " < " ~ tile_m }u {
//% endif
//% if outer
    left${ here }[left_line_${ s }][left_row] = left_vector_${ s };
//% elif packed
    left${ here }[left_k][left_row_${ s } / 4u][left_row_${ s } % 4u] = pack4xI8(vec4<i32>(left_vector_${ s })${ " - params.left_from" if moved else "" });
//% else
//% for lane in range(4)
    left${ here }[left_k * 4u + ${ lane }u][left_row_${ s } / 4u][left_row_${ s } % 4u] = left_vector_${ s }[${ lane }];
//% endfor
//% endif
//% if tile_m * vectors < invocations
    }
//% endif
//% endfor
//% for s in range(right_slots)
//% if lines * columns < invocations
    if right_line_${ s } < ${ lines }u {
//% endif
    right${ here }[right_line_${ s }][right_column] = right_vector_${ s };
//% if lines * columns < invocations
    }
//% endif
//% endfor
    workgroupBarrier();
    for (var k = 0u; k < ${ lines }u; k += ${ unrolled }u) {
//% for u in range(unrolled)
//% for j in range(vectors_of)
      let w_${ u }_${ j } = right${ here }[(k + ${ u }u) % ${ lines }u][own_column + ${ j * column_step }u];
//% endfor
//% for i in range(rows_of // 4)
      let rows_${ u }_${ i } = left${ here }[(k + ${ u }u) % ${ lines }u][own_row + ${ i * row_step }u];
//% endfor
//% if moved
//% for j in range(vectors_of)
      moved_${ j } += products(0x01010101u, w_${ u }_${ j });
//% endfor
//% endif
//% for r in range(rows_of)
//% for j in range(vectors_of)
//% set row = "rows_" ~ u ~ "_" ~ (r // 4) ~ "[" ~ (r % 4) ~ "]"
//% if packed
      sum_${ r }_${ j } += products(${ row }, w_${ u }_${ j });
//% elif number == "f32"
      sum_${ r }_${ j } = fma(vec4<f32>(${ row }), w_${ u }_${ j }, sum_${ r }_${ j });
//% else
      sum_${ r }_${ j } += ${ row } * w_${ u }_${ j };
//% endif
//% endfor
//% endfor
//% endfor
    }
//% if buffers == 2
    buffer = 1u - buffer;
//% endif
//% endmacro
//% macro finish()
//% for j in range(vectors_of)
  let column_${ j } = tile_column + own_column + ${ j * column_step }u;
  if column_${ j } < columns_end {
//% if packed and biased
    let first_${ j } = ${ wide[2] }(bias[column_${ j }]);
//% endif
    var sums = array<vec4<${ sum }>, ${ rows_of }>(
//% for r in range(rows_of)
      sum_${ r }_${ j },
//% endfor
    );
    for (var r = 0u; r < ${ rows_of }u; r++) {
      let row = first_row + (own_row + r / 4u * ${ row_step }u) * 4u + r % 4u;
//% if packed
      let whole = sums[r]${ " + params.left_from * moved_" ~ j if moved else "" };
      let sum = vec4<${ number }>(whole)${ " + first_" ~ j if biased else "" };
//% else
      let sum = sums[r];
//% endif
//% if residue_classes
      let to = output_position(row, residue);
      if to != OUTSIDE {
        let i = to * params.inner + column_${ j };
//% else
      if row < rows {
        let i = row * params.inner + column_${ j };
//% endif
        store(i, column_${ j }, element(i, column_${ j }, sum));
      }
    }
  }
//% endfor
//% endmacro
