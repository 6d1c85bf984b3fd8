//! What each channel of each convolution makes of a sample, with its sign; and the filters of the first layer.

use kiln_runtime::HostTensor;
use minijinja::{Value, context};

use super::strips::{Cell, signed, strips};
use crate::error::TrainError;

/// A layer's output for one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The layer.
    pub name: String,
    /// `[1, channels, height, width]`.
    pub output: HostTensor,
}

/// Longest side of a map; larger ones are made of means.
const LARGEST: usize = 32;
/// Maps of all layers. With more, each layer shows its first ones.
const MOST: usize = 4096;
/// Layers that are open when the page is opened.
const OPEN: usize = 6;
/// The share of values that are shown as what they are. Single ones that are far larger would make all others pale.
const SHOWN: f64 = 0.995;
/// Sides of maps and filters on the page.
const MAP: f64 = 44.0;
const FILTER: f64 = 76.0;
/// Filters that are shown.
const MOST_FILTERS: usize = 128;

/// The maps of all layers.
pub(super) fn maps(layers: &[Map]) -> Result<Vec<Value>, TrainError> {
    let channels = |map: &Map| map.output.shape().get(1).copied().unwrap_or(0);
    let all: usize = layers.iter().map(channels).sum();
    let most = if all > MOST { (MOST / layers.len().max(1)).max(8) } else { usize::MAX };
    let mut shown = Vec::with_capacity(layers.len());
    for (number, map) in layers.iter().enumerate() {
        let [_, channels, height, width] = *map.output.shape() else { continue };
        let values = map.output.to_f64();
        let limit = limit(&values);
        let count = channels.min(most);
        let cell = |values: &[f64]| {
            let (height, width, values) = reduced(values, height, width);
            Cell { width, height, pixels: values.iter().map(|x| signed(*x, limit)).collect() }
        };
        let cells: Vec<Cell> = values.chunks((height * width).max(1)).take(count).map(cell).collect();
        let of =
            if count < channels { format!("the first {count} of {channels}") } else { channels.to_string() };
        shown.push(context! {
            name => &map.name,
            words => format!("{of} channels of {height} \u{d7} {width}"),
            limit => format!("{limit:.3}"),
            open => number < OPEN,
            strips => strips(&cells, MAP)?,
        });
    }
    Ok(shown)
}

/// The magnitude that most values do not exceed.
fn limit(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().map(|x| x.abs()).filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * SHOWN) as usize;
    let found = sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0);
    if found > 0.0 { found } else { sorted.last().copied().unwrap_or(0.0) }
}

/// A map with sides that are not too long, of means of squares of elements.
fn reduced(values: &[f64], height: usize, width: usize) -> (usize, usize, Vec<f64>) {
    let each = height.max(width).div_ceil(LARGEST).max(1);
    if each == 1 {
        return (height, width, values.to_vec());
    }
    let (down, across) = (height.div_ceil(each), width.div_ceil(each));
    let mean = |place: usize| {
        let (top, left) = (place / across * each, place % across * each);
        let rows = top..(top + each).min(height);
        let columns = left..(left + each).min(width);
        let sum: f64 = rows.clone().flat_map(|y| columns.clone().map(move |x| values[y * width + x])).sum();
        sum / (rows.len() * columns.len()) as f64
    };
    (down, across, (0..down * across).map(mean).collect())
}

/// The filters of a first layer, a weight `[out, in, height, width]`: as colours where there are three channels; else the
/// first channel with its sign.
pub(super) fn filters(weight: &HostTensor) -> Result<Option<Value>, TrainError> {
    let [filters, channels, height, width] = *weight.shape() else { return Ok(None) };
    let each = channels * height * width;
    if filters * each == 0 || height * width == 1 {
        return Ok(None);
    }
    let values = weight.to_f64();
    let limit = values.iter().copied().filter(|x| x.is_finite()).fold(0f64, |most, x| most.max(x.abs()));
    let cell = |own: &[f64]| {
        let (low, high) =
            own.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
        let level = |x: f64| ((x - low) / (high - low).max(1e-12) * 255.0) as u8;
        let pixel = |at: usize| match channels {
            3 => [level(own[at]), level(own[height * width + at]), level(own[2 * height * width + at]), 255],
            _ => signed(own[at], limit),
        };
        Cell { width, height, pixels: (0..height * width).map(pixel).collect() }
    };
    let count = filters.min(MOST_FILTERS);
    let cells: Vec<Cell> = values.chunks(each).take(count).map(cell).collect();
    let of = if count < filters { format!("The first {count} of {filters}") } else { format!("{filters}") };
    let channel = if channels == 1 { "" } else { ", their first channel" };
    let words = match channels {
        3 => format!(
            "{of} filters of {height} \u{d7} {width}, each from its smallest to its largest number, as colours."
        ),
        _ => format!(
            "{of} filters of {height} \u{d7} {width}{channel}, from \u{2212}{limit:.3} (blue) to {limit:.3} (red)."
        ),
    };
    Ok(Some(context! { words, strips => strips(&cells, FILTER)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_are_means_and_signs_are_colours() {
        let values: Vec<f64> = (0..64 * 40).map(|n| f64::from(n % 64 / 2)).collect();
        let (height, width, means) = reduced(&values, 40, 64);
        assert_eq!((height, width), (20, 32));
        assert_eq!(&means[..3], [0.0, 1.0, 2.0]);
        assert_eq!(signed(0.0, 1.0)[3], 0);
        assert_eq!((signed(-2.0, 1.0)[3], signed(1.0, 1.0)[3]), (255, 255));
        assert!(signed(-1.0, 1.0)[2] > 200 && signed(1.0, 1.0)[0] > 200);
        let mut many = vec![1.0; 999];
        many.push(1e6);
        assert_eq!(limit(&many), 1.0);
        assert_eq!(limit(&[0.0, 0.0, 3.0]), 3.0);
    }
}
