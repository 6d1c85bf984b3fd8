//! Constants as bytes in the order that a kernel reads them.

use std::ops::Range;

use half::f16;
use kiln_graph::{Data, Dim, Tensor};
use kiln_plan::{Layout, Storage};

use super::buffer::BufferId;
use crate::element::{Packing, WordOf};
use crate::layout;
use crate::passes::constant::bytes_from;

/// The right matrix of a product as panels: as wide as a tile, each contiguous, so that a kernel reads in a straight
/// line. `k` is rounded up to four and columns to the width of the tile, with zeros.
///
/// A matrix of `k = 3` and five columns for tiles of four columns becomes two panels:
///
/// ```text
///   b00 b01 b02 b03 | b04        panel 0: b00 b01 b02 b03  b10 b11 b12 b13  b20 b21 b22 b23  0 0 0 0
///   b10 b11 b12 b13 | b14        panel 1: b04  0   0   0   b14  0   0   0   b24  0   0   0   0 0 0 0
///   b20 b21 b22 b23 | b24
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedShape {
    /// Groups of columns that have panels of their own.
    pub groups: usize,
    /// The axis that is the columns.
    pub column_axis: usize,
    /// The axes that k runs over, slowest first; the last is the one that is rounded up.
    pub k_axes: Vec<usize>,
    /// Columns of a tile, in elements.
    pub width: usize,
    /// What words of 8-bit numbers are made of.
    pub word_of: WordOf,
}

/// Panels that can be bound at once.
#[derive(Clone, Debug)]
pub(crate) struct PackedWeights {
    /// The buffer.
    pub buffer: BufferId,
    /// Which of the column tiles (of all groups) they are.
    pub tiles: Range<usize>,
}

impl PackedShape {
    /// Size along k for a tensor of `shape`.
    pub(crate) fn depth(&self, shape: &[usize]) -> usize {
        let sizes = self.k_axes.iter().map(|axis| shape[*axis]);
        let last = self.k_axes.last().map_or(1, |axis| shape[*axis]);
        sizes.product::<usize>() / last.max(1) * last.next_multiple_of(4)
    }

    /// Column tiles of one group.
    pub(crate) fn tiles(&self, shape: &[usize]) -> usize {
        (shape[self.column_axis] / self.groups).div_ceil(self.width)
    }
}

/// A constant as panels.
pub(crate) struct Panels {
    /// In memory.
    pub bytes: Vec<u8>,
    /// Bytes of an element.
    pub element: usize,
    /// How they are numbers of 8 bits, if they are.
    pub packed: Option<Packing>,
}

/// A constant as panels, of whole numbers of 8 bits where it is made of such; nothing if its elements do not fit the type
/// that they are stored in.
pub(crate) fn pack_panels(tensor: &Tensor, element: Storage, shape: &PackedShape) -> Option<Panels> {
    let (bytes, packed) = match (element, tensor.data()) {
        (Storage::F16, _) => (panels(&halves(tensor)?, tensor.shape(), shape, f16::ZERO), None),
        _ => match pack_bytes(tensor, element, shape) {
            Some((bytes, from)) => (bytes, Some(Packing { from, word_of: shape.word_of })),
            None => (panels(&words(tensor)?, tensor.shape(), shape, 0), None),
        },
    };
    let element = if packed.is_some() { 1 } else { usize::try_from(element.size()).unwrap_or(1) };
    Some(Panels { bytes, element, packed })
}

/// Columns come in fours, so a word has four neighbouring ones; terms do, too, if it is to have these.
fn pack_bytes(tensor: &Tensor, element: Storage, shape: &PackedShape) -> Option<(Vec<u8>, i32)> {
    if !matches!(element, Storage::F32 | Storage::I32) {
        return None;
    }
    let from = bytes_from(tensor)?;
    let byte = |number: f64| (number - f64::from(from)) as i8;
    let bytes: Vec<i8> = tensor.to_f64().into_iter().map(byte).collect();
    let bytes = panels(&bytes, tensor.shape(), shape, byte(0.0));
    Some((if shape.word_of == WordOf::Terms { words_of_terms(&bytes, shape.width) } else { bytes }, from))
}

/// From lines of terms, each with `width` columns, to lines of words of four terms of a column.
fn words_of_terms(bytes: &[u8], width: usize) -> Vec<u8> {
    let lines = bytes.chunks_exact(4 * width.max(1));
    lines.flat_map(|four| (0..4 * width).map(|i| four[i % 4 * width + i / 4])).collect()
}

/// `[group][tile][k][columns of the tile]`
fn panels<T: bytemuck::Pod>(elements: &[T], shape: &[usize], packed: &PackedShape, zero: T) -> Vec<u8> {
    let (width, depth, tiles) = (packed.width, packed.depth(shape), packed.tiles(shape));
    let columns = shape[packed.column_axis] / packed.groups;
    let mut steps = vec![0usize; shape.len()];
    let mut step = width;
    for (n, axis) in packed.k_axes.iter().rev().enumerate() {
        steps[*axis] = step;
        step *= if n == 0 { shape[*axis].next_multiple_of(4) } else { shape[*axis] };
    }
    let starts: Vec<usize> = (0..shape[packed.column_axis])
        .map(|c| {
            let (group, column) = (c / columns, c % columns);
            (group * tiles + column / width) * depth * width + column % width
        })
        .collect();
    let mut out = vec![zero; packed.groups * tiles * depth * width];
    let mut index = vec![0usize; shape.len()];
    let mut at = 0;
    for element in elements {
        out[starts[index[packed.column_axis]] + at] = *element;
        advance(&mut index, &mut at, shape, &steps);
    }
    bytemuck::cast_slice(&out).to_vec()
}

/// The next index in row-major order, and `at`, the sum of its parts times `steps`.
fn advance(index: &mut [usize], at: &mut usize, shape: &[usize], steps: &[usize]) {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        *at += steps[axis];
        if index[axis] < shape[axis] {
            return;
        }
        *at -= steps[axis] * shape[axis];
        index[axis] = 0;
    }
}

/// A constant's bytes in `layout`; nothing if its elements do not fit the type that they are stored in.
pub(crate) fn pack(tensor: &Tensor, layout: &Layout, element: Storage) -> Option<Vec<u8>> {
    Some(match (element, tensor.data()) {
        (Storage::F64, Data::F64(v)) => arrange(v.iter().copied(), tensor.shape(), layout),
        (Storage::F16, _) => arrange(halves(tensor)?, tensor.shape(), layout),
        (Storage::I64, _) => arrange(tensor.to_ints()?, tensor.shape(), layout),
        _ => arrange(words(tensor)?, tensor.shape(), layout),
    })
}

fn arrange<T: bytemuck::NoUninit + bytemuck::Zeroable>(
    elements: impl IntoIterator<Item = T>,
    shape: &[usize],
    layout: &Layout,
) -> Vec<u8> {
    let dims: Vec<Dim> = shape.iter().map(|n| Dim::from(*n)).collect();
    let strides: Vec<usize> =
        layout::strides(layout, &dims).iter().map(|s| s.as_usize().unwrap_or(0)).collect();
    let size = layout::elements(layout, &dims).as_usize().unwrap_or(0);
    let mut out = vec![T::zeroed(); size.next_multiple_of(4)];
    let mut index = vec![0usize; shape.len()];
    let mut at = 0;
    for element in elements {
        out[at] = element;
        advance(&mut index, &mut at, shape, &strides);
    }
    bytemuck::cast_slice(&out).to_vec()
}

/// The elements in 16 bits.
fn halves(tensor: &Tensor) -> Option<Vec<f16>> {
    match tensor.data() {
        Data::F16(v) => Some(v.clone()),
        Data::F32(v) => Some(v.iter().map(|x| f16::from_f32(*x)).collect()),
        _ => None,
    }
}

/// The elements in 32 bits.
fn words(tensor: &Tensor) -> Option<Vec<u32>> {
    Some(match tensor.data() {
        Data::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
        Data::F16(v) => v.iter().map(|x| x.to_f32().to_bits()).collect(),
        Data::F64(_) => return None,
        Data::I32(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
        Data::I64(v) => {
            v.iter().map(|x| i32::try_from(*x).ok().map(i32::cast_unsigned)).collect::<Option<_>>()?
        }
        Data::U8(v) => v.iter().map(|x| u32::from(*x)).collect(),
        Data::U16(v) => v.iter().map(|x| u32::from(*x)).collect(),
        Data::U32(v) => v.clone(),
        Data::I8(v) => v.iter().map(|x| i32::from(*x).cast_unsigned()).collect(),
        Data::I16(v) => v.iter().map(|x| i32::from(*x).cast_unsigned()).collect(),
        Data::Bool(v) => v.iter().map(|x| u32::from(*x)).collect(),
    })
}
