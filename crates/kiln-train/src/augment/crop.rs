//! Cropping images: `RandomCrop`, `RandomResizedCrop`, and the deterministic crop of validation images.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A size: `32`, or `[24,32]` for 24 rows of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// As many rows as columns.
    Square(usize),
    /// Rows and columns.
    Sides([usize; 2]),
}

impl Size {
    /// Rows and columns.
    pub fn sides(self) -> [usize; 2] {
        match self {
            Size::Square(side) => [side, side],
            Size::Sides(sides) => sides,
        }
    }
}

/// The crop of an image that is not augmented, but has to have the size of those that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Its center: torchvision's `CenterCrop`.
    Crop([usize; 2]),
    /// The shorter side resized, then the center: `Resize` and `CenterCrop`.
    Resize([usize; 2]),
}

impl Fit {
    /// The image `[C, H, W]`, fitted.
    pub fn apply(self, image: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let [channels, height, width] = shape;
        match self {
            Fit::Crop(sides) => middle(image, shape, sides),
            Fit::Resize([rows, columns]) => {
                let scale = (rows as f32 / height as f32).max(columns as f32 / width as f32);
                let scaled = |side: usize, least: usize| ((side as f32 * scale).round() as usize).max(least);
                let (tall, wide) = (scaled(height, rows), scaled(width, columns));
                let image = resized(image, shape, [tall, wide]);
                middle(&image, [channels, tall, wide], [rows, columns])
            }
        }
    }
}

/// The middle of an image, which is rounded as Python rounds: halves to the even number.
fn middle(image: &[f32], shape: [usize; 3], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let start = |side: usize, piece: usize| {
        ((side as isize - piece as isize) as f32 / 2.0).round_ties_even() as isize
    };
    piece(image, shape, [start(shape[1], rows), start(shape[2], columns)], [rows, columns])
}

/// The piece that begins at `from`; zeros where there is no image.
pub(super) fn piece(
    image: &[f32],
    [channels, height, width]: [usize; 3],
    from: [isize; 2],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let mut out = vec![0.0; channels * rows * columns];
    for channel in 0..channels {
        for row in 0..rows {
            let Some(y) = row.checked_add_signed(from[0]).filter(|y| *y < height) else { continue };
            for column in 0..columns {
                let Some(x) = column.checked_add_signed(from[1]).filter(|x| *x < width) else { continue };
                out[(channel * rows + row) * columns + column] = image[(channel * height + y) * width + x];
            }
        }
    }
    out
}

/// `RandomResizedCrop`: a share of the area with sides in a ratio, both drawn, brought to a size.
pub(super) fn resized_crop(
    image: &[f32],
    shape: [usize; 3],
    sides: [usize; 2],
    scale: [f32; 2],
    ratio: [f32; 2],
    random: &mut ChaCha8Rng,
) -> Vec<f32> {
    let [channels, height, width] = shape;
    let mut between = |[low, high]: [f32; 2]| if low < high { random.random_range(low..=high) } else { low };
    let area = (height * width) as f32;
    let drawn = (0..10).find_map(|_| {
        let share = area * between(scale);
        let ratio = between([ratio[0].ln(), ratio[1].ln()]).exp();
        let (wide, tall) = ((share * ratio).sqrt().round() as usize, (share / ratio).sqrt().round() as usize);
        ((1..=width).contains(&wide) && (1..=height).contains(&tall)).then_some([tall, wide])
    });
    let (from, size) = match drawn {
        Some([tall, wide]) => {
            let (top, left) = (random.random_range(0..=height - tall), random.random_range(0..=width - wide));
            ([top as isize, left as isize], [tall, wide])
        }
        // As much of the middle as the ratio leaves.
        None => {
            let own = width as f32 / height as f32;
            let fitting = own.clamp(ratio[0], ratio[1]);
            let tall = if own < fitting { (width as f32 / fitting).round() as usize } else { height };
            let wide = if own > fitting { (height as f32 * fitting).round() as usize } else { width };
            let (tall, wide) = (tall.clamp(1, height), wide.clamp(1, width));
            ([((height - tall) / 2) as isize, ((width - wide) / 2) as isize], [tall, wide])
        }
    };
    resized(&piece(image, shape, from, size), [channels, size[0], size[1]], sides)
}

/// An image of another size: a triangle as wide as an old pixel, or as a new one where those are larger, over each new
/// pixel (Pillow's `BILINEAR`).
pub(super) fn resized(
    image: &[f32],
    [channels, height, width]: [usize; 3],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let (down, across) = (weights(height, rows), weights(width, columns));
    let mut out = Vec::with_capacity(channels * rows * columns);
    for plane in image.chunks(height * width).take(channels) {
        let wide: Vec<f32> = plane
            .chunks(width)
            .flat_map(|row| across.iter().map(|(first, weights)| sum(weights, |k| row[first + k])))
            .collect();
        for (first, weights) in &down {
            out.extend((0..columns).map(|column| sum(weights, |k| wide[(first + k) * columns + column])));
        }
    }
    out
}

fn sum(weights: &[f32], of: impl Fn(usize) -> f32) -> f32 {
    weights.iter().enumerate().map(|(k, weight)| weight * of(k)).sum()
}

/// For each new place along a side the first old one and the weights from there on.
fn weights(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = old as f32 / new as f32;
    let reach = scale.max(1.0);
    (0..new)
        .map(|place| {
            let centre = (place as f32 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(old).max(first + 1);
            let weight = |at: usize| (1.0 - ((at as f32 + 0.5 - centre) / reach).abs()).max(0.0);
            let all: Vec<f32> = (first..end).map(weight).collect();
            let total: f32 = all.iter().sum();
            (first, all.into_iter().map(|weight| weight / total.max(f32::MIN_POSITIVE)).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::{Fit, resized, resized_crop};

    /// Pillow's `resize` with `BILINEAR` of a row in mode `F`: `[0, 1, 2, 3]` to two and to eight pixels.
    #[test]
    fn sizes_are_pillows() {
        let row = [0.0, 1.0, 2.0, 3.0];
        let near =
            |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let half = resized(&row, [1, 1, 4], [1, 2]);
        assert!(near(&half, &[0.714_285_7, 2.285_714_4]), "{half:?}");
        let double = resized(&row, [1, 1, 4], [1, 8]);
        assert!(near(&double, &[0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]), "{double:?}");
    }

    #[test]
    fn the_middle_is_torchvisions() {
        let image: Vec<f32> = (0..25).map(|x| x as f32).collect();
        assert_eq!(Fit::Crop([1, 1]).apply(&image, [1, 5, 5]), [12.0]);
        // (5 - 2) / 2 = 1.5 becomes 2, and (5 - 4) / 2 = 0.5 becomes 0.
        assert_eq!(Fit::Crop([2, 2]).apply(&image, [1, 5, 5]), [12.0, 13.0, 17.0, 18.0]);
        assert_eq!(Fit::Crop([4, 1]).apply(&image, [1, 5, 5]), [2.0, 7.0, 12.0, 17.0]);
        assert_eq!(Fit::Resize([5, 5]).apply(&image, [1, 5, 5]), image);
        assert_eq!(Fit::Resize([2, 2]).apply(&image[..10], [1, 2, 5]), [2.0, 3.0, 7.0, 8.0]);
    }

    #[test]
    fn pieces_have_the_size_asked_for() {
        let image = vec![0.5; 3 * 7 * 11];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for ratio in [[0.75, 1.333], [8.0, 9.0]] {
            let piece = resized_crop(&image, [3, 7, 11], [4, 6], [0.08, 1.0], ratio, &mut random);
            assert!(piece.len() == 3 * 4 * 6 && piece.iter().all(|x| (x - 0.5).abs() < 1e-6));
        }
    }
}
