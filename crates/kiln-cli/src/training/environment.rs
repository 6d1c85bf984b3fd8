//! The environment of a training, besides its recipe: the data, the device, the version of Kiln. It is written
//! when a training starts, and compared when it resumes.

use std::path::Path;

use kiln::Capabilities;
use kiln::training::data::Dataset;
use miette::{IntoDiagnostic, Result, miette};
use serde::{Deserialize, Serialize};

use super::recipe::MOST_BYTES;
use super::{Recipe, Setup};

/// The content of `environment.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Environment {
    /// The version.
    kiln: String,
    /// The operating system and the processor.
    system: String,
    /// The device's name, backend and driver.
    device: String,
    /// CRC-32 of the names of the chosen kernels, which decide how results are rounded.
    kernels: Option<String>,
    /// The training samples.
    train: Samples,
    /// The validation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Samples>,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Samples {
    count: usize,
    shape: Vec<usize>,
    /// CRC-32 of samples and targets.
    checksum: String,
}

impl Samples {
    fn of(data: &Dataset) -> Self {
        Self { count: data.len(), shape: data.shape.clone(), checksum: format!("{:08x}", data.checksum()) }
    }

    /// `500 samples of [1, 28, 28] (1f2e3d4c)`
    fn text(samples: Option<&Self>) -> String {
        samples.map_or("none".to_owned(), |samples| {
            format!("{} samples of {:?} ({})", samples.count, samples.shape, samples.checksum)
        })
    }
}

impl Environment {
    /// That of this process.
    pub(crate) fn of(setup: &mut Setup) -> Self {
        let Capabilities { name, backend, driver, driver_info, .. } =
            setup.trainer.session().device().capabilities();
        let chosen = setup.compiled.programs.iter().flat_map(|program| &program.selections);
        let chosen: Vec<String> = chosen.map(|selection| selection.choice().to_string()).collect();
        Self {
            kernels: Some(format!("{:08x}", crc32fast::hash(chosen.join("\n").as_bytes()))),
            kiln: env!("CARGO_PKG_VERSION").to_owned(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            device: format!("{name}, {backend}, {driver} {driver_info}"),
            train: Samples::of(&setup.train.data),
            validation: setup.validation.as_ref().map(|validation| Samples::of(&validation.data)),
        }
    }

    /// As a file.
    pub(crate) fn to_text(&self) -> Result<String> {
        toml::to_string(self).into_diagnostic()
    }
}

/// Differences from the start of a training.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Differences that change the results of the training.
    pub course: Vec<String>,
    /// Differences that change at most its rounding.
    pub surroundings: Vec<String>,
}

/// Keys of a recipe that may change when a training resumes: they do not change what a step does, or their effect is
/// compared in another way (samples by their checksum, states by name and shape).
const FREE: [&str; 17] = [
    "model",
    "weights",
    "from-scratch",
    "data",
    "classes",
    "limit",
    "validation",
    "resize",
    "grey",
    "skip-bad",
    "workers",
    "steps-per-submit",
    "epochs",
    "patience",
    "checkpoint-every",
    "keep",
    "metadata",
];

fn text(value: Option<&toml::Value>) -> String {
    value.map_or("not given".to_owned(), ToString::to_string)
}

/// Compares with the record in the folder of a training. What it does not contain cannot be compared.
pub(crate) fn compare(folder: &Path, recipe: &Recipe, now: &Environment) -> Result<Differences> {
    let mut found = Differences::default();
    if let Some(before) = read::<toml::Table>(&folder.join("recipe.toml"))? {
        // Through its text, since numbers are rounded there.
        let now: toml::Table = toml::from_str(&recipe.to_text()?).into_diagnostic()?;
        let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys.into_iter().filter(|key| !FREE.contains(&key.as_str())) {
            let (before, now) = (before.get(key), now.get(key));
            if before != now {
                found.course.push(format!("{key} was {}, now {}", text(before), text(now)));
            }
        }
    }
    let Some(before) = read::<Environment>(&folder.join("environment.toml"))? else { return Ok(found) };
    let data = [
        ("the training data", Some(&before.train), Some(&now.train)),
        ("the validation data", before.validation.as_ref(), now.validation.as_ref()),
    ];
    for (what, before, now) in data.into_iter().filter(|(_, before, now)| before != now) {
        found.course.push(format!("{what} was {}, now {}", Samples::text(before), Samples::text(now)));
    }
    let others = [
        ("Kiln", &before.kiln, &now.kiln),
        ("the system", &before.system, &now.system),
        ("the device", &before.device, &now.device),
    ];
    for (what, before, now) in others.into_iter().filter(|(_, before, now)| before != now) {
        found.surroundings.push(format!("{what} was {before}, now {now}"));
    }
    if before.kernels.is_some() && before.kernels != now.kernels {
        let reason = "measurements of kernels have changed; `--records none` uses none";
        found.surroundings.push(format!("other kernels were chosen, which round differently: {reason}"));
    }
    Ok(found)
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    let text = match kiln_files::read_text(path, MOST_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| miette!("cannot read `{}`: {error}", path.display()))?,
    };
    let value = toml::from_str(&text)
        .map_err(|error| miette!("`{}` was not written by `kiln train`: {error}", path.display()))?;
    Ok(Some(value))
}
