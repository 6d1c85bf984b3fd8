//! Imports: parts of PyTorch and of the standard library that are known, Python files beside this one, and the rest.
//!
//! An unknown name is not an error where it is imported: a file that defines a model imports what it needs for training
//! and for images, too. It is one where the model needs it.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ruff_python_ast::{ModModule, StmtImport, StmtImportFrom};
use ruff_python_parser::Parsed;

use super::fault::{Fault, Result};
use super::scope::{Env, Scope};
use super::value::{Namespace, Opaque, Value};
use super::{Interpreter, library};
use crate::limits::MAX_FILES;
use crate::source::{SourceFile, Span};

/// Packages within each other.
const MAX_PACKAGES: usize = 20;

/// The model needs something that is not known.
pub(crate) fn unknown(opaque: &Opaque) -> Fault {
    Fault::unsupported(format!("`{}` comes from `{}`, which is not known here", opaque.name, opaque.origin))
        .help(instead(opaque))
}

/// Alternatives to something from another package.
fn instead(opaque: &Opaque) -> &'static str {
    let path = format!("{}.{}", opaque.origin, opaque.name);
    let mut parts = path.split('.');
    match parts.next().unwrap_or_default() {
        "torchvision" if parts.any(|part| part == "models") => {
            "ready-made networks are not built in: with their source beside this file (`models/resnet.py`, `alexnet.py` \
             and `vgg.py` of Kiln have torchvision's parameter names, so that its weights load) `from resnet import \
             resnet18` finds them; `torch.onnx.export` writes any of them as ONNX"
        }
        "timm"
        | "transformers"
        | "segmentation_models_pytorch"
        | "pretrainedmodels"
        | "efficientnet_pytorch" => {
            "ready-made networks are not built in: their source beside this file is read, and `torch.onnx.export` writes \
             them as ONNX"
        }
        "torchvision" | "torchtext" | "torchaudio" | "sklearn" | "pandas" | "requests" | "urllib"
        | "zipfile" | "PIL" | "cv2" | "glob" | "scipy" | "imageio" | "datasets" => {
            "a plan is made without data, which `kiln train --data` reads: what the network needs of it, such as the \
             number of classes or of words, has to be in the file as a number, or be an argument that `--arg` gives"
        }
        _ => {
            "everything that a model uses has to be in PyTorch, in this file, or in Python files beside it or below \
             `--root FOLDER`; `--lenient-imports` skips calls of unknown names"
        }
    }
}

/// `pytorch_lightning.LightningModule`: a module with methods for training around it.
pub(super) fn is_lightning_module(opaque: &Opaque) -> bool {
    let mut path = opaque.origin.split('.').chain(opaque.name.split('.'));
    matches!(path.next(), Some("pytorch_lightning" | "lightning")) && path.last() == Some("LightningModule")
}

/// The parts of fastai that are left out.
pub(super) const NOT_OF_FASTAI: &str = "of fastai, Kiln knows what networks are made of; data, learners and ready-made \
     networks are left out. What the network needs of them has to be in the file as a number: 10 instead of `dls.c`";

/// The import that students forget.
pub(crate) fn usual_import(name: &str) -> Option<&'static str> {
    Some(match name {
        "nn" => "import torch.nn as nn",
        "F" => "import torch.nn.functional as F",
        "torch" => "import torch",
        "OrderedDict" => "from collections import OrderedDict",
        "partial" => "from functools import partial",
        "math" => "import math",
        "np" => "import numpy as np",
        _ => return None,
    })
}

/// The name among `names` that differs from `name` in one or two letters.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let allowed = if name.chars().count() > 4 { 2 } else { 1 };
    let close = names.filter(|other| *other != name && !other.starts_with("__"));
    let scored = close.map(|other| (distance(name, other), other)).filter(|(d, _)| *d <= allowed);
    scored.min().map(|(_, other)| other.to_owned())
}

/// Letters to change, add, leave out or exchange with the next to get from one word to the other; case counts as nothing.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().abs_diff(b.len()) > 2 || a.len() > 60 {
        return usize::MAX;
    }
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (vec![], (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(row[j] + 1).min(last[j + 1] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

impl Interpreter {
    /// A name that is near, for a message.
    pub(crate) fn near(&mut self, env: &Env, name: &str) -> Option<String> {
        let names = env.scope.names();
        self.step(names.len() as u64 + 50).ok()?;
        nearest(name, names.iter().map(|name| &**name).chain(super::builtins::names().collect::<Vec<&str>>()))
    }

    /// `import a.b as c`
    pub(crate) fn import_statement(&mut self, env: &Env, s: &StmtImport) -> Result<()> {
        for alias in &s.names {
            let full = alias.name.as_str();
            match &alias.asname {
                Some(name) => {
                    let module = self.module(env, full, 0)?;
                    env.scope.set(name, module);
                }
                None => {
                    let top = full.split('.').next().unwrap_or(full);
                    if full != top {
                        self.module(env, full, 0)?;
                    }
                    let module = self.module(env, top, 0)?;
                    env.scope.set(top, module);
                }
            }
        }
        Ok(())
    }

    /// `from a import b as c`
    pub(crate) fn import_from(&mut self, env: &Env, s: &StmtImportFrom) -> Result<()> {
        let module_name = s.module.as_ref().map_or("", |name| name.as_str());
        let module = self.module(env, module_name, s.level)?;
        let written = format!("{}{module_name}", ".".repeat(usize::try_from(s.level).unwrap_or(0).min(20)));
        for alias in &s.names {
            let name = alias.name.as_str();
            let target = alias.asname.as_ref().map_or(name, |name| name.as_str());
            if name == "*" {
                if let Value::Namespace(namespace) = &module
                    && let Some(scope) = &namespace.scope
                {
                    env.globals().fastai.set(env.globals().fastai.get() || &*namespace.name == "fastai");
                    for name in scope.names().into_iter().filter(|name| !name.starts_with('_')) {
                        if let Some(value) = scope.own(&name) {
                            env.scope.set(&name, value);
                        }
                    }
                    continue;
                }
                let known = match &module {
                    Value::Namespace(_) => module.clone(),
                    _ => Value::Opaque(Rc::new(Opaque { name: "*".into(), origin: written.as_str().into() })),
                };
                self.cells(1)?;
                env.scope.stars.borrow_mut().push((known, Span::of(env.file, s)));
                continue;
            }
            let value = match &module {
                Value::Namespace(namespace) => match self.member(&namespace.clone(), name)? {
                    Some(value) => value,
                    // `from torch.utils import data`, `from . import blocks`
                    None => match self.submodule(env, namespace, name, s.level)? {
                        Some(value) => value,
                        None => Value::Failed(Rc::new(
                            self.no_member(&namespace.name.clone(), name).at(Span::of(env.file, alias)),
                        )),
                    },
                },
                Value::Opaque(_) => {
                    // A file in a folder that is not a package.
                    match self.file_for(env, &dotted(module_name, name), s.level)? {
                        Some(path) => self.load(&path)?,
                        None => Value::Opaque(Rc::new(Opaque {
                            name: name.into(),
                            origin: written.as_str().into(),
                        })),
                    }
                }
                other => other.clone(),
            };
            env.scope.set(target, value);
        }
        Ok(())
    }

    fn submodule(&mut self, env: &Env, of: &Namespace, name: &str, level: u32) -> Result<Option<Value>> {
        if of.scope.is_some() {
            return Ok(match self.file_for(env, &dotted(&of.name, name), level)? {
                Some(path) => Some(self.load(&path)?),
                None => None,
            });
        }
        Ok(None)
    }

    /// The module `name`, `level` packages up.
    fn module(&mut self, env: &Env, name: &str, level: u32) -> Result<Value> {
        if level == 0 && library::is_known(name) {
            return Ok(Value::Namespace(Rc::new(Namespace { name: name.into(), scope: None })));
        }
        if let Some(path) = self.file_for(env, name, level)? {
            return self.load(&path);
        }
        let top = name.split('.').next().unwrap_or_default();
        if level == 0 && matches!(top, "fastai" | "fastbook" | "fastcore") {
            return self.fastai();
        }
        let written = format!("{}{name}", ".".repeat(usize::try_from(level).unwrap_or(0).min(20)));
        Ok(Value::Opaque(Rc::new(Opaque { name: name.into(), origin: written.into() })))
    }

    /// The names of fastai.
    fn fastai(&mut self) -> Result<Value> {
        self.prelude("fastai", concat!(include_str!("fastai.py"), include_str!("fastai_networks.py")))
            .map(Value::Namespace)
    }

    /// What is written in Python here, too.
    pub(crate) fn prelude(&mut self, name: &str, text: &str) -> Result<Rc<Namespace>> {
        let path = Path::new(name);
        if let Some(Some(namespace)) = self.modules.get(path) {
            return Ok(namespace.clone());
        }
        let source = SourceFile { path: path.into(), text: text.into() };
        let (namespace, _) = self.run_file(source)?;
        self.modules.insert(path.to_owned(), Some(namespace.clone()));
        Ok(namespace)
    }

    /// What a name stands for that `from module import *` may have brought: the value, or why it is not known.
    pub(crate) fn starred(&mut self, env: &Env, name: &str) -> Result<Option<Value>> {
        if name.starts_with('_') {
            return Ok(None);
        }
        let stars = env.globals().stars.borrow().clone();
        for (module, _) in stars.iter().rev() {
            self.step(1)?;
            match module {
                Value::Namespace(namespace) => {
                    if let Some(value) = self.member(namespace, name)?.filter(|v| !matches!(v, Value::None)) {
                        return Ok(Some(value));
                    }
                }
                Value::Opaque(opaque) if self.lenient => {
                    let opaque = Opaque { name: name.into(), origin: opaque.origin.clone() };
                    return Ok(Some(Value::Opaque(Rc::new(opaque))));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether a file has `from fastai... import *`.
    pub(super) fn has_fastai(&self, env: &Env) -> bool {
        env.globals().fastai.get()
    }

    /// Why a name may be missing: `from module import *` that could not be read.
    pub(crate) fn unread_star(&self, env: &Env) -> Option<String> {
        let stars = env.globals();
        let stars = stars.stars.borrow();
        let (opaque, span) = stars.iter().rev().find_map(|(module, span)| match module {
            Value::Opaque(opaque) => Some((opaque, span)),
            _ => None,
        })?;
        let file = self.files.get(usize::try_from(span.file).ok()?)?;
        let (line, _) = file.position(span.start);
        Some(format!("`from {} import *` on line {line} could not be read", opaque.origin))
    }

    /// The file of a module beside the importing one, or in a package around that; never outside of the root.
    fn file_for(&self, env: &Env, name: &str, level: u32) -> Result<Option<PathBuf>> {
        let file = usize::try_from(env.file).ok().and_then(|file| self.files.get(file));
        let Some(mut folder) = file.and_then(|file| file.path.parent()).map(Path::to_path_buf) else {
            return Ok(None);
        };
        if level > 1 {
            // A path seen from the working folder ends there, and that of the model may go on.
            let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            folder = std::path::absolute(here).unwrap_or(folder);
            let written = || format!("`{}{name}`", ".".repeat(usize::try_from(level).unwrap_or(0).min(20)));
            let is_there = (1..level).all(|_| folder.pop());
            // Not even whether there is such a file is anybody's business.
            if !is_there || !self.root.has_folder(&folder) {
                return Err(self.root.outside(&written()));
            }
        }
        let Some(top) = name.split('.').next().filter(|top| !top.is_empty()) else { return Ok(None) };
        // A file in a package names its package from outside, too: `import net.blocks` in `net/model.py`.
        let package = folder.ancestors().find(|above| above.file_name().is_some_and(|own| own == top));
        if level == 0
            && let Some(package) = package
            && self.root.has_folder(package)
            && let Some(around) = package.parent()
        {
            folder = around.to_path_buf();
        }
        let parts: Vec<&str> = name.split('.').collect();
        let is_name = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !parts.iter().all(is_name) {
            return Ok(None);
        }
        // Programs of a package run from the folder around it, `python -m package.train`: its neighbours are found, too,
        // where the root is around them.
        let around = folder.ancestors().take(MAX_PACKAGES).find(|above| !above.join("__init__.py").is_file());
        let around = around.filter(|around| level == 0 && *around != folder && self.root.has_folder(around));
        for folder in std::iter::once(folder.as_path()).chain(around) {
            let path = parts.iter().fold(folder.to_path_buf(), |path, part| path.join(part));
            for path in [path.with_extension("py"), path.join("__init__.py")] {
                if self.root.has_file(&path)? {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }

    /// Reads a file and runs it, once.
    pub(crate) fn load(&mut self, path: &Path) -> Result<Value> {
        match self.modules.get(path) {
            Some(Some(namespace)) => return Ok(Value::Namespace(namespace.clone())),
            Some(None) => {
                return Err(Fault::python(
                    "ImportError",
                    format!("`{}` is imported while it is being read itself", path.display()),
                ));
            }
            None => {}
        }
        if self.files.len() >= MAX_FILES {
            return Err(Fault::limit(format!("the model is spread over more than {MAX_FILES} files")));
        }
        let source = SourceFile::read(path).map_err(|message| Fault::python("ImportError", message))?;
        self.modules.insert(path.to_owned(), None);
        let (namespace, _) = self.run_file(source)?;
        self.modules.insert(path.to_owned(), Some(namespace.clone()));
        Ok(Value::Namespace(namespace))
    }

    /// Runs the statements of a file. What fails leaves its reason behind, see `failed`.
    pub(crate) fn run_file(&mut self, source: SourceFile) -> Result<(Rc<Namespace>, Parsed<ModModule>)> {
        let source = Rc::new(source);
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(source.clone());
        let parsed = source.parse(number)?;
        let scope = Rc::new(Scope::default());
        self.cycles.scope(&scope);
        scope.set("__name__", Value::str("model"));
        let env = Env::new(scope.clone(), number);
        for statement in parsed.suite() {
            if let Err(fault) = self.statement(&env, statement) {
                if matches!(fault.0.kind, super::Kind::Limit) {
                    return Err(fault);
                }
                self.leave_unknown(&env, statement, fault);
            }
        }
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let namespace = Rc::new(Namespace { name: stem.into(), scope: Some(scope) });
        Ok((namespace, parsed))
    }
}

fn dotted(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") }
}
