//! What a plan takes in memory.

/// Bytes on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Weights and other constants.
    pub weights: u64,
    /// What is kept from run to run: in training parameters, statistics, moments.
    pub states: u64,
    /// All arenas: inputs, activations, outputs; programs use the same.
    pub activations: u64,
    /// The largest sum of activations that are needed at the same time; no plan can do with less.
    pub largest_live_set: u64,
}

impl MemoryReport {
    /// All bytes of the plan on the device.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.states).saturating_add(self.activations)
    }
}
