//! Arrays of the crate `ndarray`: in as views or as they are, out as views or without a copy.
//!
//! ```
//! use kiln_runtime::{HostTensor, RuntimeError, ndarray::{ArrayD, ArrayViewD, array}};
//!
//! let rows = array![[1f32, 2.0], [3.0, 4.0]];
//! let turned = HostTensor::from(rows.t());               // any strides
//! assert_eq!(turned.as_f32()?, [1.0, 3.0, 2.0, 4.0]);
//! let view = ArrayViewD::<f32>::try_from(&turned)?;
//! assert_eq!(view, rows.t().into_dyn());
//! assert_eq!(view[[1, 0]], 2.0);
//! let error = ArrayD::<i64>::try_from(turned).unwrap_err();
//! assert_eq!(error.to_string(), "a tensor is f32, it was read as i64");
//! # Ok::<(), RuntimeError>(())
//! ```

use half::f16;
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, Dimension, IxDyn};

use crate::error::RuntimeError;
use crate::tensor::{Data, HostTensor, for_element_types, shape_text};

fn misshaped(shape: &[usize], found: usize) -> RuntimeError {
    RuntimeError::Elements { shape: shape_text(shape), expected: shape.iter().product(), found }
}

macro_rules! arrays {
    ($($variant:ident $ty:ty, $as:ident;)*) => {$(
        impl<D: Dimension> From<ArrayView<'_, $ty, D>> for HostTensor {
            /// Copies the elements, in row-major order.
            fn from(view: ArrayView<'_, $ty, D>) -> Self {
                let elements = match view.as_slice() {
                    Some(slice) => slice.to_vec(),
                    None => view.iter().copied().collect(),
                };
                Self::of_array(view.shape().to_vec(), Data::$variant(elements))
            }
        }

        impl<D: Dimension> From<Array<$ty, D>> for HostTensor {
            /// Takes the array's memory if it is all of it and in row-major order, else copies.
            fn from(array: Array<$ty, D>) -> Self {
                if !array.is_standard_layout() {
                    return array.view().into();
                }
                let shape = array.shape().to_vec();
                let count = array.len();
                let (mut elements, first) = array.into_raw_vec_and_offset();
                elements.drain(..first.unwrap_or(0));
                elements.truncate(count);
                Self::of_array(shape, Data::$variant(elements))
            }
        }

        impl<'a> TryFrom<&'a HostTensor> for ArrayViewD<'a, $ty> {
            type Error = RuntimeError;

            fn try_from(tensor: &'a HostTensor) -> Result<Self, RuntimeError> {
                let (shape, elements) = (tensor.shape(), tensor.$as()?);
                ArrayView::from_shape(IxDyn(shape), elements).map_err(|_| misshaped(shape, elements.len()))
            }
        }

        impl TryFrom<HostTensor> for ArrayD<$ty> {
            type Error = RuntimeError;

            /// The array takes the tensor's memory.
            fn try_from(tensor: HostTensor) -> Result<Self, RuntimeError> {
                tensor.$as()?;
                let shape = tensor.shape().to_vec();
                let Data::$variant(elements) = tensor.into_data() else { return Err(misshaped(&shape, 0)) };
                let count = elements.len();
                Array::from_shape_vec(IxDyn(&shape), elements).map_err(|_| misshaped(&shape, count))
            }
        }
    )*};
}

for_element_types!(arrays);

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;

    #[test]
    fn parts_of_arrays_are_their_elements() {
        let all = Array3::from_shape_fn((3, 4, 2), |(a, b, c)| (100 * a + 10 * b + c) as u8);
        let wanted: Vec<u8> = all.slice(s![1.., ..;-2, ..]).iter().copied().collect();
        let part = HostTensor::from(all.slice(s![1.., ..;-2, ..]));
        assert_eq!((part.shape(), part.as_u8().unwrap()), (&[2, 2, 2][..], &wanted[..]));
        // Owned arrays that begin behind the first element of their memory, and that end before the last one.
        let cut = HostTensor::from(all.clone().slice_move(s![1..2, .., ..]));
        assert_eq!(cut.as_u8().unwrap(), [100, 101, 110, 111, 120, 121, 130, 131]);
        let empty = HostTensor::from(all.slice_move(s![..0, .., ..]));
        assert_eq!((empty.shape(), empty.data().len()), (&[0, 4, 2][..], 0));
        assert_eq!(ArrayD::<u8>::try_from(part.clone()).unwrap().shape(), [2, 2, 2]);
        assert_eq!(ArrayViewD::<u8>::try_from(&part).unwrap()[[1, 1, 1]], wanted[7]);
    }
}
