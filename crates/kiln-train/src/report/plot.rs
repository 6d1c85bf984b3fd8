//! A frame with axes and what is drawn in it, as SVG in the colours of the page it is on.

use std::fmt::Write as _;

use super::axis::Axis;

/// What is drawn, the first at the back.
pub(super) enum Mark {
    /// A picture, a PNG in base64, that fills the frame.
    Picture(String),
    /// A line through points, with its name at its end.
    Line { points: Vec<(f64, f64)>, colour: usize, name: String, thin: bool },
    /// Dots, and whether each stands out.
    Dots { points: Vec<(f64, f64, bool)>, colour: usize, name: String },
}

/// A frame with its axes.
pub(super) struct Plot<'a> {
    pub title: &'a str,
    pub across: &'a str,
    pub up: &'a str,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
    /// Height by width.
    pub shape: f64,
}

/// Colours that suit light and dark pages; a page may have its own.
pub(super) const COLOURS: [&str; 8] =
    ["#2f7fd0", "#d9731a", "#2c9a4b", "#cf4540", "#8b62c4", "#8c6a5a", "#cf66b0", "#7f8790"];

/// How a frame that is a file of its own looks.
const STYLE: &str = "<style>svg{background:#fff;color:#222;font:12px system-ui,sans-serif}\
    @media (prefers-color-scheme:dark){svg{background:#15171a;color:#e7e9ec}}</style>";

const WIDTH: f64 = 640.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 40.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
/// Width of a letter, about, and height of a line.
const LETTER: f64 = 6.6;
const LINE: f64 = 15.0;

/// A text inside of SVG.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Plot<'_> {
    /// As SVG; as wide as there is room.
    pub(super) fn svg(&self) -> String {
        let height = TOP + BOTTOM + (WIDTH - LEFT - RIGHT) * self.shape;
        let letters = |mark: &Mark| match mark {
            Mark::Line { name, .. } => name.chars().count(),
            Mark::Dots { .. } | Mark::Picture(_) => 0,
        };
        let names = self.marks.iter().map(letters).max().unwrap_or(0) as f64 * LETTER;
        let frame = Frame {
            right: WIDTH - RIGHT - if names > 0.0 { names + 8.0 } else { 0.0 },
            bottom: height - BOTTOM,
            x: self.x,
            y: self.y,
        };
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
             fill=\"currentColor\" font-size=\"12\"><title>{title}</title>\
             <text x=\"{LEFT}\" y=\"17\" font-size=\"15\" font-weight=\"600\">{title}</text>",
            title = escaped(self.title)
        );
        frame.axes(&mut text, self.across, self.up);
        let _ = write!(
            text,
            "<svg x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" viewBox=\"{LEFT} {TOP} {0:.1} {1:.1}\">",
            frame.right - LEFT,
            frame.bottom - TOP
        );
        self.marks.iter().for_each(|mark| frame.mark(&mut text, mark));
        text += "</svg>";
        frame.names(&mut text, &self.marks);
        legend(&mut text, &self.marks);
        text + "</svg>"
    }
}

/// The same as a file of its own.
pub(super) fn alone(svg: &str) -> String {
    svg.find('>').map_or_else(|| svg.to_owned(), |at| format!("{}{STYLE}{}", &svg[..=at], &svg[at + 1..]))
}

/// Where things are.
struct Frame {
    right: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

impl Frame {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = LEFT + self.x.place(x) * (self.right - LEFT);
        (across, self.bottom - self.y.place(y) * (self.bottom - TOP))
    }

    /// Numbers, the lines that they stand for, and what they are.
    fn axes(&self, text: &mut String, across: &str, up: &str) {
        let Self { right, bottom, .. } = self;
        for (number, words) in self.x.numbers() {
            let (x, _) = self.at(number, self.y.low);
            let _ = write!(
                text,
                "<path d=\"M{x:.1} {bottom:.1}v4\" stroke=\"currentColor\" opacity=\".5\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" opacity=\".75\">{words}</text>",
                bottom + 16.0
            );
        }
        for (number, words) in self.y.numbers() {
            let (_, y) = self.at(self.x.low, number);
            let _ = write!(
                text,
                "<path d=\"M{LEFT} {y:.1}H{right:.1}\" stroke=\"currentColor\" opacity=\".13\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" opacity=\".75\">{words}</text>",
                LEFT - 6.0,
                y + 4.0
            );
        }
        let _ = write!(
            text,
            "<path d=\"M{LEFT} {TOP}V{bottom:.1}H{right:.1}\" fill=\"none\" stroke=\"currentColor\" opacity=\".5\"/>\
             <text x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\" opacity=\".75\">{}</text>\
             <text x=\"{LEFT}\" y=\"36\" opacity=\".75\">{}</text>",
            bottom + 33.0,
            escaped(across),
            escaped(up)
        );
    }

    fn mark(&self, text: &mut String, mark: &Mark) {
        match mark {
            Mark::Picture(png) => {
                let _ = write!(
                    text,
                    "<image x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" \
                     href=\"data:image/png;base64,{png}\"/>",
                    self.right - LEFT,
                    self.bottom - TOP
                );
            }
            Mark::Line { points, colour, thin, .. } => {
                let places = points.iter().map(|(x, y)| self.at(*x, *y));
                let places: Vec<String> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let _ = write!(
                    text,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{}/>",
                    places.join(" "),
                    COLOURS[colour % COLOURS.len()],
                    if *thin { 1.2 } else { 2.2 },
                    if *thin { " opacity=\".55\"" } else { "" }
                );
            }
            Mark::Dots { points, colour, .. } => {
                let colour = COLOURS[colour % COLOURS.len()];
                for (x, y, stands_out) in points {
                    let (x, y) = self.at(*x, *y);
                    let _ = match stands_out {
                        false => {
                            write!(
                                text,
                                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"{colour}\" stroke=\"currentColor\" stroke-opacity=\".45\" stroke-width=\".6\"/>"
                            )
                        }
                        true => write!(
                            text,
                            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\" stroke=\"currentColor\" stroke-width=\"2\"/>"
                        ),
                    };
                }
            }
        }
    }

    /// The names of lines at their ends, none over another one.
    fn names(&self, text: &mut String, marks: &[Mark]) {
        let end = |mark: &Mark| match mark {
            Mark::Line { points, colour, name, .. } if !name.is_empty() => {
                points.last().map(|(x, y)| (self.at(*x, *y).1 + 4.0, *colour, name.clone()))
            }
            Mark::Line { .. } | Mark::Dots { .. } | Mark::Picture(_) => None,
        };
        let mut ends: Vec<_> = marks.iter().filter_map(end).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let lowest = self.bottom + LINE - ends.len() as f64 * LINE;
        let mut above = TOP;
        for (n, (y, colour, name)) in ends.into_iter().enumerate() {
            above = y.clamp(above, (lowest + n as f64 * LINE).max(above));
            let _ = write!(
                text,
                "<text x=\"{:.1}\" y=\"{above:.1}\" fill=\"{}\">{}</text>",
                self.right + 6.0,
                COLOURS[colour % COLOURS.len()],
                escaped(&name)
            );
            above += LINE;
        }
    }
}

/// What dots are, beside a dot each.
fn legend(text: &mut String, marks: &[Mark]) {
    let mut right = WIDTH - RIGHT;
    for mark in marks.iter().rev() {
        let Mark::Dots { name, colour, .. } = mark else { continue };
        if name.is_empty() {
            continue;
        }
        right -= name.chars().count() as f64 * LETTER;
        let _ = write!(
            text,
            "<circle cx=\"{:.1}\" cy=\"32\" r=\"4\" fill=\"{}\"/><text x=\"{right:.1}\" y=\"36\">{}</text>",
            right - 9.0,
            COLOURS[colour % COLOURS.len()],
            escaped(name)
        );
        right -= 26.0;
    }
}
