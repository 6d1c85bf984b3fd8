//! `kiln devices`

use std::process::ExitCode;

use clap::Args;
use kiln::tune::known_target_of;
use kiln::{Capabilities, DeviceOptions, Target};
use miette::{IntoDiagnostic, Result};
use serde_json::json;

use crate::table::{Align, Table, bytes};
use crate::terminal;

/// Arguments of `kiln devices`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists adapters; the first is the one that is used.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let devices = kiln::adapters(&DeviceOptions::from_env()).into_diagnostic()?;
    if arguments.json {
        let list: Vec<_> = devices.iter().map(as_json).collect();
        terminal::show_json("devices", json!({ "devices": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if devices.is_empty() {
        // Opening one says what is missing and what would help.
        kiln::default_device().into_diagnostic()?;
    }
    let mut table = Table::new(&[
        ("", Align::Left),
        ("device", Align::Left),
        ("backend", Align::Left),
        ("kind", Align::Left),
        ("subgroups", Align::Left),
        ("f16", Align::Left),
        ("timestamps", Align::Left),
        ("buffer", Align::Right),
        ("binding", Align::Right),
    ]);
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    for (n, device) in devices.iter().enumerate() {
        let subgroups = match (device.subgroups, device.subgroup_min_size, device.subgroup_max_size) {
            (false, ..) => "no".to_owned(),
            (true, min, max) if min == max => min.to_string(),
            (true, min, max) => format!("{min} to {max}"),
        };
        table.row([
            if n == 0 { "*" } else { "" }.to_owned(),
            device.name.clone(),
            device.backend.to_owned(),
            device.kind.name().to_owned(),
            subgroups,
            yes(device.shader_f16),
            yes(device.timestamps),
            bytes(device.max_buffer_size),
            bytes(device.max_storage_buffer_binding_size),
        ]);
    }
    show!("{table}")?;
    let mut speeds = Table::new(&[
        ("device", Align::Left),
        ("cores", Align::Right),
        ("GFLOP/s", Align::Right),
        ("GB/s", Align::Right),
        ("launch us", Align::Right),
        ("known from", Align::Left),
    ]);
    for device in &devices {
        let (target, source) = known_target_of(device);
        speeds.row([
            device.name.clone(),
            target.cores.to_string(),
            format!("{:.0}", gigaflops(&target)),
            target.bandwidth.to_string(),
            format!("{:.1}", f64::from(target.launch) / 1e3),
            source.name().to_owned(),
        ]);
    }
    showln!("\nWhat kernels are ranked by:")?;
    show!("{speeds}")?;
    note!(
        "* is used; WGPU_BACKEND and WGPU_ADAPTER_NAME choose another. `kiln tune` measures kernels instead."
    );
    Ok(ExitCode::SUCCESS)
}

/// Two operations for each multiply-add, GFLOP/s.
fn gigaflops(target: &Target) -> f64 {
    2e-3 * f64::from(target.cores) * f64::from(target.lanes) * f64::from(target.clock)
}

fn as_json(device: &Capabilities) -> serde_json::Value {
    let (target, source) = known_target_of(device);
    json!({
        "cores": target.cores,
        "gigaflops": gigaflops(&target),
        "gigabytes_per_second": target.bandwidth,
        "launch_nanoseconds": target.launch,
        "speed_known_from": source.name(),
        "name": device.name,
        "backend": device.backend,
        "kind": device.kind.name(),
        "driver": device.driver,
        "driver_info": device.driver_info,
        "subgroups": device.subgroups,
        "subgroup_min_size": device.subgroup_min_size,
        "subgroup_max_size": device.subgroup_max_size,
        "shader_f16": device.shader_f16,
        "shader_int64": device.shader_int64,
        "shader_float64": device.shader_float64,
        "timestamps": device.timestamps,
        "cooperative_matrix": device.cooperative_matrix,
        "max_buffer_size": device.max_buffer_size,
        "max_storage_buffer_binding_size": device.max_storage_buffer_binding_size,
        "max_storage_buffers_per_shader_stage": device.max_storage_buffers_per_shader_stage,
        "max_compute_workgroup_storage_size": device.max_compute_workgroup_storage_size,
        "max_compute_invocations_per_workgroup": device.max_compute_invocations_per_workgroup,
        "max_loop_iterations": device.max_loop_iterations,
    })
}
