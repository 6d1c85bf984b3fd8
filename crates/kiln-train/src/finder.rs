//! The learning-rate finder (Smith, "Cyclical learning rates for training neural networks", 2017): the rate grows from
//! step to step until the loss explodes.

use kiln_runtime::HostTensor;

use crate::error::TrainError;
use crate::loader::Loader;
use crate::trainer::Trainer;

/// Which rates are tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// How many, evenly on a logarithmic scale.
    pub steps: u64,
}

impl Default for Range {
    fn default() -> Self {
        Self { from: 1e-7, to: 10.0, steps: 100 }
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The rate and the loss of each step.
    pub losses: Vec<(f64, f64)>,
    /// The rate where the smoothed loss falls fastest.
    pub steepest: Option<f64>,
    /// A tenth of the rate where the smoothed loss is smallest.
    pub minimum: Option<f64>,
}

/// Tries the rates on a trainer and puts everything back as it was.
pub fn find(
    trainer: &mut Trainer,
    loader: &Loader,
    momentum: f64,
    range: Range,
) -> Result<Found, TrainError> {
    loader.check()?;
    if !(range.from > 0.0 && range.to > range.from && range.steps > 1) {
        return Err(TrainError::Setting("the rates should rise from a number above zero".into()));
    }
    let states: Vec<usize> = trainer.session().plan().states().map(|(index, _)| index).collect();
    let before: Vec<(usize, HostTensor)> = states
        .into_iter()
        .map(|index| Ok((index, trainer.session().read_tensor(index)?)))
        .collect::<Result<_, TrainError>>()?;
    let losses = walk(trainer, loader, momentum, range);
    for (index, tensor) in &before {
        trainer.session().write_tensor(*index, tensor)?;
    }
    let losses = losses?;
    let smooth = smoothed(&losses);
    Ok(Found { steepest: steepest(&smooth), minimum: minimum(&smooth), losses })
}

fn walk(
    trainer: &mut Trainer,
    loader: &Loader,
    momentum: f64,
    range: Range,
) -> Result<Vec<(f64, f64)>, TrainError> {
    let mut losses: Vec<(f64, f64)> = Vec::new();
    let mut best = f64::INFINITY;
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch, 0));
    for (step, batch) in (0..range.steps).zip(batches) {
        let share = step as f64 / (range.steps - 1) as f64;
        let lr = range.from * (range.to / range.from).powf(share);
        let (loss, _) = trainer.step(&batch?, lr, momentum)?;
        if !loss.is_finite() || loss > 4.0 * best {
            break;
        }
        losses.push((lr, loss));
        best = best.min(loss);
    }
    Ok(losses)
}

/// Losses averaged with a weight that falls by 0.9 from step to step, without the bias of the beginning.
pub fn smoothed(losses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const KEPT: f64 = 0.9;
    let mut average = 0.0;
    let mut smooth = Vec::with_capacity(losses.len());
    for (n, (lr, loss)) in losses.iter().enumerate() {
        average = KEPT * average + (1.0 - KEPT) * loss;
        smooth.push((*lr, average / (1.0 - KEPT.powi(n as i32 + 1))));
    }
    smooth
}

fn steepest(smooth: &[(f64, f64)]) -> Option<f64> {
    let slopes =
        smooth.windows(2).map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 / pair[0].0).ln()));
    slopes.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, slope)| *slope < 0.0).map(|(lr, _)| lr)
}

fn minimum(smooth: &[(f64, f64)]) -> Option<f64> {
    smooth.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(lr, _)| lr / 10.0)
}
