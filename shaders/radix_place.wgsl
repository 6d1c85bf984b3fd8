// The step of a radix sort that moves elements to where their digits put them: a block an invocation, which knows where
// the next element of each digit goes. Elements of equal digits keep their order.
//
// Values: params, last: whether the indices are results, not read by another step; those of radix_key.wgsl.
//% include "params"
//% set bindings = namespace(next=3)
@group(0) @binding(1) var<storage, read> keys: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
//% if not first
@group(0) @binding(3) var<storage, read> indices: array<u32>;
//% set bindings.next = 4
//% endif
@group(0) @binding(${ bindings.next }) var<storage, read_write> to_indices: array<${ types[bindings.next - 1] }>;
//% if not last
@group(0) @binding(${ bindings.next + 1 }) var<storage, read_write> to_keys: array<${ key_type }>;
//% endif

//% include "radix_entry"
  let column = line * 16u * params.blocks + i % params.blocks;
//% for n in range(4)
  var next_${ n } = vec4<u32>(
//% for d in range(4)
    counts[column + ${ 4 * n + d }u * params.blocks],
//% endfor
  );
//% endfor
  for (var k = begin; k < end; k++) {
    let key = key_at(line, k);
    let digit = digit_of(key);
    var place = 0u;
//% for n in range(4)
    let is_${ n } = is_digit(digit, ${ 4 * n }u);
    place += dot(is_${ n }, next_${ n });
    next_${ n } += is_${ n };
//% endfor
    let index = ${ "k" if first else "indices[line * params.size + k]" };
//% if last
    to_indices[element(line, place)] = ${ types[bindings.next - 1] }(index);
//% else
    to_indices[line * params.size + place] = index;
    to_keys[line * params.size + place] = key;
//% endif
  }
}
