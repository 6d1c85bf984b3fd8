//! A host program that embeds the runtime gets no compiler with it.

use std::process::Command;

#[test]
fn no_compiler_crate_is_pulled_in() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let arguments = ["tree", "--offline", "-p", "kiln-cnn-runtime", "-e", "normal", "--prefix", "none"];
    let tree = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let ours: std::collections::BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| name.starts_with("kiln"))
        .collect();
    assert_eq!(
        ours.into_iter().collect::<Vec<_>>(),
        ["kiln-cnn-files", "kiln-cnn-plan", "kiln-cnn-runtime"],
        "{text}"
    );
    for foreign in ["petgraph v", "clap v", "minijinja v", "image v", "serde_json v"] {
        // wgpu's own shader compiler uses petgraph where it has a SPIR-V front end; ours must not bring it.
        assert!(!text.lines().any(|line| line.starts_with(foreign)), "{foreign}: {text}");
    }
}
