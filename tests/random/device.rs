//! Compiled equals evaluated: through the plan's file and the device that is there, for each way of writing kernels.

use std::collections::BTreeMap;
use std::sync::Mutex;

use kiln::graph::Tensor;
use kiln::{
    CompileError, Compiled, Device, DeviceOptions, Graph, HostTensor, Options, Plan, Session, Strategy,
    Target,
};

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

    /// The targets by name.
    pub fn targets(&self) -> &[(&'static str, Target)] {
        &self.targets
    }

    fn run(&self, case: &Case, target: &Target) -> Result<(), String> {
        let options = Options { target: target.clone(), max: case.max.clone() };
        let Some(mut session) = self.session(kiln::compile(&case.graph, &options))? else { return Ok(()) };
        // Later runs find what earlier ones left behind.
        answers(&mut session, &case.inputs, &case.answers)?;
        for run in &case.others {
            answers(&mut session, &run.inputs, &run.answers).map_err(|m| format!("for other sizes: {m}"))?;
        }
        answers(&mut session, &case.inputs, &case.answers).map_err(|m| format!("a second time: {m}"))
    }

    /// Several graphs as one plan, whose states stay states.
    pub fn load(
        &self,
        programs: &[(&str, &Graph)],
        target: &Target,
        max: &BTreeMap<String, u32>,
    ) -> Result<Option<Session>, String> {
        let options = Options { target: target.clone(), max: max.clone() };
        self.session(kiln::compile_programs(programs, &options))
    }

    /// The plan on the device, by way of its file; `None` if the compiler does not do what it should.
    fn session(&self, compiled: Result<Compiled, CompileError>) -> Result<Option<Session>, String> {
        match compiled {
            Ok(compiled) => {
                let plan = Plan::read(&compiled.plan.to_bytes().map_err(text)?).map_err(text)?;
                Session::load(&self.device, &plan).map(Some).map_err(text)
            }
            Err(CompileError::Unsupported { message, .. }) => {
                *self.refused.lock().expect("nobody panics with it").entry(message).or_default() += 1;
                Ok(None)
            }
            // The limits of WebGPU do not promise 64 bits.
            Err(CompileError::DType { dtype, .. }) => {
                *self.refused.lock().expect("nobody panics with it").entry(dtype.to_string()).or_default() +=
                    1;
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the compiler refused, by its words.
    pub fn refused(&self) -> BTreeMap<String, usize> {
        self.refused.lock().expect("nobody panics with it").clone()
    }
}

/// Tensors as the device takes them.
pub fn host(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<(String, HostTensor)>, String> {
    let host = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), kiln::to_host(tensor).map_err(text)?));
    tensors.iter().map(host).collect()
}

/// Runs the first program once and compares.
fn answers(
    session: &mut Session,
    inputs: &BTreeMap<String, Tensor>,
    answers: &[Answer],
) -> Result<(), String> {
    let inputs = host(inputs)?;
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let outputs = session.run(&inputs).map_err(text)?;
    for answer in answers {
        let found = outputs.get(&answer.name).map_err(text)?;
        answer.check(&kiln::from_host(found).map_err(text)?)?;
    }
    Ok(())
}

/// An error as text.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
