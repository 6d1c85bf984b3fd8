//! How fast devices are: by their makers' data sheets, else by a measurement of some milliseconds, which is kept in the cache
//! so that the next compilation goes by the same numbers.

use std::path::Path;

use kiln_compile::Target;
use kiln_runtime::{Capabilities, Device, DeviceOptions, Speed};
use serde::{Deserialize, Serialize};

use super::records::{DeviceKey, cache_folder};
use crate::target_for;

/// The file in the cache folder, a line of JSON for each device.
const FILE: &str = "devices.jsonl";
/// More than a file of this kind ever needs.
const MOST_BYTES: u64 = 1 << 20;

/// Where the speed of a target is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedSource {
    /// The device is one whose data sheet is known, or a software driver.
    Known,
    /// It was measured, now or earlier.
    Measured,
    /// Nothing is known: it is that of a middle-sized card.
    General,
}

impl SpeedSource {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Known => "known device",
            Self::Measured => "measured",
            Self::General => "general",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    device: DeviceKey,
    cores: u32,
    lanes: u32,
    clock: u32,
    bandwidth: u32,
    launch: u32,
}

/// The compiler's description of a device that is first in the list, or that the environment chooses: an unknown GPU is
/// opened and measured once.
pub fn target_of(device: &Capabilities) -> (Target, SpeedSource) {
    let folder = cache_folder();
    if let Some(found) = remembered(device, folder.as_deref()) {
        return found;
    }
    match Device::open(&DeviceOptions::from_env(), &Default::default()).and_then(|device| device.probe()) {
        Ok(speed) => {
            if let Some(folder) = &folder {
                // A cache that cannot be written is measured again.
                let _ = remember(device, speed, folder);
            }
            (with_speed(target_for(device), speed), SpeedSource::Measured)
        }
        Err(_) => (target_for(device), SpeedSource::General),
    }
}

/// The same without measuring.
pub fn known_target_of(device: &Capabilities) -> (Target, SpeedSource) {
    remembered(device, cache_folder().as_deref()).unwrap_or((target_for(device), SpeedSource::General))
}

fn remembered(device: &Capabilities, folder: Option<&Path>) -> Option<(Target, SpeedSource)> {
    let target = target_for(device);
    if let Some(known) = target.as_fast_as(&device.name) {
        return Some((known, SpeedSource::Known));
    }
    let key = DeviceKey::of(device);
    let line = lines(folder?).into_iter().rev().find(|line| line.device == key)?;
    let Line { cores, lanes, clock, bandwidth, launch, .. } = line;
    let speed = Speed { cores, lanes, clock, bandwidth, launch };
    Some((with_speed(target, speed), SpeedSource::Measured))
}

fn with_speed(target: Target, speed: Speed) -> Target {
    let Speed { cores, lanes, clock, bandwidth, launch } = speed;
    Target { cores, lanes, clock, bandwidth, launch, ..target }
}

/// The lines that can be read: what is damaged is measured again.
fn lines(folder: &Path) -> Vec<Line> {
    let text = kiln_files::read_text(&folder.join(FILE), MOST_BYTES).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn remember(device: &Capabilities, speed: Speed, folder: &Path) -> std::io::Result<()> {
    let Speed { cores, lanes, clock, bandwidth, launch } = speed;
    let key = DeviceKey::of(device);
    let mut all = lines(folder);
    all.retain(|line| line.device != key);
    all.push(Line { device: key, cores, lanes, clock, bandwidth, launch });
    let all: Result<Vec<String>, _> = all.iter().map(serde_json::to_string).collect();
    std::fs::create_dir_all(folder)?;
    kiln_files::write(&folder.join(FILE), (all?.join("\n") + "\n").as_bytes())
}
