// The index of an invocation in a grid of workgroups that may be folded into rows.
// A dispatch has at most 65,535 workgroups in a dimension, so long grids have several rows.
fn grid_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
  return id.x + id.y * groups.x * 64u;
}
