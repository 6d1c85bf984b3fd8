//! Whether two data sets are the same, without both at hand.

use crc32fast::Hasher;

use super::{Dataset, Samples, Targets};

impl Dataset {
    /// The CRC-32 of samples and targets, in their order.
    pub fn checksum(&self) -> u32 {
        let mut hasher = Hasher::new();
        let Dataset { shape, samples, targets } = self;
        hasher.update(format!("{shape:?}").as_bytes());
        match samples {
            Samples::Bytes(bytes) => hasher.update(bytes),
            Samples::Floats(numbers) => words(&mut hasher, numbers, |x| x.to_le_bytes()),
        }
        match targets {
            Targets::Classes { shape, labels, names } => {
                hasher.update(format!("{shape:?}{names:?}").as_bytes());
                words(&mut hasher, labels, |x| x.to_le_bytes());
            }
            Targets::Values { shape, values } => {
                hasher.update(format!("{shape:?}").as_bytes());
                words(&mut hasher, values, |x| x.to_le_bytes());
            }
            Targets::Whole { shape, numbers, .. } => {
                hasher.update(format!("{shape:?}").as_bytes());
                words(&mut hasher, numbers, |x| x.to_le_bytes());
            }
        }
        hasher.finalize()
    }
}

fn words<T: Copy, const N: usize>(hasher: &mut Hasher, numbers: &[T], bytes: impl Fn(T) -> [u8; N]) {
    /// Numbers at a time: a call for each would take most of the time.
    const PIECE: usize = 1 << 12;
    for piece in numbers.chunks(PIECE) {
        let bytes: Vec<u8> = piece.iter().flat_map(|number| bytes(*number)).collect();
        hasher.update(&bytes);
    }
}
