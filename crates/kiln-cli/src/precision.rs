//! `--precision`

use clap::{Args, ValueEnum};
use kiln::Precision;
use kiln::plan::{Plan, Storage};
use miette::{Result, bail};
use serde::{Deserialize, Serialize};

/// What weights and activations are kept in, from a flag or a recipe.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct PrecisionArgument {
    /// What weights and activations are kept in; sums have 32 bits in any case. With f16, training keeps weights in 32
    /// bits and scales its loss [default: f32, or what the recipe says]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<PrecisionName>,
}

/// A precision by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrecisionName {
    /// What the model says
    F32,
    /// 16 bits where the model has 32, on devices with 16-bit floats
    F16,
}

impl PrecisionArgument {
    /// What is asked for, if anything is.
    pub(crate) fn asked(&self) -> Option<Precision> {
        self.precision.map(|name| match name {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::F16 => Precision::F16,
        })
    }

    /// What an inference plan is compiled with.
    pub(crate) fn chosen(&self) -> Precision {
        self.asked().unwrap_or_default()
    }

    /// Refuses to choose a compiled plan's.
    pub(crate) fn refuse_for_plan(&self) -> Result<()> {
        match self.precision {
            Some(_) => bail!("a compiled plan keeps the precision it has; `--precision` is for models"),
            None => Ok(()),
        }
    }
}

/// What a plan keeps in memory: `f16` if there are 16-bit floats.
pub(crate) fn of_plan(plan: &Plan) -> &'static str {
    let half = plan.tensors.iter().any(|tensor| tensor.storage == Storage::F16);
    if half { Precision::F16.name() } else { Precision::F32.name() }
}
