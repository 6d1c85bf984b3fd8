//! Small pictures in rows of eight with a number above each. Rows stand side by side where a page has room.

use std::fmt::Write as _;

use base64::Engine;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::TrainError;

/// A small picture: red, green, blue and how much of the page they cover.
pub(super) struct Cell {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 4]>,
}

/// Pictures in a row.
const ACROSS: usize = 8;
/// Height of the numbers, and space between pictures.
const WORDS: f64 = 13.0;
const SPACE: f64 = 4.0;

/// What is above zero is red and what is below is blue, the more of it the farther from zero: at `limit`, all.
pub(super) fn signed(value: f64, limit: f64) -> [u8; 4] {
    let share = (value.abs() / limit.max(f64::MIN_POSITIVE)).min(1.0);
    let [red, green, blue] = if value < 0.0 { [38, 108, 214] } else { [214, 66, 40] };
    [red, green, blue, (share * 255.0).round() as u8]
}

/// Rows as SVG, with pictures whose longer side is `side`, numbered from 0.
pub(super) fn strips(cells: &[Cell], side: f64) -> Result<Vec<String>, TrainError> {
    cells.chunks(ACROSS).enumerate().map(|(row, cells)| strip(cells, row * ACROSS, side)).collect()
}

fn strip(cells: &[Cell], first: usize, side: f64) -> Result<String, TrainError> {
    let (width, height) = (
        cells.iter().map(|cell| cell.width).max().unwrap_or(1).max(1),
        cells.iter().map(|cell| cell.height).max().unwrap_or(1).max(1),
    );
    let scale = side / width.max(height) as f64;
    let apart = (SPACE / scale).ceil().max(1.0) as usize;
    let across = cells.len() * (width + apart);
    let mut pixels = vec![0u8; across * height * 4];
    for (n, cell) in cells.iter().enumerate() {
        for (at, pixel) in cell.pixels.iter().enumerate() {
            let (x, y) = (n * (width + apart) + at % cell.width, at / cell.width);
            pixels[(y * across + x) * 4..][..4].copy_from_slice(pixel);
        }
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, across as u32, height as u32, ExtendedColorType::Rgba8)
        .map_err(|error| TrainError::Setting(format!("an image cannot be written: {error}")))?;
    let (wide, tall) = (across as f64 * scale, height as f64 * scale);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide:.1} {:.1}\" width=\"{wide:.0}\" role=\"img\" \
         font-size=\"10\" fill=\"currentColor\"><image y=\"{WORDS}\" width=\"{wide:.1}\" height=\"{tall:.1}\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
        tall + WORDS + 4.0,
        base64::engine::general_purpose::STANDARD.encode(png)
    );
    for n in 0..cells.len() {
        let x = (n * (width + apart)) as f64 * scale;
        let _ = write!(
            text,
            "<text x=\"{x:.1}\" y=\"10\" opacity=\".7\">{}</text><rect x=\"{x:.1}\" y=\"{WORDS}\" width=\"{:.1}\" \
             height=\"{tall:.1}\" fill=\"none\" stroke=\"currentColor\" opacity=\".25\"/>",
            first + n,
            width as f64 * scale
        );
    }
    Ok(text + "</svg>")
}
