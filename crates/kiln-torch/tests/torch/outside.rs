//! A program sees the Python files in its own folder, or in the one that is named, and nothing else of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_torch::{ImportOptions, import};

/// Files that a model may and may not read, removed in the end.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("kiln-outside-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for inner in ["pkg/deep/blocks", "elsewhere"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        let tree = Self(folder.canonicalize().unwrap());
        for (file, text) in [
            ("secret.py", "N = 3\nTOKEN = \"hunter2\"\n"),
            ("pkg/secret.py", "N = 3\nTOKEN = \"hunter2\"\n"),
            ("pkg/secret", "hunter2 = is not Python\n"),
            ("pkg/deep/beside.py", "N = 3\n"),
            ("pkg/deep/blocks/__init__.py", "from .inner import N\n"),
            ("pkg/deep/blocks/inner.py", "from ..beside import N\n"),
            ("elsewhere/other.py", "N = 3\n"),
            ("pkg/deep/big.py", &"#".repeat((4 << 20) + 1)),
        ] {
            fs::write(tree.0.join(file), text).unwrap();
        }
        #[cfg(unix)]
        for (target, link) in [
            ("../secret", "to_secret.py"),
            ("/etc/passwd", "to_passwd.py"),
            ("/dev/zero", "to_zero.py"),
            ("to_itself.py", "to_itself.py"),
            ("beside.py", "to_beside.py"),
            ("../../elsewhere", "to_folder"),
        ] {
            std::os::unix::fs::symlink(target, tree.0.join("pkg/deep").join(link)).unwrap();
        }
        tree
    }

    /// What is said about a model that begins with an import.
    fn said(&self, import_line: &str, root: Option<&Path>) -> String {
        let file = self.0.join("pkg/deep/net.py");
        let model = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        \
                     self.fc = nn.Linear(4, N)\n    def forward(self, x):\n        return self.fc(x)\n";
        fs::write(&file, format!("import torch.nn as nn\n{import_line}\n{model}")).unwrap();
        let root = root.map(Path::to_path_buf);
        let options = ImportOptions { inputs: vec!["4".into()], root, ..ImportOptions::default() };
        import(&file, &options).map_or_else(|error| error.report(), |_| String::new())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn imports_end_at_the_folder_of_the_model() {
    let tree = Tree::new();
    let mut refused = vec![
        ("from ..secret import N", "is outside of"),
        ("from ...secret import N", "is outside of"),
        ("from ..there_is_no_such_file import N", "is outside of"),
        ("from ..pkg.secret import N", "is outside of"),
        ("from ......................tmp.secret import N", "is outside of"),
        ("from big import N", "has more than 4194304 bytes"),
    ];
    let mut allowed = vec![
        "from beside import N",
        "from .beside import N",
        "from blocks import N",
        "from deep.beside import N",
    ];
    if cfg!(unix) {
        refused.extend([
            ("from to_secret import N", "is outside of"),
            ("from to_passwd import N", "is outside of"),
            ("from to_zero import N", "is outside of"),
            ("from to_itself import N", "cannot read"),
            ("from to_folder.other import N", "is outside of"),
        ]);
        allowed.push("from to_beside import N");
    }
    for (line, word) in refused {
        let said = tree.said(line, None);
        assert!(said.contains(word), "{line}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("root:"), "{line}: {said}");
        assert!(word != "is outside of" || said.contains("--root FOLDER"), "{line}: {said}");
    }
    for line in allowed {
        assert_eq!(tree.said(line, None), "", "{line}");
    }
    let around = tree.0.join("pkg");
    for line in ["from ..secret import N", "from beside import N"] {
        assert_eq!(tree.said(line, Some(&around)), "", "{line}");
    }
    let said = tree.said("from ...secret import N", Some(&around));
    assert!(said.contains("is outside of"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_model_is_a_regular_file() {
    let said = import(Path::new("/dev/zero"), &ImportOptions::default()).unwrap_err().to_string();
    assert!(said.contains("`/dev/zero` is not a regular file"), "{said}");
}
