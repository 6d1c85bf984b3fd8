/*# The beginning of the kernels of a radix sort that walk the block of an invocation: the elements `begin` to `end` of `line`.
   Values: those of radix_key.wgsl. #*/
//% include "grid"
//% include "radix_key"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let line = i / params.blocks;
  let begin = i % params.blocks * ${ block }u;
  let end = min(begin + ${ block }u, params.size);
