//! Devices by name: what their makers say of them, for plans that are made elsewhere and for devices that are found to be one
//! of them. Cores, lanes, clocks and bandwidths are those of data sheets (NVIDIA, AMD, Intel) and of the makers'
//! announcements (Apple, Qualcomm, Arm); the time of a launch is what dispatches that wait for one another take in general
//! on such devices. Lavapipe and SwiftShader were measured.

use super::{DeviceClass, Target};

/// A device that is known.
struct Profile {
    /// What `--target` calls it.
    name: &'static str,
    /// What it is.
    description: &'static str,
    /// What adapters are called that are one: a part of the name.
    adapter: &'static str,
    /// Cores, lanes of a core, MHz, GB/s.
    speed: [u32; 4],
    /// Nanoseconds of a launch.
    launch: u32,
    /// The subgroup size, where drivers have a fixed one.
    subgroup_size: Option<u32>,
    /// Bytes of workgroup memory.
    workgroup_memory: u32,
    /// See [`Target::own_workgroup_memory`].
    own_workgroup_memory: bool,
}

/// Families of devices whose workgroup memory is memory like any other, by parts of adapters' names.
const MOBILE: &[&str] = &["Adreno", "Mali", "PowerVR"];

const KIB: u32 = 1 << 10;

/// Of two that fit an adapter's name, the one with the longer name counts.
const PROFILES: &[Profile] = &[
    gpu("rtx-3060", "NVIDIA GeForce RTX 3060", "RTX 3060", [28, 128, 1777, 360]).of_nvidia(),
    gpu("rtx-3070", "NVIDIA GeForce RTX 3070", "RTX 3070", [46, 128, 1725, 448]).of_nvidia(),
    gpu("rtx-3090", "NVIDIA GeForce RTX 3090", "RTX 3090", [82, 128, 1695, 936]).of_nvidia(),
    gpu("rtx-4060", "NVIDIA GeForce RTX 4060", "RTX 4060", [24, 128, 2460, 272]).of_nvidia(),
    gpu("rtx-4070", "NVIDIA GeForce RTX 4070", "RTX 4070", [46, 128, 2475, 504]).of_nvidia(),
    gpu("rtx-4090", "NVIDIA GeForce RTX 4090", "RTX 4090", [128, 128, 2520, 1008]).of_nvidia(),
    gpu("rtx-5070", "NVIDIA GeForce RTX 5070", "RTX 5070", [48, 128, 2512, 672]).of_nvidia(),
    gpu("a100", "NVIDIA A100", "A100", [108, 64, 1410, 1555]).of_nvidia(),
    gpu("h200", "NVIDIA H200", "H200", [132, 128, 1980, 4800]).of_nvidia(),
    gpu("rx-6600", "AMD Radeon RX 6600", "RX 6600", [28, 64, 2491, 224]),
    gpu("rx-6800", "AMD Radeon RX 6800", "RX 6800", [60, 64, 2105, 512]),
    gpu("rx-7900-xtx", "AMD Radeon RX 7900 XTX", "RX 7900 XTX", [96, 64, 2500, 960]),
    gpu("arc-a770", "Intel Arc A770", "A770", [32, 128, 2100, 560]),
    gpu("iris-xe", "Intel Iris Xe, in a processor", "Iris(R) Xe", [12, 64, 1300, 68]),
    gpu("apple-m1", "Apple M1", "Apple M1", [8, 128, 1278, 68]),
    gpu("apple-m2", "Apple M2", "Apple M2", [10, 128, 1398, 100]),
    gpu("apple-m2-max", "Apple M2 Max, 38 cores", "Apple M2 Max", [38, 128, 1398, 400]),
    gpu("apple-m4-max", "Apple M4 Max, 40 cores", "Apple M4 Max", [40, 128, 1578, 546]),
    gpu("adreno-740", "Qualcomm Adreno 740", "Adreno (TM) 740", [6, 256, 680, 67]).mobile(),
    gpu("mali-g710", "Arm Mali-G710, 10 cores", "Mali-G710", [10, 64, 850, 51]).mobile(),
];

const fn gpu(
    name: &'static str,
    description: &'static str,
    adapter: &'static str,
    speed: [u32; 4],
) -> Profile {
    Profile {
        name,
        description,
        adapter,
        speed,
        launch: 5000,
        subgroup_size: None,
        workgroup_memory: 32 * KIB,
        own_workgroup_memory: true,
    }
}

impl Profile {
    const fn of_nvidia(self) -> Self {
        Self { subgroup_size: Some(32), workgroup_memory: 48 * KIB, ..self }
    }

    const fn mobile(self) -> Self {
        Self { launch: 20_000, own_workgroup_memory: false, ..self }
    }

    fn target(&self) -> Target {
        let limits = Target {
            subgroup_size: self.subgroup_size,
            max_compute_workgroup_storage_size: self.workgroup_memory,
            ..Target::gpu()
        };
        Target { name: self.name.into(), ..self.speed_of(limits) }
    }

    /// A target that is as fast.
    fn speed_of(&self, target: Target) -> Target {
        let [cores, lanes, clock, bandwidth] = self.speed;
        let Self { launch, own_workgroup_memory, .. } = *self;
        Target { cores, lanes, clock, bandwidth, launch, own_workgroup_memory, ..target }
    }
}

/// Targets that stand for no device in particular.
type Made = (&'static str, &'static str, fn() -> Target);

const GENERAL: &[Made] = &[
    (
        "portable",
        "Any device: kernels for GPUs within the limits that WebGPU promises, which software drivers run, too",
        Target::portable,
    ),
    (
        "gpu",
        "A GPU within the limits that WebGPU promises, whose driver runs loops of any length",
        Target::gpu,
    ),
    ("gpu-subgroups", "A GPU with 32 KiB of workgroup memory and subgroups of 32", Target::gpu_subgroups),
    ("cpu", "A software driver without subgroups of a fixed size", Target::cpu),
    ("lavapipe", "Mesa's software driver, on a CPU with vectors of eight", Target::lavapipe),
    ("swiftshader", "The software driver of Chromium, with subgroups of four", Target::swiftshader),
];

impl Target {
    /// SwiftShader, the software driver of Chromium, within WebGPU's limits.
    pub fn swiftshader() -> Self {
        Self { name: "swiftshader".into(), subgroup_size: Some(4), ..Self::cpu() }
    }

    /// The names of all targets, with a line about each.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
        let general = GENERAL.iter().map(|(name, description, _)| (*name, *description));
        general.chain(PROFILES.iter().map(|profile| (profile.name, profile.description)))
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        let general = GENERAL.iter().find(|(other, ..)| *other == name).map(|(.., made)| made());
        general.or_else(|| PROFILES.iter().find(|profile| profile.name == name).map(Profile::target))
    }

    /// Whether the cores of the device that an adapter's name stands for have workgroup memory of their own.
    pub fn has_own_workgroup_memory(adapter: &str) -> bool {
        !MOBILE.iter().any(|name| adapter.contains(name))
    }

    /// With the speed of the device that an adapter's name says it is; `None` where that is not known.
    pub fn as_fast_as(&self, adapter: &str) -> Option<Self> {
        if self.class == DeviceClass::Cpu {
            // The numbers of software drivers do not depend on the processor: they rank kernels.
            return Some(self.clone());
        }
        let fits = PROFILES.iter().filter(|profile| adapter.contains(profile.adapter));
        let profile = fits.max_by_key(|profile| profile.adapter.len())?;
        Some(profile.speed_of(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_their_targets() {
        let names: Vec<&str> = Target::names().map(|(name, _)| name).collect();
        for name in &names {
            assert_eq!(Target::named(name).map(|target| target.name).as_deref(), Some(*name));
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
        assert_eq!(Target::named("h100"), None);
    }

    #[test]
    fn adapters_are_as_fast_as_their_makers_say() {
        let cores = |adapter: &str| Target::gpu().as_fast_as(adapter).map(|target| target.cores);
        assert_eq!(cores("NVIDIA GeForce RTX 3060 Laptop GPU"), Some(28));
        assert_eq!(cores("Apple M2"), Some(10));
        assert_eq!(cores("Apple M2 Max"), Some(38));
        assert_eq!(cores("Mesa Intel(R) Iris(R) Xe Graphics (TGL GT2)"), Some(12));
        assert_eq!(cores("Some other GPU"), None);
        let own = |adapter: &str| Target::gpu().as_fast_as(adapter).map(|target| target.own_workgroup_memory);
        for adapter in ["Adreno (TM) 740", "Mali-G710", "Apple M2", "AMD Radeon RX 6800"] {
            assert_eq!(own(adapter), Some(Target::has_own_workgroup_memory(adapter)), "{adapter}");
        }
        assert_eq!(Target::lavapipe().as_fast_as("llvmpipe"), Some(Target::lavapipe()));
    }
}
