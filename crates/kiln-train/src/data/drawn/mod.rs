//! Data sets that need no download: each is drawn by its seed, as large as one likes.
//!
//! All have a part for training and a sixth as many samples for testing, from random numbers of their own.

mod digits;
mod moons;
mod waves;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dataset, Splits};

/// Fewer samples make no data set.
const LEAST: usize = 20;

/// More samples are a slip of the finger: they would all have to be drawn first, and held in memory.
const MOST: usize = 1_000_000;

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

    /// How many samples there should be: `text`, or if nothing is said as many as are enough to learn from.
    pub(super) fn count(self, text: &str) -> Result<usize, String> {
        match (text, self) {
            ("", Drawn::Digits) => Ok(6000),
            ("", Drawn::Moons | Drawn::Waves) => Ok(1000),
            (text, _) => match text.parse() {
                Ok(count @ LEAST..=MOST) => Ok(count),
                Ok(_) | Err(_) => {
                    let name = self.name();
                    Err(format!("`{text}` is no number of {name} to draw, which is from {LEAST} to {MOST}"))
                }
            },
        }
    }

    /// Draws `count` samples for training and a sixth as many for testing.
    pub(super) fn draw(self, count: usize, seed: u64) -> Splits {
        let draw = match self {
            Drawn::Digits => digits::draw,
            Drawn::Moons => moons::draw,
            Drawn::Waves => waves::draw,
        };
        let part = |count: usize, stream: u64| -> Dataset {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(stream);
            draw(count, &mut random)
        };
        let (train, test) = (part(count, 0), part((count / 6).max(10), 1));
        Splits { train, validation: None, test: Some(test), skipped: vec![] }
    }
}

/// A number of the normal distribution with mean 0 and standard deviation 1 (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (radius, angle) = (random.random_range(0.0f32..1.0), random.random_range(0.0f32..1.0));
    // 1 - radius is never zero, so the logarithm is a number.
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}
