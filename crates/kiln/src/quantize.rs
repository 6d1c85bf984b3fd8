//! Static quantization: ranges are observed while a network runs on the device, and what is lost is measured there.
//!
//! ```no_run
//! use kiln::quantize::{Method, Network, calibrate, compare};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = kiln::Model::read("net.onnx".as_ref(), &Default::default())?;
//! let batches = vec![vec![("x".to_owned(), kiln::HostTensor::new([1, 3, 32, 32], vec![0.5f32; 3072])?)]];
//! let options = kiln::Options { max: [("N".to_owned(), 1)].into(), ..kiln::Options::default() };
//! let network = Network::new(&model.graph, &[])?;
//! let quantized = network.quantized(&calibrate(&network, &batches, Method::MinMax, &options)?)?;
//! for noise in compare(&network, &quantized, &batches, &options)?.layers {
//!     println!("{:.1} dB", noise.decibels());
//! }
//! # Ok(())
//! # }
//! ```

pub use kiln_compile::quantize::{
    Histogram, Kept, Layer, Method, Network, Noise, Observed, Point, QuantizeError, Quantized, Range,
};
use kiln_compile::{Options, compile};
use kiln_runtime::{HostTensor, Outputs, Session};

use crate::Error;

/// The inputs of a run, by name.
pub type Feed = Vec<(String, HostTensor)>;

/// Inputs to run a network on, more than once.
pub trait Feeds {
    /// How many runs there are.
    fn runs(&self) -> usize;
    /// The inputs of a run.
    fn feed(&self, run: usize) -> Result<Feed, Error>;
}

impl Feeds for Vec<Feed> {
    fn runs(&self) -> usize {
        self.len()
    }

    fn feed(&self, run: usize) -> Result<Feed, Error> {
        Ok(self[run].clone())
    }
}

/// A network on a device.
struct Running {
    session: Session,
    inside: Vec<String>,
}

impl Running {
    fn new(observed: Observed, options: &Options) -> Result<Self, Error> {
        let compiled = compile(&observed.graph, options)?;
        Ok(Self { session: Session::open(&compiled.plan)?, inside: observed.inside })
    }

    fn run(&mut self, feed: &Feed) -> Result<Outputs, Error> {
        let inputs: Vec<(&str, &HostTensor)> = feed.iter().map(|(name, x)| (name.as_str(), x)).collect();
        Ok(self.session.run(&inputs)?)
    }

    /// Runs all feeds and hands out each observed value.
    fn each(&mut self, feeds: &dyn Feeds, take: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
        for run in 0..feeds.runs() {
            let outputs = self.run(&feeds.feed(run)?)?;
            for (n, name) in self.inside.iter().enumerate() {
                take(n, outputs.get(name)?.as_f32()?);
            }
        }
        Ok(())
    }
}

/// The ranges of a network's points over all feeds. `options` has maxima that the feeds do not exceed.
pub fn calibrate(
    network: &Network,
    feeds: &dyn Feeds,
    method: Method,
    options: &Options,
) -> Result<Vec<Range>, Error> {
    let mut running = Running::new(network.at_points()?, options)?;
    let mut ranges = vec![Range::NONE; network.points().len()];
    running.each(feeds, &mut |n, values| ranges[n].observe(values))?;
    let Method::Percentile(percent) = method else { return Ok(ranges) };
    network.check(&ranges)?;
    let mut histograms: Vec<Histogram> = ranges.into_iter().map(Histogram::new).collect();
    running.each(feeds, &mut |n, values| histograms[n].observe(values))?;
    Ok(histograms.iter().map(|histogram| histogram.within(percent)).collect())
}

/// What a quantization costs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Of each layer's result, in the order of [`Network::layers`].
    pub layers: Vec<Noise>,
    /// Of each output that is of 32-bit floats, by name.
    pub outputs: Vec<(String, Noise)>,
}

/// Compares a quantized network with what it was made from, over all feeds.
pub fn compare(
    network: &Network,
    quantized: &Quantized,
    feeds: &dyn Feeds,
    options: &Options,
) -> Result<Comparison, Error> {
    let mut before = Running::new(network.at_layers()?, options)?;
    let mut after = Running::new(quantized.at_layers()?, options)?;
    let mut layers = vec![Noise::default(); network.layers().len()];
    let own = quantized
        .graph
        .outputs()
        .iter()
        .filter(|output| quantized.graph.ty(output.value).dtype == kiln_graph::DType::F32);
    let mut outputs: Vec<(String, Noise)> =
        own.map(|output| (output.name.clone(), Noise::default())).collect();
    for run in 0..feeds.runs() {
        let feed = feeds.feed(run)?;
        let (wanted, found) = (before.run(&feed)?, after.run(&feed)?);
        let observe = |noise: &mut Noise, names: [&str; 2]| -> Result<(), Error> {
            noise.observe(wanted.get(names[0])?.as_f32()?, found.get(names[1])?.as_f32()?);
            Ok(())
        };
        for (noise, names) in layers.iter_mut().zip(before.inside.iter().zip(&after.inside)) {
            observe(noise, [names.0, names.1])?;
        }
        for (name, noise) in &mut outputs {
            observe(noise, [name, name])?;
        }
    }
    Ok(Comparison { layers, outputs })
}
