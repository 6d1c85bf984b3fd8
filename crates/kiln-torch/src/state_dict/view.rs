//! Strided views: a tensor in a file is a shape, a step for each dimension and a start in a storage that others may
//! share. A transposed weight is its original with two steps exchanged; an expanded one has steps of zero.

/// A view of a storage, counted in elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

impl View {
    /// The view of elements stored row by row from the start.
    pub(super) fn dense(shape: &[usize]) -> Self {
        Self { offset: 0, shape: shape.to_vec(), stride: dense_strides(shape) }
    }

    /// Number of elements, if it can be counted.
    pub(super) fn len(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size))
    }

    /// One past the last element of the storage that the view reads, if it can be counted.
    pub(super) fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let steps = self.shape.iter().zip(&self.stride);
        let mut last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride));
        last.try_fold(self.offset, |sum, steps| sum.checked_add(steps?))?.checked_add(1)
    }

    /// The elements in row-major order; `bytes` reaches to [`View::end`] and [`View::len`] fits into memory.
    pub(super) fn gather<const N: usize, T>(&self, bytes: &[u8], make: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (elements, _) = bytes.as_chunks::<N>();
        let len = self.len().unwrap_or(0);
        if len == 0 {
            return Vec::new();
        }
        if self.is_dense() {
            return elements[self.offset..][..len].iter().map(|bits| make(*bits)).collect();
        }
        let mut values = Vec::with_capacity(len);
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        loop {
            values.push(make(elements[place]));
            // Like a mileage counter: the last dimension that is not yet at its end goes on, those behind it start anew.
            let mut axis = self.shape.len();
            loop {
                if axis == 0 {
                    return values;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    place += self.stride[axis];
                    break;
                }
                place -= (self.shape[axis] - 1) * self.stride[axis];
                index[axis] = 0;
            }
        }
    }

    fn is_dense(&self) -> bool {
        let steps = self.stride.iter().zip(dense_strides(&self.shape));
        // The step of a dimension of size one is never made.
        self.shape.iter().zip(steps).all(|(size, (stride, dense))| *size == 1 || *stride == dense)
    }
}

/// The steps of a row-major tensor.
pub(super) fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::View;

    fn gather(offset: usize, shape: &[usize], stride: &[usize]) -> Vec<u8> {
        let bytes: Vec<u8> = (0..24).collect();
        let view = View { offset, shape: shape.to_vec(), stride: stride.to_vec() };
        assert!(view.end().is_some_and(|end| end <= bytes.len()));
        view.gather(&bytes, u8::from_le_bytes)
    }

    #[test]
    fn views_are_read_row_by_row() {
        assert_eq!(gather(2, &[2, 3], &[3, 1]), [2, 3, 4, 5, 6, 7]);
        assert_eq!(gather(0, &[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(gather(1, &[2, 1, 2], &[10, 99, 2]), [1, 3, 11, 13]);
        assert_eq!(gather(5, &[3], &[0]), [5, 5, 5]);
        assert_eq!(gather(7, &[], &[]), [7]);
        assert_eq!(gather(7, &[2, 0], &[1, 1]), [0u8; 0]);
    }

    #[test]
    fn views_beyond_counting_are_noticed() {
        let view = |shape: &[usize], stride: &[usize]| View {
            offset: 1,
            shape: shape.to_vec(),
            stride: stride.to_vec(),
        };
        assert_eq!(view(&[usize::MAX, 2], &[0, 0]).len(), None);
        assert_eq!(view(&[3], &[usize::MAX]).end(), None);
        assert_eq!(view(&[2], &[usize::MAX]).end(), None);
        assert_eq!(view(&[2, usize::MAX, 0], &[9, usize::MAX, 9]).end(), Some(0));
    }
}
