//! The shape of this crate: who imports whom, and how long files and functions are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules from the first to the last: each imports only from those before it, and from its own.
const LAYERS: &[&[&str]] = &[
    &["fuse"],
    &["passes"],
    &["error"],
    &["target", "layout", "element", "ranges"],
    &["memory"],
    &["wgsl"],
    &["kernels"],
    &["select"],
    &["lower"],
    &["merge"],
    &["emit"],
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 80;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files of the crate by the path of their module: `kernels::tile`.
fn files() -> BTreeMap<Vec<String>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the crate") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(source()).expect("below the source").with_extension("");
                let mut module: Vec<String> =
                    inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                module.retain(|part| part != "mod" && part != "lib");
                found.insert(module, std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    assert!(found.len() > 50, "the crate's files are not where they are looked for");
    found
}

/// Paths that a file names: after `use`, or anywhere with `crate::` or `super::`. Comments are left out.
fn named_paths(text: &str) -> Vec<Vec<String>> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for (n, _) in code.match_indices("::") {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let start = code[..n].rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        let rest = &code[start..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let path: Vec<String> =
            rest[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let is_group = rest[end..].starts_with('{');
        if is_group {
            let close = rest[end..].find('}').map_or(rest.len(), |at| end + at);
            for item in rest[end + 1..close].split(',') {
                let item = item.trim().split("::").next().unwrap_or_default();
                // A list over several lines ends in a comma.
                if item.is_empty() {
                    continue;
                }
                paths.push(path.iter().cloned().chain([item.to_owned()]).collect());
            }
        } else {
            paths.push(path);
        }
    }
    paths
}

/// The module that a path inside `from` leads to, if it is one of this crate.
fn resolve(files: &BTreeMap<Vec<String>, String>, from: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base: Vec<String> = match path.first()?.as_str() {
        "crate" => vec![],
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        "self" => from.to_vec(),
        child if files.contains_key(&[from, &[child.to_owned()]].concat()) => {
            [from, &[child.to_owned()]].concat()
        }
        _ => return None,
    };
    for part in &path[1..] {
        if part == "super" {
            base.pop();
            continue;
        }
        let next = [&base[..], std::slice::from_ref(part)].concat();
        if !files.contains_key(&next) {
            break;
        }
        base = next;
    }
    Some(base)
}

fn imports(files: &BTreeMap<Vec<String>, String>) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let edges = files.iter().map(|(module, text)| {
        // `mod.rs` names its children to declare and to re-export them.
        let to = named_paths(text).into_iter().filter_map(|path| resolve(files, module, &path));
        (module.clone(), to.filter(|to| to != module).collect())
    });
    edges.collect()
}

/// A cycle from a module to itself, if there is one.
fn cycle(edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<Vec<Vec<String>>> {
    fn walk(
        at: &Vec<String>,
        edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
        path: &mut Vec<Vec<String>>,
        done: &mut BTreeSet<Vec<String>>,
    ) -> Option<Vec<Vec<String>>> {
        if let Some(first) = path.iter().position(|module| module == at) {
            return Some(path[first..].iter().cloned().chain([at.clone()]).collect());
        }
        if !done.insert(at.clone()) {
            return None;
        }
        path.push(at.clone());
        let found = edges.get(at).into_iter().flatten().find_map(|to| walk(to, edges, path, done));
        path.pop();
        found
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|module| walk(module, edges, &mut vec![], &mut done))
}

#[test]
fn modules_import_without_a_cycle() {
    let edges = imports(&files());
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 200, "imports are not found");
    let found = cycle(&edges).map(|path| path.iter().map(|m| m.join("::")).collect::<Vec<_>>().join(" -> "));
    assert_eq!(found, None, "modules import one another");
}

/// That the search finds a cycle where there is one.
#[test]
fn a_cycle_would_be_found() {
    let file = |text: &str| text.to_owned();
    let files = BTreeMap::from([
        (vec!["a".to_owned()], file("use crate::b::{self, B};")),
        (vec!["b".to_owned()], file("// crate::a\nuse super::c;")),
        (vec!["c".to_owned()], file("fn f() { crate::a::f() }")),
    ]);
    assert!(cycle(&imports(&files)).is_some());
}

#[test]
fn layers_import_from_those_before_them() {
    let layer = |module: &[String]| {
        let top = module.first()?;
        LAYERS.iter().position(|layer| layer.contains(&top.as_str()))
    };
    let mut wrong = Vec::new();
    for (module, to) in imports(&files()) {
        let Some(own) = layer(&module) else { continue };
        for to in to {
            if layer(&to).is_none_or(|other| other > own) {
                wrong.push(format!("{} imports {}", module.join("::"), to.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (module, text) in files() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > LONGEST_FILE {
            long.push(format!("{}: {} lines", module.join("::"), lines.len()));
        }
        for (n, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let head = code
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ")
                .trim_start_matches("pub ");
            if !head.trim_start_matches("const ").starts_with("fn ") || code.ends_with('}') {
                continue;
            }
            let indent = &line[..line.len() - code.len()];
            let close = format!("{indent}}}");
            let length = lines[n..].iter().position(|line| **line == *close).map_or(0, |end| end + 1);
            if length > LONGEST_FUNCTION {
                let name = head.split('(').next().unwrap_or(head);
                long.push(format!("{}: {name}, {length} lines", module.join("::")));
            }
        }
    }
    assert!(
        long.is_empty(),
        "at most {LONGEST_FILE} lines a file and {LONGEST_FUNCTION} a function:\n{}",
        long.join("\n")
    );
}
