//! Runs of neighbouring positions of a window along the width, which share what they load of a line.

use super::problem::Window;

/// What a run loads of a line, and what of it each position sees.
pub(super) struct WindowRun {
    /// Neighbouring positions.
    pub run: usize,
    /// Distance of neighbouring positions.
    pub stride: usize,
    /// Distance of neighbouring input elements, zeros between them.
    pub step: usize,
    /// Where what is loaded lies beside what the first position would see without padding, from left to right.
    columns: Vec<i64>,
    /// For each tap along the width, which positions see which column.
    taps: Vec<Vec<(usize, usize)>>,
}

/// What the last run of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// As long as the others.
    Exact,
    /// As long as the others, and ends with the line: its first positions belong to the run before it, too.
    Shifted,
    /// Perhaps beyond the line.
    Open,
}

impl WindowRun {
    /// The run of a window, whose length is a multiple of the distance of input elements.
    pub(super) fn new(window: &Window, run: usize) -> Option<Self> {
        let last = |sizes: &[usize]| sizes.last().copied();
        let [width, stride, dilation, step] = [
            last(&window.kernel)?,
            last(&window.strides)?,
            last(&window.dilations)?,
            last(&window.input_dilations)?,
        ];
        let signed = |n: usize| i64::try_from(n).ok();
        let (pad, between) = (window.pads.last()?[0], signed(step)?);
        // With zeros between input elements, only every so many places are elements.
        let place = |t: usize, k: usize| {
            let place = signed(t.checked_mul(stride)?.checked_add(k.checked_mul(dilation)?)?)? - pad;
            (place.rem_euclid(between) == 0).then(|| place.div_euclid(between))
        };
        let mut columns: Vec<i64> =
            (0..width).flat_map(|k| (0..run).filter_map(move |t| place(t, k))).collect();
        columns.sort_unstable();
        columns.dedup();
        let seen = |k| {
            (0..run)
                .filter_map(move |t| Some((t, place(t, k)?)))
                .filter_map(|(t, at)| Some((t, columns.binary_search(&at).ok()?)))
        };
        let taps = (0..width).map(|k| seen(k).collect()).collect();
        (run > 0 && run.is_multiple_of(step)).then_some(Self { run, stride, step, columns, taps })
    }

    /// Vectors that are loaded of a line.
    pub(super) fn loads(&self) -> usize {
        self.columns.len()
    }

    /// Multiply-adds of a line.
    pub(super) fn products(&self) -> usize {
        self.taps.iter().map(Vec::len).sum()
    }

    fn tail(&self, window: &Window) -> Tail {
        let Some(out) = window.y.last() else { return Tail::Open };
        let run = i64::try_from(self.run).unwrap_or(i64::MAX);
        match () {
            () if out.fixed && out.max % run == 0 => Tail::Exact,
            () if out.fixed && out.max > run && self.step == 1 => Tail::Shifted,
            () => Tail::Open,
        }
    }

    /// Whether each column may be outside of the input, in any run of a line.
    fn masked(&self, window: &Window) -> Vec<bool> {
        let (Some(x), Some(y)) = (window.x.last(), window.y.last()) else { return vec![] };
        let [run, stride, step] =
            [self.run, self.stride, self.step].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let last =
            if self.tail(window) == Tail::Shifted { y.max - run } else { (y.max - 1).max(0) / run * run };
        let right = last / step * stride;
        let outside = |at: &i64| !x.fixed || !y.fixed || *at < 0 || at.saturating_add(right) >= x.max;
        self.columns.iter().map(outside).collect()
    }

    /// What templates read.
    pub(super) fn template_values(&self, window: &Window) -> minijinja::Value {
        let masked = self.masked(window);
        let columns = self.columns.iter().zip(masked).map(|(at, masked)| minijinja::context! { at, masked });
        let tail = match self.tail(window) {
            Tail::Exact => "exact",
            Tail::Shifted => "shifted",
            Tail::Open => "open",
        };
        minijinja::context! {
            run => self.run,
            stride => self.stride,
            step => self.step,
            columns => columns.collect::<Vec<_>>(),
            taps => &self.taps,
            tail,
        }
    }
}
