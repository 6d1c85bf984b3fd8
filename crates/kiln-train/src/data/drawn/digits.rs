//! Digits drawn from strokes.
//!
//! Each digit is one of a few sets of polylines and arcs in a unit square, moved, turned, sheared and scaled at random,
//! and drawn with a soft pen of random width: 28 x 28 grey images like MNIST's.

use std::f32::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::{Dataset, Samples, Targets, numbered};
use super::normal;

const SIDE: usize = 28;

type Point = (f32, f32);

/// An arc around a centre, from one angle to another, as points; angles in half turns, clockwise from the right.
fn arc(centre: Point, radius: Point, from: f32, to: f32) -> Vec<Point> {
    const PARTS: usize = 14;
    (0..=PARTS)
        .map(|i| {
            #[allow(clippy::as_conversions, reason = "an arc has few parts")]
            let angle = (from + (to - from) * i as f32 / PARTS as f32) * PI;
            (centre.0 + radius.0 * angle.cos(), centre.1 + radius.1 * angle.sin())
        })
        .collect()
}

fn line(points: &[Point]) -> Vec<Point> {
    points.to_vec()
}

/// The strokes of a digit, in one of the ways to write it; x to the right, y down, from -1 to 1.
fn strokes(digit: usize, way: usize) -> Vec<Vec<Point>> {
    match (digit, way % 2) {
        (0, _) => vec![arc((0.0, 0.0), (0.6, 0.9), 0.0, 2.0)],
        (1, 0) => vec![line(&[(-0.3, -0.5), (0.1, -0.9), (0.1, 0.9)])],
        (1, _) => vec![line(&[(0.0, -0.9), (0.0, 0.9)])],
        (2, 0) => vec![[arc((0.0, -0.4), (0.6, 0.5), -1.0, 0.25), line(&[(-0.6, 0.9), (0.6, 0.9)])].concat()],
        (2, _) => vec![
            [arc((0.0, -0.45), (0.55, 0.45), -0.9, 0.3), line(&[(-0.6, 0.8), (-0.1, 0.75), (0.65, 0.9)])]
                .concat(),
        ],
        (3, 0) => {
            vec![arc((-0.05, -0.45), (0.55, 0.45), -0.8, 0.5), arc((-0.05, 0.42), (0.6, 0.48), -0.5, 0.8)]
        }
        (3, _) => vec![
            [line(&[(-0.5, -0.9), (0.5, -0.9), (0.0, -0.1)]), arc((-0.05, 0.4), (0.6, 0.5), -0.45, 0.8)]
                .concat(),
        ],
        (4, 0) => vec![line(&[(0.2, -0.9), (-0.6, 0.3), (0.6, 0.3)]), line(&[(0.3, -0.3), (0.3, 0.9)])],
        (4, _) => vec![line(&[(-0.5, -0.9), (-0.5, 0.1), (0.5, 0.1)]), line(&[(0.45, -0.9), (0.45, 0.9)])],
        (5, _) => vec![
            [line(&[(0.5, -0.9), (-0.4, -0.9), (-0.45, -0.1)]), arc((-0.05, 0.35), (0.6, 0.55), -0.75, 0.8)]
                .concat(),
        ],
        (6, _) => {
            vec![[line(&[(0.35, -0.9), (-0.3, -0.3)]), arc((0.0, 0.4), (0.55, 0.5), -0.85, 1.15)].concat()]
        }
        (7, 0) => vec![line(&[(-0.6, -0.85), (0.6, -0.85), (-0.1, 0.9)])],
        (7, _) => vec![line(&[(-0.6, -0.85), (0.6, -0.85), (-0.1, 0.9)]), line(&[(-0.2, 0.0), (0.5, 0.0)])],
        (8, _) => vec![arc((0.0, -0.45), (0.45, 0.42), 0.5, 2.5), arc((0.0, 0.42), (0.55, 0.47), -0.5, 1.5)],
        (_, 0) => {
            vec![arc((0.0, -0.4), (0.5, 0.48), 0.0, 2.0), line(&[(0.5, -0.4), (0.45, 0.3), (0.3, 0.9)])]
        }
        (_, _) => {
            vec![[arc((0.0, -0.4), (0.5, 0.48), 0.0, 2.0), arc((-0.1, 0.35), (0.6, 0.55), 0.0, 0.7)].concat()]
        }
    }
}

/// Draws `count` digits, with noise over all of each.
pub(super) fn draw(count: usize, noise: Option<f32>, random: &mut ChaCha8Rng) -> Dataset {
    let mut samples = Vec::with_capacity(count * SIDE * SIDE);
    let mut labels = Vec::with_capacity(count);
    for _ in 0..count {
        let digit = random.random_range(0..10usize);
        samples.extend(one(digit, random));
        if let Some(noise) = noise.filter(|noise| *noise > 0.0) {
            let start = samples.len() - SIDE * SIDE;
            #[allow(clippy::as_conversions, reason = "clamped to a byte")]
            for pixel in &mut samples[start..] {
                let level = f32::from(*pixel) / 255.0 + noise * normal(random);
                *pixel = (level.clamp(0.0, 1.0) * 255.0).round() as u8;
            }
        }
        #[allow(clippy::as_conversions, reason = "there are ten")]
        labels.push(digit as i32);
    }
    Dataset {
        shape: vec![1, SIDE, SIDE],
        samples: Samples::Bytes(samples),
        targets: Targets::Classes { shape: vec![], labels, names: numbered(10) },
    }
}

fn one(digit: usize, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut within = |low: f32, high: f32| random.random_range(low..high);
    let (angle, shear) = (within(-0.25, 0.25), within(-0.3, 0.3));
    let (scale_x, scale_y) = (within(6.0, 10.0), within(7.5, 10.5));
    let (move_x, move_y) = (within(-2.0, 2.0), within(-2.0, 2.0));
    let (pen, ink, grain) = (within(0.9, 1.9), within(0.75, 1.0), within(0.0, 0.12));
    let way = random.random_range(0..2usize);
    let (sin, cos) = angle.sin_cos();
    let place = |(x, y): Point| {
        let (x, y) = ((x + shear * y) * scale_x, y * scale_y);
        (cos * x - sin * y + 13.5 + move_x, sin * x + cos * y + 13.5 + move_y)
    };
    let mut wobble = || random.random_range(-0.05f32..0.05);
    let strokes: Vec<Vec<Point>> = strokes(digit, way)
        .into_iter()
        .map(|stroke| stroke.into_iter().map(|(x, y)| place((x + wobble(), y + wobble()))).collect())
        .collect();
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            #[allow(clippy::as_conversions, reason = "sides of 28 pixels")]
            let point = (column as f32, row as f32);
            let near = strokes
                .iter()
                .flat_map(|stroke| stroke.windows(2))
                .map(|ends| distance(point, ends[0], ends[1]))
                .fold(f32::INFINITY, f32::min);
            let covered = (pen + 0.5 - near).clamp(0.0, 1.0);
            let noise = random.random_range(-1.0f32..1.0) * grain;
            #[allow(clippy::as_conversions, reason = "clamped to a byte")]
            pixels.push(((covered * ink + noise * covered).clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    pixels
}

/// From a point to a line between two others.
fn distance(point: Point, a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((point.0 - a.0) * dx + (point.1 - a.1) * dy) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    let (x, y) = (a.0 + along * dx - point.0, a.1 + along * dy - point.1);
    (x * x + y * y).sqrt()
}
