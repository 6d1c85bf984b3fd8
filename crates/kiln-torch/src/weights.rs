//! Between a graph's states and a state dict.

use std::collections::HashMap;
use std::fmt;

use kiln_graph::{Data, Def, Graph, ShapeDisplay, Tensor};

use crate::prefix::Prefix;
use crate::state_dict::StateDict;

/// Names in a state dict of a model besides those of the graph's states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Other names of states, with the state's: a block that is used twice has two.
    pub aliases: Vec<(String, String)>,
    /// Entries that are no states: `num_batches_tracked`, buffers of integers.
    pub others: Vec<String>,
}

/// How a state dict and a model fit each other: nothing listed if they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// States that are missing in the state dict, with their shapes.
    pub missing: Vec<String>,
    /// Tensors of the state dict that are not in the model.
    pub unexpected: Vec<String>,
    /// Tensors of another shape: name, the shape in the state dict, the shape in the model.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Changes of names to make it fit, and notes on the file.
    pub notes: Vec<String>,
}

/// A state dict that belongs to another model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weights do not fit the model\n{0}{notes}", notes = as_lines(&.0.notes))]
pub struct WeightsError(pub Fit);

fn as_lines(notes: &[String]) -> String {
    notes.iter().map(|note| format!("\nnote: {note}")).collect()
}

impl Fit {
    /// Whether all fits.
    pub fn is_perfect(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// Longer lists say what they say by their beginning.
const SHOWN: usize = 12;

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshapen = self.misshapen.iter().map(|(name, found, wanted)| {
            format!("{name} is {}, the model has {}", ShapeDisplay(found), ShapeDisplay(wanted))
        });
        let lists = [
            ("missing in the weights", self.missing.clone()),
            ("unknown to the model", self.unexpected.clone()),
            ("of another shape", misshapen.collect()),
        ];
        let mut lines = vec![];
        for (title, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            lines.push(format!("{title}:"));
            lines.extend(names.iter().take(SHOWN).map(|name| format!("  {name}")));
            if names.len() > SHOWN {
                lines.push(format!("  and {} more", names.len() - SHOWN));
            }
        }
        f.write_str(&lines.join("\n"))
    }
}

impl StateDict {
    /// Gives the states of a graph their values. Nothing is changed unless all fits; with `partial`, what fits is
    /// taken. Numbers are converted to the state's element type, as PyTorch does it.
    pub fn load_into(&self, graph: &mut Graph, names: &Names, partial: bool) -> Result<Fit, WeightsError> {
        let first: HashMap<&str, &str> =
            names.aliases.iter().map(|(alias, name)| (alias.as_str(), name.as_str())).collect();
        let states: HashMap<String, _> =
            graph.states().iter().map(|id| (graph.value(*id).name.clone(), *id)).collect();
        let known = states.keys().map(String::as_str).chain(first.keys().copied()).collect();
        let prefix = Prefix::between(&self.iter().map(|(name, _)| name).collect::<Vec<_>>(), &known);
        let mut fit = Fit { notes: self.notes().to_vec(), ..Fit::default() };
        let (mut values, mut passed_over) = (HashMap::new(), vec![]);
        for (full, tensor) in self.iter() {
            let Some(name) = prefix.apply(full) else {
                passed_over.push(full);
                continue;
            };
            let name = &*name;
            let own = first.get(name).copied().unwrap_or(name);
            let Some(id) = states.get(own) else {
                let is_known =
                    names.others.iter().any(|other| other == name) || name.ends_with(".num_batches_tracked");
                if !is_known {
                    fit.unexpected.push(full.to_owned());
                }
                continue;
            };
            let wanted = graph.ty(*id).static_shape().unwrap_or_default();
            match converted(tensor, graph.ty(*id).dtype) {
                Some(tensor) if tensor.shape() == wanted => {
                    values.insert(*id, tensor);
                }
                Some(_) | None => fit.misshapen.push((own.to_owned(), tensor.shape().to_vec(), wanted)),
            }
        }
        fit.notes.extend(prefix.note(&passed_over));
        for id in graph.states() {
            let name = &graph.value(*id).name;
            let is_misshapen = fit.misshapen.iter().any(|(other, ..)| other == name);
            if !values.contains_key(id) && !is_misshapen {
                fit.missing.push(format!("{name} {}", graph.ty(*id)));
            }
        }
        if !fit.is_perfect() && (!partial || values.is_empty()) {
            return Err(WeightsError(fit));
        }
        for (id, tensor) in values {
            // The shapes agree, which is all that can be wrong.
            let _ = graph.set_state(id, tensor);
        }
        Ok(fit)
    }

    /// The states of a graph under all names that PyTorch has for them.
    pub fn of(graph: &Graph, names: &Names) -> Self {
        let tensor = |name: &str| {
            let id = graph.states().iter().find(|id| graph.value(**id).name == name)?;
            match &graph.value(*id).def {
                Def::State(tensor) => Some(tensor.clone()),
                Def::Input | Def::Constant(_) | Def::Node { .. } => None,
            }
        };
        let own = graph.states().iter().map(|id| graph.value(*id).name.clone());
        let own = own.filter_map(|name| Some((name.clone(), tensor(&name)?)));
        let aliases = names.aliases.iter().filter_map(|(alias, name)| Some((alias.clone(), tensor(name)?)));
        own.chain(aliases).collect()
    }
}

/// A tensor in another element type of the same kind.
fn converted(tensor: &Tensor, to: kiln_graph::DType) -> Option<Tensor> {
    if tensor.dtype() == to {
        return Some(tensor.clone());
    }
    #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
    let data = match to {
        kiln_graph::DType::F32 if tensor.dtype().is_float() => {
            Data::F32(tensor.to_f64().into_iter().map(|x| x as f32).collect())
        }
        _ => return None,
    };
    Tensor::new(tensor.shape(), data).ok()
}
