//! Records of measurements as a file (`.ktune`): a line of JSON for each problem of each device.
//!
//! ```text
//! {"format":1,"device":{"name":"...","backend":"vulkan","driver":"...","driver_info":"...","wgpu":"30.0"},
//!  "problem":"conv x=...","kernels":"1f0a33c7","choice":"conv_tile ...","microseconds":{"conv_tile ...":41.2}}
//! ```
//!
//! (as one line). A record counts for the same device with the same driver and the same version of wgpu, and while the same
//! kernels are to choose from. Such files can be sorted, concatenated and committed: of two records of the same, the last
//! one counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use kiln_compile::{Record, Records};
use kiln_runtime::{Capabilities, WGPU_VERSION};
use serde::{Deserialize, Serialize};

use super::{Contest, Tuning};

/// The version of the format.
const FORMAT: u32 = 1;
/// More than a file of this kind ever needs.
const MOST_BYTES: u64 = 64 << 20;

/// Why a file of records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error("cannot {doing} `{}`: {source}", .path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no record.
    #[error("`{}`, line {line}: {reason}; delete the line, or let `kiln tune` write another file", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from one.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// What has to be the same for a measurement to count: device, driver, and what translates kernels for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceKey {
    /// The device's name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// The driver's name.
    pub driver: String,
    /// Its version.
    pub driver_info: String,
    /// The version of wgpu, and of naga, which has the same.
    pub wgpu: String,
}

impl DeviceKey {
    /// Of a device.
    pub fn of(device: &Capabilities) -> Self {
        Self {
            name: device.name.clone(),
            backend: device.backend.into(),
            driver: device.driver.clone(),
            driver_info: device.driver_info.clone(),
            wgpu: WGPU_VERSION.into(),
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    format: u32,
    device: DeviceKey,
    problem: String,
    kernels: String,
    choice: String,
    microseconds: BTreeMap<String, f64>,
}

/// The records of a file, of any number of devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordFile {
    lines: BTreeMap<(DeviceKey, String), Line>,
}

impl RecordFile {
    /// Reads a file; one that is not there has no records.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        match kiln_files::read_text(path, MOST_BYTES) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(RecordError::File { doing: "read", path: path.into(), source }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, RecordError> {
        let mut file = Self::default();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |reason: String| RecordError::Line { path: path.into(), line: n + 1, reason };
            let line: Line =
                serde_json::from_str(line).map_err(|error| wrong(format!("not a record: {error}")))?;
            if line.format != FORMAT {
                return Err(wrong(format!("a record of format {}, where {FORMAT} is known", line.format)));
            }
            if u32::from_str_radix(&line.kernels, 16).is_err() {
                return Err(wrong(format!("`{}` is not a checksum of kernels", line.kernels)));
            }
            file.insert(line);
        }
        Ok(file)
    }

    fn insert(&mut self, line: Line) {
        self.lines.insert((line.device.clone(), line.problem.clone()), line);
    }

    /// The devices that there are records of.
    pub fn devices(&self) -> Vec<&DeviceKey> {
        let mut devices: Vec<&DeviceKey> = self.lines.keys().map(|(device, _)| device).collect();
        devices.dedup();
        devices
    }

    /// The records of a device, for the compiler.
    pub fn records(&self, device: &DeviceKey) -> Records {
        let mut records = Records::default();
        for ((of, problem), line) in &self.lines {
            if let (true, Ok(kernels)) = (of == device, u32::from_str_radix(&line.kernels, 16)) {
                records.insert(problem.clone(), Record { choice: line.choice.clone(), kernels });
            }
        }
        records
    }

    /// Adds what was measured on a device, in place of what was known.
    pub fn add(&mut self, device: &DeviceKey, tuning: &Tuning) {
        for contest in &tuning.contests {
            self.insert(line(device, contest));
        }
    }

    /// Adds measurements to a file, beside those that it has. Of two processes that do so at the same moment, the file is
    /// that of the last one.
    pub fn add_to(path: &Path, device: &DeviceKey, tuning: &Tuning) -> Result<(), RecordError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|source| RecordError::File { doing: "write", path: path.into(), source })?;
        }
        let mut file = Self::read(path)?;
        file.add(device, tuning);
        file.write(path)
    }

    /// Writes the file, completely or not at all.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        let failed = |source| RecordError::File { doing: "write", path: path.into(), source };
        let mut text = String::new();
        for line in self.lines.values() {
            text += &serde_json::to_string(line).map_err(|error| failed(error.into()))?;
            text.push('\n');
        }
        kiln_files::write(path, text.as_bytes()).map_err(failed)
    }
}

fn line(device: &DeviceKey, contest: &Contest) -> Line {
    let times = contest.entries.iter().filter_map(|entry| Some((entry.choice.clone(), entry.seconds()?)));
    // Three digits behind the point are nanoseconds; more would be noise.
    let microseconds = times.map(|(choice, seconds)| (choice, (seconds * 1e9).round() / 1e3)).collect();
    Line {
        format: FORMAT,
        device: device.clone(),
        problem: contest.key.clone(),
        kernels: format!("{:08x}", contest.kernels),
        choice: contest.choice.clone(),
        microseconds,
    }
}

/// The folder for what can be measured again: `KILN_CACHE`, or `kiln` in the user's folder for caches. `None` where the
/// system does not say where that is.
pub fn cache_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("KILN_CACHE") {
        return (!folder.is_empty()).then(|| folder.into());
    }
    Some(etcetera::base_strategy::choose_native_strategy().ok()?.cache_dir().join("kiln"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Entry, Outcome};

    fn key(name: &str) -> DeviceKey {
        let text = |text: &str| text.to_owned();
        DeviceKey {
            name: text(name),
            backend: text("vulkan"),
            driver: text("a"),
            driver_info: text("1"),
            wgpu: text("30"),
        }
    }

    fn tuning(choice: &str) -> Tuning {
        let entry = |choice: &str, outcome| Entry { choice: choice.into(), estimate: 1e-6, outcome };
        let contest = Contest {
            layers: "conv".into(),
            groups: 1,
            key: "conv x=1".into(),
            kernels: 0xab,
            share: 0.0,
            before: "slow".into(),
            choice: choice.into(),
            entries: vec![entry("slow", Outcome::Seconds(2e-6)), entry("wrong", Outcome::Wrong)],
        };
        Tuning { contests: vec![contest], known: 0, left: 0, whole_only: vec![], confirmation: None }
    }

    fn parse(text: &str) -> Result<RecordFile, RecordError> {
        RecordFile::parse(Path::new("net.ktune"), text)
    }

    #[test]
    fn records_are_those_of_the_device_and_the_last_counts() {
        let mut file = RecordFile::default();
        file.add(&key("one"), &tuning("slow"));
        file.add(&key("two"), &tuning("slow"));
        file.add(&key("one"), &tuning("fast"));
        let lines: Vec<String> =
            file.lines.values().map(|line| serde_json::to_string(line).expect("JSON")).collect();
        assert!(lines[0].contains(r#""microseconds":{"slow":2.0}"#), "{}", lines[0]);
        let again = parse(&lines.join("\n")).expect("a file of its own");
        assert_eq!(again, file);
        assert_eq!(again.devices(), [&key("one"), &key("two")]);
        let record = |device: &str| again.records(&key(device)).get("conv x=1").cloned();
        assert_eq!(record("one"), Some(Record { choice: "fast".into(), kernels: 0xab }));
        assert_eq!(record("two"), Some(Record { choice: "slow".into(), kernels: 0xab }));
        assert_eq!(record("three"), None);
        let twice =
            parse(&[lines[0].clone(), lines[0].replace("fast", "faster")].join("\n")).expect("a file");
        let faster = twice.records(&key("one")).get("conv x=1").map(|record| record.choice.clone());
        assert_eq!(faster.as_deref(), Some("faster"));
    }

    #[test]
    fn lines_that_are_no_records_are_named() {
        let mut file = RecordFile::default();
        file.add(&key("one"), &tuning("slow"));
        let line = serde_json::to_string(file.lines.values().next().expect("one")).expect("JSON");
        for (text, found) in [
            ("{", "line 1: not a record"),
            (&format!("{line}\n\n[]"), "line 3: not a record"),
            (&line.replace(r#""format":1"#, r#""format":2"#), "line 1: a record of format 2"),
            (&line.replace("000000ab", "xyz"), "`xyz` is not a checksum"),
            (&line[..line.len() / 2], "line 1: not a record"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(found), "{error}");
        }
    }
}
