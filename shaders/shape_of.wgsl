// Sizes that are only known at run time, as a tensor.
//
// Values: params; rank, how many there are.
//% include "params"
@group(0) @binding(1) var<storage, read_write> out: array<i32>;

@compute @workgroup_size(1)
fn main() {
//% for n in range(rank)
  out[${ n }] = params.d${ n };
//% endfor
}
