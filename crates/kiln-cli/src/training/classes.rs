//! The classes of data in the order of a model's.

use std::collections::HashMap;

use kiln::training::data::{Dataset, Splits};
use miette::{Result, bail};

use crate::metadata::names;

/// How a model's classes and those of the data correspond.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Match {
    /// They are the same, or the model knows none.
    Same,
    /// Each class of the data has this place among the model's.
    Places(Vec<usize>),
    /// Their numbers are the same, their names are not.
    Numbers,
    /// These are not the model's.
    Unknown(Vec<String>),
}

impl Match {
    /// `numbered`: the numbers of the data's classes are meaningful without their names.
    fn of(model: &[String], data: &[String], numbered: bool) -> Self {
        if model.is_empty() || model == data {
            return Match::Same;
        }
        let are_numbers = |list: &[String]| list.iter().all(|name| name.parse::<u32>().is_ok());
        let known: HashMap<&str, usize> = model.iter().map(String::as_str).zip(0..).collect();
        let by_name: Vec<Option<usize>> = data.iter().map(|name| known.get(name.as_str()).copied()).collect();
        if let Some(places) = by_name.iter().copied().collect::<Option<Vec<usize>>>() {
            return Match::Places(places);
        }
        match (are_numbers(model), are_numbers(data)) {
            (false, true) if numbered && data.len() <= model.len() => Match::Numbers,
            // The name of a folder or in a table is the number.
            (false, true) => {
                let place = |name: &String| name.parse().ok().filter(|place: &usize| *place < model.len());
                let places: Vec<Option<usize>> = data.iter().map(place).collect();
                match places.iter().copied().collect::<Option<Vec<usize>>>() {
                    Some(places) => Match::Places(places),
                    None => Match::unknown(data, &places),
                }
            }
            // The model knows no words.
            (true, false) if data.len() == model.len() => Match::Numbers,
            (false, false)
                if numbered && data.len() == model.len() && by_name.iter().all(Option::is_none) =>
            {
                Match::Numbers
            }
            _ => Match::unknown(data, &by_name),
        }
    }

    fn unknown(data: &[String], places: &[Option<usize>]) -> Self {
        let unknown = data.iter().zip(places).filter(|(_, place)| place.is_none());
        Match::Unknown(unknown.map(|(name, _)| name.clone()).collect())
    }
}

/// The data of a model that is only evaluated, with its classes in the model's order.
pub(super) fn in_order(mut splits: Splits, model: &[String], numbered: bool) -> Result<Splits> {
    let Some(data) = splits.train.class_names() else { return Ok(splits) };
    match Match::of(model, data, numbered) {
        Match::Same => {}
        Match::Places(places) => {
            note!(
                "note: the data's classes ({}) are reordered to the model's ({})",
                names(data),
                names(model)
            );
            splits.for_each(&mut |data| data.renumber(&places, model));
        }
        Match::Numbers => {
            if data.iter().any(|name| name.parse::<u32>().is_err()) {
                note!(
                    "note: the data's classes ({}) have other names than the model's ({}); they are compared by number",
                    names(data),
                    names(model)
                );
            }
            splits.for_each(&mut |data| data.rename(model));
        }
        Match::Unknown(unknown) => bail!(
            "the data has classes that the model does not know: {}; it knows {}; `--classes` keeps only the classes it \
             names",
            names(&unknown),
            names(model)
        ),
    }
    Ok(splits)
}

/// The data of a model that is trained further, with its classes in the model's order, if it knows
/// them all.
pub(super) fn as_before(mut splits: Splits, model: &[String]) -> Splits {
    let data = splits.train.class_names().unwrap_or_default();
    if let (Match::Places(places), true) = (Match::of(model, data, false), !data.is_empty()) {
        note!(
            "note: the data's classes ({}) have the numbers they had before ({})",
            names(data),
            names(model)
        );
        splits.for_each(&mut |data| data.renumber(&places, model));
    }
    splits
}

/// Notes which classes a model without class names is assumed to have; an error if that would be a guess.
/// `outputs` is the number of its classes.
pub(super) fn assumed(data: &Dataset, outputs: Option<usize>) -> Result<()> {
    let Some(list) = data.class_names() else { return Ok(()) };
    if list.iter().enumerate().all(|(number, name)| *name == number.to_string()) {
        return Ok(());
    }
    match outputs {
        Some(outputs) if outputs > list.len() => bail!(
            "the model does not name its {outputs} classes, so those of the data ({}) cannot be matched; \
             `--classes` names \
             all {outputs} in the model's order",
            names(list)
        ),
        _ => note!(
            "note: the model does not name its classes; they are assumed to be {}, in this order, \
             and `--classes` gives another",
            names(list)
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Match;

    #[test]
    fn classes_are_compared_by_name() {
        let list = |names: &str| names.split(' ').map(String::from).collect::<Vec<_>>();
        let unknown = |names: &str| Match::Unknown(list(names));
        // The model's, the data's, whether those have numbers of their own; what comes of it.
        let cases = [
            ("cat dog", "cat dog", false, Match::Same),
            ("cat dog", "dog cat", false, Match::Places(vec![1, 0])),
            ("cat dog owl", "owl cat", false, Match::Places(vec![2, 0])),
            ("0 1 2", "2 0", false, Match::Places(vec![2, 0])),
            // Numbers are no names: those of files are counted, those of folders are meant.
            ("cat dog", "0 1", true, Match::Numbers),
            ("cat dog owl", "0 2", false, Match::Places(vec![0, 2])),
            ("cat dog owl", "1 3", false, unknown("3")),
            // A model that knows numbers only.
            ("0 1", "cat dog", false, Match::Numbers),
            ("0 1 2", "cat dog", false, unknown("cat dog")),
            // Nothing in common: other words for the same, if numbers have a meaning of their own.
            ("cat dog", "Katze Hund", true, Match::Numbers),
            ("cat dog", "Katze Hund", false, unknown("Katze Hund")),
            ("cat dog", "cat Hund", true, unknown("Hund")),
            ("cat dog", "Katze Hund Eule", true, unknown("Katze Hund Eule")),
        ];
        for (model, data, numbered, found) in cases {
            assert_eq!(Match::of(&list(model), &list(data), numbered), found, "{model}; {data}");
        }
        assert_eq!(Match::of(&[], &list("cat dog"), false), Match::Same);
    }
}
