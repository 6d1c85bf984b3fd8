/*# What the kernels of a radix sort share: the elements of a block, and what of them decides the order.
   A key is an unsigned word, or a 64-bit one, in whose order the elements are to be. Keys of descending order are inverted, so
   equal elements keep their order in both directions.
   Values: key: how keys are made; half: half of the values of a small signed type; key_type; element_type; first: whether the
   kernel reads elements, not keys; descending; block. #*/
//% if first
fn key_of(value: ${ element_type }) -> ${ key_type } {
//% if key == "float"
  // Both zeros are one number, and so are all NaN, which are the largest.
  let bits = bitcast<u32>(value);
  let size = bits & 0x7fffffffu;
  let ordered = bits ^ select(0x80000000u, 0xffffffffu, bits > 0x7fffffffu);
  let key = select(select(ordered, 0x80000000u, size == 0u), 0xffffffffu, size > 0x7f800000u);
//% elif key == "long"
  let key = value ^ (-9223372036854775807li - 1li);
//% elif key == "signed"
  let key = bitcast<u32>(value) ^ 0x80000000u;
//% elif key == "small_signed"
  let key = bitcast<u32>(value + ${ half });
//% else
  let key = value;
//% endif
  return ${ "~key" if descending else "key" };
}
//% endif
// Element k of a line, which other kernels have left in order of the digits so far.
fn key_at(line: u32, k: u32) -> ${ key_type } {
//% if first
  return key_of(${ element_type }(keys[element(line, k)]));
//% else
  return keys[line * params.size + k];
//% endif
}

// Where element k of a line is outside of the sort.
fn element(line: u32, k: u32) -> u32 {
  return (line / params.step * params.size + k) * params.step + line % params.step;
}

fn digit_of(key: ${ key_type }) -> vec4<u32> {
//% if key == "long"
  return vec4<u32>(u32(i32(key >> params.shift)) & 15u);
//% else
  return vec4<u32>((key >> params.shift) & 15u);
//% endif
}

// One where a digit is one of the four from `first` on.
fn is_digit(digit: vec4<u32>, first: u32) -> vec4<u32> {
  return select(vec4<u32>(), vec4<u32>(1u), digit == vec4<u32>(0u, 1u, 2u, 3u) + first);
}
