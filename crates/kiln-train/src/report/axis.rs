//! An axis: which numbers it has, where they are, and how they are written.

/// How an axis counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// In whole numbers, such as steps and epochs.
    Whole,
    /// By powers of ten.
    Logarithmic,
}

/// An axis from one number to another.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
}

/// Numbers on an axis, about.
const NUMBERS: f64 = 6.5;

impl Axis {
    /// An axis that has all of the numbers, which are finite, with a little room at both ends.
    pub(super) fn around(numbers: impl IntoIterator<Item = f64>, scale: Scale) -> Option<Self> {
        let range = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
        let (low, high) = numbers.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), range);
        if low > high {
            return None;
        }
        Some(match scale {
            Scale::Logarithmic => {
                let low = low.max(f64::MIN_POSITIVE);
                Self { low: low / 1.2, high: high.max(low) * 1.2, scale }
            }
            Scale::Linear | Scale::Whole => {
                let least = if scale == Scale::Whole { 0.5 } else { low.abs().max(1e-6) * 0.1 };
                let room = if low == high { least } else { (high - low) * 0.04 };
                Self { low: low - room, high: high + room, scale }
            }
        })
    }

    /// Where a number is: from 0 to 1.
    pub(super) fn place(&self, x: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Whole => (x - self.low) / (self.high - self.low),
            Scale::Logarithmic => (x / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// The numbers that are written at it.
    pub(super) fn numbers(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear | Scale::Whole => self.even(),
            Scale::Logarithmic => {
                let first = self.low.log10().ceil() as i32;
                let last = self.high.log10().floor() as i32;
                let powers: Vec<i32> = (first..=last).collect();
                let each = powers.len().div_ceil(NUMBERS as usize + 4).max(1);
                let number = |power: &i32| (10f64.powi(*power), format!("1e{power}"));
                match &powers[..] {
                    [] | [_] => Self { scale: Scale::Linear, ..*self }.even(),
                    powers => powers.iter().step_by(each).map(number).collect(),
                }
            }
        }
    }

    /// Multiples of one, two or five times a power of ten.
    fn even(&self) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / NUMBERS;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let step = if self.scale == Scale::Whole { step.max(1.0).round() } else { step };
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|n| (n as f64 * step, written(n as f64 * step, decimals))).collect()
    }
}

/// A number with so many decimals, thousands apart; very large and very small ones as powers of ten.
fn written(number: f64, decimals: usize) -> String {
    if decimals > 4 || number.abs() >= 1e7 {
        return if number == 0.0 { "0".into() } else { format!("{number:.1e}") };
    }
    let text = format!("{:.decimals$}", number.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (n, digit) in whole.char_indices() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if number < 0.0 { "\u{2212}" } else { "" };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_steps_whole() {
        let cases: [(f64, f64, Scale, &[&str]); 5] = [
            (0.0, 1.0, Scale::Linear, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (1.0, 3.0, Scale::Whole, &["1", "2", "3"]),
            (0.0, 12_000.0, Scale::Whole, &["0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000"]),
            (-0.02, 0.02, Scale::Linear, &["\u{2212}0.02", "\u{2212}0.01", "0.00", "0.01", "0.02"]),
            (1e-4, 1.0, Scale::Logarithmic, &["1e-4", "1e-3", "1e-2", "1e-1", "1e0"]),
        ];
        for (low, high, scale, wanted) in cases {
            let axis = Axis::around([low, high], scale).unwrap();
            let found: Vec<String> = axis.numbers().into_iter().map(|(_, text)| text).collect();
            assert_eq!(found, wanted, "{low} to {high}");
        }
        assert!(Axis::around([], Scale::Linear).is_none());
        let one = Axis::around([5.0], Scale::Whole).unwrap();
        assert_eq!(one.numbers().len(), 1);
    }
}
