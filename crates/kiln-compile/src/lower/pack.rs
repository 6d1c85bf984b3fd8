//! Constants as bytes in the layout that a kernel reads.

use kiln_graph::{DType, Data, Dim, Tensor, ValueId};
use kiln_plan::Layout;

use super::context::{Contents, Context, StorageId};
use crate::error::CompileError;
use crate::layout;

/// Weights in a layout, with one more axis padded to a multiple of four.
pub struct Packed {
    layout: Layout,
    padded: usize,
    storage: StorageId,
}

impl Context<'_> {
    /// The memory of a weight in `layout`, its size along `padded` rounded up to four with zeros. Only constants can
    /// be padded; others are laid out as they are.
    pub fn packed(&mut self, id: ValueId, layout: &Layout, padded: usize) -> Result<StorageId, CompileError> {
        let known = self.packed.get(&id).into_iter().flatten();
        if let Some(packed) = known.into_iter().find(|p| p.layout == *layout && p.padded == padded) {
            return Ok(packed.storage);
        }
        let Some(tensor) = self.graph.as_constant(id) else {
            let placed = self.version(id, layout)?;
            return Ok(self.placed[placed].storage);
        };
        let name = self.graph.value(id).name.clone();
        let bytes = pack(tensor, layout, Some(padded), &name)?;
        let size = Dim::from(bytes.len());
        let storage = self.allocate(&name, size, Contents::Weights(bytes));
        self.packed.entry(id).or_default().push(Packed { layout: layout.clone(), padded, storage });
        Ok(storage)
    }
}

/// A constant's bytes in `layout`, four bytes an element; the size along `padded` is rounded up to four with zeros.
pub fn pack(
    tensor: &Tensor,
    layout: &Layout,
    padded: Option<usize>,
    name: &str,
) -> Result<Vec<u8>, CompileError> {
    let words: Vec<u32> = match tensor.data() {
        Data::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
        Data::F16(v) => v.iter().map(|x| x.to_f32().to_bits()).collect(),
        Data::F64(_) => return Err(CompileError::DType { value: name.into(), dtype: DType::F64 }),
        Data::I32(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
        Data::I64(v) => v
            .iter()
            .map(|x| i32::try_from(*x).map(i32::cast_unsigned))
            .collect::<Result<_, _>>()
            .map_err(|_| CompileError::DType { value: name.into(), dtype: DType::I64 })?,
        Data::U8(v) => v.iter().map(|x| u32::from(*x)).collect(),
        Data::Bool(v) => v.iter().map(|x| u32::from(*x)).collect(),
    };
    let shape = tensor.shape();
    let dims: Vec<Dim> = shape
        .iter()
        .enumerate()
        .map(|(axis, n)| if Some(axis) == padded { n.next_multiple_of(4) } else { *n })
        .map(Dim::from)
        .collect();
    let strides: Vec<usize> =
        layout::strides(layout, &dims).iter().map(|s| s.as_usize().unwrap_or(0)).collect();
    let size = layout::elements(layout, &dims).as_usize().unwrap_or(0);
    let mut out = vec![0u32; size.next_multiple_of(4)];
    let mut index = vec![0usize; shape.len()];
    let mut at = 0;
    for word in words {
        out[at] = word;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    Ok(bytemuck::cast_slice(&out).to_vec())
}
