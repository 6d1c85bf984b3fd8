//! Compiles kernels for a graphics card that need not be there, with Mesa's RADV, and holds what comes out to limits.
//! `scripts/gpu-check` runs it.
//!
//! Only compilation is checked: registers, spills and instructions, not results or times.

mod assembly;
mod device;
mod dump;
mod limits;
mod measure;
mod modules;
mod name;
mod spirv;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use device::Device;
use dump::Kernel;
use limits::{KnownMiss, Missed};
use table::Row;

const USAGE: &str = "usage: gpu-check [--markdown] [--assembly FOLDER] DUMP...
  DUMP               what `kiln dump MODEL --target gpu --stage wgsl` prints
  --markdown         a line of Markdown for each family and tile, not one for each kernel
  --assembly FOLDER  write the machine code of each kernel to a file in FOLDER
or:    gpu-check --spirv FOLDER KERNELS
  KERNELS            a folder of kernels (`.wgsl`), which are only translated to SPIR-V, into FOLDER";

struct Arguments {
    markdown: bool,
    assembly: Option<PathBuf>,
    spirv: Option<PathBuf>,
    dumps: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("gpu-check: {message}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { markdown: false, assembly: None, spirv: None, dumps: Vec::new() };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--markdown" => found.markdown = true,
            "--assembly" => found.assembly = Some(given.next().ok_or(USAGE)?.into()),
            "--spirv" => found.spirv = Some(given.next().ok_or(USAGE)?.into()),
            option if option.starts_with("--") => return Err(format!("`{option}` is unknown\n{USAGE}")),
            dump => found.dumps.push(dump.into()),
        }
    }
    if found.dumps.is_empty() { Err(USAGE.to_owned()) } else { Ok(found) }
}

/// Whether all kernels keep to the limits, or are known not to.
fn run() -> Result<bool, String> {
    let arguments = arguments()?;
    if let Some(to) = &arguments.spirv {
        let mut count = 0;
        for folder in &arguments.dumps {
            count += modules::write(folder, to)?;
        }
        println!("{count} kernels as SPIR-V in {}", to.display());
        return Ok(true);
    }
    let mut dumps = Vec::new();
    for path in &arguments.dumps {
        dumps.push(std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    let kernels = dump::kernels(&dumps);
    if kernels.is_empty() {
        return Err("there are no kernels in these files".to_owned());
    }
    let device = Device::open()?;
    let mut rows = Vec::new();
    let mut misses = Vec::new();
    for (number, kernel) in kernels.iter().enumerate() {
        let (measured, assembly) = measure::measure(&device, kernel)
            .map_err(|message| format!("the kernel `{}`: {message}", kernel.name))?;
        if let Some(folder) = &arguments.assembly {
            keep(folder, number, kernel, &assembly)?;
        }
        let missed = limits::missed(&kernel.name, &measured);
        let mark = match missed.iter().any(|missed| missed.known.is_none()) {
            true => '!',
            false if missed.is_empty() => ' ',
            false => '?',
        };
        rows.push(Row { kernel, measured, mark });
        misses.extend(missed.into_iter().map(|missed| (kernel.name.as_str(), missed)));
    }
    if arguments.markdown {
        print!("{}", table::families(&rows));
    } else {
        let names: Vec<String> = arguments.dumps.iter().map(|path| stem(path)).collect();
        println!("{} kernels for {}", kernels.len(), device.name());
        print!("{}", table::all(&rows, &names));
    }
    Ok(report(&misses))
}

/// Prints which limits are missed. Good is that all of these are known, and that all known ones still are.
fn report(misses: &[(&str, Missed)]) -> bool {
    let unknown = misses.iter().filter(|(_, missed)| missed.known.is_none());
    let mut good = true;
    println!();
    for (kernel, Missed { limit, .. }) in unknown {
        good = false;
        println!("MISSED {kernel}: {limit}");
    }
    for known in limits::KNOWN_MISSES {
        let count = misses.iter().filter(|(_, missed)| missed.known == Some(known)).count();
        let KnownMiss { start, share, reason } = known;
        if count == 0 {
            good = false;
            println!("no kernel `{start}...` is excused any longer: remove it from KNOWN_MISSES");
        } else {
            println!("known: {count} x {start}..., at least {:.0} % multiply-adds: {reason}", 100.0 * share);
        }
    }
    good
}

fn keep(folder: &Path, number: usize, kernel: &Kernel, assembly: &str) -> Result<(), String> {
    let path = folder.join(format!("{number:03}_{}.txt", kernel.name));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, assembly))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
