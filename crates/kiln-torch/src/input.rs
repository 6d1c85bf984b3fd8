//! The inputs of a model: `3,32,32`, `tokens=i64:16`, `3,H,W`.

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
            "`{text}` is not an input shape; `3,32,32` is one sample of 3 channels, 32 high and 32 wide \
             (the batch dimension is \
             added), `tokens=i64:16` is 16 integers for the parameter `tokens`"
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

/// The inputs from a comment, or the shape of the samples if it does not have the same number of elements.
pub(crate) fn suited(inputs: Vec<Input>, sample: &[usize]) -> Vec<Input> {
    let elements = |ty: &TensorType| ty.shape[1..].iter().map(Dim::as_usize).product::<Option<usize>>();
    let fits = |input: &Input| elements(&input.ty) == Some(sample.iter().product());
    match &inputs[..] {
        _ if sample.is_empty() => inputs,
        [input] if fits(input) => inputs,
        [_, _, ..] => inputs,
        [] | [_] => {
            let dims = sample.iter().map(|size| Dim::from(*size));
            let ty =
                TensorType::new(DType::F32, [Dim::symbol("N")].into_iter().chain(dims).collect::<Vec<_>>());
            vec![Input { name: inputs.into_iter().next().and_then(|input| input.name), ty }]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, suited};

    #[test]
    fn samples_say_what_comments_do_not() {
        for (comment, sample, shape) in [
            (None, &[3, 8, 8][..], "[N, 3, 8, 8]"),
            (Some("3,32,32"), &[3, 8, 8], "[N, 3, 8, 8]"),
            (Some("784"), &[1, 28, 28], "[N, 784]"),
            (Some("3,H,W"), &[3, 8, 9], "[N, 3, 8, 9]"),
            (Some("x=3,32,32"), &[], "[N, 3, 32, 32]"),
        ] {
            let inputs = comment.into_iter().map(|comment| parse(comment).expect("a shape")).collect();
            let found = suited(inputs, sample);
            assert_eq!(found.len(), 1);
            assert!(found[0].ty.to_string().ends_with(shape), "{comment:?}, {sample:?}: {}", found[0].ty);
        }
    }

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
