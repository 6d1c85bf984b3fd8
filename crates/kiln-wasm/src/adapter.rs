//! What a page says of its adapter, and the target that it is.

use std::collections::BTreeMap;

use kiln::Target;
use serde::Deserialize;

/// An adapter of WebGPU: `GPUAdapterInfo`, limits and features.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Adapter {
    /// `nvidia`, `apple`, `google` (its software driver).
    pub vendor: String,
    /// `ampere`, `swiftshader`.
    pub architecture: String,
    /// What the vendor calls the device, where the browser says it.
    pub device: String,
    /// The name in words, where the browser says it.
    pub description: String,
    /// Whether it is a software driver.
    pub is_fallback: bool,
    /// The smallest subgroup.
    pub subgroup_min_size: Option<u32>,
    /// The largest subgroup.
    pub subgroup_max_size: Option<u32>,
    /// Features by WebGPU's names.
    pub features: Vec<String>,
    /// Limits by WebGPU's names.
    pub limits: BTreeMap<String, u64>,
}

/// Makers of graphics processors, as browsers write them, whose drivers run loops to their end.
const MAKERS: &[&str] = &["amd", "apple", "arm", "img-tec", "intel", "nvidia", "qualcomm", "samsung"];

/// Those whose workgroup memory is memory like any other.
const MOBILE: &[&str] = &["arm", "img-tec", "qualcomm", "samsung"];

impl Adapter {
    /// The target: software drivers as they are known, graphics processors of known makers with their limits, and
    /// `portable` for everything else.
    pub fn target(&self) -> Target {
        let is_called = |name: &str| {
            [&self.architecture, &self.device, &self.description]
                .iter()
                .any(|text| text.to_ascii_lowercase().contains(name))
        };
        let subgroups = self.fixed_subgroups();
        if is_called("swiftshader") {
            return match subgroups {
                Some(4) => Target::swiftshader(),
                _ => Target::cpu(),
            };
        }
        if is_called("llvmpipe") || self.is_fallback {
            let known = Target { subgroup_size: subgroups, ..Target::lavapipe() };
            return if subgroups.is_some() { known } else { Target::cpu() };
        }
        let vendor = self.vendor.to_ascii_lowercase();
        if !MAKERS.contains(&&*vendor) {
            return Target::portable();
        }
        let said = [&self.description, &self.device].into_iter().find(|text| !text.is_empty());
        let name = said.map_or_else(|| format!("{vendor} {}", self.architecture), String::clone);
        let gpu = Target::gpu();
        let like = gpu.as_fast_as(&name).unwrap_or_else(|| gpu.clone());
        let limit = |name: &str, usual: u64| self.limits.get(name).copied().unwrap_or(usual).max(usual);
        let small = |name: &str, usual: u32| u32::try_from(limit(name, usual.into())).unwrap_or(u32::MAX);
        Target {
            own_workgroup_memory: !MOBILE.contains(&&*vendor) && Target::has_own_workgroup_memory(&name),
            subgroup_size: subgroups,
            max_storage_buffer_binding_size: limit(
                "maxStorageBufferBindingSize",
                gpu.max_storage_buffer_binding_size,
            ),
            max_buffer_size: limit("maxBufferSize", gpu.max_buffer_size),
            max_storage_buffers_per_shader_stage: small(
                "maxStorageBuffersPerShaderStage",
                gpu.max_storage_buffers_per_shader_stage,
            ),
            max_compute_workgroup_storage_size: small(
                "maxComputeWorkgroupStorageSize",
                gpu.max_compute_workgroup_storage_size,
            ),
            max_compute_invocations_per_workgroup: small(
                "maxComputeInvocationsPerWorkgroup",
                gpu.max_compute_invocations_per_workgroup,
            ),
            float16: self.has("shader-f16"),
            name,
            ..like
        }
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|other| other == feature)
    }

    /// The size of all subgroups, if there is one and kernels may use them.
    fn fixed_subgroups(&self) -> Option<u32> {
        let is_fixed = self.has("subgroups") && self.subgroup_min_size == self.subgroup_max_size;
        self.subgroup_min_size.filter(|size| is_fixed && *size > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(vendor: &str, architecture: &str, subgroups: [u32; 2]) -> Adapter {
        Adapter {
            vendor: vendor.into(),
            architecture: architecture.into(),
            subgroup_min_size: Some(subgroups[0]),
            subgroup_max_size: Some(subgroups[1]),
            features: vec!["subgroups".into(), "shader-f16".into()],
            limits: [("maxComputeWorkgroupStorageSize".into(), 32 << 10), ("maxBufferSize".into(), 1)].into(),
            ..Adapter::default()
        }
    }

    #[test]
    fn software_drivers_are_known() {
        assert_eq!(adapter("google", "swiftshader", [4, 4]).target(), Target::swiftshader());
        let without = Adapter { features: vec![], ..adapter("google", "swiftshader", [4, 4]) };
        assert_eq!(without.target(), Target::cpu());
        let mesa = Adapter { description: "llvmpipe (LLVM 19)".into(), ..adapter("mesa", "", [8, 8]) };
        assert_eq!(mesa.target(), Target::lavapipe());
        let other = Adapter { is_fallback: true, features: vec![], ..adapter("microsoft", "warp", [4, 128]) };
        assert_eq!(other.target(), Target::cpu());
    }

    #[test]
    fn graphics_processors_have_their_limits() {
        let card = adapter("nvidia", "ampere", [32, 32]).target();
        assert_eq!((card.name.as_str(), card.subgroup_size), ("nvidia ampere", Some(32)));
        assert_eq!(card.max_compute_workgroup_storage_size, 32 << 10);
        // No device has less than what WebGPU promises.
        assert_eq!(card.max_buffer_size, Target::gpu().max_buffer_size);
        assert!(card.float16 && card.own_workgroup_memory);
        let named = Adapter { description: "Apple M2 Max".into(), ..adapter("apple", "metal-3", [4, 64]) };
        assert_eq!((named.target().cores, named.target().subgroup_size), (38, None));
        assert!(!adapter("qualcomm", "adreno-7xx", [64, 64]).target().own_workgroup_memory);
    }

    #[test]
    fn what_is_not_known_is_portable() {
        assert_eq!(adapter("", "", [32, 32]).target(), Target::portable());
        assert_eq!(adapter("someone", "", [32, 32]).target(), Target::portable());
    }
}
