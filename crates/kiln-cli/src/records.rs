//! Records of measured kernels: where they are kept, and which of them count for what is compiled.

use std::path::{Path, PathBuf};

use clap::Args;
use kiln::tune::{DeviceKey, RecordFile, cache_folder};
use kiln::{Capabilities, Records};
use miette::{IntoDiagnostic, Result, bail};

/// The file in the cache folder.
const FILE: &str = "records.ktune";

/// Which records count.
#[derive(Args, Clone, Default)]
pub(crate) struct RecordArguments {
    /// Kernels that were measured: a file (`.ktune`), or `none`; what `kiln tune` has found on this device if not given
    #[arg(long, value_name = "FILE|none")]
    pub records: Option<PathBuf>,
    /// Whether the command measures, and writes the file if it is not there.
    #[arg(skip)]
    pub measures: bool,
}

/// Where records are read and written.
pub(crate) enum Place {
    /// Nowhere: no record counts, none is kept.
    Nowhere,
    /// The cache of this user. What is wrong there is no reason not to compile.
    Cache(PathBuf),
    /// The file that was named.
    Named(PathBuf),
}

impl RecordArguments {
    /// Where records are read and written.
    pub(crate) fn place(&self) -> Place {
        match &self.records {
            Some(word) if word == Path::new("none") => Place::Nowhere,
            Some(path) => Place::Named(path.clone()),
            None => cache_folder().map_or(Place::Nowhere, |folder| Place::Cache(folder.join(FILE))),
        }
    }

    /// The records of a device of this machine.
    pub(crate) fn of_device(&self, device: &Capabilities) -> Result<Records> {
        let key = DeviceKey::of(device);
        match self.place() {
            Place::Nowhere => Ok(Records::default()),
            Place::Cache(path) => Ok(match RecordFile::read(&path) {
                Ok(file) => file.records(&key),
                Err(error) => {
                    note!("note: measurements are not used: {error}");
                    Records::default()
                }
            }),
            Place::Named(path) if self.measures => {
                Ok(RecordFile::read(&path).into_diagnostic()?.records(&key))
            }
            Place::Named(path) => {
                let file = existing(&path)?;
                if !file.devices().contains(&&key) {
                    note!(
                        "note: `{}` has no measurements of {}, but of {}",
                        path.display(),
                        text(&key),
                        list(&file)
                    );
                }
                Ok(file.records(&key))
            }
        }
    }

    /// The records for a device that is named but need not be here: those of the only device in the file that was named.
    pub(crate) fn of_target(&self, target: &str) -> Result<Records> {
        let Place::Named(path) = self.place() else { return Ok(Records::default()) };
        let file = existing(&path)?;
        let [device] = file.devices()[..] else {
            bail!(
                "--records: `{}` has measurements of {}; which of them is meant by `--target {target}` is not known. Compile \
                 on the device itself, or name a file with measurements of one device",
                path.display(),
                list(&file)
            )
        };
        Ok(file.records(device))
    }
}

/// A file that was named has to be there to be read.
fn existing(path: &Path) -> Result<RecordFile> {
    if !path.exists() {
        bail!("--records: there is no `{}`; `kiln tune MODEL --records {0}` writes one", path.display());
    }
    RecordFile::read(path).into_diagnostic()
}

fn text(key: &DeviceKey) -> String {
    format!("{} ({}, {} {}, wgpu {})", key.name, key.backend, key.driver, key.driver_info, key.wgpu)
}

fn list(file: &RecordFile) -> String {
    let devices: Vec<String> = file.devices().into_iter().map(text).collect();
    if devices.is_empty() { "no device".into() } else { devices.join("; ") }
}
