//! The language itself: a file of assertions that CPython passes, too (`python tests/torch/language.py`).

use std::path::Path;

use kiln_torch::{ImportOptions, import_text};

/// What CPython does and Kiln refuses, with a word of the message. There is no program for it in books' models; most
/// could be had by the way that is named in `docs/pytorch.md`.
const REFUSED: &[(&str, &str)] = &[
    ("pow(2, 5, 7)", "takes 2 arguments"),
    ("itertools.count()", "never ends"),
    ("itertools.cycle([1])", "never ends"),
    ("functools.partialmethod(len)", "partialmethod"),
    ("endless()", "is there a loop"),
    ("WithMeta()", "metaclasses"),
    ("OwnTensor()", "derive from `torch.Tensor`"),
    ("nn.utils.weight_norm(nn.Linear(1, 1))", "weight_norm"),
    ("nn.utils.spectral_norm(nn.Linear(1, 1))", "spectral_norm"),
    ("nn.Linear(1, 1).register_full_backward_hook(print)", "hooks on the backward pass"),
    ("contextlib.contextmanager(endless)", "contextmanager"),
    ("nn.Linear(1, 1)(torch.ones(1, 1)).veiw(1)", "did you mean `view`?"),
    ("torch.ones(1).shap", "did you mean `shape`?"),
    ("torch.ones(1).unsqueze(0)", "did you mean `unsqueeze`?"),
    ("torch.ones(1).sise()", "did you mean `size`?"),
];

const DEFINITIONS: &str = "
import contextlib
import functools
import itertools
import math

import torch
import torch.nn as nn


def endless():
    while True:
        yield 1


def WithMeta():
    class Meta(type):
        pass

    class Inner(metaclass=Meta):
        pass

    return Inner()


class OwnTensor(torch.Tensor):
    pass


";

#[test]
fn what_is_refused_is_said() {
    let mut wrong = vec![];
    for (expression, words) in REFUSED {
        let text = format!(
            "{DEFINITIONS}def one():\n    value = {expression}\n    return nn.Sequential(nn.Linear(1, 1))\n"
        );
        let options =
            ImportOptions { model: Some("one".into()), inputs: vec!["1".into()], ..ImportOptions::default() };
        match import_text(&text, Path::new("language.py"), &options) {
            Ok(_) => wrong.push(format!("`{expression}` is listed as refused, but works")),
            Err(error) if error.report().contains(words) => {}
            Err(error) => wrong.push(format!("`{expression}`: {}", error.report())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In evaluation `self.training` is false from the beginning, where PyTorch's constructors see true: a network is read
/// for what it is used for.
#[test]
fn training_is_known_in_constructors() {
    let text = "
import torch.nn as nn


def one():
    assert not nn.ReLU().training
    return nn.Sequential(nn.Linear(1, 1))
";
    let mut options =
        ImportOptions { model: Some("one".into()), inputs: vec!["1".into()], ..ImportOptions::default() };
    assert!(import_text(text, Path::new("language.py"), &options).is_ok());
    options.training = true;
    assert!(import_text(text, Path::new("language.py"), &options).is_err());
}

#[test]
fn the_language_is_as_in_python() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torch/language.py");
    let text = std::fs::read_to_string(path).expect("the file is there");
    // One theme at a time, so that a failure hides no other.
    let themes =
        text.lines().skip_while(|line| !line.starts_with("THEMES")).nth(1).expect("the list of themes");
    let mut wrong = vec![];
    for theme in themes.split(',').map(str::trim).filter(|theme| !theme.is_empty()) {
        let model = format!("\n\ndef one():\n    {theme}()\n    return nn.Sequential(nn.Linear(1, 1))\n");
        let options =
            ImportOptions { model: Some("one".into()), inputs: vec!["1".into()], ..ImportOptions::default() };
        if let Err(error) = import_text(&format!("{text}{model}"), Path::new("language.py"), &options) {
            wrong.push(format!("{theme}: {}", error.report()));
        }
    }
    assert!(wrong.is_empty(), "{} themes differ:\n{}", wrong.len(), wrong.join("\n"));
}
