/*# Whether two boxes overlap by more than a threshold. Boxes are [x low, y low, x high, y high]; those whose area is not a
   positive number have the area 0, and overlap nothing.

   The arithmetic is that of ONNX Runtime, rounded step by step. A driver may compute a * b + c in one step: the bits of a product
   that is added to something are changed by a parameter that is zero, which stands between the two. A driver's quotient need not
   be the nearest number, so there is none: intersection / union, rounded, is greater than a number t if and only if it is
   greater than the middle between t and the next number, and integers tell whether it is. (It is never equal to the middle,
   which has a bit more than the significand of an intersection can have.)
   Values: threshold: `number`, or what the share has to be: `negative` (anything), `zero` (finite) or `never`. #*/
fn overlap(a: vec4<f32>, a_area: f32, b: vec4<f32>, b_area: f32) -> bool {
  let size = min(a.zw, b.zw) - max(a.xy, b.xy);
  if size.x <= 0.0 || size.y <= 0.0 {
    return false;
  }
  let intersection = bitcast<u32>(size.x * size.y) ^ params.nothing;
  let whole = bitcast<u32>((a_area + b_area) - bitcast<f32>(intersection));
  let possible = a_area > 0.0 && b_area > 0.0 && is_positive(intersection) && is_positive(whole);
//% if threshold == "number"
  return possible && is_greater(intersection, whole);
//% elif threshold == "zero"
  return possible && whole < 0x7f800000u;
//% else
  return ${ "possible" if threshold == "negative" else "false" };
//% endif
}

// Neither NaN, zero nor negative, nor below the least normal number, which a driver may take for zero.
fn is_positive(bits: u32) -> bool {
  return bits >= 0x00800000u && bits <= 0x7f800000u;
}
//% if threshold == "number"

// Whether the quotient of two positive numbers, given by their bits, is greater than the middle above the threshold, which
// is (middle_high * 2^12 + middle_low) * 2^(-shift - 24).
fn is_greater(a: u32, b: u32) -> bool {
  let a_significand = (a & 0x7fffffu) | 0x800000u;
  let b_significand = (b & 0x7fffffu) | 0x800000u;
  let b_high = b_significand >> 12u;
  let b_low = b_significand & 0xfffu;
  // The product of the significands of b and of the middle, without its last 24 bits.
  let cross = params.middle_high * b_low + params.middle_low * b_high;
  let last = ((cross & 0xfffu) << 12u) + params.middle_low * b_low;
  let product = params.middle_high * b_high + (cross >> 12u) + (last >> 24u);
  let shift = i32(a >> 23u) - i32(b >> 23u) + params.shift;
  let greater = shift >= 0 && (a_significand << u32(clamp(shift, 0, 2))) > product;
  return greater && b < 0x7f800000u;
}
//% endif
