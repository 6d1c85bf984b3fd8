//! The learning-rate finder (Smith, "Cyclical learning rates for training neural networks", 2017): the rate grows from
//! step to step until the loss explodes.

use kiln_runtime::HostTensor;

use crate::error::TrainError;
use crate::loader::Loader;
use crate::progress::Mean;
use crate::step::Rate;
use crate::trainer::Trainer;

/// The range of rates to try.
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

impl Range {
    /// Refuses rates that do not rise, and no steps or too many.
    pub fn check(&self) -> Result<(), TrainError> {
        let rises = self.from > 0.0 && self.to > self.from && self.to.is_finite();
        if rises && (2..=MOST_STEPS).contains(&self.steps) {
            return Ok(());
        }
        Err(TrainError::Setting(format!(
            "the rates should rise from a number above zero to a finite one, in 2 to {MOST_STEPS} steps; they are from {} \
             to {} in {}",
            self.from, self.to, self.steps
        )))
    }
}

/// The losses, and the suggested rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The rate and the loss of each step.
    pub losses: Vec<(f64, f64)>,
    /// What the losses suggest, if they fall at all.
    pub suggested: Suggested,
}

/// Rates to train with, after fastai's `lr_find` (`fastai/callback/schedule.py`, and the page "Hyperparam schedule" of
/// its documentation): without the first tenth of the steps, which is noise, and without the last five, in which the
/// loss explodes.
///
/// Only `valley` is computed as there. fastai's `steep` and `minimum` look at single steps of a loss that is smoothed
/// backwards; with small batches they find noise. Here they are those of lines through the losses of a
/// fifth of the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suggested {
    /// `valley`: half way through the longest run of falling losses, in which others may lie between.
    pub valley: Option<f64>,
    /// `steep`: where the loss falls fastest along the logarithm of the rate.
    pub steepest: Option<f64>,
    /// `minimum`: a tenth of the rate where the loss is smallest.
    pub minimum: Option<f64>,
}

/// Each step is compared with all before it.
const MOST_STEPS: u64 = 100_000;

/// Tries the rates on a trainer and restores its state. `observe` is told how many steps are done.
pub fn find(
    trainer: &mut Trainer,
    loader: &Loader,
    momentum: f64,
    range: Range,
    observe: &mut dyn FnMut(u64),
) -> Result<Found, TrainError> {
    loader.check()?;
    range.check()?;
    let states: Vec<usize> = trainer.session().plan().states().map(|(index, _)| index).collect();
    let before: Vec<(usize, HostTensor)> = states
        .into_iter()
        .map(|index| Ok((index, trainer.session().read_tensor(index)?)))
        .collect::<Result<_, TrainError>>()?;
    let losses = walk(trainer, loader, momentum, range, observe);
    for (index, tensor) in &before {
        trainer.session().write_tensor(*index, tensor)?;
    }
    let losses = losses?;
    Ok(Found { suggested: Suggested::from(&losses, range.steps), losses })
}

fn walk(
    trainer: &mut Trainer,
    loader: &Loader,
    momentum: f64,
    range: Range,
    observe: &mut dyn FnMut(u64),
) -> Result<Vec<(f64, f64)>, TrainError> {
    let mut losses: Vec<(f64, f64)> = Vec::new();
    let (mut smooth, mut best) = (Smooth::default(), f64::INFINITY);
    let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch, 0));
    for step in 0..range.steps {
        let share = step as f64 / (range.steps - 1) as f64;
        let lr = range.from * (range.to / range.from).powf(share);
        let mut mean = Mean::default();
        for number in 1..=trainer.accumulate() {
            let Some(batch) = batches.next() else { return Ok(losses) };
            let rate = Rate { lr, momentum, update: number == trainer.accumulate() };
            let outcome = trainer.step(&batch?, rate)?;
            mean.add(outcome.loss, outcome.weight);
        }
        let loss = mean.value();
        // A single batch may be much easier than others, so it is the smoothed loss that says when it explodes.
        let level = smooth.next(loss);
        if !loss.is_finite() || level > 4.0 * best {
            break;
        }
        losses.push((lr, loss));
        best = best.min(level);
        observe(step + 1);
    }
    Ok(losses)
}

/// Losses averaged with a weight that falls by 0.98 from step to step, without the bias of the beginning: fastai's
/// smooth loss.
#[derive(Default)]
struct Smooth {
    average: f64,
    steps: i32,
}

impl Smooth {
    fn next(&mut self, loss: f64) -> f64 {
        const KEPT: f64 = 0.98;
        self.average = KEPT * self.average + (1.0 - KEPT) * loss;
        self.steps += 1;
        self.average / (1.0 - KEPT.powi(self.steps))
    }
}

/// The losses without most of their noise.
pub fn smoothed(losses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut smooth = Smooth::default();
    losses.iter().map(|(lr, loss)| (*lr, smooth.next(*loss))).collect()
}

/// The last steps that say nothing.
const LAST: usize = 5;

impl Suggested {
    /// From the losses of a walk that was to have so many steps.
    pub fn from(losses: &[(f64, f64)], steps: u64) -> Self {
        let tenth = usize::try_from(steps / 10).unwrap_or(usize::MAX);
        let range = tenth..losses.len().saturating_sub(LAST);
        let (Some(seen), Some(smooth)) =
            (losses.get(range.clone()), smoothed(losses).get(range).map(<[_]>::to_vec))
        else {
            return Self::default();
        };
        let lines: Vec<Line> = seen.windows(2 * tenth.max(2) + 1).map(Line::through).collect();
        let steepest =
            lines.iter().min_by(|a, b| a.slope.total_cmp(&b.slope)).filter(|line| line.slope < 0.0);
        let lowest = lines.iter().min_by(|a, b| a.mean.total_cmp(&b.mean));
        Self {
            valley: valley(&smooth),
            steepest: steepest.map(|line| line.lr),
            minimum: lowest.map(|line| line.lr / 10.0),
        }
    }
}

/// The line of least squares through losses over the logarithms of their rates.
struct Line {
    /// The rate in the middle.
    lr: f64,
    mean: f64,
    slope: f64,
}

impl Line {
    fn through(losses: &[(f64, f64)]) -> Self {
        let count = losses.len() as f64;
        let centre = losses.iter().map(|(lr, _)| lr.ln()).sum::<f64>() / count;
        let mean = losses.iter().map(|(_, loss)| loss).sum::<f64>() / count;
        let along = |lr: f64| lr.ln() - centre;
        let products: f64 = losses.iter().map(|(lr, loss)| along(*lr) * (loss - mean)).sum();
        let squares: f64 = losses.iter().map(|(lr, _)| along(*lr).powi(2)).sum();
        Self { lr: losses[losses.len() / 2].0, mean, slope: products / squares }
    }
}

/// The place half way through the longest falling subsequence, which ends at the first loss that none surpasses in
/// length; counted back from there, as fastai counts.
fn valley(seen: &[(f64, f64)]) -> Option<f64> {
    let mut lengths = vec![1usize; seen.len()];
    for i in 1..seen.len() {
        let before = (0..i).filter(|j| seen[*j].1 > seen[i].1).map(|j| lengths[j]).max();
        lengths[i] += before.unwrap_or(0);
    }
    let longest = lengths.iter().copied().max().filter(|longest| *longest > 1)?;
    let end = lengths.iter().position(|length| *length == longest)?;
    let (start, third) = (end as f64 - longest as f64, longest as f64 / 3.0);
    // A run from the first loss on begins one before it.
    let place = start + third.floor() + (third / 2.0).floor();
    seen.get(place.max(0.0) as usize).map(|(lr, _)| *lr)
}

#[cfg(test)]
mod tests {
    use super::{Range, Suggested};

    /// Losses of a hundred steps as a function of the rate, with some noise in the first steps.
    fn walk(loss: impl Fn(f64) -> f64, noise: &[f64]) -> Vec<(f64, f64)> {
        let Range { from, to, steps } = Range::default();
        let rate = |step: u64| from * (to / from).powf(step as f64 / (steps - 1) as f64);
        let noise = |step: u64| noise.get(step as usize).copied().unwrap_or(0.0);
        (0..steps).map(|step| (rate(step), loss(rate(step)) + noise(step))).collect()
    }

    /// Falls by one around a rate of 1e-2, rises from 1 on.
    fn usual(lr: f64) -> f64 {
        2.0 - 1.0 / (1.0 + (1e-2 / lr).powi(2)) + lr * lr / 10.0
    }

    #[test]
    fn noise_of_the_first_steps_suggests_nothing() {
        let noisy = [1.0, -1.0, 1.5, -1.5, 0.5, -0.5, 1.0, -1.5, 1.0, -0.5];
        for noise in [&[][..], &noisy[..]] {
            let found = Suggested::from(&walk(usual, noise), 100);
            let (valley, steepest) = (found.valley.expect("one"), found.steepest.expect("one"));
            assert!((1e-4..1e-1).contains(&steepest), "{steepest:e}");
            assert!((1e-6..1e-1).contains(&valley), "{valley:e}");
            assert!(found.minimum.is_some_and(|minimum| minimum > 1e-3), "{found:?}");
        }
    }

    /// A falling loss under noise as strong as the fall, from a generator of random numbers.
    #[test]
    fn noise_everywhere_hides_little() {
        use rand::{RngExt, SeedableRng};
        for seed in 0..20 {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let noise: Vec<f64> = (0..100).map(|_| random.random_range(-0.3..0.3)).collect();
            let found = Suggested::from(&walk(usual, &noise), 100);
            let steepest = found.steepest.expect("one");
            assert!((1e-4..1.0).contains(&steepest), "seed {seed}: {steepest:e}");
        }
    }

    #[test]
    fn losses_that_only_rise_suggest_no_rate_of_descent() {
        let found = Suggested::from(&walk(|lr| 1.0 + lr, &[]), 100);
        assert_eq!((found.valley, found.steepest), (None, None));
        assert_eq!(Suggested::from(&walk(usual, &[])[..12], 100), Suggested::default());
    }
}
