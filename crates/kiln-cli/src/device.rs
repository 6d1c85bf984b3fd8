//! Devices and sessions of commands: compiled pipelines are kept in the cache folder, where the driver hands them out.

use kiln::tune::cache_folder;
use kiln::{Device, DeviceOptions, Plan, Requirements, Session};
use miette::{IntoDiagnostic, Result};

/// The folder in the cache folder.
const PIPELINES: &str = "pipelines";

/// Opens the device that the environment asks for.
pub(crate) fn open(requirements: &Requirements) -> Result<Device> {
    let mut device = Device::open(&DeviceOptions::from_env(), requirements).into_diagnostic()?;
    if let Some(folder) = cache_folder() {
        device.keep_pipelines(&folder.join(PIPELINES));
    }
    Ok(device)
}

/// Loads a plan on it.
pub(crate) fn load(plan: &Plan) -> Result<Session> {
    Session::load(&open(&plan.requirements)?, plan).into_diagnostic()
}
