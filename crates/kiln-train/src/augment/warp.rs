//! Projective warps of images, with linear interpolation; pixels from outside are zero.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A map from places of the new image to places of the old one: a 3 x 3 matrix of which the last element is 1.
pub(super) type Map = [f32; 8];

/// Turned by `angle` degrees around the middle, scaled by `factor`, sheared by `shear` degrees, moved by `(dx, dy)`.
pub(super) fn affine(
    angle: f32,
    dx: f32,
    dy: f32,
    factor: f32,
    shear: f32,
    height: usize,
    width: usize,
) -> Map {
    let (sin, cos) = angle.to_radians().sin_cos();
    let slope = shear.to_radians().tan();
    // The inverse of scale * rotation * shear.
    let (a, b, c, d) =
        ((cos + slope * sin) / factor, (sin - slope * cos) / factor, -sin / factor, cos / factor);
    let (x, y) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
    let (from_x, from_y) = (x + dx, y + dy);
    [a, b, x - a * from_x - b * from_y, c, d, y - c * from_x - d * from_y, 0.0, 0.0]
}

/// Corners that are up to `distortion` times half the size inwards: top left, top right, bottom right, bottom left.
pub(super) fn inner_corners(
    distortion: f32,
    height: usize,
    width: usize,
    random: &mut ChaCha8Rng,
) -> [(f32, f32); 4] {
    let mut up_to =
        |size: usize| random.random_range(0.0..=(distortion.clamp(0.0, 0.95) * size as f32 / 2.0));
    let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
    [
        (up_to(width), up_to(height)),
        (right - up_to(width), up_to(height)),
        (right - up_to(width), bottom - up_to(height)),
        (up_to(width), bottom - up_to(height)),
    ]
}

/// The map that shows at `corners` what was in the corners of the image.
pub(super) fn perspective(corners: &[(f32, f32); 4], height: usize, width: usize) -> Option<Map> {
    let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
    let old = [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)];
    let mut rows: Vec<[f64; 9]> = Vec::with_capacity(8);
    for ((x, y), (u, v)) in corners.iter().zip(old) {
        let (x, y, u, v) = (f64::from(*x), f64::from(*y), f64::from(u), f64::from(v));
        rows.push([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u]);
        rows.push([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v]);
    }
    solve(&mut rows)
}

/// Gauss's elimination with pivots.
fn solve(rows: &mut [[f64; 9]]) -> Option<Map> {
    for column in 0..8 {
        let pivot = (column..8).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let top = rows[column];
        if top[column].abs() < 1e-9 {
            return None;
        }
        for (n, row) in rows.iter_mut().enumerate() {
            if n != column {
                let factor = row[column] / top[column];
                for (value, above) in row.iter_mut().zip(top) {
                    *value -= factor * above;
                }
            }
        }
    }
    Some(std::array::from_fn(|n| (rows[n][8] / rows[n][n]) as f32))
}

/// The image as `map` shows it.
pub(super) fn warp(image: &[f32], [channels, height, width]: [usize; 3], map: &Map) -> Vec<f32> {
    let mut out = vec![0.0; image.len()];
    let [a, b, c, d, e, f, g, h] = *map;
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column as f32, row as f32);
            let depth = g * x + h * y + 1.0;
            let (u, v) = ((a * x + b * y + c) / depth, (d * x + e * y + f) / depth);
            if !(u > -1.0 && v > -1.0 && u < width as f32 && v < height as f32) {
                continue;
            }
            let (left, top) = (u.floor(), v.floor());
            let (right_share, bottom_share) = (u - left, v - top);
            let (left, top) = (left as isize, top as isize);
            for channel in 0..channels {
                let at = |row: isize, column: isize| {
                    let inside =
                        row >= 0 && column >= 0 && (row as usize) < height && (column as usize) < width;
                    if inside {
                        image[(channel * height + row as usize) * width + column as usize]
                    } else {
                        0.0
                    }
                };
                let above = at(top, left) * (1.0 - right_share) + at(top, left + 1) * right_share;
                let below = at(top + 1, left) * (1.0 - right_share) + at(top + 1, left + 1) * right_share;
                out[(channel * height + row) * width + column] =
                    above * (1.0 - bottom_share) + below * bottom_share;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{affine, perspective, warp};

    #[test]
    fn maps_that_change_nothing() {
        let image: Vec<f32> = (0..30).map(|x| x as f32).collect();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(&warp(&image, [1, 5, 6], &affine(0.0, 0.0, 0.0, 1.0, 0.0, 5, 6)), &image));
        let corners = [(0.0, 0.0), (5.0, 0.0), (5.0, 4.0), (0.0, 4.0)];
        assert!(near(&warp(&image, [1, 5, 6], &perspective(&corners, 5, 6).expect("a map")), &image));
        // One pixel to the right.
        let moved = warp(&image, [1, 5, 6], &affine(0.0, 1.0, 0.0, 1.0, 0.0, 5, 6));
        assert!(near(&moved[1..6], &image[0..5]) && moved[0] == 0.0);
        // A half turn.
        let mut turned = warp(&image, [1, 5, 6], &affine(180.0, 0.0, 0.0, 1.0, 0.0, 5, 6));
        turned.reverse();
        assert!(near(&turned, &image));
    }
}
