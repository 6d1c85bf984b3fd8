//! Outputs: files, and a summary on the terminal.

use std::path::{Path, PathBuf};

use kiln::HostTensor;
use kiln::graph::Data;
use miette::{IntoDiagnostic, Result, bail, miette};

use crate::picture;

/// Refuses an output, which `flag` names, that would replace one of the files that are read.
pub(crate) fn keep_inputs<'a>(
    flag: &str,
    output: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let Ok(target) = std::fs::canonicalize(output) else { return Ok(()) };
    let is_target = |input: &&Path| std::fs::canonicalize(input).is_ok_and(|input| input == target);
    // A folder or a device is not replaced.
    match inputs.into_iter().find(is_target) {
        Some(input) if target.is_file() => {
            bail!("`{}` is read and would be replaced; {flag} names another file", input.display())
        }
        Some(_) | None => Ok(()),
    }
}

/// Writes outputs: one to the file `to` (`.png` or `.npy`), or each to a file in the folder `to`, images as PNG.
/// Gives the files.
pub(crate) fn write(outputs: &[(String, HostTensor)], to: &Path) -> Result<Vec<PathBuf>> {
    let extension = to.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match (extension.as_deref(), outputs) {
        (Some("npy"), [(_, tensor)]) => npy(to, tensor).map(|()| vec![to.to_owned()]),
        (Some("png"), [(name, tensor)]) => match plane(tensor) {
            Some((data, shape)) => picture::write(to, &data, shape).map(|()| vec![to.to_owned()]),
            None => {
                bail!(
                    "the output `{name}` is {}, which is not an image; a `.npy` file can hold any tensor",
                    text(tensor)
                )
            }
        },
        (Some("npy" | "png"), many) => {
            bail!("there are {} outputs, which do not fit into one file; name a folder", many.len())
        }
        _ => {
            std::fs::create_dir_all(to)
                .map_err(|error| miette!("cannot make `{}`: {error}", to.display()))?;
            outputs.iter().map(|(name, tensor)| into_folder(to, name, tensor)).collect()
        }
    }
}

fn into_folder(folder: &Path, name: &str, tensor: &HostTensor) -> Result<PathBuf> {
    // Names of tensors may hold anything.
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if let Some((data, shape)) = plane(tensor) {
        let path = folder.join(format!("{safe}.png"));
        picture::write(&path, &data, shape)?;
        return Ok(path);
    }
    let path = folder.join(format!("{safe}.npy"));
    npy(&path, tensor)?;
    Ok(path)
}

/// `[1, C, H, W]` with 1 or 3 channels and a plane large enough to look at.
fn plane(tensor: &HostTensor) -> Option<(Vec<f32>, [usize; 3])> {
    let [1, channels @ (1 | 3), height, width] = *tensor.shape() else { return None };
    let data = tensor.as_f32().ok()?.to_vec();
    (height > 1 && width > 1).then_some((data, [channels, height, width]))
}

fn npy(path: &Path, tensor: &HostTensor) -> Result<()> {
    use npyz::WriterBuilder;
    fn to<T: npyz::AutoSerialize + Clone>(path: &Path, shape: &[u64], data: &[T]) -> std::io::Result<()> {
        kiln_files::write_with(path, |file| {
            let options = npyz::WriteOptions::new().default_dtype().shape(shape);
            let mut writer = options.writer(file).begin_nd()?;
            writer.extend(data.iter().cloned())?;
            writer.finish()
        })
    }
    let shape: Vec<u64> = tensor.shape().iter().map(|n| *n as u64).collect();
    let host = kiln::from_host(tensor).into_diagnostic()?;
    let written = match host.data() {
        Data::F32(v) => to(path, &shape, v),
        Data::F64(v) => to(path, &shape, v),
        // Halves widen without loss.
        Data::F16(v) => to(path, &shape, &v.iter().map(|x| x.to_f32()).collect::<Vec<_>>()),
        Data::I32(v) => to(path, &shape, v),
        Data::I64(v) => to(path, &shape, v),
        Data::U8(v) => to(path, &shape, v),
        Data::I8(v) => to(path, &shape, v),
        Data::U16(v) => to(path, &shape, v),
        Data::I16(v) => to(path, &shape, v),
        Data::U32(v) => to(path, &shape, v),
        Data::Bool(v) => to(path, &shape, v),
    };
    written.map_err(|error| miette!("cannot write `{}`: {error}", path.display()))
}

/// `f32[1, 1000]`
pub(crate) fn text(tensor: &HostTensor) -> String {
    let dims: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
    format!("{}[{}]", tensor.dtype().name(), dims.join(", "))
}

/// Smallest, mean and largest element.
pub(crate) fn range(tensor: &HostTensor) -> (f64, f64, f64) {
    let values = tensor.to_f64();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, values.iter().sum::<f64>() / values.len().max(1) as f64, high)
}
