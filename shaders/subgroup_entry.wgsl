/*# The entry point of kernels that compute a tile by a subgroup, or by an invocation where there are no subgroups
   (`single_lane`). entry(number, folded) names the tile's number, whose grid is folded along the axis `folded`. #*/
//% macro entry(number, folded)
//% if single_lane
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = 0u;
  let ${ number } = (group.x + group.${ folded } * groups.x) * 64u + local;
//% else
@compute @workgroup_size(${ lanes })
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let ${ number } = group.x + group.${ folded } * groups.x;
//% endif
//% endmacro
