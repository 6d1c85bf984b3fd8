//! The package's README: its network, and its commands in their order.

use std::process::Command;

#[test]
fn the_commands_of_the_readme() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let readme = include_str!("../../README.md");
    let block = |language: &str| {
        let begin = readme.split_once(&format!("```{language}\n")).expect("a block of the language").1;
        begin.split_once("```").expect("its end").0
    };
    std::fs::write(folder.join("net.py"), block("python")).expect("a file in a temporary folder");
    let commands: Vec<_> = block("console").lines().map(|line| line.strip_prefix("$ kiln ")).collect();
    assert!(commands.len() > 3);
    for command in commands {
        let command = command.expect("a command of `kiln`");
        let output = Command::new(env!("CARGO_BIN_EXE_kiln"))
            .args(command.split_whitespace())
            .current_dir(&folder)
            .env("NO_COLOR", "1")
            .env("KILN_CACHE", "")
            .output()
            .expect("the command starts");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
