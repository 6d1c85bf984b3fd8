//! Compiled equals evaluated: through the plan's file and the device that is there, for each way of writing kernels.

use std::collections::BTreeMap;
use std::sync::Mutex;

use kiln::graph::Tensor;
use kiln::{CompileError, Compiled, Graph, Options, Precision, Session, Target};

use crate::machine::{Machine, answers};
use crate::recipe::{Answer, Case};

/// The device, and the targets that it can stand for.
pub(crate) struct Devices {
    machine: Machine,
    targets: [(&'static str, Target); 3],
    /// What weights and activations are kept in.
    precision: Precision,
    /// What the compiler does not do, and how often it was asked to.
    refused: Mutex<BTreeMap<String, usize>>,
}

impl Devices {
    pub(crate) fn new() -> Self {
        let machine = Machine::open();
        let targets = [
            ("the device that is there", machine.target.clone()),
            ("a GPU", Target::default()),
            ("no subgroups", Target::cpu()),
        ];
        Self { machine, targets, precision: Precision::F32, refused: Mutex::default() }
    }

    /// The same with 16-bit floats in memory.
    pub(crate) fn of_halves() -> Self {
        let mut devices = Self::new();
        let float16 = devices.machine.target.float16;
        devices.targets.iter_mut().for_each(|(_, target)| target.float16 = float16);
        devices
    }

    /// The same with weights and activations of 32 bits kept in 16, if the device has them.
    pub(crate) fn keeping_halves() -> Option<Self> {
        let devices = Self::of_halves();
        devices.machine.target.float16.then_some(Self { precision: Precision::F16, ..devices })
    }

    /// Runs a case for all targets.
    pub(crate) fn check(&self, case: &Case) -> Result<(), String> {
        for (name, target) in &self.targets {
            self.run(case, target).map_err(|message| format!("as for {name}: {message}"))?;
        }
        Ok(())
    }

    /// The targets by name.
    pub(crate) fn targets(&self) -> &[(&'static str, Target)] {
        &self.targets
    }

    fn run(&self, case: &Case, target: &Target) -> Result<(), String> {
        let options = Options {
            target: target.clone(),
            max: case.max.clone(),
            precision: self.precision,
            ..Options::default()
        };
        let Some(mut session) = self.session(kiln::compile(&case.graph, &options))? else { return Ok(()) };
        // Later runs find what earlier ones left behind.
        check(&mut session, &case.inputs, &case.answers)?;
        for run in &case.others {
            check(&mut session, &run.inputs, &run.answers).map_err(|m| format!("for other sizes: {m}"))?;
        }
        check(&mut session, &case.inputs, &case.answers).map_err(|m| format!("a second time: {m}"))
    }

    /// Several graphs as one plan, whose states stay states.
    pub(crate) fn load(
        &self,
        programs: &[(&str, &Graph)],
        target: &Target,
        max: &BTreeMap<String, u32>,
    ) -> Result<Option<Session>, String> {
        let options = Options { target: target.clone(), max: max.clone(), ..Options::default() };
        self.session(kiln::compile_programs(programs, &options))
    }

    /// The plan on the device, by way of its file; `None` if the compiler does not do what it should.
    fn session(&self, compiled: Result<Compiled, CompileError>) -> Result<Option<Session>, String> {
        match compiled {
            Ok(compiled) => self.machine.load(&compiled).map(Some),
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
    pub(crate) fn refused(&self) -> BTreeMap<String, usize> {
        self.refused.lock().expect("nobody panics with it").clone()
    }
}

/// Runs the first program once and compares.
fn check(session: &mut Session, inputs: &BTreeMap<String, Tensor>, wanted: &[Answer]) -> Result<(), String> {
    let found = answers(session, inputs)?;
    wanted.iter().try_for_each(|answer| match found.get(&answer.name) {
        Some(found) => answer.check(found),
        None => Err(format!("there is no output `{}`", answer.name)),
    })
}
