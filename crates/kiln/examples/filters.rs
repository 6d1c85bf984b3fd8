//! Makes `models/filters.onnx`: the hand-set kernels of the textbooks as a network, and `models/picture.png`, a
//! image to try them on.
//!
//! `cargo run --release -p kiln-cnn --example filters -- models`

use std::path::Path;

use kiln::graph::ops::{Conv, PadMode, UnaryOp};
use kiln::graph::{Builder, GraphError, Op, Tensor, Var, ops::Pad};

type Kernel = [[f32; 3]; 3];

const IDENTITY: Kernel = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
const SHARPEN: Kernel = [[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]];
/// The second derivative in all directions.
const LAPLACIAN: Kernel = [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]];
/// A place that differs from those around it.
const EDGE: Kernel = [[-1.0, -1.0, -1.0], [-1.0, 8.0, -1.0], [-1.0, -1.0, -1.0]];
/// Prewitt's difference between the rows above and below: bright for horizontal edges.
const HORIZONTAL: Kernel = [[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]];
/// The same between the columns left and right: bright for vertical edges.
const VERTICAL: Kernel = [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]];

/// The network: `image` `[N, 3, H, W]` from 0 to 1 in, one image of the same size out for each filter.
fn network() -> Result<kiln::Graph, GraphError> {
    let mut b = Builder::new("filters");
    let image = b.input("image", ["N".into(), 3.into(), "H".into(), "W".into()]);
    let flat = |kernel: Kernel| kernel.concat();
    let same = filter(&mut b, image, "identity", &flat(IDENTITY), 3);
    b.output("identity", same);
    // The binomial coefficients of (1 + x)^4, twice: close to a Gaussian.
    let row = [1.0, 4.0, 6.0, 4.0, 1.0];
    let gauss: Vec<f32> = row.iter().flat_map(|a| row.iter().map(move |b| a * b / 256.0)).collect();
    let blurred = filter(&mut b, image, "blur", &gauss, 5);
    b.output("blur", blurred);
    let sharp = filter(&mut b, image, "sharpen", &flat(SHARPEN), 3);
    b.output("sharpen", sharp);
    // Derivatives have both signs: what is shown is their size.
    for (name, kernel) in [
        ("laplacian", LAPLACIAN),
        ("edge", EDGE),
        ("horizontal_edges", HORIZONTAL),
        ("vertical_edges", VERTICAL),
    ] {
        let signed = filter(&mut b, image, name, &flat(kernel), 3);
        let size = b.unary(name, UnaryOp::Abs, signed);
        b.output(name, size);
    }
    b.finish()
}

/// A depthwise convolution of each color with the same kernel. The border repeats the outermost pixels.
fn filter(b: &mut Builder, image: Var, name: &str, kernel: &[f32], size: usize) -> Var {
    let reach = i64::try_from(size / 2).unwrap_or(0);
    let pads = vec![[0, 0], [0, 0], [reach; 2], [reach; 2]];
    let padded = b.apply(&format!("{name}.border"), Op::Pad(Pad { pads, mode: PadMode::Edge }), &[image]);
    // Three times the kernel has as many elements as the shape says.
    let weight = Tensor::f32([3, 1, size, size], kernel.repeat(3)).unwrap_or_else(|_| Tensor::scalar(0.0));
    let weight = b.parameter(&format!("{name}.weight"), weight);
    b.apply(name, Op::Conv(Conv { groups: 3, ..Conv::new(2) }), &[padded, weight])
}

/// An image with edges in all directions, ramps and fine detail.
fn picture(size: u32) -> image::RgbImage {
    image::RgbImage::from_fn(size, size, |px, py| {
        let (x, y) = (f64::from(px) / f64::from(size), f64::from(py) / f64::from(size));
        // Sky to ground.
        let mut color = if y < 0.62 {
            [0.35 + 0.4 * y, 0.55 + 0.35 * y, 0.95 - 0.1 * y]
        } else {
            [0.28, 0.5 - 0.2 * (y - 0.62), 0.2]
        };
        let near = |cx: f64, cy: f64| ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
        if near(0.78, 0.2) < 0.1 {
            color = [0.98, 0.85, 0.35];
        }
        // A house: wall, roof, door, window with a cross.
        if (0.18..0.52).contains(&x) && (0.45..0.8).contains(&y) {
            let brick = ((y * 40.0) as i64
                + if ((y * 40.0) as i64) % 2 == 0 { (x * 24.0) as i64 } else { (x * 24.0 + 0.5) as i64 })
                % 2
                == 0;
            color = if brick { [0.72, 0.36, 0.27] } else { [0.66, 0.31, 0.24] };
        }
        if (0.25..0.45).contains(&y) && (x - 0.35).abs() < (y - 0.25) * 1.05 {
            color = [0.42, 0.22, 0.2];
        }
        if (0.24..0.31).contains(&x) && (0.62..0.8).contains(&y) {
            color = [0.3, 0.2, 0.12];
        }
        if (0.37..0.47).contains(&x) && (0.55..0.66).contains(&y) {
            let bar = (x - 0.42).abs() < 0.006 || (y - 0.605).abs() < 0.006;
            color = if bar { [0.95, 0.95, 0.92] } else { [0.55, 0.75, 0.9] };
        }
        // A tree.
        if (x - 0.75).abs() < 0.02 && (0.6..0.82).contains(&y) {
            color = [0.36, 0.24, 0.14];
        }
        let leaf = 0.13 + 0.015 * (14.0 * (y - 0.52).atan2(x - 0.75)).sin();
        if near(0.75, 0.52) < leaf {
            color = [0.16, 0.45 + 0.1 * (60.0 * x).sin() * (60.0 * y).cos(), 0.18];
        }
        image::Rgb(color.map(|c: f64| (c.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "models".into());
    let folder = Path::new(&folder);
    std::fs::write(folder.join("filters.onnx"), kiln::onnx::export(&network()?)?)?;
    picture(320).save(folder.join("picture.png"))?;
    Ok(())
}
