// How often each digit occurs in each block of a line, for a radix sort: a block an invocation.
//
// Counts are laid out [line][digit][block], so that their prefix sums are where the elements of a block go.
// Values: params, and those of radix_key.wgsl.
//% include "params"
@group(0) @binding(1) var<storage, read> keys: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

//% include "radix_entry"
//% for n in range(4)
  var found_${ n } = vec4<u32>();
//% endfor
  for (var k = begin; k < end; k++) {
    let digit = digit_of(key_at(line, k));
//% for n in range(4)
    found_${ n } += is_digit(digit, ${ 4 * n }u);
//% endfor
  }
  let column = line * 16u * params.blocks + i % params.blocks;
//% for d in range(16)
  counts[column + ${ d }u * params.blocks] = found_${ d // 4 }[${ d % 4 }];
//% endfor
}
