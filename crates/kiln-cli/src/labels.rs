//! What the classes are called, and which are likely.

use std::path::Path;

use kiln::graph::Graph;
use kiln::plan::{Plan, Task};
use miette::{Result, bail, miette};

/// Bytes of a label file: enough for the maximum number of long names.
const MOST_BYTES: u64 = 1 << 26;

/// One label a line.
pub(crate) fn read(path: &Path) -> Result<Vec<String>> {
    let text = kiln_files::read_text(path, MOST_BYTES)
        .map_err(|error| miette!("cannot read `{}`: {error}", path.display()))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// Refuses names of a file that are more or fewer than the classes of a model, whose outputs have so many scores each. `None` is what
/// is not known before it runs.
pub(crate) fn check_count(path: &Path, names: &[String], scores: &[Option<usize>]) -> Result<()> {
    let fits = |scores: &Option<usize>| match scores {
        Some(1) => names.len() <= 2,
        Some(scores) => *scores == names.len(),
        None => true,
    };
    let Some(Some(most)) = scores.iter().max().filter(|_| !scores.iter().any(fits)) else { return Ok(()) };
    bail!("--labels: `{}` has {} names, but the model has {most} classes", path.display(), names.len())
}

/// The number of classes that each output of a model has, if it has classes.
pub(crate) fn scores_of(model: &Graph) -> Vec<Option<usize>> {
    model.outputs().iter().map(|output| model.ty(output.value).shape.get(1)?.as_usize()).collect()
}

/// What scores mean.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    names: Vec<String>,
    /// Any number of classes may be right.
    independent: bool,
    /// A single score is for the second of two classes.
    binary: bool,
}

impl Labels {
    /// Class names from a file, which has to have as many as there are scores, or else from the model. A note is printed if the two
    /// differ.
    pub(crate) fn new(file: Option<&Path>, plan: &Plan) -> Result<Self> {
        let metadata = &plan.metadata;
        let known = &metadata.classes;
        let names = match file {
            None => known.clone(),
            Some(path) => {
                let names = read(path)?;
                let outputs = plan.programs.first().map(|program| &program.outputs[..]).unwrap_or_default();
                let scores = |output: &kiln::plan::OutputRef| {
                    let classes = plan.tensors.get(output.tensor)?.shape.get(1)?.as_const()?;
                    usize::try_from(classes).ok()
                };
                check_count(path, &names, &outputs.iter().map(scores).collect::<Vec<_>>())?;
                if !known.is_empty() && *known != names {
                    note!("note: --labels differs from the model's class names and takes precedence");
                }
                names
            }
        };
        let independent = metadata.task == Some(Task::MultiLabel);
        let binary = names.len() == 2 || metadata.task == Some(Task::Classification);
        Ok(Self { names, independent, binary })
    }

    /// The name of a class.
    pub(crate) fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// The `count` classes with the highest scores, best first.
    pub(crate) fn top(&self, scores: &[f32], count: usize) -> Vec<Guess> {
        let mut guesses = match scores {
            [score] if self.binary && !self.independent => vec![guess(0, -score), guess(1, *score)],
            scores if self.independent => {
                scores.iter().enumerate().map(|(class, score)| guess(class, *score)).collect()
            }
            scores => shares(scores),
        };
        guesses.sort_by(|a, b| b.score.total_cmp(&a.score));
        guesses.truncate(count);
        guesses
    }
}

/// A class with its score and its probability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Guess {
    /// The index.
    pub class: usize,
    /// The network's output.
    pub score: f32,
    /// Its share of the softmax, or the score itself where scores are probabilities already; the sigmoid of the score
    /// where classes do not exclude each other.
    pub probability: f32,
}

/// A class by itself: the sigmoid of its score.
fn guess(class: usize, score: f32) -> Guess {
    Guess { class, score, probability: 1.0 / (1.0 + (-score).exp()) }
}

/// Classes of which one is right.
fn shares(scores: &[f32]) -> Vec<Guess> {
    let sum: f32 = scores.iter().sum();
    let already = scores.iter().all(|x| (0.0..=1.0).contains(x)) && (sum - 1.0).abs() < 1e-3;
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = scores.iter().map(|x| (x - largest).exp()).sum();
    let probability = |score: f32| if already { score } else { (score - largest).exp() / total };
    let guesses = scores.iter().enumerate();
    guesses.map(|(class, score)| Guess { class, score: *score, probability: probability(*score) }).collect()
}
