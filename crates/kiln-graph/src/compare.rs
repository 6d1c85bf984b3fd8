//! How far numbers are from those that they should be.
//!
//! A difference alone cannot tell: that of two infinities is NaN, and one within a tolerance relative to an infinity is
//! anything. NaN equals only NaN here, and an infinity only itself.

/// How far `found` is from `expected`: infinitely far where only one of them is NaN, or one is an infinity that the other
/// is not. Zeros are equal whatever their signs, see [`signs_differ`].
pub fn distance(expected: f64, found: f64) -> f64 {
    if expected == found || expected.is_nan() && found.is_nan() {
        return 0.0;
    }
    let apart = (expected - found).abs();
    if apart.is_nan() { f64::INFINITY } else { apart }
}

/// Whether `found` is as near to `expected` as `absolute + relative * |expected|`.
pub fn is_near(expected: f64, found: f64, absolute: f64, relative: f64) -> bool {
    let apart = distance(expected, found);
    apart == 0.0 || apart.is_finite() && apart <= absolute + relative * expected.abs()
}

/// Whether both are zeros, of which one is negative.
pub fn signs_differ(expected: f64, found: f64) -> bool {
    expected == 0.0 && found == 0.0 && expected.is_sign_negative() != found.is_sign_negative()
}

/// The largest finite magnitude among `expected`, or `least` if that is larger.
pub fn largest(expected: &[f64], least: f64) -> f64 {
    expected.iter().filter(|x| x.is_finite()).fold(least, |most, x| most.max(x.abs()))
}

/// The largest [`distance`] of two elements; infinite where there are not as many.
pub fn farthest(expected: &[f64], found: &[f64]) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    expected.iter().zip(found).fold(0.0, |most, (a, b)| most.max(distance(*a, *b)))
}

/// The same relative to the [`largest`] magnitude that is expected.
pub fn apart(expected: &[f64], found: &[f64], least: f64) -> f64 {
    let farthest = farthest(expected, found);
    if farthest == 0.0 { 0.0 } else { farthest / largest(expected, least) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    #[test]
    fn only_equals_are_near_what_is_not_finite() {
        let numbers = [NAN, INF, -INF, 0.0, 1.0, f64::MAX];
        for expected in numbers {
            for found in numbers {
                let same = expected == found || expected.is_nan() && found.is_nan();
                let near = is_near(expected, found, 1e-6, 1e-3);
                assert_eq!(near, same, "{expected} against {found}");
                assert_eq!(apart(&[1.0, expected], &[1.0, found], 1e-3) <= 1e-3, same, "{expected}, {found}");
            }
        }
        assert!(is_near(100.0, 100.05, 1e-6, 1e-3) && !is_near(100.0, 100.2, 1e-6, 1e-3));
        assert!(signs_differ(0.0, -0.0) && !signs_differ(-0.0, -0.0) && !signs_differ(1.0, -0.0));
        assert_eq!(farthest(&[1.0], &[1.0, 2.0]), INF);
    }
}
