//! Which of the things in a file is the state dict.
//!
//! Most files are one; a checkpoint of a training has it among the epoch and the optimizer, under a name on
//! which people happen to agree.

use std::collections::HashMap;

use super::error::{Problem, listed, shown};
use super::pickle::{Heap, TensorRef, Value};

/// Where checkpoints keep their state dict.
const PLACES: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// The entries of the state dict in `root`, in their order.
pub(super) fn choose(heap: &Heap, root: Value) -> Result<Vec<(&str, TensorRef)>, Problem> {
    let found = heap.describe(root);
    let entries = heap.dict(root).ok_or(Problem::NotADict { found })?;
    let is_tensor = |value: &Value| heap.tensor(*value).is_some();
    if entries.iter().all(|(_, value)| is_tensor(value)) {
        return tensors(heap, entries);
    }
    let nested = |place: &&str| {
        // The last of several entries of one name is the one that Python sees.
        let value = entries.iter().rev().find(|(key, _)| heap.text(*key) == Some(*place))?.1;
        heap.dict(value)
    };
    if let Some(nested) = PLACES.iter().find_map(nested) {
        return tensors(heap, nested);
    }
    if entries.iter().any(|(_, value)| is_tensor(value)) {
        return tensors(heap, entries);
    }
    let keys: Vec<String> = entries
        .iter()
        .map(|(key, _)| match *key {
            Value::Int(number) => number.to_string(),
            key => heap.text(key).unwrap_or_else(|| heap.describe(key)).to_owned(),
        })
        .collect();
    let keys = listed(keys.iter().map(String::as_str));
    Err(Problem::NoStateDict { keys })
}

fn tensors<'a>(heap: &'a Heap, entries: &[(Value, Value)]) -> Result<Vec<(&'a str, TensorRef)>, Problem> {
    let mut chosen: Vec<(&str, TensorRef)> = Vec::with_capacity(entries.len());
    let mut places = HashMap::new();
    for (key, value) in entries {
        let name = heap.text(*key).ok_or(Problem::NotAName { found: heap.describe(*key) })?;
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
