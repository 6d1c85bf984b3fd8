//! Constants as bytes in the order that a kernel reads them.

use std::ops::Range;

use kiln_graph::{Data, Dim, Tensor, ValueId};
use kiln_plan::{Layout, Storage};

use super::context::{Contents, Context, StorageId};
use super::tile::Tile;
use crate::error::CompileError;
use crate::layout;

/// The right matrix of a product as panels: as wide as a tile, each in one piece, so that a kernel reads in a straight
/// line. `k` is rounded up to four and columns to the width of the tile, with zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelShape {
    /// Groups of columns that have panels of their own.
    pub parts: usize,
    /// The axis that is the columns.
    pub column_axis: usize,
    /// The axes that k runs over, slowest first; the last is the one that is rounded up.
    pub k_axes: Vec<usize>,
    /// The tile.
    pub tile: Tile,
}

/// Panels that can be bound at once.
#[derive(Clone, Debug)]
pub struct Panels {
    /// The memory.
    pub storage: StorageId,
    /// Which of the column tiles (of all parts) they are.
    pub tiles: Range<usize>,
}

/// See [`Context::panels`].
pub struct Packed {
    shape: PanelShape,
    panels: Vec<Panels>,
}

impl PanelShape {
    /// Floats of a row of a panel.
    fn width(&self) -> usize {
        usize::try_from(4 * self.tile.columns()).unwrap_or(4)
    }

    /// Size along k for a tensor of `shape`.
    pub fn depth(&self, shape: &[usize]) -> usize {
        let sizes = self.k_axes.iter().map(|axis| shape[*axis]);
        let last = self.k_axes.last().map_or(1, |axis| shape[*axis]);
        sizes.product::<usize>() / last.max(1) * last.next_multiple_of(4)
    }

    /// Column tiles of one part.
    pub fn tiles(&self, shape: &[usize]) -> usize {
        (shape[self.column_axis] / self.parts).div_ceil(self.width())
    }
}

impl Context<'_> {
    /// A constant as panels, in as many pieces as it takes for each to be bound.
    pub fn panels(
        &mut self,
        id: ValueId,
        tensor: &Tensor,
        shape: &PanelShape,
    ) -> Result<Vec<Panels>, CompileError> {
        let known = self.packed.get(&id).into_iter().flatten();
        if let Some(packed) = known.into_iter().find(|p| p.shape == *shape) {
            return Ok(packed.panels.clone());
        }
        let name = self.graph.value(id).name.clone();
        let element = self.element(id)?;
        let bytes = match (element, tensor.data()) {
            (Storage::F16, Data::F16(v)) => pack_panels(v, tensor.shape(), shape),
            _ => {
                let words = words(tensor).ok_or_else(|| self.no_such_type(id))?;
                pack_panels(&words, tensor.shape(), shape)
            }
        };
        let elements = shape.depth(tensor.shape()) * shape.width();
        let panel = elements * usize::try_from(element.size()).unwrap_or(1);
        let count = bytes.len() / panel.max(1);
        let limit = usize::try_from(self.target.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let at_once = (limit / panel.max(1)).max(1);
        let mut panels = Vec::new();
        for first in (0..count).step_by(at_once) {
            let tiles = first..(first + at_once).min(count);
            let bytes = bytes[tiles.start * panel..tiles.end * panel].to_vec();
            let elements = Dim::from(tiles.len() * elements);
            let storage = self.allocate(&name, element, &elements, Contents::Weights(bytes));
            panels.push(Panels { storage, tiles });
        }
        self.packed.entry(id).or_default().push(Packed { shape: shape.clone(), panels: panels.clone() });
        Ok(panels)
    }
}

/// `[part][tile][k][columns of the tile]`
fn pack_panels<T: bytemuck::Pod>(elements: &[T], shape: &[usize], panels: &PanelShape) -> Vec<u8> {
    let (width, depth, tiles) = (panels.width(), panels.depth(shape), panels.tiles(shape));
    let columns = shape[panels.column_axis] / panels.parts;
    let mut steps = vec![0usize; shape.len()];
    let mut step = width;
    for (n, axis) in panels.k_axes.iter().rev().enumerate() {
        steps[*axis] = step;
        step *= if n == 0 { shape[*axis].next_multiple_of(4) } else { shape[*axis] };
    }
    let starts: Vec<usize> = (0..shape[panels.column_axis])
        .map(|c| {
            let (part, column) = (c / columns, c % columns);
            (part * tiles + column / width) * depth * width + column % width
        })
        .collect();
    let mut out = vec![T::zeroed(); panels.parts * tiles * depth * width];
    let mut index = vec![0usize; shape.len()];
    let mut at = 0;
    for element in elements {
        out[starts[index[panels.column_axis]] + at] = *element;
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

/// A constant's bytes in `layout`; nothing if its elements do not fit the type that they are held in.
pub fn pack(tensor: &Tensor, layout: &Layout, element: Storage) -> Option<Vec<u8>> {
    Some(match (element, tensor.data()) {
        (Storage::F64, Data::F64(v)) => arrange(v.iter().copied(), tensor.shape(), layout),
        (Storage::F16, Data::F16(v)) => arrange(v.iter().copied(), tensor.shape(), layout),
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
