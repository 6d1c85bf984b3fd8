//! Data sets that need no download: each is generated from a seed, in any size.
//!
//! All have a part for training and a sixth as many samples for testing, or as many as are asked for, from random
//! numbers of their own: `moons`, `moons:500`, `moons:500,noise=0.4,test=200`.

mod digits;
mod moons;
mod waves;

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dataset, Skipped, Splits};

/// Fewer samples make no data set.
const LEAST: usize = 20;

/// More samples are a typing error: they would all have to be generated first, and held in memory.
const MOST: usize = 1_000_000;

/// More noise hides everything.
const MOST_NOISE: f32 = 100.0;

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Handwritten digits: 28 x 28 grey images in ten classes.
    Digits,
    /// Two interleaved half circles: points of two classes.
    Moons,
    /// A sine with noise: one number from another.
    Waves,
}

impl Drawn {
    /// Everything there is.
    const ALL: [Drawn; 3] = [Drawn::Digits, Drawn::Moons, Drawn::Waves];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Drawn::Digits => "digits",
            Drawn::Moons => "moons",
            Drawn::Waves => "waves",
        }
    }

    pub(super) fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|drawn| drawn.name() == name)
    }

    /// The default number of samples: enough to train on.
    pub fn usual(self) -> Drawing {
        let count = match self {
            Drawn::Digits => 6000,
            Drawn::Moons | Drawn::Waves => 1000,
        };
        Drawing { what: self, count, test: None, noise: None }
    }
}

/// What to generate, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// What.
    pub what: Drawn,
    /// The number of training samples.
    pub count: usize,
    /// The number of test samples, if not a sixth as many.
    pub test: Option<usize>,
    /// The standard deviation of what is added: to coordinates, to values, to pixels from 0 to 1. If nothing is said, 0.1
    /// for points and curves, 0 for pixels.
    pub noise: Option<f32>,
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.what.name(), self.count)?;
        if let Some(test) = self.test {
            write!(f, ",test={test}")?;
        }
        self.noise.map_or(Ok(()), |noise| write!(f, ",noise={noise}"))
    }
}

impl Drawing {
    /// What `what:text` asks for.
    pub(super) fn read(what: Drawn, text: &str) -> Result<Self, String> {
        let mut drawing = what.usual();
        let name = what.name();
        let count = |text: &str, least: usize| match text.parse() {
            Ok(count) if (least..=MOST).contains(&count) => Ok(count),
            Ok(_) | Err(_) => Err(format!(
                "`{text}` is not a number of {name} to draw; it should be from {least} to {MOST}"
            )),
        };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                None => drawing.count = count(word, LEAST)?,
                Some(("count", number)) => drawing.count = count(number, LEAST)?,
                Some(("test", number)) => drawing.test = Some(count(number, 1)?),
                Some(("noise", number)) => {
                    let noise = number.parse().ok().filter(|noise| (0.0..=MOST_NOISE).contains(noise));
                    drawing.noise = Some(noise.ok_or_else(|| {
                        format!(
                            "`{number}` is not a noise level of {name}; it should be from 0 to {MOST_NOISE}"
                        )
                    })?);
                }
                Some((other, _)) => {
                    return Err(format!(
                        "{name} have no option `{other}`; options are count, test and noise, as in {name}:500,noise=0.2"
                    ));
                }
            }
        }
        Ok(drawing)
    }

    /// Draws it.
    pub(super) fn draw(self, seed: u64) -> Splits {
        let draw = match self.what {
            Drawn::Digits => digits::draw,
            Drawn::Moons => moons::draw,
            Drawn::Waves => waves::draw,
        };
        let part = |count: usize, stream: u64| -> Dataset {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(stream);
            draw(count, self.noise, &mut random)
        };
        let test = self.test.unwrap_or((self.count / 6).max(10));
        Splits {
            train: part(self.count, 0),
            validation: None,
            test: Some(part(test, 1)),
            skipped: Skipped::default(),
        }
    }
}

/// A number of the normal distribution with mean 0 and standard deviation 1 (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (radius, angle) = (random.random_range(0.0f32..1.0), random.random_range(0.0f32..1.0));
    // 1 - radius is never zero, so the logarithm is a number.
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}
