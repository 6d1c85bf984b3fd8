//! `x[key] = value`: a tensor made of what stays and what is new, in the place of the old one.

use kiln_graph::ops::{Concat, Expand, Gather, Slice, SliceAxis};
use kiln_graph::{DType, Data, Dim, Op, ShapeDisplay, ValueId};

use crate::python::{Fault, Interpreter, Result, Value, slice_indices};

/// What is assigned to along a dimension.
enum Chosen {
    All,
    /// These places; with an index instead of a slice the dimension is not there on the other side.
    Places {
        places: Vec<usize>,
        is_dropped: bool,
    },
}

impl Interpreter {
    /// `x[key] = value`
    pub(crate) fn set_tensor_item(&mut self, of: &Value, key: &Value, value: &Value) -> Result<()> {
        let Some(x) = self.optional_tensor_of(of)? else { return Ok(()) };
        self.trace.function("setitem");
        let dtype = self.dtype(x);
        let value = match self.optional_tensor_of(value)? {
            Some(id) => self.as_type(id, dtype)?,
            None => {
                let number = value.as_f64().ok_or_else(|| {
                    Fault::type_error(format!("a {} cannot be assigned to a tensor", value.type_name()))
                })?;
                self.formula().number_like(number, x)
            }
        };
        let new = match key {
            Value::Tensor(mask) if self.dtype(mask.get()) == DType::Bool => {
                let mask = self.mask_of(mask.get(), x)?;
                if self.graph.ty(value).rank() > 0 {
                    return Err(Fault::unsupported(
                        "how many elements a mask selects depends on the data: only a single number can be \
                         assigned to them",
                    )
                    .help("`torch.where(mask, a, b)` chooses between tensors"));
                }
                self.op(Op::Select, &[mask, value, x])?
            }
            _ => {
                let chosen = self.chosen(x, key)?;
                self.with_part(x, &chosen, value)?
            }
        };
        self.change(of, new)
    }

    /// A mask as `x` needs it: one with fewer dimensions selects whole slices behind its last.
    fn mask_of(&mut self, mask: ValueId, x: ValueId) -> Result<ValueId> {
        let (shape, whole) = (self.shape(mask), self.shape(x));
        if !whole.starts_with(&shape) {
            return Err(Fault::python(
                "IndexError",
                format!(
                    "a mask of shape {} does not fit a tensor of shape {}: it has to have its first dimensions",
                    ShapeDisplay(&shape),
                    ShapeDisplay(&whole)
                ),
            ));
        }
        let column = shape.iter().cloned().chain(std::iter::repeat_n(1.into(), whole.len() - shape.len()));
        Ok(self.formula().reshape(mask, column.collect())?)
    }

    /// The selection of a key, for each dimension.
    fn chosen(&mut self, x: ValueId, key: &Value) -> Result<Vec<Chosen>> {
        let keys = match key {
            Value::Tuple(keys) => keys.to_vec(),
            other => vec![other.clone()],
        };
        let shape = self.shape(x);
        let named = keys.iter().filter(|key| !matches!(key, Value::Ellipsis)).count();
        if named > shape.len() {
            let message = format!("{named} indices are too many for {} dimensions", shape.len());
            return Err(Fault::python("IndexError", message));
        }
        let mut chosen = vec![];
        for key in &keys {
            let size = shape.get(chosen.len()).and_then(Dim::as_usize);
            let known = || {
                size.ok_or_else(|| {
                    Fault::unsupported("assigning to some samples of a batch is not supported")
                })
            };
            match key {
                Value::Ellipsis => chosen.extend((named..shape.len()).map(|_| Chosen::All)),
                Value::Slice(slice) if slice.iter().all(|part| matches!(part, Value::None)) => {
                    chosen.push(Chosen::All);
                }
                Value::Slice(slice) => {
                    let size = known()?;
                    self.step(size as u64 / 16)?;
                    chosen.push(Chosen::Places { places: slice_indices(slice, size)?, is_dropped: false });
                }
                other if other.as_int().is_some() => {
                    let place = crate::python::position(other, known()?, "tensor")?;
                    chosen.push(Chosen::Places { places: vec![place], is_dropped: true });
                }
                other => {
                    return Err(Fault::unsupported(format!(
                        "assigning to what a {} selects is not supported",
                        other.type_name()
                    ))
                    .help("`torch.cat` joins parts, `torch.where` selects element by element"));
                }
            }
        }
        chosen.extend((chosen.len()..shape.len()).map(|_| Chosen::All));
        Ok(chosen)
    }

    /// `x` with `value` where `chosen` says.
    fn with_part(&mut self, x: ValueId, chosen: &[Chosen], value: ValueId) -> Result<ValueId> {
        let shape = self.shape(x);
        let part = |(size, chosen): (&Dim, &Chosen)| match chosen {
            Chosen::All => size.clone(),
            Chosen::Places { places, .. } => Dim::from(places.len()),
        };
        let full: Vec<Dim> = shape.iter().zip(chosen).map(part).collect();
        if full.iter().any(|size| size.is(0)) {
            return Ok(x);
        }
        let is_there = |chosen: &&Chosen| !matches!(chosen, Chosen::Places { is_dropped: true, .. });
        let seen: Vec<Dim> =
            full.iter().zip(chosen).filter(|(_, c)| is_there(c)).map(|(size, _)| size.clone()).collect();
        // Ones in front of what is assigned do not count.
        let mut from = self.shape(value);
        while from.len() > seen.len() && from[0].is(1) {
            from.remove(0);
        }
        let fits = kiln_graph::ops::broadcast_shapes(&from, &seen).is_ok_and(|both| both == seen);
        if !fits {
            return Err(Fault::value(format!(
                "{} does not fit into a part of shape {}",
                ShapeDisplay(&from),
                ShapeDisplay(&seen)
            )));
        }
        let mut value = self.formula().reshape(value, from.clone())?;
        if from != seen {
            value = self.op(Op::Expand(Expand { shape: seen }), &[value])?;
        }
        let value = self.formula().reshape(value, full)?;
        self.placed(x, chosen, 0, value)
    }

    /// Dimension by dimension: the elements before, the part, and the elements after.
    fn placed(&mut self, x: ValueId, chosen: &[Chosen], from: usize, value: ValueId) -> Result<ValueId> {
        let next = chosen.iter().enumerate().skip(from).find_map(|(axis, chosen)| match chosen {
            Chosen::Places { places, .. } => Some((axis, places)),
            Chosen::All => None,
        });
        let Some((axis, places)) = next else { return Ok(value) };
        let size = self.shape(x)[axis].as_usize().unwrap_or(0);
        let (first, last) = (places[0], places[places.len() - 1]);
        if last + 1 == first + places.len() && places.is_sorted() {
            let inner = self.between(x, axis, first, last + 1)?;
            let inner = self.placed(inner, chosen, axis + 1, value)?;
            let mut parts = vec![];
            if first > 0 {
                parts.push(self.between(x, axis, 0, first)?);
            }
            parts.push(inner);
            if last + 1 < size {
                parts.push(self.between(x, axis, last + 1, size)?);
            }
            return if parts.len() == 1 { Ok(inner) } else { self.op(Op::Concat(Concat { axis }), &parts) };
        }
        // With steps: all places from the old elements and the new ones behind each other.
        let inner = self.gathered(x, axis, places)?;
        let inner = self.placed(inner, chosen, axis + 1, value)?;
        let both = self.op(Op::Concat(Concat { axis }), &[x, inner])?;
        let mut order: Vec<usize> = (0..size).collect();
        places.iter().enumerate().for_each(|(number, place)| order[*place] = size + number);
        self.gathered(both, axis, &order)
    }

    fn between(&mut self, x: ValueId, axis: usize, start: usize, end: usize) -> Result<ValueId> {
        let cut = SliceAxis { axis, start: start.into(), length: (end - start).into(), step: 1 };
        self.op(Op::Slice(Slice { axes: vec![cut] }), &[x])
    }

    /// The elements at some places along a dimension.
    pub(crate) fn gathered(&mut self, x: ValueId, axis: usize, places: &[usize]) -> Result<ValueId> {
        self.elements(places.len())?;
        let index = places.iter().filter_map(|place| i64::try_from(*place).ok()).collect();
        let index = self.tensor_of(&[places.len()], Data::I64(index))?;
        let index = self.constant(index)?;
        match self.optional_tensor_of(&index)? {
            Some(index) => self.op(Op::Gather(Gather { axis }), &[x, index]),
            None => Ok(x),
        }
    }
}
