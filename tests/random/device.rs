//! Compiled equals evaluated: through the plan's file and the device that is there, for each way of writing kernels.

use std::collections::BTreeMap;
use std::sync::Mutex;

use kiln::graph::Tensor;
use kiln::{CompileError, Device, DeviceOptions, Options, Plan, Session, Strategy, Target};

use crate::recipe::{Answer, Case};

/// The device, and the targets that it can stand for.
pub struct Machine {
    device: Device,
    targets: [(&'static str, Target); 3],
    /// What the compiler does not do, and how often it was asked to.
    refused: Mutex<BTreeMap<String, usize>>,
}

impl Machine {
    pub fn new() -> Self {
        let capabilities =
            kiln::default_device().expect("a Vulkan driver; `apt-get install mesa-vulkan-drivers` has one");
        let requirements = kiln::requirements_of(&capabilities);
        let device = Device::open(&DeviceOptions::from_env(), &requirements).expect("a device");
        let targets = [
            ("the device that is there", kiln::target_for(&capabilities)),
            ("a GPU", Target::default()),
            ("no subgroups", Target { strategy: Strategy::RegisterTile, ..Target::default() }),
        ];
        Self { device, targets, refused: Mutex::default() }
    }

    /// Runs a case for all targets.
    pub fn check(&self, case: &Case) -> Result<(), String> {
        for (name, target) in &self.targets {
            self.run(case, target).map_err(|message| format!("as for {name}: {message}"))?;
        }
        Ok(())
    }

    fn run(&self, case: &Case, target: &Target) -> Result<(), String> {
        let options = Options { target: target.clone(), max: case.max.clone() };
        let compiled = match kiln::compile(&case.graph, &options) {
            Ok(compiled) => compiled,
            Err(CompileError::Unsupported { message, .. }) => {
                *self.refused.lock().expect("nobody panics with it").entry(message).or_default() += 1;
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        let plan = Plan::read(&compiled.plan.to_bytes().map_err(text)?).map_err(text)?;
        let mut session = Session::load(&self.device, &plan).map_err(text)?;
        let host =
            |(name, tensor): (&String, &Tensor)| Ok((name.clone(), kiln::to_host(tensor).map_err(text)?));
        let inputs = case.inputs.iter().map(host).collect::<Result<Vec<_>, String>>()?;
        let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        // A second run finds what the first one left behind.
        for _ in 0..2 {
            let outputs = session.run(&inputs).map_err(text)?;
            for answer in &case.answers {
                let found = outputs.get(&answer.name).map_err(text)?;
                Answer::check(answer, &kiln::from_host(found).map_err(text)?)?;
            }
        }
        Ok(())
    }

    /// What the compiler refused, by its words.
    pub fn refused(&self) -> BTreeMap<String, usize> {
        self.refused.lock().expect("nobody panics with it").clone()
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
