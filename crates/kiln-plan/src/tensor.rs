//! Sizes and addresses of tensors: how many elements there are, and where in memory each is stored.

use crate::{DType, Layout, Storage, Tensor};

impl DType {
    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::Bool => "bool",
        }
    }

    /// Whether the runtime can convert between this and the type in memory.
    pub fn fits(self, storage: Storage) -> bool {
        match self {
            Self::F32 => storage == Storage::F32,
            Self::F16 => matches!(storage, Storage::F32 | Storage::F16),
            Self::F64 => storage == Storage::F64,
            Self::I64 => matches!(storage, Storage::I32 | Storage::U32 | Storage::I64),
            Self::I32 | Self::U8 | Self::I8 | Self::U16 | Self::I16 | Self::U32 | Self::Bool => {
                matches!(storage, Storage::I32 | Storage::U32)
            }
        }
    }
}

impl Storage {
    /// The name as WGSL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::F16 => "f16",
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> u64 {
        match self {
            Self::F16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

impl Layout {
    /// Row-major without padding.
    pub fn dense(rank: usize) -> Self {
        Self { order: (0..rank).collect(), lanes: 1 }
    }

    /// Whether elements lie one after the other in row-major order, whatever the shape.
    pub fn is_dense(&self) -> bool {
        self.lanes == 1 && self.order.iter().enumerate().all(|(i, axis)| i == *axis)
    }

    /// For each dimension the distance in elements between neighbours, and the number of elements with
    /// padding. `None` if `order` is no order of the dimensions, or a number overflows.
    pub fn strides(&self, shape: &[usize]) -> Option<(Vec<usize>, usize)> {
        if self.order.len() != shape.len() {
            return None;
        }
        let mut strides = vec![None; shape.len()];
        let mut step = 1usize;
        for (i, axis) in self.order.iter().rev().enumerate() {
            let size = *shape.get(*axis)?;
            let size = if i == 0 { size.checked_next_multiple_of(self.lanes)? } else { size };
            if strides.get_mut(*axis)?.replace(step).is_some() {
                return None;
            }
            step = step.checked_mul(size)?;
        }
        Some((strides.into_iter().collect::<Option<_>>()?, step))
    }
}

impl Tensor {
    /// The shape for the given values of the symbols; `None` if a dimension is negative.
    pub fn shape_at(&self, symbols: &[i64]) -> Option<Vec<usize>> {
        self.shape.iter().map(|dim| usize::try_from(dim.eval(symbols)).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_follow_order_and_padding() {
        // (order, lanes, shape, strides, elements)
        type Case = (&'static [usize], usize, &'static [usize], Option<(&'static [usize], usize)>);
        let cases: &[Case] = &[
            (&[], 1, &[], Some((&[], 1))),
            (&[], 4, &[], Some((&[], 1))),
            (&[0, 1], 1, &[2, 3], Some((&[3, 1], 6))),
            (&[0, 1], 4, &[2, 3], Some((&[4, 1], 8))),
            (&[0, 2, 3, 1], 4, &[2, 3, 5, 7], Some((&[140, 1, 28, 4], 280))),
            (&[1, 0], 1, &[0, 3], Some((&[1, 0], 0))),
            (&[0, 0], 1, &[2, 3], None),
            (&[0, 2], 1, &[2, 3], None),
            (&[0], 1, &[2, 3], None),
            (&[0, 1], 1, &[usize::MAX, 3], None),
            (&[0], 4, &[usize::MAX], None),
        ];
        for (order, lanes, shape, expected) in cases {
            let layout = Layout { order: order.to_vec(), lanes: *lanes };
            let expected = expected.map(|(strides, count)| (strides.to_vec(), count));
            assert_eq!(layout.strides(shape), expected, "{order:?} x{lanes} of {shape:?}");
        }
    }
}
