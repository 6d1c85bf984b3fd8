//! Declared types: what the file says about its inputs, and whether it agrees with what follows.

use std::collections::{BTreeMap, HashMap};

use kiln_graph::{DType, Dim, MAX_ELEMENTS, TensorType};

use crate::error::ImportError;
use crate::narrow::Narrow;
use crate::proto::{DimensionValue, TensorTypeProto, TypeProto, TypeValue};
use crate::tensor::dtype_of;

/// Names for dimensions that are not numbers, and what the caller wants some of them to be.
pub(crate) struct Symbols {
    bound: BTreeMap<String, i64>,
    /// Names in the file and the names they get.
    names: HashMap<String, String>,
    /// Bound names that occurred.
    used: Vec<String>,
}

impl Symbols {
    pub(crate) fn new(bound: BTreeMap<String, i64>) -> Self {
        Self { bound, names: HashMap::new(), used: Vec::new() }
    }

    /// The dimension called `name` in the file.
    fn dim(&mut self, name: &str) -> Dim {
        let known = self.names.get(name).cloned();
        let symbol = known.unwrap_or_else(|| {
            let mut symbol = identifier(name);
            while self.names.values().any(|taken| *taken == symbol) {
                symbol.push('_');
            }
            self.names.insert(name.into(), symbol.clone());
            symbol
        });
        for asked in [name, symbol.as_str()] {
            if let Some(value) = self.bound.get(asked) {
                self.used.push(asked.into());
                return Dim::from(*value);
            }
        }
        Dim::symbol(symbol)
    }

    /// A name the caller binds that did not occur.
    pub(crate) fn unused(&self) -> Option<&str> {
        self.bound.keys().map(String::as_str).find(|name| !self.used.iter().any(|used| used == name))
    }

    /// The symbols that occurred.
    pub(crate) fn known(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names.values().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// A name that can be used in an expression.
fn identifier(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, 'd');
    }
    out
}

/// The tensor type in a declaration, or the description of another type.
pub(crate) fn tensor_type(ty: Option<&TypeProto>) -> Result<&TensorTypeProto, &'static str> {
    match ty.and_then(|t| t.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => Ok(tensor),
        Some(TypeValue::Sequence(_)) => Err("a sequence"),
        Some(TypeValue::Map(_)) => Err("a map"),
        Some(TypeValue::SparseTensor(_)) => Err("a sparse tensor"),
        Some(TypeValue::Optional(_)) => Err("an optional value"),
        None => Err("a value without a type"),
    }
}

/// Why a declared type cannot be used.
pub(crate) enum TypeProblem {
    Unsupported(String),
    Wrong(ImportError),
}

/// The type of the input `name`. Unknown dimensions become symbols: `N` for the first one, else `<input>_d<axis>`.
pub(crate) fn input_type(
    name: &str,
    ty: Option<&TypeProto>,
    symbols: &mut Symbols,
) -> Result<TensorType, TypeProblem> {
    let unsupported = |reason: String| TypeProblem::Unsupported(reason);
    let tensor =
        tensor_type(ty).map_err(|found| unsupported(format!("is {found}; only tensors are supported")))?;
    let dtype = dtype_of(tensor.elem_type).map_err(|found| {
        unsupported(format!(
            "has elements of type {found}; floats of 16 to 64 bits, integers (but uint64) and bool are supported"
        ))
    })?;
    let shape = tensor.shape.as_ref().ok_or_else(|| {
        unsupported("is declared without a shape; how many dimensions it has must be known".into())
    })?;
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        dims.push(match &dim.value {
            Some(DimensionValue::Value(found)) => {
                if !(0..=MAX_ELEMENTS).contains(found) {
                    let input = name.into();
                    return Err(TypeProblem::Wrong(ImportError::Dimension { input, axis, found: *found }));
                }
                Dim::from(*found)
            }
            Some(DimensionValue::Param(param)) if !param.is_empty() => symbols.dim(param),
            Some(DimensionValue::Param(_)) | None if axis == 0 => symbols.dim("N"),
            Some(DimensionValue::Param(_)) | None => symbols.dim(&format!("{name}_d{axis}")),
        });
    }
    Ok(TensorType::new(dtype, dims))
}

/// What a declared type is called, if it is one whose values are computed in 32-bit floats here.
pub(crate) fn widened(ty: Option<&TypeProto>) -> Option<String> {
    let tensor = tensor_type(ty).ok()?;
    Narrow::of(tensor.elem_type)?;
    dtype_of(tensor.elem_type).err()
}

/// Whether a declaration leaves room for the type that follows from the operators. Symbols in it do: they are names
/// that exporters make up.
pub(crate) fn agrees(declared: &TypeProto, inferred: &TensorType) -> bool {
    let Ok(tensor) = tensor_type(Some(declared)) else { return true };
    // Undefined, as some tools leave it.
    let same = match Narrow::of(tensor.elem_type) {
        Some(narrow) if narrow.is_float() => inferred.dtype == DType::F32,
        Some(_) | None => tensor.elem_type == 0 || dtype_of(tensor.elem_type) == Ok(inferred.dtype),
    };
    if !same {
        return false;
    }
    let Some(shape) = &tensor.shape else { return true };
    shape.dim.len() == inferred.rank()
        && shape.dim.iter().zip(&inferred.shape).all(|(declared, inferred)| match &declared.value {
            Some(DimensionValue::Value(n)) => inferred.as_const().is_none_or(|found| found == *n),
            Some(DimensionValue::Param(_)) | None => true,
        })
}

/// A declared type for a message.
pub(crate) fn show(declared: &TypeProto) -> String {
    let Ok(tensor) = tensor_type(Some(declared)) else { return "no tensor".into() };
    let dtype = dtype_of(tensor.elem_type).map_or_else(|name| name, |dtype| dtype.to_string());
    let Some(shape) = &tensor.shape else { return dtype };
    let dims: Vec<String> = shape
        .dim
        .iter()
        .map(|d| match &d.value {
            Some(DimensionValue::Value(n)) => n.to_string(),
            Some(DimensionValue::Param(name)) => name.clone(),
            None => "?".into(),
        })
        .collect();
    format!("{dtype}[{}]", dims.join(", "))
}
