//! What there is between a model and its plan, as JSON for programs: `kiln dump --format json` writes it, `kiln view` draws
//! it. `docs/dump.md` says what each field means.

pub(crate) mod fused;
pub(crate) mod graph;
pub(crate) mod passes;
pub(crate) mod plan;
pub(crate) mod view;

use serde_json::{Value, json};

/// The version of the form. It grows when a field is renamed, removed, or means something else.
pub(crate) const VERSION: u32 = 1;

/// A document: what it is, and what the stage has to say.
pub(crate) fn document(stage: &str, contents: Value) -> String {
    let mut document = json!({ "format": "kiln-dump", "version": VERSION, "stage": stage });
    if let (Value::Object(all), Value::Object(contents)) = (&mut document, contents) {
        all.extend(contents);
    }
    format!("{document:#}\n")
}
