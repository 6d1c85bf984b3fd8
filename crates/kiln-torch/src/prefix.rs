//! Names of a state dict that begin with something more or less than the model's: a checkpoint has the network as the
//! attribute `model` of what trained it, or the source wraps it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// How names of a state dict are matched to the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// They agree, or nothing makes them agree.
    None,
    /// `model.conv.weight` is the model's `conv.weight`.
    Cut(String),
    /// `conv.weight` is the model's `module.conv.weight`.
    Added(String),
    /// Several beginnings could be cut, each of which leaves the model's names.
    Ambiguous(Vec<String>),
}

/// Names in a note.
const SHOWN: usize = 5;

impl Prefix {
    /// The prefix between the names of a state dict and those that a model knows.
    pub(crate) fn between(found: &[&str], known: &HashSet<&str>) -> Self {
        if found.iter().any(|name| known.contains(name)) {
            return Self::None;
        }
        match &best(found.iter().copied(), known)[..] {
            [] => {}
            [one] => return Self::Cut(one.clone()),
            several => return Self::Ambiguous(several.to_vec()),
        }
        let found: HashSet<&str> = found.iter().copied().collect();
        match &best(known.iter().copied(), &found)[..] {
            [one] => Self::Added(one.clone()),
            _ => Self::None,
        }
    }

    /// The model's name of an entry; nothing if it belongs to something else.
    pub(crate) fn apply<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::None | Self::Ambiguous(_) => Some(name.into()),
            Self::Cut(prefix) => name.strip_prefix(prefix.as_str()).map(Cow::Borrowed),
            Self::Added(prefix) => Some(format!("{prefix}{name}").into()),
        }
    }

    /// The note about it.
    pub(crate) fn note(&self, passed_over: &[&str]) -> Option<String> {
        let list = |names: &[&str]| {
            let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(SHOWN);
            shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        };
        match self {
            Self::None => None,
            // What `nn.DataParallel` and `torch.compile` add says nothing about the weights.
            Self::Added(prefix) if matches!(prefix.as_str(), "module." | "_orig_mod.") => None,
            Self::Cut(prefix) if passed_over.is_empty() => {
                Some(format!("its names begin with `{prefix}`, which the model's do not; it was removed"))
            }
            Self::Cut(prefix) => Some(format!(
                "the names of the model's weights begin with `{prefix}` in it, which was removed; {} ignored",
                list(passed_over) + if passed_over.len() == 1 { " was" } else { " were" },
            )),
            Self::Added(prefix) => {
                Some(format!("the model's names begin with `{prefix}`, which its names do not; it was added"))
            }
            Self::Ambiguous(prefixes) => {
                let names: Vec<&str> = prefixes.iter().map(String::as_str).collect();
                Some(format!(
                    "it has the model's weights several times, under {}; save the ones that are meant",
                    list(&names)
                ))
            }
        }
    }
}

/// The beginnings of `long` names behind which most of them are among the `short`; none if most of the `short` are
/// missing then.
fn best<'a>(long: impl Iterator<Item = &'a str>, short: &HashSet<&str>) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in long {
        for (at, _) in name.match_indices('.') {
            let (prefix, rest) = name.split_at(at + 1);
            if short.contains(rest) {
                *counts.entry(prefix).or_default() += 1;
            }
        }
    }
    let most = counts.values().max().copied().unwrap_or(0);
    if most == 0 || most * 2 < short.len() {
        return vec![];
    }
    let mut prefixes: Vec<String> =
        counts.into_iter().filter(|(_, count)| *count == most).map(|(prefix, _)| prefix.to_owned()).collect();
    prefixes.sort();
    prefixes
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn names_meet() {
        let cut = |prefix: &str| Prefix::Cut(prefix.into());
        let cases: [(&[&str], &[&str], Prefix); 8] = [
            (&["a.w", "b.w"], &["a.w", "b.w"], Prefix::None),
            (&["model.a.w", "model.b.w", "loss.w"], &["a.w", "b.w"], cut("model.")),
            (&["ema.model.a.w", "n"], &["a.w"], cut("ema.model.")),
            (&["a.w", "b.w"], &["module.a.w", "module.b.w"], Prefix::Added("module.".into())),
            (&["s.a.w", "t.a.w"], &["a.w"], Prefix::Ambiguous(vec!["s.".into(), "t.".into()])),
            // One that agrees says that the others are others.
            (&["a.w", "model.b.w"], &["a.w", "b.w"], Prefix::None),
            // Most of the model is not in it.
            (&["model.a.w", "model.x.w"], &["a.w", "b.w", "c.w"], Prefix::None),
            (&[], &["a.w"], Prefix::None),
        ];
        for (found, known, expected) in cases {
            let known = known.iter().copied().collect();
            assert_eq!(Prefix::between(found, &known), expected, "{found:?} for {known:?}");
        }
    }
}
