//! Memory, counted before it is allocated: drivers allocate more than there is and fail later.

use kiln_plan::{BufferKind, Plan};

use crate::adapters::{Capabilities, DeviceKind};
use crate::device::Device;
use crate::error::RuntimeError;
use crate::steps;

/// What a plan takes on a device, in bytes.
pub(crate) struct Needs {
    pub weights: u64,
    pub arenas: u64,
    pub total: u64,
}

pub(crate) fn needs(plan: &Plan) -> Needs {
    let mut needs = Needs { weights: 0, arenas: 0, total: 0 };
    for buffer in &plan.buffers {
        let sum = match buffer.kind {
            BufferKind::Weights | BufferKind::State => &mut needs.weights,
            BufferKind::Arena => &mut needs.arenas,
        };
        *sum = sum.saturating_add(buffer.size);
    }
    let params = plan.programs.iter().map(|program| steps::params_places(plan, program).1).sum::<u64>();
    let outputs = |program: &kiln_plan::Program| {
        let read = |output: &'_ kiln_plan::OutputRef| {
            let sizes: Vec<usize> = output.sizes.iter().map(|size| size.tensor).collect();
            std::iter::once(output.tensor).chain(sizes)
        };
        let tensors = program.outputs.iter().flat_map(read).filter_map(|index| plan.tensors.get(index));
        tensors.fold(0u64, |sum, tensor| sum.saturating_add(tensor.place.size))
    };
    let staging = plan.programs.iter().map(outputs).max().unwrap_or(0);
    needs.total = [needs.weights, needs.arenas, params, staging].into_iter().fold(0, u64::saturating_add);
    needs
}

pub(crate) fn check(
    needs: &Needs,
    capabilities: &Capabilities,
    limit: Option<u64>,
) -> Result<(), RuntimeError> {
    let free = || if capabilities.kind == DeviceKind::Cpu { kiln_files::free() } else { None };
    match limit.or_else(free) {
        Some(available) if needs.total > available => {
            Err(RuntimeError::Memory { needs: needs.total, available })
        }
        _ => Ok(()),
    }
}

/// Does something that allocates, its errors as ours.
pub(crate) fn guarded<T>(
    device: &Device,
    doing: &'static str,
    needs: u64,
    work: impl FnOnce() -> Result<T, RuntimeError>,
) -> Result<T, RuntimeError> {
    match device.scoped(work) {
        Ok(result) => result,
        Err(wgpu::Error::OutOfMemory { .. }) => Err(RuntimeError::OutOfMemory { doing, needs }),
        Err(error) => {
            device.fault(doing, needs)?;
            Err(device.failed(doing, error.to_string()))
        }
    }
}
