//! `kiln tune` and what other commands make of its records.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MODEL: &str = "tests/oracles/fixtures/net/model.onnx";

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The command in the repository's root, with this cache; `CACHE` and `OUT` stand for it.
fn kiln(arguments: &str, cache: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let arguments =
        arguments.split_whitespace().map(|word| word.replace("OUT", &cache.display().to_string()));
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.env("KILN_CACHE", cache).env("NO_COLOR", "1").output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace(['│', '×', '╰', '─', '▶'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn succeeds(arguments: &str, cache: &Path) -> String {
    let output = kiln(arguments, cache);
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(arguments: &str, cache: &Path) -> String {
    let output = kiln(arguments, cache);
    assert_eq!(output.status.code(), Some(1), "{arguments}");
    text(&output.stderr)
}

#[test]
fn records_are_kept_and_used() {
    let cache = folder("tune");
    let records = cache.join("records.ktune");
    let found = succeeds(&format!("tune {MODEL} --max N=2 --candidates 2 --seconds 60 --json"), &cache);
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    let problems = found["problems"].as_array().expect("a list");
    assert!(problems.len() >= 2 && found["left"] == 0, "{found:#}");
    assert_eq!(found["records"].as_str().map(Path::new), Some(&*records));
    let lines = std::fs::read_to_string(&records).expect("the records");
    assert_eq!(lines.lines().count(), problems.len());

    let kernels = |flags: &str| succeeds(&format!("dump {MODEL} --max N=2 --stage kernels {flags}"), &cache);
    assert!(kernels("").contains("recorded"));
    assert!(!kernels("--records none").contains("recorded"));
    assert!(!kernels("--target gpu").contains("recorded"));
    // A file to commit has the same records; what was known is not measured again, unless it has to be.
    let file = cache.join("net.ktune");
    std::fs::copy(&records, &file).expect("a copy");
    assert!(kernels("--records OUT/net.ktune").contains("recorded"));
    let tune = |flags: &str| succeeds(&format!("tune {MODEL} --max N=2 --seconds 60 {flags}"), &cache);
    assert!(tune("").contains("known from earlier"));
    assert!(tune("--again --candidates 2").contains("problems measured"));
    assert!(tune("--records OUT/new.ktune --candidates 2").contains("new.ktune"));
    assert_eq!(std::fs::read_to_string(cache.join("new.ktune")).expect("it").lines().count(), problems.len());

    let plan =
        succeeds(&format!("compile {MODEL} --max N=2 -o OUT/net.kplan --tune 60 --records none"), &cache);
    assert!(plan.contains("net.kplan"));
    // Without time nothing is measured, and nothing is written.
    let none = succeeds(&format!("tune {MODEL} --max N=3 --seconds 0.001 --records OUT/empty.ktune"), &cache);
    assert!(none.contains("0 problems measured") && !cache.join("empty.ktune").exists(), "{none}");
}

#[test]
fn records_that_cannot_be_used_are_named() {
    let cache = folder("tune-errors");
    let damaged = cache.join("records.ktune");
    std::fs::write(&damaged, "{\"format\":1\n").expect("a file");
    // The cache is no reason not to compile; a file that was named is.
    let output = kiln(&format!("dump {MODEL} --stage kernels"), &cache);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("measurements are not used"), "{}", text(&output.stderr));
    assert!(
        fails(&format!("dump {MODEL} --stage kernels --records OUT/records.ktune"), &cache)
            .contains("line 1")
    );
    assert!(fails(&format!("tune {MODEL} --records OUT/records.ktune"), &cache).contains("line 1"));
    assert_eq!(std::fs::read_to_string(&damaged).expect("it stays"), "{\"format\":1\n");
    let missing = fails(&format!("compile {MODEL} --records OUT/none.ktune -o OUT/x.kplan"), &cache);
    assert!(missing.contains("there is no") && missing.contains("kiln tune"), "{missing}");
    assert!(fails(&format!("tune {MODEL} --target gpu"), &cache).contains("--target auto"));
    assert!(
        fails(&format!("compile {MODEL} --target gpu --tune 1 -o OUT/x.kplan"), &cache).contains("--tune")
    );
    let line = |device: &str| {
        format!(
            "{{\"format\":1,\"device\":{{\"name\":\"{device}\",\"backend\":\"vulkan\",\"driver\":\"\",\"driver_info\":\"\",\
             \"wgpu\":\"1\"}},\"problem\":\"p\",\"kernels\":\"0\",\"choice\":\"c\",\"microseconds\":{{}}}}\n"
        )
    };
    std::fs::write(cache.join("two.ktune"), line("Alpha") + &line("Beta")).expect("a file");
    let two = fails(&format!("dump {MODEL} --stage kernels --target gpu --records OUT/two.ktune"), &cache);
    assert!(two.contains("Alpha") && two.contains("Beta"), "{two}");
    std::fs::write(cache.join("one.ktune"), line("Alpha")).expect("a file");
    succeeds(&format!("dump {MODEL} --stage kernels --target gpu --records OUT/one.ktune"), &cache);
    let other = kiln(&format!("dump {MODEL} --stage kernels --records OUT/one.ktune"), &cache);
    assert!(other.status.success() && text(&other.stderr).contains("no measurements of"));
}
