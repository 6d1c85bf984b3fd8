//! The device of this machine, and running plans on it as programs do: by way of a plan's file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use kiln::graph::Tensor;
use kiln::{Compiled, Device, DeviceOptions, HostTensor, Plan, Session, Target};

/// A device, open with all it has, and the target that it is.
pub(crate) struct Machine {
    pub device: Device,
    pub target: Target,
}

impl Machine {
    pub(crate) fn open() -> Self {
        let capabilities = kiln::default_device().expect("a Vulkan driver; `scripts/driver` installs one");
        let requirements = kiln::requirements_of(&capabilities);
        let device = Device::open(&DeviceOptions::from_env(), &requirements).expect("a device");
        Self { device, target: kiln::target_for(&capabilities) }
    }

    /// The plan on the device.
    pub(crate) fn load(&self, compiled: &Compiled) -> Result<Session, String> {
        let plan = Plan::read(&compiled.plan.to_bytes().map_err(text)?).map_err(text)?;
        load(&self.device, &plan)
    }
}

/// A plan on a device. Where KILN_KERNELS names a folder, its kernels are written there, for other compilers of WGSL.
pub(crate) fn load(device: &Device, plan: &Plan) -> Result<Session, String> {
    if let Some(folder) = std::env::var_os("KILN_KERNELS").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).map_err(text)?;
        for shader in &plan.shaders {
            let name = format!("{:08x}_{}.wgsl", crc32fast::hash(shader.wgsl.as_bytes()), shader.wgsl.len());
            std::fs::write(folder.join(name), &shader.wgsl).map_err(text)?;
        }
    }
    Session::load(device, plan).map_err(text)
}

/// Tensors as the device takes them.
pub(crate) fn host<'a>(
    given: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
) -> Result<Vec<(&'a str, HostTensor)>, String> {
    let host =
        |(name, tensor): (&'a String, &'a Tensor)| Ok((name.as_str(), kiln::to_host(tensor).map_err(text)?));
    given.into_iter().map(host).collect()
}

/// What the first program of a plan answers, by name.
pub(crate) fn answers<'a>(
    session: &mut Session,
    given: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
) -> Result<BTreeMap<String, Tensor>, String> {
    let given = host(given)?;
    let inputs: Vec<_> = given.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let outputs = session.run(&inputs).map_err(text)?;
    outputs.iter().map(|(name, found)| Ok((name.to_owned(), kiln::from_host(found).map_err(text)?))).collect()
}

/// An error as text.
pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}
