//! Data augmentation: random changes of training images.
//!
//! Each change takes an image `[C, H, W]` of numbers from 0 to 1 and a generator, and gives one of the same shape, or of
//! that which it names. They are applied in the order they are named.

mod colour;
mod crop;
mod warp;

use std::str::FromStr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::option_string;

pub use crop::{Fit, Size};

/// Larger images are a typing error.
const MOST_SIDE: usize = 1 << 14;

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
        /// The size of the piece, if it is not that of the image.
        #[serde(default)]
        size: Option<Size>,
        /// Pixels of the border: 4 if nothing is said, and none for another size.
        #[serde(default)]
        padding: Option<usize>,
    },
    /// `RandomResizedCrop`: a piece of any size and shape, brought to one.
    ResizedCrop {
        /// The size to bring it to.
        size: Size,
        /// The least and the largest share of the image.
        #[serde(default = "shares")]
        scale: [f32; 2],
        /// The least and the largest ratio of width and height.
        #[serde(default = "ratios")]
        ratio: [f32; 2],
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

fn shares() -> [f32; 2] {
    [0.08, 1.0]
}

fn ratios() -> [f32; 2] {
    [0.75, 4.0 / 3.0]
}

impl FromStr for Augmentation {
    type Err = TrainError;

    /// Parses `affine:degrees=10,translate=0.1`.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let augmentation: Self = option_string::parse(text, "augmentation")?;
        augmentation.check_numbers()?;
        Ok(augmentation)
    }
}

impl Augmentation {
    /// Checks the numbers; ranges are those of torchvision.
    fn check_numbers(&self) -> Result<(), TrainError> {
        let share = |name, value: f32| option_string::check(name, value.into(), 0.0..=1.0);
        let amount =
            |name, value: f32| option_string::check(name, value.into(), 0.0..=f64::from(f32::MAX / 4.0));
        match self {
            Augmentation::Affine { degrees, translate, scale, shear } => {
                amount("degrees", *degrees)?;
                share("translate", *translate)?;
                share("scale", *scale)?;
                amount("shear", *shear)
            }
            Augmentation::Perspective { distortion, p } => {
                share("distortion", *distortion)?;
                share("p", *p)
            }
            Augmentation::Flip { p } | Augmentation::FlipVertical { p } => share("p", *p),
            Augmentation::ColorJitter { brightness, contrast, saturation, hue } => {
                amount("brightness", *brightness)?;
                amount("contrast", *contrast)?;
                amount("saturation", *saturation)?;
                option_string::check("hue", (*hue).into(), 0.0..=0.5)
            }
            Augmentation::Erase { p, area } => {
                share("p", *p)?;
                share("area", *area)
            }
            // Sizes, and what depends on them, are compared with those of the images.
            Augmentation::Crop { .. } | Augmentation::ResizedCrop { .. } => Ok(()),
        }
    }

    /// Checks the settings for images of a shape; the shape that they will have.
    pub fn check(&self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3], TrainError> {
        let wrong = |message: String| Err(TrainError::Setting(message));
        let sides = match self {
            Augmentation::Crop { size: Some(size), padding } => {
                let (sides, border) = (size.sides(), padding.unwrap_or(0).saturating_mul(2));
                let (tall, wide) = (height.saturating_add(border), width.saturating_add(border));
                if sides[0] > tall || sides[1] > wide {
                    return wrong(format!(
                        "a crop of {} x {} is larger than the images, {height} x {width}, with their border; `padding` \
                         makes it wider",
                        sides[0], sides[1]
                    ));
                }
                sides
            }
            Augmentation::ResizedCrop { size, scale, ratio } => {
                let rises = |[low, high]: &[f32; 2]| *low > 0.0 && low <= high && high.is_finite();
                if !rises(scale) || !rises(ratio) || scale[1] > 1.0 {
                    return wrong(
                        "`scale` should be two shares up to 1 and `ratio` two numbers, the lower first"
                            .into(),
                    );
                }
                size.sides()
            }
            Augmentation::Affine { .. }
            | Augmentation::Perspective { .. }
            | Augmentation::Crop { size: None, .. }
            | Augmentation::Flip { .. }
            | Augmentation::FlipVertical { .. }
            | Augmentation::ColorJitter { .. }
            | Augmentation::Erase { .. } => [height, width],
        };
        if sides.contains(&0) || sides.iter().any(|side| *side > MOST_SIDE) {
            return wrong(format!("{} x {} is not an image size", sides[0], sides[1]));
        }
        Ok([channels, sides[0], sides[1]])
    }

    /// The deterministic transformation of validation images, if this changes the size.
    fn fit(&self) -> Option<Fit> {
        match self {
            Augmentation::Crop { size, .. } => size.map(|size| Fit::Crop(size.sides())),
            Augmentation::ResizedCrop { size, .. } => Some(Fit::Resize(size.sides())),
            Augmentation::Affine { .. }
            | Augmentation::Perspective { .. }
            | Augmentation::Flip { .. }
            | Augmentation::FlipVertical { .. }
            | Augmentation::ColorJitter { .. }
            | Augmentation::Erase { .. } => None,
        }
    }

    /// Changes an image and its shape, which [`Augmentation::check`] has seen.
    pub fn apply(&self, image: &mut Vec<f32>, size: &mut [usize; 3], random: &mut ChaCha8Rng) {
        let shape @ [channels, height, width] = *size;
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
            Augmentation::Crop { size: piece, padding } => {
                let sides = piece.map_or([height, width], Size::sides);
                let padding = padding.unwrap_or(if piece.is_some() { 0 } else { 4 });
                // Farther than the image is wide there is nothing but border.
                let reach = padding.min(height.max(width));
                let mut start = |side: usize, piece: usize| {
                    random.random_range(0..=(side + 2 * reach).saturating_sub(piece)) as isize
                        - reach as isize
                };
                let from = [start(height, sides[0]), start(width, sides[1])];
                *image = crop::piece(image, shape, from, sides);
                *size = [channels, sides[0], sides[1]];
            }
            Augmentation::ResizedCrop { size: piece, scale, ratio } => {
                let sides = piece.sides();
                *image = crop::resized_crop(image, shape, sides, *scale, *ratio, random);
                *size = [channels, sides[0], sides[1]];
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

/// The deterministic transformation of images next to those that `all` augments: the last change of the size, without
/// randomness.
pub fn fit(all: &[Augmentation]) -> Option<Fit> {
    all.iter().rev().find_map(Augmentation::fit)
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
    use super::{Augmentation, Size};

    #[test]
    fn words_become_augmentations() {
        let affine: Augmentation = "affine:degrees=10,translate=0.1".parse().expect("an augmentation");
        assert_eq!(affine, Augmentation::Affine { degrees: 10.0, translate: 0.1, scale: 0.0, shear: 0.0 });
        assert_eq!("flip".parse::<Augmentation>().expect("one"), Augmentation::Flip { p: 0.5 });
        let crop: Augmentation = "crop:size=[24,32]".parse().expect("an augmentation");
        assert_eq!(crop, Augmentation::Crop { size: Some(Size::Sides([24, 32])), padding: None });
        assert_eq!(crop.check([3, 40, 40]).expect("a shape"), [3, 24, 32]);
        assert!(crop.check([3, 20, 40]).is_err_and(|error| error.to_string().contains("20 x 40")));
        let crop: Augmentation = "resized-crop:size=8,scale=[0.5,1]".parse().expect("an augmentation");
        assert_eq!(crop.check([3, 5, 5]).expect("a shape"), [3, 8, 8]);
        for wrong in ["spin", "affine:angle=3", "crop:padding=-1", "resized-crop", ""] {
            assert!(wrong.parse::<Augmentation>().is_err(), "{wrong}");
        }
        for (wrong, words) in [
            ("affine:degrees=nan", "`degrees` is NaN"),
            ("affine:shear=inf", "`shear` is inf"),
            ("affine:translate=1.5", "`translate` is 1.5; it should be a number from 0 to 1"),
            ("perspective:p=2", "`p` is 2"),
            ("flip:p=-0.5", "`p` is -0.5"),
            ("color-jitter:hue=0.6", "to 0.5"),
            ("color-jitter:brightness=-1", "`brightness` is -1"),
            ("erase:area=nan", "`area` is NaN"),
        ] {
            let error = wrong.parse::<Augmentation>().expect_err(wrong).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
