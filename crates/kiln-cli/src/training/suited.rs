//! The choice of a loss for a model and its data, and the meaning of the targets for it.

use clap::ValueEnum;
use kiln::graph::{Dim, Graph, TensorType};
use kiln::train::Loss;
use kiln::training::data::{Dataset, IGNORED, Meaning, Targets};
use miette::{Result, bail};

use super::Recipe;
use super::recipe::LossName;

/// A loss with the meaning of whole numbers.
pub(super) struct Suited {
    /// Which one.
    pub name: LossName,
    /// With its settings. What is ignored has the label [`IGNORED`], whatever its number in the file is.
    pub loss: Loss,
    /// What whole numbers mean.
    pub meaning: Meaning,
    /// The model's output that is compared, and its classes.
    output: Option<(String, Option<usize>)>,
}

/// Whether all numbers are 0 or 1.
fn are_zero_or_one(numbers: &[i64]) -> bool {
    numbers.iter().all(|number| matches!(number, 0 | 1))
}

impl Suited {
    /// The recipe's loss, or a suitable one: mean squared error for a number for each output, binary cross-entropy
    /// for 0 and 1, cross-entropy for classes.
    pub(super) fn new(recipe: &Recipe, model: &Graph, targets: &Targets) -> Result<Self> {
        let mut outputs = model.outputs().iter();
        let output = match &recipe.output_name {
            Some(name) => outputs.find(|output| output.name == *name),
            None => outputs.next(),
        };
        let ty = output.map(|output| model.ty(output.value));
        let sample =
            |ty: &TensorType| -> Option<usize> { ty.shape.iter().skip(1).map(Dim::as_usize).product() };
        let places = ty.and_then(sample);
        let single = places == Some(1);
        let fits = places == Some(targets.shape().iter().product());
        let name = match (recipe.loss, targets) {
            (Some(name), _) => name,
            (None, Targets::Values { .. }) => LossName::Mse,
            (None, Targets::Whole { numbers, .. }) if fits && !are_zero_or_one(numbers) => LossName::Mse,
            (None, Targets::Whole { .. }) if fits => LossName::Bce,
            (None, Targets::Classes { .. } | Targets::Whole { .. }) if single => LossName::Bce,
            (None, _) if kiln::train::gives_logarithms(model) => LossName::Nll,
            (None, _) => LossName::CrossEntropy,
        };
        check_flags(recipe, name)?;
        if name == LossName::Bce {
            check_binary(targets, single)?;
        }
        let classes = ty.and_then(|ty| ty.shape.get(1)).and_then(Dim::as_usize);
        let ignored = recipe.ignore_index.map(i64::from);
        let meaning = match name {
            LossName::Mse | LossName::L1 | LossName::SmoothL1 if fits => Meaning::Values,
            LossName::Bce if fits && !single => Meaning::Values,
            LossName::Bce if single => Meaning::Classes { outputs: Some(2), ignored },
            _ => Meaning::Classes { outputs: classes, ignored },
        };
        let mut loss = recipe.loss(name);
        if let Loss::CrossEntropy { ignore_index: Some(label), .. }
        | Loss::Nll { ignore_index: Some(label), .. } = &mut loss
        {
            *label = IGNORED;
        }
        let output = output.map(|output| (output.name.clone(), classes));
        Ok(Self { name, loss, meaning, output })
    }

    /// The number of classes of the output that is compared, if it is known.
    pub(super) fn outputs(&self) -> Option<usize> {
        let (_, classes) = self.output.as_ref()?;
        // One score tells two apart.
        classes.map(|classes| classes.max(2))
    }

    /// Checks that the model has as many outputs as there are classes, with a helpful message.
    pub(super) fn check_classes(&self, data: &Dataset) -> Result<()> {
        let (Some(names), Some((output, Some(found)))) = (data.class_names(), &self.output) else {
            return Ok(());
        };
        if !self.loss.has_classes() || *found >= names.len() {
            return Ok(());
        }
        let shown: Vec<String> = names.iter().take(12).cloned().collect();
        let more = if shown.len() < names.len() { ", ..." } else { "" };
        let mut message = format!(
            "the model's output `{output}` has {found} classes, but the data has {} ({}{more})",
            names.len(),
            shown.join(", ")
        );
        if let Some(last) = names.last().filter(|name| name.parse::<i64>().is_ok()) {
            message +=
                &format!("; if {last} marks what does not count, `--ignore-index {last}` leaves it out");
        }
        bail!(message)
    }
}

/// Refuses settings of other losses.
fn check_flags(recipe: &Recipe, name: LossName) -> Result<()> {
    let has_classes = matches!(name, LossName::CrossEntropy | LossName::Nll);
    let flags = [
        ("--ignore-index", recipe.ignore_index.is_some() && !has_classes, "cross-entropy and nll"),
        ("--class-weights", recipe.class_weights.is_some() && !has_classes, "cross-entropy and nll"),
        (
            "--label-smoothing",
            recipe.label_smoothing.is_some_and(|share| share != 0.0) && name != LossName::CrossEntropy,
            "cross-entropy",
        ),
    ];
    match flags.into_iter().find(|(_, is_wrong, _)| *is_wrong) {
        Some((flag, _, losses)) => bail!("{flag} is for {losses}, but the loss is {}", words(name)),
        None => Ok(()),
    }
}

/// What a loss is called.
pub(crate) fn words(name: LossName) -> String {
    name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Refuses targets that scores against 0 and 1 cannot be compared with: the loss would have no lower bound.
fn check_binary(targets: &Targets, single: bool) -> Result<()> {
    match targets {
        Targets::Classes { names, .. } if single && names.len() > 2 => bail!(
            "the model has one output, which tells two classes apart, but the data has {} ({})",
            names.len(),
            names.iter().take(12).cloned().collect::<Vec<_>>().join(", ")
        ),
        Targets::Whole { numbers, .. } => match numbers.iter().find(|number| !matches!(number, 0 | 1)) {
            Some(number) if single => bail!(
                "bce compares a score with 0 and 1, but a target is {number}; `--loss mse` compares with numbers"
            ),
            _ => Ok(()),
        },
        Targets::Values { values, .. } => match values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            Some(value) => bail!(
                "bce compares scores with numbers from 0 to 1, but a target is {value}; `--loss mse` compares with any"
            ),
            None => Ok(()),
        },
        Targets::Classes { .. } => Ok(()),
    }
}
