//! What a model asks for, and all of it that there is not.

use std::path::{Path, PathBuf};

use kiln_onnx::{ImportError, ImportOptions, Report, check, import};

use crate::models::{bytes, linear, node};

/// Writes a model to a file of this test's own.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a writable folder");
    path
}

fn report(path: &Path) -> Report {
    check(path, &ImportOptions::default()).expect("a sound model")
}

#[test]
fn a_supported_model() {
    let report =
        report(&file("supported.onnx", &bytes(&linear(vec![node("Relu", "act", &["hidden"], "y")], 4))));
    let operators: Vec<(&str, usize)> =
        report.operators.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!((report.opset, operators), (17, vec![("Gemm", 1), ("Relu", 1)]));
    assert!(report.unsupported.is_empty(), "{:?}", report.unsupported);
}

/// One error lists all there is, also what follows on something unsupported.
#[test]
fn everything_unsupported_at_once() {
    let mut foreign = node("FancyNorm", "norm", &["boxes"], "scaled");
    foreign.domain = "com.example".into();
    let nodes = vec![
        node("SequenceAt", "at", &["hidden"], "boxes"),
        foreign,
        node("Relu", "act", &["scaled"], "middle"),
        node("Optional", "maybe", &["middle"], "y"),
    ];
    let path = file("unsupported.onnx", &bytes(&linear(nodes, 4)));
    let found = report(&path).unsupported;
    let found: Vec<(&str, &str, i64)> =
        found.iter().map(|u| (u.node.as_str(), u.operator.as_str(), u.opset)).collect();
    assert_eq!(
        found.iter().map(|(node, operator, _)| (*node, *operator)).collect::<Vec<_>>(),
        [("at", "SequenceAt"), ("norm", "com.example.FancyNorm"), ("maybe", "Optional")]
    );
    assert_eq!(found[0].2, 17);
    let message = match import(&path, &ImportOptions::default()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with("3 things are not supported:\n  `at` (SequenceAt, opset 17): "), "{message}");
    assert_eq!(message.lines().count(), 4, "{message}");
}

/// A model that contradicts itself has no report, unless its operators are to be trusted.
#[test]
fn a_wrong_declaration() {
    let path = file("declared.onnx", &bytes(&linear(vec![node("Relu", "act", &["hidden"], "y")], 5)));
    let error = check(&path, &ImportOptions::default()).expect_err("4 is not 5");
    assert!(matches!(error, ImportError::Declared { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "`act` (Relu) gives f32[batch, 4] as `y`, but the file declares f32[batch, 5] \
         (--lenient trusts the operators)"
    );
    let lenient = ImportOptions { lenient: true, ..ImportOptions::default() };
    assert!(check(&path, &lenient).expect("operators are trusted").unsupported.is_empty());
}
