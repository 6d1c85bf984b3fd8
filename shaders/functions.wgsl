/*# Elementwise functions that WGSL does not have, or not as ONNX means them, for one type.
   Holes: T the float type (f32 or vec4<f32>), B the bool type, D that of 64-bit floats, I, U and L the types of integers, used: the names of those needed. #*/
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
  return max(x, ${ T }(0.0)) + log(1.0 + exp(-abs(x)));
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
  return atan2(x, sqrt((1.0 - x) * (1.0 + x)));
}
//% endif
//% if "arc_cosine" in used
fn arc_cosine(x: ${ T }) -> ${ T } {
  return 2.0 * atan2(sqrt(1.0 - x), sqrt(1.0 + x));
}
//% endif
//% if "erf" in used
// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; error below 1.5e-7.
fn erf(x: ${ T }) -> ${ T } {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-a * a));
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
// A driver may make zeros of what is below the least normal number of 16 bits, 2^-14; there, numbers are 2^-24 apart.
fn round_to_half(x: ${ T }) -> ${ T } {
  let small = round(x * 16777216.0) / 16777216.0;
  return select(quantizeToF16(x), small, abs(x) < ${ T }(6.103515625e-5));
}
//% endif
//% if "power" in used
// pow of WGSL is undefined for negative bases; ONNX means the real power where the exponent is an integer.
fn power(a: ${ T }, b: ${ T }) -> ${ T } {
  let magnitude = pow(abs(a), b);
  let odd = abs(b - 2.0 * floor(b * 0.5)) == ${ T }(1.0);
  let whole = floor(b) == b;
  let nan = bitcast<${ T }>(${ I }(0x7fc00000));
  let negative = select(nan, select(magnitude, -magnitude, odd), whole);
  let value = select(select(magnitude, negative, a < ${ T }(0.0)), ${ T }(1.0), b == ${ T }(0.0));
  // Not what drivers make of it by logarithms.
  return select(value, a, b == ${ T }(1.0));
}
//% endif
//% for end, Z, largest in [("", T, "3.4028234e38f"), ("_double", D, "1.7976931348623157e308lf")]
//% if "remainder" ~ end in used or "floor_mod" ~ end in used
// The sign of the dividend, as fmod of C. By an infinite divisor nothing is divided.
fn remainder${ end }(a: ${ Z }, b: ${ Z }) -> ${ Z } {
  let largest = ${ Z }(${ largest });
  return select(a - trunc(a / b) * b, a, (abs(b) > largest) & (abs(a) <= largest));
}
//% endif
//% if "floor_mod" ~ end in used
// The sign of the divisor, as Python's %.
fn floor_mod${ end }(a: ${ Z }, b: ${ Z }) -> ${ Z } {
  let r = remainder${ end }(a, b);
  return select(r, r + b, (r != ${ Z }()) & ((r < ${ Z }()) != (b < ${ Z }())));
}
//% endif
//% endfor
//% if "floor_mod_int" in used
fn floor_mod_int(a: ${ I }, b: ${ I }) -> ${ I } {
  let r = a % b;
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
  let unit = select(${ Z }(), ${ Z }(1), a == ${ Z }(1) | (a == ${ Z }(-1) & b % ${ Z }(2) == ${ Z }()));
  // Not b < 0: lavapipe gets it wrong where 64 bits were 32 just before.
  let negative = min(b, ${ Z }()) != ${ Z }();
  return select(power, select(unit, ${ Z }(-1), a == ${ Z }(-1) & b % ${ Z }(2) != ${ Z }()), negative);
//% else
  return power;
//% endif
}
//% endif
//% endfor
//% if "is_nan" in used or "minimum" in used or "maximum" in used or "tanh_safe" in used or "sign_safe" in used
// By the bits: drivers may assume that x != x is false.
fn is_nan(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) > ${ I }(0x7f800000);
}
//% endif
//% if "is_nan_double" in used or "minimum_double" in used or "maximum_double" in used or "sign_safe_double" in used
// By the bits in 32, since those of doubles cannot be had.
fn is_nan_double(x: ${ D }) -> ${ B } {
  return (bitcast<${ I }>(${ T }(x)) & ${ I }(0x7fffffff)) > ${ I }(0x7f800000);
}
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
//% endif
//% if "is_inf" in used
fn is_inf(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) == ${ I }(0x7f800000);
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
