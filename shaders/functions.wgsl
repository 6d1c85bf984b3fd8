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
//% if "power" in used
// pow of WGSL is undefined for negative bases; ONNX means the real power where the exponent is an integer.
fn power(a: ${ T }, b: ${ T }) -> ${ T } {
  let magnitude = pow(abs(a), b);
  let odd = abs(b - 2.0 * floor(b * 0.5)) == ${ T }(1.0);
  let whole = floor(b) == b;
  let nan = bitcast<${ T }>(${ I }(0x7fc00000));
  let negative = select(nan, select(magnitude, -magnitude, odd), whole);
  return select(select(magnitude, negative, a < ${ T }(0.0)), ${ T }(1.0), b == ${ T }(0.0));
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
  return select(r, r + b, (r != ${ L }()) & ((r < ${ L }()) != (b < ${ L }())));
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
  return select(power, select(unit, ${ Z }(-1), a == ${ Z }(-1) & b % ${ Z }(2) != ${ Z }()), b < ${ Z }());
//% else
  return power;
//% endif
}
//% endif
//% endfor
//% if "is_nan" in used or "minimum" in used or "maximum" in used or "tanh_safe" in used
// By the bits: drivers may assume that x != x is false.
fn is_nan(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) > ${ I }(0x7f800000);
}
//% endif
//% if "is_inf" in used
fn is_inf(x: ${ T }) -> ${ B } {
  return (bitcast<${ I }>(x) & ${ I }(0x7fffffff)) == ${ I }(0x7f800000);
}
//% endif
