//! What is gathered while a network runs: ranges of values, and how far they are from what they should be.

use super::numbers::Range;

/// How ranges follow from what was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// From the smallest to the largest number.
    MinMax,
    /// So many percent of the numbers, leaving out as many at either end.
    Percentile(f64),
}

/// Bins of a histogram.
const BINS: usize = 4096;

/// How many numbers lie where within a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    /// Of numbers within a range, which is known.
    pub fn new(range: Range) -> Self {
        Self { range, counts: vec![0; BINS] }
    }

    /// Counts numbers.
    pub fn observe(&mut self, values: &[f32]) {
        let width = self.width();
        for value in values {
            // What is not within the range goes to its ends.
            let bin = ((f64::from(*value) - f64::from(self.range.low)) / width) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    fn width(&self) -> f64 {
        ((f64::from(self.range.high) - f64::from(self.range.low)) / BINS as f64).max(f64::MIN_POSITIVE)
    }

    /// The range of so many percent of the numbers.
    pub fn within(&self, percent: f64) -> Range {
        let total: u64 = self.counts.iter().sum();
        let outside = total as f64 * (1.0 - percent / 100.0) / 2.0;
        // The first bin from either end at which more than so many numbers were passed.
        fn first<'a>(mut counts: impl Iterator<Item = &'a u64>, outside: f64) -> f64 {
            let mut passed = 0.0;
            let found = counts.position(|count| {
                passed += *count as f64;
                passed > outside
            });
            found.unwrap_or(0) as f64
        }
        let below = first(self.counts.iter(), outside) * self.width();
        let above = first(self.counts.iter().rev(), outside) * self.width();
        Range {
            low: (f64::from(self.range.low) + below) as f32,
            high: (f64::from(self.range.high) - above) as f32,
        }
    }
}

/// How far numbers are from what they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// The sum of the squares of what they should be.
    pub signal: f64,
    /// The sum of the squares of differences.
    pub noise: f64,
    /// The largest difference.
    pub largest: f64,
    /// The largest magnitude that there should be.
    pub magnitude: f64,
}

impl Noise {
    /// Takes in what numbers should be, and what they are.
    pub fn observe(&mut self, wanted: &[f32], found: &[f32]) {
        for (wanted, found) in wanted.iter().zip(found) {
            let (wanted, apart) = (f64::from(*wanted), f64::from(*found) - f64::from(*wanted));
            self.signal += wanted * wanted;
            self.noise += apart * apart;
            self.largest = self.largest.max(apart.abs());
            self.magnitude = self.magnitude.max(wanted.abs());
        }
    }

    /// The ratio of signal and noise in decibels; infinite without noise.
    pub fn decibels(&self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }

    /// The root of the mean square of differences, relative to that of what there should be.
    pub fn relative(&self) -> f64 {
        if self.noise == 0.0 { 0.0 } else { (self.noise / self.signal).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use crate::quantize::numbers::Range;
    use crate::quantize::observe::{Histogram, Noise};

    #[test]
    fn percentiles_leave_out_both_ends() {
        let range = Range { low: -8.0, high: 2048.0 };
        let mut histogram = Histogram::new(range);
        histogram.observe(&[-8.0, 2048.0]);
        histogram.observe(&(0..998).map(|n| n as f32 / 998.0).collect::<Vec<_>>());
        assert_eq!(histogram.within(100.0), range);
        let found = histogram.within(99.7);
        assert!((-0.51..=0.0).contains(&found.low) && (0.99..1.6).contains(&found.high), "{found:?}");
        // Of one number only, there is nothing to leave out.
        let mut single = Histogram::new(Range { low: 3.0, high: 3.0 });
        single.observe(&[3.0; 5]);
        assert_eq!(single.within(99.0), Range { low: 3.0, high: 3.0 });
    }

    #[test]
    fn noise_is_relative_to_the_signal() {
        let mut noise = Noise::default();
        noise.observe(&[3.0, -4.0], &[3.0, -4.5]);
        assert_eq!((noise.relative(), noise.largest, noise.magnitude), (0.1, 0.5, 4.0));
        assert!((noise.decibels() - 20.0).abs() < 1e-9);
        assert_eq!(Noise::default().relative(), 0.0);
    }
}
