//! The folder of a training: locking, and protection of its files.

use std::path::{Path, PathBuf};

use kiln_files::{Lock, LockError};
use miette::{Result, bail, miette};

use super::Recipe;

/// Files that a training writes, beside those in `checkpoints`. Numbered images of activations are not listed.
const RESULTS: [&str; 13] = [
    "recipe.toml",
    "environment.toml",
    "weights.safetensors",
    "weights.pt",
    "model.onnx",
    "model.kplan",
    "history.csv",
    "history.jsonl",
    "report.html",
    "loss.svg",
    "accuracy.svg",
    "learning-rate.svg",
    "filters.png",
];

/// What to do with an earlier training in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// There should be none.
    Refuse,
    /// It goes on.
    Resume,
    /// It is replaced.
    Replace,
}

/// A folder for a training.
pub(crate) struct Folder {
    /// Where.
    pub path: PathBuf,
    earlier: Earlier,
}

impl Folder {
    /// Checks the folder, before anything costly is done.
    pub(crate) fn new(
        path: PathBuf,
        earlier: Earlier,
        recipe: &Recipe,
        named: Option<&Path>,
    ) -> Result<Self> {
        let folder = Self { path, earlier };
        folder.check_earlier()?;
        folder.check_inputs(recipe, named)?;
        Ok(folder)
    }

    /// The folder of checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Locks the folder until the lock is dropped, and checks again, since another process may have come first.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let lock = Lock::take(&self.path).map_err(|error| match error {
            LockError::Held(process) => {
                let process = process.map_or(String::new(), |number| format!(" (process {number})"));
                miette!(
                    "another training writes to `{}`{process}; -o names another folder",
                    self.path.display()
                )
            }
            LockError::Unwritable { path, source } => miette!("cannot write `{}`: {source}", path.display()),
        })?;
        self.check_earlier()?;
        for folder in [self.path.clone(), self.checkpoints()] {
            kiln_files::remove_temporaries(&folder);
        }
        Ok(lock)
    }

    fn check_earlier(&self) -> Result<()> {
        let path = self.path.display();
        if self.path.is_file() {
            bail!("`{path}` is a file; -o names a folder");
        }
        if self.earlier == Earlier::Resume && !self.path.exists() {
            bail!(
                "--resume: there is no folder `{path}`; -o names that of a training, which begins without --resume"
            );
        }
        if self.earlier != Earlier::Refuse {
            return Ok(());
        }
        if self.checkpoints().exists() {
            bail!(
                "`{path}` holds an earlier training; --resume continues it, --overwrite replaces it, -o names another folder"
            );
        }
        let there: Vec<String> =
            self.results().filter(|file| file.exists()).map(|file| format!("`{}`", file.display())).collect();
        if !there.is_empty() {
            bail!(
                "{} would be replaced; -o names another folder, --overwrite replaces what is there",
                there.join(", ")
            );
        }
        Ok(())
    }

    fn results(&self) -> impl Iterator<Item = PathBuf> {
        RESULTS.iter().map(|name| self.path.join(name))
    }

    /// No file that is read may be one that is written. The recipe of the folder itself is an exception: the training
    /// that it describes writes it again.
    fn check_inputs(&self, recipe: &Recipe, named: Option<&Path>) -> Result<()> {
        let whole = |path: &Path| std::fs::canonicalize(path).ok();
        let results: Vec<PathBuf> = self.results().filter_map(|path| whole(&path)).collect();
        let own_recipe = whole(&self.path.join("recipe.toml"));
        for input in recipe.files().into_iter().chain(named.map(Path::to_owned)) {
            let Some(real) = whole(&input) else { continue };
            let is_own_recipe = self.earlier != Earlier::Refuse && Some(&real) == own_recipe.as_ref();
            if results.contains(&real) && !is_own_recipe {
                bail!("`{}` is read and would be replaced; -o names another folder", input.display());
            }
        }
        // The folder may not be there yet.
        let output = std::path::absolute(&self.path).ok();
        let output = output.as_ref().and_then(|path| path.ancestors().find_map(whole));
        if let (Some(data), Some(output)) = (recipe.data_folder(), output)
            && whole(&data).is_some_and(|data| output.starts_with(data))
        {
            bail!(
                "`{}` is inside the data folder, `{}`, where it would be read as samples; -o names another folder",
                self.path.display(),
                data.display()
            );
        }
        Ok(())
    }

    /// Removes an earlier training that is to be replaced, once it is certain that the new one can start.
    pub(crate) fn clear(&self) -> Result<()> {
        if self.earlier != Earlier::Replace {
            return Ok(());
        }
        let checkpoints = self.checkpoints();
        if checkpoints.exists() {
            std::fs::remove_dir_all(&checkpoints)
                .map_err(|error| miette!("cannot remove `{}`: {error}", checkpoints.display()))?;
        }
        for file in self.results().filter(|file| file.exists()) {
            std::fs::remove_file(&file)
                .map_err(|error| miette!("cannot remove `{}`: {error}", file.display()))?;
        }
        Ok(())
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        kiln_files::write(&path, bytes).map_err(|error| miette!("cannot write `{}`: {error}", path.display()))
    }
}
