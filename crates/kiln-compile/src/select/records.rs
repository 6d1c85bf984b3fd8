//! What was measured on a device: the best choice for a problem.

use std::collections::BTreeMap;

/// Choices by problem, both in their text forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    choices: BTreeMap<String, String>,
}

impl Records {
    /// Notes the best choice for a problem.
    pub fn insert(&mut self, problem: impl Into<String>, choice: impl Into<String>) {
        self.choices.insert(problem.into(), choice.into());
    }

    /// The best choice for a problem, if it was measured.
    pub fn choice(&self, problem: &str) -> Option<&str> {
        self.choices.get(problem).map(String::as_str)
    }
}
