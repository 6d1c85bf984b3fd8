/*# Between numbers as parts of words, 16-bit floats and whole numbers of 8 bits, and numbers to compute with; behind any
   kernel that calls them.
   Values: used: the names of those needed. #*/

//% if "of_bytes" in used
fn of_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xI8(word));
}
//% endif

//% if "of_moved_bytes" in used
fn of_moved_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xI8(word) + vec4<i32>(params.moved));
}
//% endif

//% if "ints_of_moved" in used
fn ints_of_moved(word: u32) -> vec4<i32> {
  return unpack4xI8(word) + vec4<i32>(params.moved);
}
//% endif

//% if "of_halves" in used
fn of_halves(words: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
//% endif
//% if "half_of" in used
// The half that is element `at` of what `word` is part of.
fn half_of(word: u32, at: u32) -> f32 {
  return unpack2x16float(word >> ((at & 1u) * 16u)).x;
}
//% endif
//% if "to_halves" in used
// To the nearest, ties to even, by arithmetic with bits (Fabian Giesen's `float_to_half_fast3_rtne`): how pack2x16float
// rounds is up to the driver, and Mesa's code for it takes twice as long to compile.
fn to_halves(v: vec4<f32>) -> vec2<u32> {
  let bits = bitcast<vec4<u32>>(v);
  let size = bits & vec4<u32>(0x7fffffffu);
  // Another bias of the exponent, and half of the last place, less a bit if that place is even.
  let normal = (size + vec4<u32>(0xc8000fffu) + ((size >> vec4<u32>(13u)) & vec4<u32>(1u))) >> vec4<u32>(13u);
  // Below 2^-14, a float that is 0.5 larger has the last place of a half.
  let tiny = bitcast<vec4<u32>>(bitcast<vec4<f32>>(size) + vec4<f32>(0.5)) - vec4<u32>(0x3f000000u);
  let infinite = select(vec4<u32>(0x7c00u), vec4<u32>(0x7e00u), size > vec4<u32>(0x7f800000u));
  let large = select(normal, infinite, size > vec4<u32>(0x477fefffu));
  let unsigned = select(large, tiny, size < vec4<u32>(0x38800000u));
  let half = unsigned | ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
  return half.xz | (half.yw << vec2<u32>(16u));
}
//% endif
