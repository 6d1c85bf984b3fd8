//! Finding the state dict in a file.
//!
//! Most files are one; a checkpoint of a training has it among the epoch and the optimizer, under a name on
//! which people happen to agree.

use std::collections::HashMap;

use super::error::{Problem, listed, shown};
use kiln_pickle::{Heap, TensorRef, Value};

/// Where checkpoints keep their state dict, the usual places first. An average of the weights is only taken where there
/// is nothing else.
const PLACES: [&str; 16] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "params_ema",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_model",
    "ema",
];

/// The places of averages.
const FIRST_AVERAGE: usize = 9;

/// State dicts in dicts in dicts are looked for so deep.
const DEPTH: usize = 4;

/// The state dict of a file.
pub(super) struct Chosen<'a> {
    /// Its entries in their order.
    pub tensors: Vec<(&'a str, TensorRef)>,
    /// Notes on the rest of the file.
    pub notes: Vec<String>,
}

/// Finds the state dict in `root`.
pub(super) fn choose(heap: &Heap, root: Value) -> Result<Chosen<'_>, Problem> {
    let mut notes = vec![];
    let tensors = found(heap, root, &mut notes, DEPTH)?;
    Ok(Chosen { tensors, notes })
}

fn found<'a>(
    heap: &'a Heap,
    root: Value,
    notes: &mut Vec<String>,
    depth: usize,
) -> Result<Vec<(&'a str, TensorRef)>, Problem> {
    if let Some(problem) = heap.foreign(root) {
        return Err((**problem).clone().into());
    }
    let entries = heap.dict(root).ok_or(Problem::NotADict { found: heap.describe(root) })?;
    let is_tensor = |value: &Value| heap.tensor(*value).is_some();
    if entries.iter().all(|(_, value)| is_tensor(value)) {
        return tensors(heap, entries);
    }
    // The last of several entries of one name is the one that Python sees.
    let entry = |place: &str| {
        entries.iter().rev().find(|(key, _)| heap.text(*key) == Some(place)).map(|(_, value)| *value)
    };
    let nested = |place: &&str| entry(place).filter(|value| heap.dict(*value).is_some());
    if depth > 0
        && let Some(place) = PLACES.iter().position(|place| nested(place).is_some())
    {
        if let Some(version) = entry("pytorch-lightning_version").and_then(|value| heap.text(value)) {
            notes.push(format!(
                "it is a checkpoint of Lightning {}: `{}` was read, hyperparameters, callbacks and optimizers were not",
                shown(version),
                PLACES[place]
            ));
        }
        let average = PLACES[FIRST_AVERAGE..].iter().find(|other| nested(other).is_some());
        if let Some(average) = average.filter(|_| place < FIRST_AVERAGE) {
            notes.push(format!(
                "beside `{}`, which was read, it has an average of the weights, `{average}`",
                PLACES[place]
            ));
        } else if place >= FIRST_AVERAGE {
            notes.push(format!("its weights are an average, `{}`", PLACES[place]));
        }
        let value = nested(&PLACES[place]).unwrap_or(Value::None);
        return found(heap, value, notes, depth - 1);
    }
    if entries.iter().any(|(_, value)| is_tensor(value)) {
        return tensors(heap, entries);
    }
    // Under a name of its own, if there is only one that it can be.
    let is_state_dict = |value: &Value| {
        let entries = heap.dict(*value).unwrap_or_default();
        let is_entry =
            |(key, value): &(Value, Value)| heap.text(*key).is_some() && heap.tensor(*value).is_some();
        !entries.is_empty() && entries.iter().all(is_entry)
    };
    let state_dicts: Vec<_> = entries.iter().filter(|(_, value)| is_state_dict(value)).collect();
    if let [(key, value)] = state_dicts[..] {
        notes.push(format!("its `{}` was read", shown(heap.text(*key).unwrap_or_default())));
        return tensors(heap, heap.dict(*value).unwrap_or_default());
    }
    let names = |entries: &mut dyn Iterator<Item = &(Value, Value)>| {
        let keys: Vec<String> = entries
            .map(|(key, _)| match *key {
                Value::Int(number) => number.to_string(),
                key => heap.text(key).unwrap_or_else(|| heap.describe(key)).to_owned(),
            })
            .collect();
        listed(keys.iter().map(String::as_str))
    };
    if !state_dicts.is_empty() {
        return Err(Problem::SeveralStateDicts { keys: names(&mut state_dicts.into_iter()) });
    }
    // `{"model": model}`, saved whole.
    if let Some(problem) = entries.iter().find_map(|(_, value)| heap.foreign(*value)) {
        return Err((**problem).clone().into());
    }
    Err(Problem::NoStateDict { keys: names(&mut entries.iter()) })
}

fn tensors<'a>(heap: &'a Heap, entries: &[(Value, Value)]) -> Result<Vec<(&'a str, TensorRef)>, Problem> {
    let mut chosen: Vec<(&str, TensorRef)> = Vec::with_capacity(entries.len());
    let mut places = HashMap::new();
    for (key, value) in entries {
        let name = heap.text(*key).ok_or(Problem::NotAName { found: heap.describe(*key) })?;
        // What a module keeps of its own beside tensors, for itself.
        if name.ends_with("_extra_state") && heap.tensor(*value).is_none() {
            continue;
        }
        if let Some(problem) = heap.foreign(*value) {
            return Err((**problem).clone().into());
        }
        let tensor = heap.tensor(*value);
        let tensor =
            tensor.ok_or_else(|| Problem::NotATensor { key: shown(name), found: heap.describe(*value) })?;
        match places.get(name) {
            Some(place) => chosen[*place] = (name, tensor),
            None => {
                places.insert(name, chosen.len());
                chosen.push((name, tensor));
            }
        }
    }
    Ok(chosen)
}

/// Names without what wrappers put before each of them: `module.` from `nn.DataParallel` and
/// `DistributedDataParallel`, `_orig_mod.` from `torch.compile`, in either order.
pub(super) fn without_wrappers(mut names: Vec<&str>) -> Vec<&str> {
    for prefix in ["_orig_mod.", "module.", "_orig_mod."] {
        let stripped: Option<Vec<&str>> =
            names.iter().map(|name| name.strip_prefix(prefix).filter(|rest| !rest.is_empty())).collect();
        names = stripped.unwrap_or(names);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::without_wrappers;

    #[test]
    fn wrappers_go_only_from_all_names_together() {
        let check =
            |names: &[&str], expected: &[&str]| assert_eq!(without_wrappers(names.to_vec()), expected);
        check(&["module.a.weight", "module.a.bias"], &["a.weight", "a.bias"]);
        check(&["module.a.weight", "b"], &["module.a.weight", "b"]);
        check(&["module._orig_mod.a"], &["a"]);
        check(&["_orig_mod.module.a"], &["a"]);
        check(&["module."], &["module."]);
        check(&[], &[]);
    }
}
