//! WGSL to SPIR-V, with the options that wgpu 30 uses for a Vulkan 1.3 device with `robustBufferAccess2`.

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage};

/// A kernel for the driver.
pub struct Spirv {
    pub words: Vec<u32>,
    pub entry_point: String,
    pub buffers: Vec<Buffer>,
}

/// A buffer that is bound to a kernel.
pub struct Buffer {
    pub group: u32,
    pub binding: u32,
    pub uniform: bool,
}

/// Translates one kernel.
pub fn translate(wgsl: &str) -> Result<Spirv, String> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(wgsl))?;
    let words = spv::write_vec(&module, &info, &options(), None).map_err(|error| error.to_string())?;
    let entry_point = match &module.entry_points[..] {
        [entry] if entry.stage == ShaderStage::Compute => entry.name.clone(),
        _ => return Err("a kernel has one entry point, which computes".to_owned()),
    };
    Ok(Spirv { words, entry_point, buffers: buffers(&module)? })
}

fn options() -> spv::Options<'static> {
    spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS,
        // There is no map of bindings: they are those of the source.
        fake_missing_bindings: true,
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            // The device checks these itself.
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::Native,
        force_loop_bounding: true,
        emit_int_div_checks: true,
        ..Default::default()
    }
}

fn buffers(module: &naga::Module) -> Result<Vec<Buffer>, String> {
    let mut found = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = variable.binding else { continue };
        let uniform = match variable.space {
            AddressSpace::Uniform => true,
            AddressSpace::Storage { .. } => false,
            other => {
                return Err(format!("`{}` is bound, but is not a buffer: {other:?}", name(variable)));
            }
        };
        found.push(Buffer { group: binding.group, binding: binding.binding, uniform });
    }
    Ok(found)
}

fn name(variable: &naga::GlobalVariable) -> &str {
    variable.name.as_deref().unwrap_or("a variable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_follow_from_the_source() {
        let wgsl = "@group(0) @binding(1) var<uniform> n: u32;
            @group(1) @binding(0) var<storage, read_write> out: array<u32>;
            @compute @workgroup_size(64) fn work() { out[0] = n; }";
        let spirv = translate(wgsl).unwrap();
        assert_eq!(spirv.entry_point, "work");
        let shown: Vec<_> = spirv.buffers.iter().map(|b| (b.group, b.binding, b.uniform)).collect();
        assert_eq!(shown, [(0, 1, true), (1, 0, false)]);
    }

    #[test]
    fn what_is_wrong_is_a_message() {
        let message = translate("fn main() -> u32 { return 1.5; }").err().unwrap();
        assert!(message.contains("1.5"), "{message}");
    }
}
