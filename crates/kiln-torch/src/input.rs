//! What goes into a model: `3,32,32`, `tokens=i64:16`, `3,H,W`.

use kiln_graph::{DType, Dim, TensorType};

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    /// The parameter of `forward`, if it is named.
    pub name: Option<String>,
    /// Element type and shape of a batch of `N` samples.
    pub ty: TensorType,
}

/// Reads one input's words.
pub(crate) fn parse(text: &str) -> Result<Input, String> {
    let wrong = || {
        format!(
            "`{text}` is no input shape; `3,32,32` is one sample of 3 channels, 32 high and 32 wide (the batch comes on \
             top), `tokens=i64:16` is 16 integers for the parameter `tokens`"
        )
    };
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) => (Some(name.trim().to_owned()), rest),
        None => (None, text),
    };
    let (dtype, shape) = match rest.split_once(':') {
        Some((dtype, shape)) => {
            let dtype = dtype.trim();
            let dtype = DType::ALL.into_iter().find(|d| d.name() == dtype).ok_or_else(wrong)?;
            (dtype, shape)
        }
        None => (DType::F32, rest),
    };
    let mut dims = vec![Dim::symbol("N")];
    for part in shape.split([',', 'x']).map(str::trim).filter(|part| !part.is_empty()) {
        let is_name = part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit());
        dims.push(match part.parse::<u32>() {
            Ok(size) if size > 0 => Dim::from(i64::from(size)),
            Ok(_) => return Err(wrong()),
            Err(_) if is_name => Dim::symbol(part),
            Err(_) => return Err(wrong()),
        });
    }
    if dims.len() > 8 {
        return Err(wrong());
    }
    Ok(Input { name, ty: TensorType::new(dtype, dims) })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn inputs_are_read() {
        let shown = |text| parse(text).map(|input| format!("{:?} {}", input.name, input.ty));
        assert_eq!(shown("3,32,32").unwrap(), "None f32[N, 3, 32, 32]");
        assert_eq!(shown("tokens=i64:16").unwrap(), "Some(\"tokens\") i64[N, 16]");
        assert_eq!(shown("3,H,W").unwrap(), "None f32[N, 3, H, W]");
        for wrong in ["3,-1", "a b", "f99:3", "0"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
