//! What is said about commands that are typed wrong: `docs/wrong-commands.md` has each with its message, and is held to what is
//! really said. Nothing is written by any of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder with what the commands read, as the page describes it.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong-commands");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("empty")).expect("a folder");
    for (from, to) in [
        ("models/digits.onnx", "digits.onnx"),
        ("models/digit.png", "digit.png"),
        ("tests/oracles/fixtures/detection/levels/model.onnx", "detector.onnx"),
    ] {
        std::fs::copy(root().join(from), folder.join(to)).expect("a copy");
    }
    std::fs::write(folder.join("three.txt"), "cat\ndog\nbird\n").expect("a file");
    for class in ["cat", "dog"] {
        std::fs::create_dir_all(folder.join("photos").join(class)).expect("a folder");
        for number in 0..4u8 {
            let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([number * 50, 90, 160]));
            picture.save(folder.join(format!("photos/{class}/{number}.png"))).expect("a picture");
        }
    }
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => {
                all.push(path.clone());
                all.extend(files(&path));
            }
            path => all.push(path),
        }
    }
    all.sort();
    all
}

/// Standard error without the marks of its lines.
fn said(arguments: &str, folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(arguments.split_whitespace().map(|word| word.trim_matches('\'')))
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("KILN_CACHE", "")
        .output()
        .expect("the command");
    let text = String::from_utf8_lossy(&output.stderr);
    // On a busy machine, what is being done is said, too.
    let lines = text.lines().filter(|line| !line.starts_with("note: `N`") && !line.ends_with(" ..."));
    let lines = lines.map(|line| line.trim_start_matches([' ', '×', '│', '╰', '─', '▶']));
    (output.status.code(), lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" "))
}

#[test]
fn the_page_has_what_is_said() {
    let page = std::fs::read_to_string(root().join("docs/wrong-commands.md")).expect("the page");
    let folder = folder();
    let before = files(&folder);
    let mut wrong = vec![];
    let rows =
        page.lines().filter_map(|line| line.strip_prefix("| `kiln ")?.strip_suffix(" |")?.split_once("` | "));
    let rows: Vec<(&str, &str)> = rows.collect();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for (command, message) in rows {
        let (status, found) = said(command, &folder);
        assert!(matches!(status, Some(1 | 2)), "kiln {command}: {status:?}, {found}");
        assert_eq!(files(&folder), before, "kiln {command} writes something");
        if found != message {
            wrong.push(format!("| `kiln {command}` | {found} |"));
        }
    }
    assert!(wrong.is_empty(), "docs/wrong-commands.md should say:\n{}", wrong.join("\n"));
}
