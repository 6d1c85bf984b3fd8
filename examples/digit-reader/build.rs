//! Compiles the network into a plan, for any GPU. What this needs has to be on the machine that builds, nothing on the one that runs.

use std::error::Error;
use std::path::PathBuf;

use kiln_compile::{Options, Target};
use kiln_plan::Metadata;

/// What `kiln train models/digits.toml` has written.
const MODEL: &str = "digits.onnx";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={MODEL}");
    let model = kiln_onnx::import(MODEL.as_ref(), &Default::default())?;
    // `Target::named("h200")` and its like choose kernels for one kind of device; `portable` runs on all.
    let options =
        Options { target: Target::portable(), max: [("N".into(), 16)].into(), ..Options::default() };
    let mut plan = kiln_compile::compile(&model.graph, &options)?.plan;
    // The file says itself how its input is made and what its classes are called.
    plan.metadata = Metadata::from_properties(&model.metadata)?;
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo runs this")?);
    plan.save(folder.join("digits.kplan"))?;
    Ok(())
}
