//! Values for inputs that decide sizes, so that models which have such inputs are imported, too.

use std::collections::BTreeMap;

use kiln_graph::{Data, Tensor};
use kiln_onnx::InputValue;
use kiln_onnx::proto::{DimensionValue, ModelProto, TypeValue};
use prost::Message;

/// Small numbers, as sizes, axes and factors are; which ones is a matter of the bytes.
pub fn made_up(bytes: &[u8], names: &[String]) -> BTreeMap<String, InputValue> {
    let Ok(model) = ModelProto::decode(bytes) else { return BTreeMap::new() };
    let sum = bytes.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let inputs = model.graph.iter().flat_map(|graph| &graph.input);
    let values = inputs.filter(|input| names.contains(&input.name)).filter_map(|input| {
        let Some(TypeValue::Tensor(ty)) = &input.r#type.as_ref()?.value else { return None };
        let shape: Vec<usize> = ty
            .shape
            .as_ref()?
            .dim
            .iter()
            .map(|dim| match dim.value {
                Some(DimensionValue::Value(size)) => usize::try_from(size).ok(),
                Some(DimensionValue::Param(_)) | None => Some(2),
            })
            .collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).filter(|n| *n <= 64)?;
        let number = |i: usize| [1i32, 2, 3, 0, -1, 4, 1, 8, -2, 5, 1, 64][(sum >> (3 * (i % 8))) % 12];
        let data = match ty.elem_type {
            1 => Data::F32((0..count).map(|i| number(i) as f32 * 0.5).collect()),
            6 => Data::I32((0..count).map(number).collect()),
            7 => Data::I64((0..count).map(|i| i64::from(number(i))).collect()),
            9 => Data::Bool((0..count).map(|i| number(i) > 0).collect()),
            _ => return None,
        };
        Some((input.name.clone(), InputValue::Tensor(Tensor::new(shape, data).ok()?)))
    });
    values.collect()
}
