//! Declared types: what the file says about its inputs, and whether it agrees with what follows.

use std::collections::{BTreeMap, HashMap};

use kiln_graph::{DType, Dim, MAX_ELEMENTS, TensorType};

use crate::error::ImportError;
use crate::narrow::Narrow;
use crate::proto::{DimensionValue, TensorTypeProto, TypeProto, TypeValue};
use crate::tensor::dtype_of;

/// Names for dimensions that are not numbers, and what the caller wants some of them to be.
pub(crate) struct Symbols {
    bound: BTreeMap<String, Dim>,
    /// Names in the file and the names they get.
    names: HashMap<String, String>,
    /// Bound names that occurred.
    used: Vec<String>,
    /// The input whose first dimension is called `N`.
    batch: Option<String>,
}

/// Whether a name in the file says that a size is not known.
fn is_unknown(name: &str) -> bool {
    matches!(name.trim(), "" | "?" | "-1" | "0" | "None")
}

impl Symbols {
    pub(crate) fn new(bound: BTreeMap<String, Dim>) -> Self {
        Self { bound, names: HashMap::new(), used: Vec::new(), batch: None }
    }

    /// The dimension called `name` in the file.
    fn dim(&mut self, name: &str) -> Dim {
        let known = self.names.get(name).cloned();
        let symbol = known.unwrap_or_else(|| {
            let mut symbol = symbol_name(name);
            while self.names.values().any(|taken| *taken == symbol) {
                symbol.push('_');
            }
            self.names.insert(name.into(), symbol.clone());
            symbol
        });
        for asked in [name, symbol.as_str()] {
            if let Some(value) = self.bound.get(asked) {
                self.used.push(asked.into());
                return value.clone();
            }
        }
        Dim::symbol(symbol)
    }

    /// The dimension called `name` in the file, which `torch.export` may call `8*width`.
    fn multiple(&mut self, name: &str) -> Dim {
        if let Some((number, symbol)) = name.split_once('*')
            && let Ok(factor @ 1..=1_000_000) = number.trim().parse::<i64>()
            && symbol.trim().chars().all(|c| c.is_alphanumeric() || c == '_')
            && !symbol.trim().starts_with(|c: char| c.is_ascii_digit())
            && !symbol.trim().is_empty()
        {
            return &self.dim(symbol.trim()) * &factor.into();
        }
        self.dim(name)
    }

    /// A dimension of the input `input` without a name: `N` for the first one of the model's first input, else
    /// `<input>_d<axis>`. Each is a symbol of its own.
    fn unknown(&mut self, input: &str, axis: usize) -> Dim {
        let is_batch = axis == 0 && self.batch.as_deref().is_none_or(|first| first == input);
        if !is_batch {
            return self.dim(&format!("{input}_d{axis}"));
        }
        self.batch = Some(input.into());
        self.dim("N")
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

/// The name as the file writes it, where an expression can have it in it; `_` stands for other characters.
fn symbol_name(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_alphanumeric() || "_.:".contains(c) { c } else { '_' }).collect();
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
            // A size that is not known, in the words of several exporters.
            Some(DimensionValue::Value(-1 | 0)) => symbols.unknown(name, axis),
            Some(DimensionValue::Value(found)) => {
                if !(0..=MAX_ELEMENTS).contains(found) {
                    let input = name.into();
                    return Err(TypeProblem::Wrong(ImportError::Dimension { input, axis, found: *found }));
                }
                Dim::from(*found)
            }
            Some(DimensionValue::Param(param)) if !is_unknown(param) => symbols.multiple(param),
            Some(DimensionValue::Param(_)) | None => symbols.unknown(name, axis),
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
            Some(DimensionValue::Value(-1 | 0)) => true,
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
