//! Checkpoints: everything that training needs to go on as if it had not stopped.
//!
//! A checkpoint is one safetensors file with every state of the plan under its own name, so that other tools can read
//! the weights, and the progress as JSON in the file's metadata. It appears at its place whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use kiln_runtime::{HostTensor, Session};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;

/// Where the progress is in the metadata.
const PROGRESS: &str = "kiln.progress";

/// A tensor of a checkpoint: name, shape, type, bytes.
type Stored = (String, Vec<usize>, Dtype, Vec<u8>);

/// Writes the states of a session for which `keep` holds, and `progress`; into the file's metadata also what is known of
/// the model.
pub fn save(
    session: &mut Session,
    path: &Path,
    progress: Option<&impl Serialize>,
    known: &BTreeMap<String, String>,
    keep: &dyn Fn(&str) -> bool,
) -> Result<(), TrainError> {
    let states: Vec<(usize, String)> =
        session.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
    let mut tensors = Vec::new();
    for (index, name) in states.into_iter().filter(|(_, name)| keep(name)) {
        let tensor = session.read_tensor(index)?;
        tensors.push(stored(name, &tensor, path)?);
    }
    let progress = progress.map(serde_json::to_string).transpose();
    let progress =
        progress.map_err(|error| wrong(path, format!("the progress cannot be written: {error}")))?;
    let mut metadata = known.clone();
    metadata.extend(progress.map(|progress| (PROGRESS.to_owned(), progress)));
    write(path, &tensors, metadata)
}

/// Reads a checkpoint into a session; gives the progress.
///
/// The states have to be those of the plan, in name, type and shape; what differs is listed. Nothing is changed before
/// all of it is known to fit.
pub fn load<P: DeserializeOwned>(session: &mut Session, path: &Path) -> Result<P, TrainError> {
    let bytes = fs::read(path).map_err(|source| wrong(path, format!("cannot be read: {source}")))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes)
        .map_err(|error| wrong(path, format!("is no checkpoint: {error}")))?;
    let progress = metadata.metadata().as_ref().and_then(|data| data.get(PROGRESS)).ok_or_else(|| {
        wrong(path, "has weights but no progress to go on from; `--weights` starts from it".into())
    })?;
    let progress = serde_json::from_str(progress)
        .map_err(|error| wrong(path, format!("its progress cannot be understood: {error}")))?;
    restore(session, path, &bytes, true)?;
    Ok(progress)
}

/// Reads weights into a session: those that are there by name. Gives the names of states that the file lacks.
pub fn load_weights(session: &mut Session, path: &Path) -> Result<Vec<String>, TrainError> {
    let bytes = fs::read(path).map_err(|source| wrong(path, format!("cannot be read: {source}")))?;
    restore(session, path, &bytes, false)
}

fn restore(session: &mut Session, path: &Path, bytes: &[u8], all: bool) -> Result<Vec<String>, TrainError> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|error| wrong(path, format!("is no checkpoint: {error}")))?;
    let mut found: HashMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let mut complaints = Vec::new();
    let (mut tensors, mut missing) = (Vec::new(), Vec::new());
    for (index, tensor) in session.plan().states() {
        let shape: Option<Vec<usize>> = tensor.shape_at(&[]);
        let wanted = format!("{}{:?}", tensor.dtype.name(), shape.clone().unwrap_or_default());
        match found.remove(&tensor.name) {
            None if all => complaints.push(format!("`{}` ({wanted}) is missing", tensor.name)),
            None => missing.push(tensor.name.clone()),
            Some(view) => match host(&view) {
                Some(host) if host.dtype() == tensor.dtype && shape.as_deref() == Some(host.shape()) => {
                    tensors.push((index, host));
                }
                Some(_) | None => complaints.push(format!(
                    "`{}` is {:?}{:?}, but the model has {wanted}",
                    tensor.name,
                    view.dtype(),
                    view.shape()
                )),
            },
        }
    }
    let mut unknown: Vec<String> = found.into_keys().collect();
    unknown.sort();
    complaints.extend(unknown.into_iter().map(|name| format!("`{name}` is nothing that the model has")));
    if tensors.is_empty() || !complaints.is_empty() {
        return Err(wrong(path, format!("belongs to another model:\n  {}", complaints.join("\n  "))));
    }
    for (index, tensor) in tensors {
        session.write_tensor(index, &tensor)?;
    }
    Ok(missing)
}

fn wrong(path: &Path, message: String) -> TrainError {
    TrainError::Checkpoint { path: path.into(), message }
}

fn stored(name: String, tensor: &HostTensor, path: &Path) -> Result<Stored, TrainError> {
    let (dtype, bytes) = if let Ok(values) = tensor.as_f32() {
        (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    } else if let Ok(values) = tensor.as_i32() {
        (Dtype::I32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    } else {
        return Err(wrong(
            path,
            format!("`{name}` is {}, which checkpoints do not keep", tensor.dtype().name()),
        ));
    };
    Ok((name, tensor.shape().to_vec(), dtype, bytes))
}

fn host(view: &TensorView<'_>) -> Option<HostTensor> {
    let words = || view.data().chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
    match view.dtype() {
        Dtype::F32 => {
            HostTensor::new(view.shape(), words().map(f32::from_le_bytes).collect::<Vec<f32>>()).ok()
        }
        Dtype::I32 => {
            HostTensor::new(view.shape(), words().map(i32::from_le_bytes).collect::<Vec<i32>>()).ok()
        }
        _ => None,
    }
}

/// Writes beside the place, brings it to the disk, and only then to its place.
fn write(path: &Path, tensors: &[Stored], metadata: BTreeMap<String, String>) -> Result<(), TrainError> {
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| wrong(path, error.to_string()))?;
    let bytes =
        kiln_safetensors::serialize(views, &metadata).map_err(|error| wrong(path, error.to_string()))?;
    write_whole(path, &bytes)
}

/// Writes a file such that it is there whole or not at all, whenever the machine stops.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.into(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(".tmp");
    let temporary: PathBuf = folder.join(hidden);
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    // The name, too, has to be on the disk; not every system lets folders be synced.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}
