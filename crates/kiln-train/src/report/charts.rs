//! Lines in a frame, as SVG.

use plotters::prelude::*;

use crate::error::TrainError;

/// Points that belong together.
pub(super) struct Series {
    /// For the legend.
    pub name: String,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A series; points that are not finite are left out.
    pub(super) fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        Self { name: name.into(), points }
    }
}

/// How the horizontal axis counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

const SIZE: (u32, u32) = (640, 320);
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
];

/// The series and the legend on a chart, whatever its axes.
macro_rules! draw {
    ($chart:ident, $series:ident, $corner:ident) => {
        for (number, series) in $series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            $chart
                .draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))
                .map_err(failed)?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        if $series.len() > 1 {
            let mut legend = $chart.configure_series_labels();
            legend.background_style(WHITE.mix(0.8)).border_style(RGBColor(200, 200, 200));
            legend.position($corner).draw().map_err(failed)?;
        }
    };
}

/// How much of a chart's width a legend takes.
const WIDTH_OF_LEGEND: f64 = 0.3;

/// On which side of `middle` fewer lines are behind a legend that begins at `left`.
fn corner(series: &[Series], left: f64, middle: f64) -> SeriesLabelPosition {
    let behind = |series: &Series| {
        let points = series.points.iter().filter(|(x, _)| *x >= left);
        let [above, all] =
            points.fold([0usize; 2], |[above, all], (_, y)| [above + usize::from(*y > middle), all + 1]);
        2 * above > all
    };
    let above = series.iter().filter(|series| behind(series)).count();
    if 2 * above > series.len() { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight }
}

/// A chart of some series; nothing where there is nothing to draw.
pub(super) fn lines(
    title: &str,
    across: &str,
    series: &[Series],
    scale: Scale,
) -> Result<Option<String>, TrainError> {
    let all = || series.iter().flat_map(|series| &series.points);
    let range = |of: &dyn Fn(&(f64, f64)) -> f64| {
        all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let (mut left, mut right) = range(&|point| point.0);
    let (mut low, mut high) = range(&|point| point.1);
    if all().next().is_none() {
        return Ok(None);
    }
    let widen = |low: &mut f64, high: &mut f64| {
        let room = if low == high { low.abs().max(1e-6) * 0.1 } else { (*high - *low) * 0.05 };
        *low -= room;
        *high += room;
    };
    widen(&mut low, &mut high);
    if left == right {
        widen(&mut left, &mut right);
    }
    let corner = corner(series, right - (right - left) * WIDTH_OF_LEGEND, (low + high) / 2.0);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut frame = ChartBuilder::on(&area);
        frame.caption(title, ("sans-serif", 18)).margin(10).x_label_area_size(36).y_label_area_size(56);
        match scale {
            Scale::Linear => {
                let mut chart = frame.build_cartesian_2d(left..right, low..high).map_err(failed)?;
                // Steps and epochs are whole numbers.
                let number = |x: &f64| if x.fract().abs() < 1e-9 { format!("{x:.0}") } else { String::new() };
                let mut mesh = chart.configure_mesh();
                mesh.x_desc(across).light_line_style(WHITE).x_label_formatter(&number);
                mesh.draw().map_err(failed)?;
                draw!(chart, series, corner);
            }
            Scale::Logarithmic => {
                let mut chart =
                    frame.build_cartesian_2d((left..right).log_scale(), low..high).map_err(failed)?;
                let number = |x: &f64| format!("{x:.0e}");
                let mut mesh = chart.configure_mesh();
                mesh.x_desc(across)
                    .light_line_style(WHITE)
                    .x_label_formatter(&number)
                    .draw()
                    .map_err(failed)?;
                draw!(chart, series, corner);
            }
        }
        area.present().map_err(failed)?;
    }
    // It becomes as wide as the page has room.
    let size = format!("<svg width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    Ok(Some(text.replacen(&size, "<svg ", 1)))
}

fn failed(error: impl std::fmt::Display) -> TrainError {
    TrainError::Setting(format!("a chart cannot be drawn: {error}"))
}
