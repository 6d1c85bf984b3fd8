/*# The entry point of kernels with one element or vector an invocation, up to its body; see grid.wgsl. #*/
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
