//! Kernels as files of SPIR-V, for other programs that read it: `scripts/spirv` gives them to SPIRV-Tools' validator.

use std::path::Path;

use crate::spirv::translate;

/// Translates each `.wgsl` file of a folder to a `.spv` file of the same name in another one, and gives their number.
pub fn write(kernels: &Path, to: &Path) -> Result<usize, String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    let mut count = 0;
    for entry in std::fs::read_dir(kernels).map_err(|error| failed(kernels, error))? {
        let path = entry.map_err(|error| failed(kernels, error))?.path();
        if path.extension().is_none_or(|extension| extension != "wgsl") {
            continue;
        }
        let wgsl = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        let words = translate(&wgsl).map_err(|message| format!("{}: {message}", path.display()))?.words;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let module = to.join(path.file_stem().unwrap_or_default()).with_extension("spv");
        std::fs::write(&module, bytes).map_err(|error| failed(&module, error))?;
        count += 1;
    }
    if count == 0 { Err(format!("there are no kernels in {}", kernels.display())) } else { Ok(count) }
}
