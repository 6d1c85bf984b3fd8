//! What the classes are called, and which are likely.

use std::path::Path;

use miette::{Result, miette};

/// One label a line.
pub fn read(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| miette!("cannot read `{}`: {error}", path.display()))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// A class with its score and its share of the softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// The index.
    pub class: usize,
    /// The network's output.
    pub score: f32,
    /// `exp(score) / sum(exp(scores))`, or the score itself where scores are probabilities already.
    pub probability: f32,
}

/// The `count` classes with the highest scores, best first.
pub fn top(scores: &[f32], count: usize) -> Vec<Guess> {
    let sum: f32 = scores.iter().sum();
    let already = scores.iter().all(|x| (0.0..=1.0).contains(x)) && (sum - 1.0).abs() < 1e-3;
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = scores.iter().map(|x| (x - largest).exp()).sum();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
        .into_iter()
        .take(count)
        .map(|class| {
            let score = scores[class];
            let probability = if already { score } else { (score - largest).exp() / total };
            Guess { class, score, probability }
        })
        .collect()
}
