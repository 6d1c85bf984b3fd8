//! The text that `kiln dump MODEL --stage wgsl` prints: a line `// ---- N: name` before the source of each kernel.

const HEADING: &str = "// ---- ";

/// A kernel, and which of the dumps have it.
pub struct Kernel {
    pub name: String,
    pub wgsl: String,
    /// Positions in the list of dumps, in order.
    pub dumps: Vec<usize>,
}

/// The kernels of all dumps. Those with the same text are one, under the name that comes first.
pub fn kernels(dumps: &[String]) -> Vec<Kernel> {
    let mut found: Vec<Kernel> = Vec::new();
    for (number, dump) in dumps.iter().enumerate() {
        for (name, wgsl) in split(dump) {
            match found.iter_mut().find(|kernel| kernel.wgsl == wgsl) {
                Some(kernel) => {
                    if kernel.dumps.last() != Some(&number) {
                        kernel.dumps.push(number);
                    }
                }
                None => found.push(Kernel { name, wgsl, dumps: vec![number] }),
            }
        }
    }
    found
}

fn split(dump: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in dump.lines() {
        if let Some((_, name)) = line.strip_prefix(HEADING).and_then(|rest| rest.split_once(": ")) {
            found.push((name.to_owned(), String::new()));
        } else if let Some((_, wgsl)) = found.last_mut() {
            wgsl.push_str(line);
            wgsl.push('\n');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_with_the_same_text_are_one() {
        let first = "// ---- 0: copy\nfn a() {}\n\n// ---- 1: map\nfn b() {}\n".to_owned();
        let second = "a note\n// ---- 0: map_add\nfn b() {}\n// ---- 1: pad\nfn c() {}\n".to_owned();
        let found = kernels(&[first, second]);
        let shown: Vec<_> = found.iter().map(|k| (k.name.as_str(), k.wgsl.as_str(), &k.dumps[..])).collect();
        assert_eq!(
            shown,
            [
                ("copy", "fn a() {}\n\n", &[0][..]),
                ("map", "fn b() {}\n", &[0, 1]),
                ("pad", "fn c() {}\n", &[1])
            ]
        );
    }
}
