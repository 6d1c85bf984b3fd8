//! Compiled pipelines that are kept in a file from run to run, where the driver hands them out.
//!
//! The file begins with a checksum of the rest: what reaches the driver is what a driver has given, completely. Whether it is
//! for this device and this driver, wgpu and the driver check.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::device::Device;

/// The first bytes of a file.
const MAGIC: &[u8; 4] = b"kpip";
/// A cache of pipelines with its file.
#[derive(Debug)]
pub(crate) struct Pipelines {
    pub cache: wgpu::PipelineCache,
    path: PathBuf,
    /// The checksum of what the file holds.
    kept: Mutex<Option<u32>>,
}

impl Device {
    /// Keeps compiled pipelines in a folder, from this process to the next: loading a plan again then takes less time. Not
    /// every driver hands them out; without that, nothing happens. What cannot be read is compiled, what cannot be written
    /// is not kept.
    pub fn keep_pipelines(&mut self, folder: &Path) {
        if !self.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return;
        }
        let Some(name) = wgpu::util::pipeline_cache_key(&self.device.adapter_info()) else { return };
        let path = folder.join(name);
        let bytes = kiln_files::read(&path).ok();
        let data = bytes.as_deref().and_then(data_of);
        let kept = Mutex::new(data.map(crc32fast::hash));
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("pipelines"), data, fallback: true };
        #[allow(unsafe_code, reason = "wgpu cannot know where the data is from")]
        // SAFETY: the data is what `get_data` gave for an adapter with the same key: the checksum says that it is whole.
        let cache = self.scoped(|| unsafe { self.device.create_pipeline_cache(&descriptor) });
        if let Ok(cache) = cache {
            self.pipelines = Some(std::sync::Arc::new(Pipelines { cache, path, kept }));
        }
    }
}

impl Pipelines {
    /// Writes what there is now, if it is something new.
    pub(crate) fn keep(&self) {
        let Some(data) = self.cache.get_data() else { return };
        let checksum = crc32fast::hash(&data);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept == Some(checksum) {
            return;
        }
        let file = [&MAGIC[..], &checksum.to_le_bytes(), &data].concat();
        let folder = self.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if folder.and_then(|()| kiln_files::write(&self.path, &file)).is_ok() {
            *kept = Some(checksum);
        }
    }
}

/// What a driver gave, if all of it is in the file.
fn data_of(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(MAGIC)?;
    let (checksum, data) = rest.split_first_chunk()?;
    (crc32fast::hash(data) == u32::from_le_bytes(*checksum)).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_reach_the_driver() {
        let data = b"from the driver";
        let file = [&MAGIC[..], &crc32fast::hash(data).to_le_bytes(), data].concat();
        assert_eq!(data_of(&file), Some(&data[..]));
        for length in 0..file.len() {
            assert_eq!(data_of(&file[..length]), None, "{length}");
        }
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;
            assert_eq!(data_of(&damaged), None, "{place}");
        }
    }
}
