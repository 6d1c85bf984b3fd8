//! Selections as text: for each group what it computes, all candidates with their estimates, and why the others were not
//! chosen.

use std::fmt;

use super::choose::Selection;
use super::enumerate::Candidate;

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.group)?;
        writeln!(f, "  {}", self.problem)?;
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        let rank = |n: &usize| (*n != self.chosen, self.candidates[*n].refusal.is_some());
        order.sort_by(|a, b| {
            let time = |n: &usize| self.candidates[*n].time;
            rank(a).cmp(&rank(b)).then(time(a).total_cmp(&time(b)))
        });
        let width = self.candidates.iter().map(|c| c.choice.to_string().len()).max().unwrap_or(0);
        for n in order {
            let candidate = &self.candidates[n];
            let mark = if n == self.chosen { '*' } else { ' ' };
            let choice = candidate.choice.to_string();
            let line = format!(
                "  {mark} {choice:width$}  {:>10}  {}",
                microseconds(candidate.time),
                self.reason_of(n)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "  launches: {}", self.launches.join(", "))
    }
}

impl Selection {
    /// Why a candidate was chosen or not.
    pub fn reason_of(&self, candidate: usize) -> String {
        let best = self.candidates[self.chosen].time;
        match &self.candidates[candidate] {
            _ if candidate == self.chosen => self.reason.to_string(),
            Candidate { refusal: Some(refusal), .. } => format!("not admitted: {refusal}"),
            Candidate { time, .. } if *time > best => format!("{:.2} times the estimate", time / best),
            Candidate { .. } => String::new(),
        }
    }
}

/// An estimate, in microseconds.
fn microseconds(nanoseconds: f64) -> String {
    format!("{:.1} us", nanoseconds / 1000.0)
}
