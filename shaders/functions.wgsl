/*# Elementwise functions that WGSL does not have, or not as ONNX means them, for one type.
   Drivers may assume that there is no NaN, fold `x * 0` into zero, and compute functions by others that overflow. So what is not
   finite is told by its bits, and makes of itself what is not finite: NaN and infinities cannot be constants.
   Values: T the float type (f32 or vec4<f32>), B the bool type, D that of 64-bit floats, I, U and L the types of integers, used: the names of those needed. #*/
//% if "size_bits" in used
// The bits of the absolute value, in whose order numbers are: infinity is 0x7f800000, NaN is above.
fn size_bits(x: ${ T }) -> ${ I } {
  return bitcast<${ I }>(x) & ${ I }(0x7fffffff);
}
//% endif
//% if "is_nan" in used
// Drivers may assume that x != x is false.
fn is_nan(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) > ${ I }(0x7f800000);
}
//% endif
//% if "not_a_number" in used
fn not_a_number(x: ${ T }) -> ${ T } {
  return bitcast<${ T }>(bitcast<${ I }>(x) | ${ I }(0x7fc00000));
}
//% endif
//% if "signed_like" in used
// A number that is not negative, with the sign of x.
fn signed_like(size: ${ T }, x: ${ T }) -> ${ T } {
  return bitcast<${ T }>(bitcast<${ I }>(size) | (bitcast<${ I }>(x) & ${ I }(-2147483648)));
}
//% endif
//% if "log_safe" in used
// Drivers' logarithms of subnormal numbers are neither those of the numbers nor of zero.
fn log_safe(x: ${ T }) -> ${ T } {
  let small = x < ${ T }(1.17549435e-38);
  return log(x * select(${ T }(1.0), ${ T }(16777216.0), small)) - select(${ T }(), ${ T }(16.635532), small);
}
//% endif
//% if "quarter" in used
// A number (at most 10,000) less quarter turns: pi / 2 in three parts, of which the first ones have so few digits that the
// products are exact (Cody and Waite 1980, as in Cephes).
fn quarter(x: ${ T }, turns: ${ T }) -> ${ T } {
  return fma(-turns, ${ T }(7.5497900e-8), fma(-turns, ${ T }(4.8375130e-4), fma(-turns, ${ T }(1.5703125), x)));
}
//% endif
//% if "sine_of" in used
// The sine of x and so many quarter turns. Drivers' sines may be off by 2^-11. Polynomials between -pi / 4 and pi / 4 are those
// of Cephes (Moshier 1992), with an error below 2^-23.
fn sine_of(x: ${ T }, more: i32) -> ${ T } {
  let turns = round(x * 0.63661975);
  let r = quarter(x, turns);
  let place = (${ I }(turns) + more) & ${ I }(3);
  let z = r * r;
  let odd = fma(r * z, fma(z, fma(z, ${ T }(-1.9515296e-4), ${ T }(8.3321609e-3)), ${ T }(-0.16666655)), r);
  let even = fma(z * z, fma(z, fma(z, ${ T }(2.4433157e-5), ${ T }(-1.3887316e-3)), ${ T }(4.1666646e-2)), fma(z, ${ T }(-0.5), ${ T }(1.0)));
  let size = select(odd, even, (place & ${ I }(1)) == ${ I }(1));
  return select(size, -size, place >= ${ I }(2));
}
//% endif
//% if "sine" in used
fn sine(x: ${ T }) -> ${ T } {
  let angle = turned(x);
  // Also the sign of zero.
  return select(sine_of(angle, 0), angle, abs(angle) < ${ T }(1e-4));
}
//% endif
//% if "cosine" in used
fn cosine(x: ${ T }) -> ${ T } {
  return sine_of(turned(x), 1);
}
//% endif
//% if "tangent" in used
fn tangent(x: ${ T }) -> ${ T } {
  let angle = turned(x);
  return select(sine_of(angle, 0) / sine_of(angle, 1), angle, abs(angle) < ${ T }(1e-4));
}
//% endif
//% if "turned" in used
// x less whole turns, since drivers know no sine of large numbers. A number is m 2^e, and the bits of 1 / (2 pi) from place e
// on, times m, are a fraction of a turn (Payne and Hanek 1983). Where this is exact anyway, it is x itself.
fn turned(x: ${ T }) -> ${ T } {
  let size = size_bits(x);
  let m = ${ U }((size & ${ I }(0x7fffff)) | ${ I }(0x800000));
  // There is a word of zeros in front, for negative places.
  let place = ${ U }(clamp((size >> ${ U }(23)) - ${ I }(118), ${ I }(), ${ I }(136)));
  let word = place >> ${ U }(5u);
  let shift = place & ${ U }(31u);
  let first = turn_word(word);
  let second = turn_word(word + ${ U }(1u));
  let third = turn_word(word + ${ U }(2u));
  let high = (first << shift) | ((second >> ${ U }(1u)) >> (${ U }(31u) - shift));
  let low = (second << shift) | ((third >> ${ U }(1u)) >> (${ U }(31u) - shift));
  let turn = m * high + ${ U }(${ T }(m) * (${ T }(low) * 2.3283064e-10));
  let angle = ${ T }(bitcast<${ I }>(turn)) * 1.4629181e-9;
  let reduced = bitcast<${ T }>(bitcast<${ I }>(angle) ^ (bitcast<${ I }>(x) & ${ I }(-2147483648)));
  let far = select(x, reduced, size > ${ I }(0x461c4000));
  return select(far, not_a_number(x), size >= ${ I }(0x7f800000));
}
// 32 bits of 1 / (2 pi).
fn turn_word(n: ${ U }) -> ${ U } {
  var word = ${ U }();
//% for w in ["0x28be60db", "0x9391054a", "0x7f09d5f4", "0x7d4d3770", "0x36d8a566", "0x4f10e410"]
  word = select(word, ${ U }(${ w }u), n == ${ U }(${ loop.index }u));
//% endfor
  return word;
}
//% endif
//% if "log_one_plus" in used
// log(1 + x) for 0 <= x, where 1 + x would lose the digits of a small x by a series.
fn log_one_plus(x: ${ T }) -> ${ T } {
  return select(log(1.0 + x), x * (1.0 - x * (0.5 - x * (1.0 / 3.0))), x < ${ T }(0.005));
}
//% endif
//% if "relu" in used
// NaN stays NaN, which max(x, 0) does not promise.
fn relu(x: ${ T }) -> ${ T } {
  return select(x, ${ T }(0.0), x <= ${ T }(0.0));
}
//% endif
//% if "sigmoid" in used
fn sigmoid(x: ${ T }) -> ${ T } {
  return 1.0 / (1.0 + exp(-x));
}
//% endif
//% if "softplus" in used
// log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which does not overflow.
fn softplus(x: ${ T }) -> ${ T } {
  let value = max(x, ${ T }(0.0)) + log_one_plus(exp(-abs(x)));
  return select(value, x, is_nan(x));
}
//% endif
//% if "tanh_safe" in used
// Drivers compute tanh by exponentials that overflow far out, and lose digits near zero, where a series serves.
fn tanh_safe(x: ${ T }) -> ${ T } {
  let c = clamp(x, ${ T }(-10.0), ${ T }(10.0));
  let s = c * c;
  let series = c * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0))));
  let e = exp(2.0 * c);
  let value = select((e - 1.0) / (e + 1.0), series, s < ${ T }(0.01));
  return select(value, x, is_nan(x));
}
//% endif
//% if "sign_safe" in used
// NaN stays NaN; drivers make zero of it.
fn sign_safe(x: ${ T }) -> ${ T } {
  return select(sign(x), x, is_nan(x));
}
//% endif
//% if "arc_sine" in used
// Drivers' asin and acos are off by up to 4e-4; their atan2 is good.
fn arc_sine(x: ${ T }) -> ${ T } {
  let size = size_bits(x);
  let value = atan2(x, sqrt((1.0 - x) * (1.0 + x)));
  // Up to 1e-4 it is the number itself; at 1, it is no quotient by zero.
  let inside = select(select(value, x, size < ${ I }(0x38d1b717)), signed_like(${ T }(1.5707964), x), size == ${ I }(0x3f800000));
  return select(inside, not_a_number(x), size > ${ I }(0x3f800000));
}
//% endif
//% if "arc_cosine" in used
fn arc_cosine(x: ${ T }) -> ${ T } {
  let value = 2.0 * atan2(sqrt(1.0 - x), sqrt(1.0 + x));
  return select(select(value, ${ T }(3.1415927), x == ${ T }(-1.0)), not_a_number(x), size_bits(x) > ${ I }(0x3f800000));
}
//% endif
//% if "arc_tangent" in used
// Up to 1e-4 the number itself, and from 1e8 on a right angle.
fn arc_tangent(x: ${ T }) -> ${ T } {
  let size = size_bits(x);
  let value = select(atan(x), signed_like(${ T }(1.5707964), x), size > ${ I }(0x4cbebc20));
  return select(value, x, (size < ${ I }(0x38d1b717)) | (size > ${ I }(0x7f800000)));
}
//% endif
//% if "sinh_safe" in used
// By the square of exp(x / 2), which overflows where the result does; near zero by a series.
fn sinh_safe(x: ${ T }) -> ${ T } {
  let h = exp(0.5 * abs(x));
  let s = x * x;
  let series = x * (1.0 + s * (1.0 / 6.0 + s * (1.0 / 120.0 + s * (1.0 / 5040.0))));
  let value = signed_like(0.5 * h * h - 0.5 / h / h, x);
  return select(select(value, series, s < ${ T }(0.5)), x, size_bits(x) >= ${ I }(0x7f800000));
}
//% endif
//% if "cosh_safe" in used
fn cosh_safe(x: ${ T }) -> ${ T } {
  let h = exp(0.5 * abs(x));
  return select(0.5 * h * h + 0.5 / h / h, abs(x), size_bits(x) >= ${ I }(0x7f800000));
}
//% endif
//% if "asinh_safe" in used
// log(|x| + sqrt(x^2 + 1)) with the sign of x; of what has a square that is infinite log(2 |x|), near zero by a series.
fn asinh_safe(x: ${ T }) -> ${ T } {
  let a = abs(x);
  let s = x * x;
  let series = x * (1.0 - s * (1.0 / 6.0 - s * (3.0 / 40.0 - s * (15.0 / 336.0 - s * (105.0 / 3456.0)))));
  let near = log(a + sqrt(s + 1.0));
  let value = signed_like(select(near, log(a) + 0.6931472, a > ${ T }(1e9)), x);
  return select(select(value, series, s < ${ T }(0.04)), x, size_bits(x) >= ${ I }(0x7f800000));
}
//% endif
//% if "acosh_safe" in used
fn acosh_safe(x: ${ T }) -> ${ T } {
  let near = log(x + sqrt((x - 1.0) * (x + 1.0)));
  let value = select(near, log(x) + 0.6931472, x > ${ T }(1e9));
  // In the order of their bits, negative numbers are below 1, and NaN is above infinity.
  let bits = bitcast<${ I }>(x);
  return select(select(value, x, bits >= ${ I }(0x7f800000)), not_a_number(x), bits < ${ I }(0x3f800000));
}
//% endif
//% if "atanh_safe" in used
fn atanh_safe(x: ${ T }) -> ${ T } {
  let a = abs(x);
  let s = x * x;
  let series = x * (1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0))))));
  let value = select(signed_like(0.5 * log((1.0 + a) / (1.0 - a)), x), series, s < ${ T }(0.04));
  let size = size_bits(x);
  let infinite = signed_like(bitcast<${ T }>(size | ${ I }(0x7f800000)), x);
  return select(select(value, infinite, size == ${ I }(0x3f800000)), not_a_number(x), size > ${ I }(0x3f800000));
}
//% endif
//% if "erf" in used
// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; error below 1.5e-7.
fn erf(x: ${ T }) -> ${ T } {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  let value = 1.0 - p * exp(-a * a);
  return select(value, -value, bitcast<${ I }>(x) < ${ I }());
}
//% endif
//% if "minimum" in used
// NaN if either operand is NaN.
fn minimum(a: ${ T }, b: ${ T }) -> ${ T } {
  return select(select(min(a, b), b, is_nan(b)), a, is_nan(a));
}
//% endif
//% if "maximum" in used
fn maximum(a: ${ T }, b: ${ T }) -> ${ T } {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
//% endif
//% if "round_to_half" in used
// To the nearest, ties to even, by arithmetic with bits: how quantizeToF16 rounds is up to the driver (SwiftShader cuts digits
// off). Below the least normal number of 16 bits, 2^-14, numbers are 2^-24 apart.
fn round_to_half(x: ${ T }) -> ${ T } {
  let size = size_bits(x);
  let near = (size + ${ I }(0xfff) + ((size >> ${ U }(13)) & ${ I }(1))) & ${ I }(-8192);
  let finite = select(near, ${ I }(0x7f800000), near > ${ I }(0x477fe000));
  let normal = signed_like(bitcast<${ T }>(select(finite, size, size >= ${ I }(0x7f800000))), x);
  let small = round(x * 16777216.0) / 16777216.0;
  return select(normal, small, size < ${ I }(0x38800000));
}
//% endif
//% if "power" in used
// pow of WGSL is undefined for negative bases; ONNX means the real power where the exponent is an integer. At zero and where
// something is infinite, it is IEEE 754's.
fn power(a: ${ T }, b: ${ T }) -> ${ T } {
  let size = abs(a);
  let infinity = ${ I }(0x7f800000);
  // Powers of zero and infinity, and infinite powers, are zero or infinite.
  let grows = (size > ${ T }(1.0)) == (b > ${ T }(0.0));
  let end = bitcast<${ T }>(select(${ I }(), size_bits(b) | infinity, grows) & infinity);
  // Of subnormal numbers drivers make what is neither theirs nor zero's.
  let at_end = (size < ${ T }(1.17549435e-38)) | (size_bits(a) == infinity) | (size_bits(b) == infinity);
  var value = select(select(pow(size, b), end, at_end), ${ T }(1.0), size == ${ T }(1.0));
  let whole = floor(b) == b;
  let odd = whole & (abs(b - 2.0 * floor(b * 0.5)) == ${ T }(1.0));
  value = select(value, -value, (bitcast<${ I }>(a) < ${ I }()) & odd);
  let undefined = ((a < ${ T }(0.0)) & !whole & (size_bits(a) < infinity)) | is_nan(a) | is_nan(b);
  value = select(value, bitcast<${ T }>(bitcast<${ I }>(a) | ${ I }(0x7fc00000)), undefined);
  value = select(value, ${ T }(1.0), (size_bits(b) == ${ I }()) | (bitcast<${ I }>(a) == ${ I }(0x3f800000)));
  // Not what drivers make of it by logarithms.
  return select(value, a, b == ${ T }(1.0));
}
//% endif
//% if "remainder" in used
// The sign of the dividend, as fmod of C: exactly, by division of the significands as integers. A step makes 8 bits of the
// quotient, which has at most 277.
fn remainder(a: ${ T }, b: ${ T }) -> ${ T } {
  let x = size_bits(a);
  let y = size_bits(b);
  let x_exponent = max(x >> ${ U }(23), ${ I }(1));
  let y_exponent = max(y >> ${ U }(23), ${ I }(1));
  let dividend = (x & ${ I }(0x7fffff)) | select(${ I }(), ${ I }(0x800000), x >= ${ I }(0x800000));
  let divisor = (y & ${ I }(0x7fffff)) | select(${ I }(), ${ I }(0x800000), y >= ${ I }(0x800000));
  let by = ${ U }(max(divisor, ${ I }(1)));
  var rest = ${ U }(dividend) % by;
  var left = x_exponent - y_exponent;
  for (var n = 0; n < 36 && any(left > ${ I }()); n++) {
    let step = clamp(left, ${ I }(), ${ I }(8));
    rest = (rest << ${ U }(step)) % by;
    left -= step;
  }
  // rest * 2^(y_exponent - 150), in two factors of which each is a normal number.
  let half = y_exponent >> ${ U }(1);
  let scale = bitcast<${ T }>((half + ${ I }(52)) << ${ U }(23));
  let other = bitcast<${ T }>((y_exponent - half + ${ I }(52)) << ${ U }(23));
  let value = signed_like(${ T }(rest) * scale * other, a);
  // Also where the divisor is infinite.
  let within = select(value, a, x < y);
  return select(within, bitcast<${ T }>(x | ${ I }(0x7fc00000)), (x >= ${ I }(0x7f800000)) | (y > ${ I }(0x7f800000)) | (y == ${ I }()));
}
//% endif
//% if "remainder_double" in used
// By an infinite divisor nothing is divided.
fn remainder_double(a: ${ D }, b: ${ D }) -> ${ D } {
  let largest = ${ D }(1.7976931348623157e308lf);
  return select(a - trunc(a / b) * b, a, (abs(b) > largest) & (abs(a) <= largest));
}
//% endif
//% for end, Z in [("", T), ("_double", D)]
//% if "floor_mod" ~ end in used
// The sign of the divisor, as Python's %.
fn floor_mod${ end }(a: ${ Z }, b: ${ Z }) -> ${ Z } {
  let r = remainder${ end }(a, b);
  return select(r, r + b, (r != ${ Z }()) & ((r < ${ Z }()) != (b < ${ Z }())));
}
//% endif
//% endfor
//% if "remainder_int" in used
// What % makes of negative numbers is up to the driver, but how it divides is not.
fn remainder_int(a: ${ I }, b: ${ I }) -> ${ I } {
  return select(a - a / b * b, ${ I }(), b == ${ I }());
}
//% endif
//% if "floor_mod_int" in used
fn floor_mod_int(a: ${ I }, b: ${ I }) -> ${ I } {
  let r = remainder_int(a, b);
  return select(r, r + b, (r != ${ I }(0)) & ((r < ${ I }(0)) != (b < ${ I }(0))));
}
//% endif
//% if "floor_mod_long" in used
fn floor_mod_long(a: ${ L }, b: ${ L }) -> ${ L } {
  let r = a % b;
  // Not by comparing each with zero: lavapipe gets it wrong where 64 bits were 32 just before.
  return select(r, r + b, (r != ${ L }()) & ((r ^ b) < ${ L }()));
}
//% endif
//% if "places_long" in used
// By how many places to shift, counted with 32 bits; one too few or too many stays so. A function, since naga does not
// convert constants of 64 bits.
fn places_long(b: ${ L }) -> ${ I } {
  return ${ I }(clamp(b, ${ L }(-1), ${ L }(64)));
}
//% endif
//% for name, Z in [("power_int", I), ("power_unsigned", U), ("power_long", L)]
//% if name in used
// By squaring; to a negative power only 1 and -1 are something else than zero.
fn ${ name }(a: ${ Z }, b: ${ Z }) -> ${ Z } {
  var power = ${ Z }(1);
  var base = a;
  var left = b;
  for (var bit = 0; bit < 64 && any(left > ${ Z }()); bit++) {
    power = select(power, power * base, left % ${ Z }(2) == ${ Z }(1));
    base = base * base;
    left = left / ${ Z }(2);
  }
//% if name != "power_unsigned"
  let unit = select(${ Z }(), ${ Z }(1), (a == ${ Z }(1)) | ((a == ${ Z }(-1)) & (b % ${ Z }(2) == ${ Z }())));
  // Not b < 0: lavapipe gets it wrong where 64 bits were 32 just before.
  let negative = min(b, ${ Z }()) != ${ Z }();
  return select(power, select(unit, ${ Z }(-1), (a == ${ Z }(-1)) & (b % ${ Z }(2) != ${ Z }())), negative);
//% else
  return power;
//% endif
}
//% endif
//% endfor
//% if "is_nan_double" in used
// By the bits in 32, since those of doubles cannot be had.
fn is_nan_double(x: ${ D }) -> ${ B } {
  return (bitcast<${ I }>(${ T }(x)) & ${ I }(0x7fffffff)) > ${ I }(0x7f800000);
}
//% endif
//% for name in ["min", "max"]
//% if name ~ "imum_double" in used
fn ${ name }imum_double(a: ${ D }, b: ${ D }) -> ${ D } {
  return select(select(${ name }(a, b), b, is_nan_double(b)), a, is_nan_double(a));
}
//% endif
//% endfor
//% if "sign_safe_double" in used
fn sign_safe_double(x: ${ D }) -> ${ D } {
  return select(sign(x), x, is_nan_double(x));
}
//% endif
//% if "is_inf" in used
fn is_inf(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) == ${ I }(0x7f800000);
}
//% endif
//% if "is_inf_double" in used
fn is_inf_double(x: ${ D }) -> ${ B } {
  return abs(x) > ${ D }(1.7976931348623157e308lf);
}
//% endif
//% if "exp_double" in used or "log_double" in used
// Drivers have exponentials of 32 bits only. exp(x) = 2^k exp(r) with |r| <= log(2) / 2: Taylor's series to the 13th power
// leaves less than 1e-17. log(2) in two parts keeps r exact (Cody and Waite, "Software Manual for the Elementary
// Functions", 1980).
fn exp_double(x: ${ D }) -> ${ D } {
  let k = floor(clamp(x, ${ D }(-800.0lf), ${ D }(800.0lf)) * 1.4426950408889634lf + 0.5lf);
  let r = (x - k * 0.6931471803691238lf) - k * 1.9082149292705877e-10lf;
  var e = ${ D }(1.6059043836821613e-10lf);
  e = e * r + 2.08767569878681e-09lf;
  e = e * r + 2.505210838544172e-08lf;
  e = e * r + 2.755731922398589e-07lf;
  e = e * r + 2.7557319223985893e-06lf;
  e = e * r + 2.48015873015873e-05lf;
  e = e * r + 0.0001984126984126984lf;
  e = e * r + 0.001388888888888889lf;
  e = e * r + 0.008333333333333333lf;
  e = e * r + 0.041666666666666664lf;
  e = e * r + 0.16666666666666666lf;
  e = e * r + 0.5lf;
  e = e * r + 1.0lf;
  e = e * r + 1.0lf;
  // In two halves, neither of which overflows where the result does not.
  let half = floor(k * 0.5lf);
  let y = e * power_of_two(half) * power_of_two(k - half);
  return select(select(y, x * x * 1.7976931348623157e308lf, x > ${ D }(709.79lf)), ${ D }(), x < ${ D }(-745.2lf));
}
// For whole numbers up to 512.
fn power_of_two(k: ${ D }) -> ${ D } {
  var power = ${ D }(1.0lf);
  var base = select(${ D }(0.5lf), ${ D }(2.0lf), k > ${ D }());
  var left = ${ I }(abs(k));
  for (var bit = 0; bit < 10; bit++) {
    power = select(power, power * base, left % ${ I }(2) == ${ I }(1));
    base = base * base;
    left = left / ${ I }(2);
  }
  return power;
}
//% endif
//% if "log_double" in used
// From the logarithm in 32 bits by one step of Halley's, after which an error of 1e-7 is one of 1e-22.
fn log_double(x: ${ D }) -> ${ D } {
  var z = x;
  var scale = ${ D }();
  for (var n = 0; n < 11; n++) {
    let large = z > ${ D }(1.2676506002282294e30lf);
    let small = z < ${ D }(7.888609052210118e-31lf);
    z = select(select(z, z * 7.888609052210118e-31lf, large), z * 1.2676506002282294e30lf, small);
    scale = select(select(scale, scale + 69.31471805599453lf, large), scale - 69.31471805599453lf, small);
  }
  let near = ${ D }(log(${ T }(z)));
  let e = exp_double(near);
  let y = near + 2.0lf * (z - e) / (z + e) + scale;
  // Of zero, infinity and what has no logarithm the first one is right.
  return select(near, y, (x > ${ D }()) & (x <= ${ D }(1.7976931348623157e308lf)));
}
//% endif
/*# Towards zero; what is beyond the range becomes the end of it, and NaN zero. Floats have not the largest integers, which WGSL
   would end at. #*/
//% for end, Z, digits in [("", T, ""), ("_double", D, "lf")]
//% if "whole_int" ~ end in used
fn whole_int${ end }(x: ${ Z }) -> ${ I } {
  return select(select(${ I }(x), ${ I }(2147483647), x >= ${ Z }(2147483648.0${ digits })), ${ I }(), is_nan${ end }(x));
}
//% endif
//% if "whole_unsigned" ~ end in used
fn whole_unsigned${ end }(x: ${ Z }) -> ${ U } {
  return select(select(${ U }(x), ${ U }(4294967295u), x >= ${ Z }(4294967296.0${ digits })), ${ U }(), is_nan${ end }(x));
}
//% endif
//% if "whole_long" ~ end in used
fn whole_long${ end }(x: ${ Z }) -> ${ L } {
  return select(select(${ L }(x), ${ L }(9223372036854775807li), x >= ${ Z }(9223372036854775808.0${ digits })), ${ L }(), is_nan${ end }(x));
}
//% endif
//% endfor
