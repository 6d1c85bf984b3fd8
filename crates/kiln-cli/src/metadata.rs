//! A model's metadata as text, and the meaning of its outputs.

use kiln::plan::{InputSource, Metadata, Preprocessing, Provenance, Resize, Targets, Task};

/// How many names are shown of a long list.
const SHOWN: usize = 12;

/// A line for each property: its name and its value.
pub(crate) fn lines(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(task) = metadata.task {
        lines.push(("task", task.name().to_owned()));
    }
    if !metadata.classes.is_empty() {
        lines.push(("classes", format!("{}: {}", metadata.classes.len(), names(&metadata.classes))));
    }
    if let Some(preprocessing) = &metadata.preprocessing {
        lines.push(("input", input(preprocessing)));
    }
    if let Some(Targets { names: list, mean, std }) = &metadata.targets {
        let scaled = scaling(mean, std).map(|scaling| format!("values times {scaling}"));
        let list = (!list.is_empty()).then(|| names(list));
        lines.push(("targets", [list, scaled].into_iter().flatten().collect::<Vec<_>>().join("; ")));
    }
    if let Some(provenance) = &metadata.provenance {
        lines.push(("trained", trained(provenance)));
    }
    lines
}

/// The first names of a list.
pub(crate) fn names(list: &[String]) -> String {
    let shown: Vec<&str> = list.iter().take(SHOWN).map(String::as_str).collect();
    let more = if list.len() > SHOWN { ", ..." } else { "" };
    shown.join(", ") + more
}

fn numbers(list: &[f32]) -> String {
    let shown: Vec<String> = list.iter().take(SHOWN).map(|x| format!("{x:.4}")).collect();
    let more = if list.len() > SHOWN { ", ..." } else { "" };
    shown.join(", ") + more
}

fn scaling(mean: &[f32], std: &[f32]) -> Option<String> {
    match (mean, std) {
        ([], []) => None,
        (mean, []) => Some(format!("1, plus {}", numbers(mean))),
        ([], std) => Some(numbers(std)),
        (mean, std) => Some(format!("{}, plus {}", numbers(std), numbers(mean))),
    }
}

fn input(preprocessing: &Preprocessing) -> String {
    let mut parts = match &preprocessing.source {
        InputSource::Pictures(pictures) => {
            let mut parts = vec![format!("images ({})", pictures.channels.name())];
            parts.extend(pictures.resize.map(|resize| match resize {
                Resize::Shorter(side) => format!("shorter side {side}"),
                Resize::Exact { height, width } => format!("resized to {width} x {height}"),
            }));
            parts.extend(pictures.crop.map(|[height, width]| format!("center crop {width} x {height}")));
            parts.push(format!("values from 0 to {}", pictures.pixel_max));
            parts
        }
        InputSource::Table { columns } => vec![format!("rows of a table: {}", names(columns))],
        InputSource::Numbers => vec!["numbers".to_owned()],
    };
    if !preprocessing.mean.is_empty() {
        parts.push(format!("mean {}", numbers(&preprocessing.mean)));
    }
    if !preprocessing.std.is_empty() {
        parts.push(format!("deviation {}", numbers(&preprocessing.std)));
    }
    parts.join(", ")
}

fn trained(provenance: &Provenance) -> String {
    let Provenance { producer, data, loss, epochs, steps, measures } = provenance;
    let parts = [
        ("by ", producer.clone()),
        ("on ", data.clone()),
        ("for ", loss.clone()),
        ("", if *epochs > 0 { format!("{epochs} epochs") } else { String::new() }),
        ("", if *steps > 0 { format!("{steps} steps") } else { String::new() }),
    ];
    let said = parts.iter().filter(|(_, what)| !what.is_empty()).map(|(word, what)| format!("{word}{what}"));
    let measured = measures.iter().map(|m| format!("{} {:.4}", m.name, m.value));
    said.chain(measured).collect::<Vec<_>>().join(", ")
}

/// The number of classes that an output of this shape scores for each sample, if the model is a classifier; two for a
/// single score.
pub(crate) fn classes_of(metadata: &Metadata, shape: &[usize]) -> Option<usize> {
    let [_, rest @ ..] = shape else { return None };
    let scores: usize = rest.iter().product();
    let expected = if scores == 1 { 2 } else { scores };
    match metadata.task {
        Some(Task::Classification | Task::MultiLabel) => Some(expected),
        // A list of names says what it is.
        None => (rest.len() == 1 && metadata.classes.len() == expected).then_some(expected),
        Some(Task::Regression | Task::Segmentation | Task::Detection) => None,
    }
}
