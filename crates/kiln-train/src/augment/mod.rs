//! Changing training images at random, so that a network sees more than there is.
//!
//! Each change takes an image `[C, H, W]` of numbers from 0 to 1 and a generator, and gives one of the same shape. They
//! are applied in the order they are named.

mod colour;
mod warp;

use std::str::FromStr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::words;

/// A random change of an image; names and meanings are torchvision's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Augmentation {
    /// `RandomAffine`: turned, moved, scaled and sheared.
    Affine {
        /// Turned by up to so many degrees to either side.
        #[serde(default)]
        degrees: f32,
        /// Moved by up to this share of the size.
        #[serde(default)]
        translate: f32,
        /// Scaled by a factor between 1 - this and 1 + this.
        #[serde(default)]
        scale: f32,
        /// Sheared by up to so many degrees.
        #[serde(default)]
        shear: f32,
    },
    /// `RandomPerspective`: the corners moved inwards.
    Perspective {
        /// By up to this share of half the size.
        #[serde(default = "half")]
        distortion: f32,
        /// How often.
        #[serde(default = "half")]
        p: f32,
    },
    /// `RandomCrop`: cut out of the image with a border of zeros.
    Crop {
        /// Pixels of the border.
        #[serde(default = "four")]
        padding: usize,
    },
    /// `RandomHorizontalFlip`
    Flip {
        /// How often.
        #[serde(default = "half")]
        p: f32,
    },
    /// `RandomVerticalFlip`
    FlipVertical {
        /// How often.
        #[serde(default = "half")]
        p: f32,
    },
    /// `ColorJitter`
    ColorJitter {
        /// A factor between 1 - this and 1 + this.
        #[serde(default)]
        brightness: f32,
        /// A factor between 1 - this and 1 + this.
        #[serde(default)]
        contrast: f32,
        /// A factor between 1 - this and 1 + this.
        #[serde(default)]
        saturation: f32,
        /// Turned by up to this share of the circle of colours.
        #[serde(default)]
        hue: f32,
    },
    /// `RandomErasing`: a rectangle of zeros.
    Erase {
        /// How often.
        #[serde(default = "half")]
        p: f32,
        /// The largest share of the image.
        #[serde(default = "third")]
        area: f32,
    },
}

fn half() -> f32 {
    0.5
}

fn third() -> f32 {
    0.33
}

fn four() -> usize {
    4
}

impl FromStr for Augmentation {
    type Err = TrainError;

    /// Parses `affine:degrees=10,translate=0.1`.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        words::parse(text, "augmentation")
    }
}

impl Augmentation {
    /// Changes an image.
    pub fn apply(&self, image: &mut Vec<f32>, shape: [usize; 3], random: &mut ChaCha8Rng) {
        let [_, height, width] = shape;
        let mut within = |limit: f32| if limit > 0.0 { random.random_range(-limit..=limit) } else { 0.0 };
        match self {
            Augmentation::Affine { degrees, translate, scale, shear } => {
                let (angle, shear) = (within(*degrees), within(*shear));
                let (dx, dy) = (within(*translate) * width as f32, within(*translate) * height as f32);
                let factor = (1.0 + within(*scale)).max(0.05);
                *image = warp::warp(image, shape, &warp::affine(angle, dx, dy, factor, shear, height, width));
            }
            Augmentation::Perspective { distortion, p } => {
                if random.random::<f32>() < *p {
                    let corners = warp::inner_corners(*distortion, height, width, random);
                    if let Some(map) = warp::perspective(&corners, height, width) {
                        *image = warp::warp(image, shape, &map);
                    }
                }
            }
            Augmentation::Crop { padding } => {
                // Farther than the image is wide there is nothing but border.
                let reach = (*padding).min(height.max(width));
                let mut shift = || random.random_range(0..=2 * reach) as isize - reach as isize;
                let (dy, dx) = (shift(), shift());
                *image = moved(image, shape, dy, dx);
            }
            Augmentation::Flip { p } => {
                if random.random::<f32>() < *p {
                    image.chunks_mut(width.max(1)).for_each(<[f32]>::reverse);
                }
            }
            Augmentation::FlipVertical { p } => {
                if random.random::<f32>() < *p {
                    for plane in image.chunks_mut((height * width).max(1)) {
                        for row in 0..height / 2 {
                            let (above, below) = plane.split_at_mut((height - 1 - row) * width);
                            above[row * width..(row + 1) * width].swap_with_slice(&mut below[..width]);
                        }
                    }
                }
            }
            Augmentation::ColorJitter { brightness, contrast, saturation, hue } => {
                let factors =
                    [*brightness, *contrast, *saturation].map(|limit| (1.0 + within(limit)).max(0.0));
                let turn = within(*hue);
                colour::jitter(image, shape, factors, turn);
            }
            Augmentation::Erase { p, area } => {
                if random.random::<f32>() < *p {
                    erase(image, shape, *area, random);
                }
            }
        }
    }
}

/// The image moved by whole pixels, zeros where it was not.
fn moved(image: &[f32], [channels, height, width]: [usize; 3], dy: isize, dx: isize) -> Vec<f32> {
    let mut out = vec![0.0; image.len()];
    for channel in 0..channels {
        for row in 0..height {
            let Some(from) = row.checked_add_signed(dy).filter(|from| *from < height) else { continue };
            for column in 0..width {
                let Some(at) = column.checked_add_signed(dx).filter(|at| *at < width) else { continue };
                out[(channel * height + row) * width + column] =
                    image[(channel * height + from) * width + at];
            }
        }
    }
    out
}

/// A rectangle of up to a share `area`, with sides up to 1 to 3 (Zhong et al., "Random erasing data augmentation").
fn erase(image: &mut [f32], [channels, height, width]: [usize; 3], area: f32, random: &mut ChaCha8Rng) {
    let share = random.random_range(0.02..=area.clamp(0.02, 1.0)) * (height * width) as f32;
    let ratio = random.random_range(-1.1f32..=1.1).exp();
    let side = |length: f32, most: usize| (length.round() as usize).clamp(1, most.max(1));
    let (tall, wide) = (side((share * ratio).sqrt(), height), side((share / ratio).sqrt(), width));
    let (top, left) = (random.random_range(0..=height - tall), random.random_range(0..=width - wide));
    for channel in 0..channels {
        for row in top..top + tall {
            let start = (channel * height + row) * width + left;
            image[start..start + wide].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Augmentation;

    #[test]
    fn words_become_augmentations() {
        let affine: Augmentation = "affine:degrees=10,translate=0.1".parse().expect("an augmentation");
        assert_eq!(affine, Augmentation::Affine { degrees: 10.0, translate: 0.1, scale: 0.0, shear: 0.0 });
        assert_eq!("flip".parse::<Augmentation>().expect("one"), Augmentation::Flip { p: 0.5 });
        for wrong in ["spin", "affine:angle=3", "crop:padding=-1", ""] {
            assert!(wrong.parse::<Augmentation>().is_err(), "{wrong}");
        }
    }
}
