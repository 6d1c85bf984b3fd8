//! How the learning rate and the momentum change from step to step.

use std::f64::consts::PI;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::option_string;

/// A learning-rate schedule; it multiplies the given rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Always the same.
    #[default]
    Constant,
    /// `StepLR`: times `gamma` after each `every` epochs.
    Step {
        /// Epochs.
        every: u64,
        /// The factor.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// `ExponentialLR`: times `gamma` after each epoch.
    Exponential {
        /// The factor.
        gamma: f64,
    },
    /// `CosineAnnealingLR`, step by step: half a cosine down to `min` times the rate.
    Cosine {
        /// The fraction of the rate at the end.
        #[serde(default)]
        min: f64,
    },
    /// fastai's `fit_one_cycle`: up from `lr / div` to `lr` in a share `pct_start` of all steps, then down to
    /// `lr / div_final`, both along half cosines; the momentum runs from `moms[0]` to `moms[1]` to `moms[2]`
    /// (Smith, "A disciplined approach to neural network hyper-parameters", 2018).
    OneCycle {
        /// See above.
        #[serde(default = "div")]
        div: f64,
        /// See above.
        #[serde(default = "div_final")]
        div_final: f64,
        /// See above.
        #[serde(default = "pct_start")]
        pct_start: f64,
        /// See above.
        #[serde(default = "moms")]
        moms: [f64; 3],
    },
}

fn tenth() -> f64 {
    0.1
}

fn div() -> f64 {
    25.0
}

fn div_final() -> f64 {
    1e5
}

fn pct_start() -> f64 {
    0.25
}

fn moms() -> [f64; 3] {
    [0.95, 0.85, 0.95]
}

impl Schedule {
    /// fastai's 1cycle with its defaults.
    pub fn one_cycle() -> Self {
        Schedule::OneCycle { div: div(), div_final: div_final(), pct_start: pct_start(), moms: moms() }
    }
}

impl FromStr for Schedule {
    type Err = TrainError;

    /// Parses `step:every=10,gamma=0.1`.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let schedule: Self = option_string::parse(text, "schedule")?;
        schedule.check()?;
        Ok(schedule)
    }
}

impl Schedule {
    /// Checks the numbers; ranges are those of PyTorch and fastai.
    fn check(&self) -> Result<(), TrainError> {
        match self {
            Schedule::Constant => Ok(()),
            Schedule::Step { every, gamma } => {
                option_string::check("every", *every as f64, 1.0..=f64::MAX)?;
                option_string::check("gamma", *gamma, 0.0..=f64::MAX)
            }
            Schedule::Exponential { gamma } => option_string::check("gamma", *gamma, 0.0..=f64::MAX),
            Schedule::Cosine { min } => option_string::check("min", *min, 0.0..=1.0),
            Schedule::OneCycle { div, div_final, pct_start, moms } => {
                option_string::check("div", *div, 1e-6..=1e12)?;
                option_string::check("div_final", *div_final, 1e-6..=1e12)?;
                option_string::check("pct_start", *pct_start, 0.0..=1.0)?;
                moms.iter().try_for_each(|momentum| {
                    option_string::check("moms", *momentum, 0.0..=1.0 - f64::EPSILON)
                })
            }
        }
    }
}

/// The position of a step in the whole training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Steps before this one.
    pub step: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Steps in all.
    pub steps: u64,
}

/// Half a cosine from `start` to `end`.
fn cosine(start: f64, end: f64, position: f64) -> f64 {
    start + (1.0 - (PI * position).cos()) * (end - start) / 2.0
}

impl Schedule {
    /// The learning rate and the momentum of a step, where `lr` and `momentum` are asked for. In the first
    /// `warmup` steps the rate rises linearly to that of the schedule.
    pub fn at(&self, at: Position, lr: f64, momentum: f64, warmup: u64) -> (f64, f64) {
        let epoch = at.step / at.steps_per_epoch.max(1);
        let share = at.step as f64 / at.steps.max(1) as f64;
        let (rate, momentum) = match self {
            Schedule::Constant => (lr, momentum),
            Schedule::Step { every, gamma } => (lr * gamma.powf((epoch / (*every).max(1)) as f64), momentum),
            Schedule::Exponential { gamma } => (lr * gamma.powf(epoch as f64), momentum),
            Schedule::Cosine { min } => (cosine(lr, lr * min, share), momentum),
            Schedule::OneCycle { div, div_final, pct_start, moms } => {
                if share < *pct_start {
                    let part = share / pct_start;
                    (cosine(lr / div, lr, part), cosine(moms[0], moms[1], part))
                } else {
                    let part = (share - pct_start) / (1.0 - pct_start).max(1e-9);
                    (cosine(lr, lr / div_final, part), cosine(moms[1], moms[2], part))
                }
            }
        };
        let risen = if at.step < warmup { (at.step + 1) as f64 / warmup as f64 } else { 1.0 };
        (rate * risen, momentum)
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Schedule};

    fn rates(schedule: Schedule, steps: u64) -> Vec<(f64, f64)> {
        (0..steps)
            .map(|step| schedule.at(Position { step, steps_per_epoch: 2, steps }, 1.0, 0.9, 0))
            .collect()
    }

    /// fastai's `combined_cos(0.25, 1/25, 1, 1e-5)` and `(0.25, 0.95, 0.85, 0.95)` at 0, 1/8, 1/4, 5/8.
    #[test]
    fn one_cycle_is_fastais() {
        let found = rates(Schedule::one_cycle(), 8);
        for (step, lr, momentum) in [(0, 0.04, 0.95), (1, 0.52, 0.90), (2, 1.0, 0.85), (5, 0.500_005, 0.90)] {
            let (rate, moment) = found[step];
            assert!((rate - lr).abs() < 1e-9 && (moment - momentum).abs() < 1e-9, "{step}: {rate} {moment}");
        }
    }

    #[test]
    fn numbers_have_their_ranges() {
        for good in
            ["step:every=1,gamma=0", "exponential:gamma=1.5", "cosine:min=0.1", "one-cycle:pct_start=1"]
        {
            assert!(good.parse::<Schedule>().is_ok(), "{good}");
        }
        for (wrong, words) in [
            ("step:every=0", "`every` is 0; it should be a number of at least 1"),
            ("step:every=2,gamma=nan", "`gamma` is NaN"),
            ("exponential:gamma=-0.5", "`gamma` is -0.5; it should be a number of at least 0"),
            ("exponential:gamma=inf", "`gamma` is inf"),
            ("cosine:min=-1", "`min` is -1"),
            ("one-cycle:div=0", "`div` is 0; it should be a number from 0.000001 to 1000000000000"),
            ("one-cycle:div_final=nan", "`div_final` is NaN"),
            ("one-cycle:pct_start=1.5", "`pct_start` is 1.5; it should be a number from 0 to 1"),
            ("one-cycle:moms=[0.9,1,0.9]", "`moms` is 1; it should be a number of at least 0 and below 1"),
        ] {
            let error = wrong.parse::<Schedule>().expect_err(wrong).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn others_are_pytorchs() {
        let first = |schedule| rates(schedule, 8).into_iter().map(|(lr, _)| lr).collect::<Vec<f64>>();
        assert_eq!(first(Schedule::Step { every: 2, gamma: 0.5 }), [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!(first(Schedule::Exponential { gamma: 0.5 })[6], 0.125);
        assert!((first(Schedule::Cosine { min: 0.0 })[4] - 0.5).abs() < 1e-12);
        let position = Position { step: 0, steps_per_epoch: 1, steps: 10 };
        assert_eq!(Schedule::Constant.at(position, 1.0, 0.9, 4), (0.25, 0.9));
    }
}
