/*# The entry point of kernels in which a workgroup of `lanes` makes `side` columns of a part, up to the last row of the part. #*/
@compute @workgroup_size(${ lanes })
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let number = group.x + group.y * groups.x;
  let part = number / params.column_groups;
  let column = number % params.column_groups * ${ side }u + local % ${ side }u;
  // All take part in the tree.
  let c = min(column, params.inner - 1u);
  let end = min((part + 1u) * params.part, params.rows);
