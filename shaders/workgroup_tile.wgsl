/*# The core of the workgroup kernels: a tile of 64 rows and 16 columns of vectors, made by 256 invocations.

   Sixteen steps of k at a time, a part of either matrix is loaded into workgroup memory, one vector by each invocation,
   and each invocation multiplies four rows of one by a column of the other. 8 KiB of workgroup memory. Macros:
   declarations(); entry(); step(), after which `left_vector` and `right_vector`, which the kernel has loaded, are multiplied;
   finish(). Invocation t loads vector t % 4 of row t / 4 on the left, and column t % 16 of row t / 16 on the right.
   Values: biased, whether sums start at `bias`; residue_classes, whether rows go to positions of their own.
   This split into tiles is common practice (see the CUDA C++ Best Practices Guide on shared memory). #*/
//% macro declarations()
var<workgroup> left: array<array<vec4<${ number }>, 4>, 64>;
var<workgroup> right: array<array<vec4<${ number }>, 16>, 16>;
//% endmacro
//% macro entry()
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) t: u32,
) {
//% endmacro
//% macro accumulators()
//% if biased
  let first = ${ wide[2] }(bias[min(tile_column + t % 16u, columns_end - 1u)]);
//% else
  let first = vec4<${ number }>();
//% endif
//% for r in range(4)
  var sum_${ r } = first;
//% endfor
//% endmacro
//% macro step()
    workgroupBarrier();
    left[t / 4u][t % 4u] = left_vector;
    right[t / 16u][t % 16u] = right_vector;
    workgroupBarrier();
    for (var k = 0u; k < 4u; k++) {
//% for k in range(4)
      let w_${ k } = right[k * 4u + ${ k }u][t % 16u];
//% endfor
//% for r in range(4)
      let row_${ r } = left[t / 16u * 4u + ${ r }u][k];
      sum_${ r } += row_${ r }.x * w_0 + row_${ r }.y * w_1 + row_${ r }.z * w_2 + row_${ r }.w * w_3;
//% endfor
    }
//% endmacro
//% macro finish()
  let column = tile_column + t % 16u;
  var sums = array<vec4<${ number }>, 4>(sum_0, sum_1, sum_2, sum_3);
  for (var r = 0u; r < 4u; r++) {
    let row = first_row + t / 16u * 4u + r;
//% if residue_classes
    let to = output_position(row, residue);
    if to != OUTSIDE && column < columns_end {
      let i = to * params.inner + column;
//% else
    if row < rows && column < columns_end {
      let i = row * params.inner + column;
//% endif
      store(i, column, element(i, column, sums[r]));
    }
  }
//% endmacro
