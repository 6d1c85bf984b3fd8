//! A line without axes, beside the numbers it begins and ends with: many of them are compared at a glance.

const WIDTH: f64 = 180.0;
const HEIGHT: f64 = 36.0;

/// The values one after the other, from `low` to `high`, as SVG in the colour of the text.
pub(super) fn sparkline(values: &[f64], low: f64, high: f64) -> String {
    let known: Vec<(usize, f64)> =
        values.iter().copied().enumerate().filter(|(_, y)| y.is_finite()).collect();
    let last = values.len().saturating_sub(1).max(1) as f64;
    let range = if high > low { high - low } else { 1.0 };
    let place = |(n, y): &(usize, f64)| {
        let x = *n as f64 / last * (WIDTH - 4.0) + 2.0;
        format!("{x:.1},{:.1}", HEIGHT - 3.0 - (y - low) / range * (HEIGHT - 6.0))
    };
    let points: Vec<String> = known.iter().map(place).collect();
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\
         <polyline points=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/></svg>",
        points.join(" ")
    )
}

/// The smallest and the largest of several rows of values.
pub(super) fn range<'v>(rows: impl Iterator<Item = &'v [f64]>) -> (f64, f64) {
    let finite = rows.flatten().copied().filter(|x| x.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}
