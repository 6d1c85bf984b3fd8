//! `docs/pytorch.md` lists what is supported, and nothing else.

use std::collections::BTreeSet;

/// The names in the lists of the page. A heading made of `nn.` or of `torch.` and `F.` says what its list's names have in
/// front; items are lines that begin with `* `, and the indented ones that go on with them.
fn listed(page: &str) -> BTreeSet<String> {
    let quoted = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (mut prefixes, mut names): (Vec<String>, BTreeSet<String>) = (vec![], BTreeSet::new());
    for line in page.lines() {
        if line.starts_with('#') {
            prefixes = quoted(line);
            prefixes.retain(|prefix| prefix.ends_with('.'));
        } else if line.starts_with("* ") || line.starts_with("  ") {
            for name in quoted(line) {
                let full = prefixes.iter().map(|prefix| format!("{prefix}{name}"));
                for full in full {
                    assert!(!names.contains(&full), "`{full}` is listed twice");
                    names.insert(full);
                }
            }
        }
    }
    names
}

#[test]
fn the_page_lists_what_is_supported() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pytorch.md"))
        .expect("the page is there");
    let listed = listed(&page);
    let supported: BTreeSet<String> = kiln_torch::supported().into_iter().collect();
    let missing: Vec<_> = supported.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&supported).collect();
    assert!(missing.is_empty(), "docs/pytorch.md does not list {missing:?}");
    assert!(unknown.is_empty(), "docs/pytorch.md lists {unknown:?}, which is not supported");
}
