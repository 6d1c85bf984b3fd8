//! Lines in a frame, as SVG.

use super::axis::Axis;
pub(super) use super::axis::Scale;
use super::plot::{Mark, Plot};

/// Points that belong together.
pub(super) struct Series {
    /// What is written at the end of its line.
    pub name: String,
    /// The points.
    pub points: Vec<(f64, f64)>,
    /// Its colour, and whether it is what another one is the mean of.
    pub colour: usize,
    pub is_rough: bool,
}

impl Series {
    /// A series; points that are not finite are left out.
    pub(super) fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        Self { name: name.into(), points, colour: 0, is_rough: false }
    }

    /// The same in another colour.
    pub(super) fn coloured(self, colour: usize) -> Self {
        Self { colour, ..self }
    }

    /// The same as a thin grey line.
    pub(super) fn rough(self) -> Self {
        Self { is_rough: true, colour: 7, ..self }
    }
}

/// A chart of some series; nothing where there is nothing to draw.
pub(super) fn lines(title: &str, across: &str, series: Vec<Series>, scale: Scale) -> Option<String> {
    let all = || series.iter().flat_map(|series| &series.points);
    let x = Axis::around(all().map(|point| point.0), scale)?;
    let y = Axis::around(all().map(|point| point.1), Scale::Linear)?;
    let some: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    let is_one = some.len() == 1;
    let mark = |series: Series| {
        let Series { name, points, colour, is_rough } = series;
        match &points[..] {
            // A line needs two points.
            [(x, y)] => Mark::Dots { points: vec![(*x, *y, false)], colour, name },
            _ => {
                Mark::Line { points, colour, name: if is_one { String::new() } else { name }, thin: is_rough }
            }
        }
    };
    let marks = some.into_iter().map(mark).collect();
    Some(Plot { title, across, up: "", x, y, marks, shape: 0.42 }.svg())
}
