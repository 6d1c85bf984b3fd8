//! A kernel taken apart, so that it can become a function of another one.
//!
//! Its parameters become those of an entry in a table, and its buffers places in memory that all kernels of a dispatch share:
//! WebGPU does not let a dispatch bind a buffer for reading and for writing, so each buffer of the plan is bound once, as
//! words.

use std::collections::BTreeSet;

use super::scan::{Token, closing, tokens, without_comments};

/// Invocations of a workgroup of kernels that can be run in sequence: the usual ones.
pub(super) const WORKGROUP: u32 = 64;

/// Longer kernels, in bytes, do so much that a dispatch of their own does not matter, and drivers take long to compile them again
/// for every combination.
const LONGEST: usize = 6_000;

/// What the entry point is called as a function, with the number of the kernel behind it.
pub(super) const ENTRY: &str = "entry_point";

/// The elements of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// `f32`, `u32` or `i32`.
    pub scalar: &'static str,
    /// Whether four lie side by side.
    pub vector: bool,
}

impl Element {
    fn of(text: &str) -> Option<Self> {
        let scalars = ["f32", "u32", "i32"].into_iter();
        let of = |scalar: &'static str| {
            [(scalar.to_owned(), false), (format!("vec4<{scalar}>"), true)]
                .into_iter()
                .find(|(name, _)| name == text)
                .map(|(_, vector)| Self { scalar, vector })
        };
        scalars.filter_map(of).next()
    }

    /// Bytes of one.
    pub(super) fn bytes(self) -> u64 {
        if self.vector { 16 } else { 4 }
    }

    fn ty(self) -> String {
        if self.vector { format!("vec4<{}>", self.scalar) } else { self.scalar.to_owned() }
    }
}

/// A storage binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The variable's name.
    pub name: String,
    /// What it is an array of.
    pub element: Element,
    /// Whether all that is read and written of it is element `i`.
    pub at_index: bool,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Apart {
    /// The fields of its parameters, with their types.
    pub fields: Vec<(String, String)>,
    /// Its storage bindings, in order.
    pub bindings: Vec<Bound>,
    /// Functions, constants and structures.
    items: String,
    /// Invocations of a workgroup.
    pub width: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u64,
    /// The names of the entry point's arguments, in the order of [`BUILTINS`]; those of which it has none are empty.
    arguments: [String; BUILTINS.len()],
    /// The entry point's block.
    body: String,
    /// Names that are declared outside of functions.
    names: BTreeSet<String>,
}

/// What entry points may ask for, with its type.
const BUILTINS: [(&str, &str); 4] = [
    ("global_invocation_id", "vec3<u32>"),
    ("num_workgroups", "vec3<u32>"),
    ("workgroup_id", "vec3<u32>"),
    ("local_invocation_index", "u32"),
];

/// Where a kernel that became a function finds everything.
pub(super) struct Instance<'a> {
    /// The number that its names end in.
    pub number: usize,
    /// The memory that each binding is in.
    pub memories: &'a [usize],
}

/// Takes a kernel apart. `None` if it is not one that can be merged.
pub(super) fn take_apart(wgsl: &str) -> Option<Apart> {
    let text = without_comments(wgsl);
    if text.len() > LONGEST {
        return None;
    }
    let all = tokens(&text);
    let mut apart = Apart {
        fields: vec![],
        bindings: vec![],
        items: String::new(),
        width: 0,
        workgroup_memory: 0,
        arguments: Default::default(),
        body: String::new(),
        names: BTreeSet::new(),
    };
    let mut at = 0;
    while at < all.len() {
        at = apart.item(&text, &all, at)?;
    }
    if apart.body.is_empty()
        || apart.bindings.is_empty()
        || apart.items.contains("Barrier")
        || apart.waits_in_blocks()
    {
        return None;
    }
    for n in 0..apart.bindings.len() {
        apart.bindings[n].at_index = apart.only_at_index(&apart.bindings[n].name);
    }
    // What cannot be written as a function shows only there.
    let memories = vec![0; apart.bindings.len()];
    apart.function(&Instance { number: 0, memories: &memories })?;
    Some(apart)
}

impl Apart {
    /// Reads a declaration, and gives the place of the next one.
    fn item(&mut self, text: &str, all: &[Token<'_>], at: usize) -> Option<usize> {
        let word = |n: usize| all.get(n).map_or("", |token| token.text);
        let end = |of: &str| (at..all.len()).find(|n| word(*n) == of);
        match (word(at), word(at + 1)) {
            ("struct", "Params") => {
                let close = closing(all, at + 2)?;
                for field in all[at + 3..close].split(|token| token.text == ",").filter(|f| !f.is_empty()) {
                    let [name, colon, ty] = field else { return None };
                    (colon.text == ":").then(|| self.fields.push((name.text.into(), ty.text.into())))?;
                }
                Some(close + 1)
            }
            ("struct" | "fn", name) => {
                self.names.insert(name.to_owned());
                let close = closing(all, end("{")?)?;
                self.items.push_str(&text[all[at].at..all[close].end()]);
                self.items.push('\n');
                Some(close + 1)
            }
            ("const", name) => {
                self.names.insert(name.to_owned());
                let close = end(";")?;
                self.items.push_str(&text[all[at].at..all[close].end()]);
                self.items.push('\n');
                Some(close + 1)
            }
            ("@", "group") => {
                let close = end(";")?;
                self.binding(&all[at..close])?;
                Some(close + 1)
            }
            ("@", "compute") => {
                let size: Vec<&str> = all.get(at + 2..at + 7)?.iter().map(|token| token.text).collect();
                let ["@", "workgroup_size", "(", width, ")"] = size[..] else { return None };
                self.width = width.parse().ok()?;
                let open = (at..all.len()).find(|n| word(*n) == "main")? + 1;
                let close = closing(all, open)?;
                self.arguments(&all[open + 1..close])?;
                let last = closing(all, close + 1)?;
                self.body = text[all[close + 1].at..all[last].end()].to_owned();
                Some(last + 1)
            }
            ("var", "<") => {
                let close = end(";")?;
                self.workgroup_variable(&all[at..close])?;
                self.items.push_str(&text[all[at].at..all[close].end()]);
                self.items.push('\n');
                Some(close + 1)
            }
            // Extensions, say.
            _ => None,
        }
    }

    fn binding(&mut self, declaration: &[Token<'_>]) -> Option<()> {
        let text: String = declaration.iter().map(|token| token.text).collect();
        let variable = text.split_once("var<")?.1;
        if variable.starts_with("uniform>") {
            return Some(());
        }
        let (name, ty) = variable.split_once('>')?.1.split_once(':')?;
        let element = Element::of(ty.strip_prefix("array<")?.strip_suffix('>')?)?;
        self.bindings.push(Bound { name: name.into(), element, at_index: false });
        Some(())
    }

    /// Counts an array in workgroup memory.
    fn workgroup_variable(&mut self, declaration: &[Token<'_>]) -> Option<()> {
        let text: String = declaration.iter().map(|token| token.text).collect();
        let (name, ty) = text.strip_prefix("var<workgroup>")?.split_once(':')?;
        let (element, count) = ty.strip_prefix("array<")?.strip_suffix('>')?.rsplit_once(',')?;
        let bytes = Element::of(element)?.bytes() * count.parse::<u64>().ok()?;
        self.workgroup_memory += bytes;
        self.names.insert(name.to_owned());
        Some(())
    }

    /// Whether invocations have nothing to do with each other, in workgroups of the usual size.
    pub(super) fn is_plain(&self) -> bool {
        self.workgroup_memory == 0 && self.width == WORKGROUP
    }

    fn arguments(&mut self, list: &[Token<'_>]) -> Option<()> {
        let text: String = list.iter().map(|token| token.text).collect();
        for argument in text.split("@builtin(").filter(|argument| !argument.is_empty()) {
            let (builtin, rest) = argument.split_once(')')?;
            let place = BUILTINS.iter().position(|(name, _)| *name == builtin)?;
            self.arguments[place] = rest.split(':').next()?.to_owned();
        }
        Some(())
    }

    /// The text of all functions.
    fn code(&self) -> String {
        let arguments = self.arguments.iter().zip(BUILTINS).map(|(name, (builtin, ty))| {
            let name = if name.is_empty() { format!("unused_{builtin}") } else { name.clone() };
            format!("{name}: {ty}")
        });
        format!("{}fn {ENTRY}({}) {}\n", self.items, arguments.collect::<Vec<_>>().join(", "), self.body)
    }

    /// Whether there are barriers in blocks. As far as compilers can tell, whether a workgroup enters such a block together
    /// depends on parameters, which are not the same everywhere any more.
    fn waits_in_blocks(&self) -> bool {
        let mut depth = 0usize;
        let mut waits = |token: &Token<'_>| {
            match token.text {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > 1 && token.text.ends_with("Barrier")
        };
        tokens(&self.code()).iter().any(&mut waits)
    }

    fn only_at_index(&self, name: &str) -> bool {
        let code = self.code();
        let all = tokens(&code);
        let uses = all.windows(4).filter(|four| four[0].text == name && four[1].text == "[");
        uses.into_iter().all(|four| four[2].text == "i" && four[3].text == "]")
    }

    /// The kernel as functions, of which `entry_point_N` is the entry point, with [`BUILTINS`] as arguments. `None` if it does with its bindings what
    /// cannot be written so.
    pub(super) fn function(&self, instance: &Instance<'_>) -> Option<String> {
        let code = self.code();
        let all = tokens(&code);
        let mut rewriting =
            Rewriting { apart: self, instance, shadowed: BTreeSet::new(), out: String::new() };
        let mut at = 0;
        while at < all.len() {
            let open = (at..all.len()).find(|n| matches!(all[*n].text, "{" | ";"))?;
            let end = if all[open].text == ";" { open } else { closing(&all, open)? };
            let item = &all[at..=end];
            rewriting.shadowed = declared(item);
            let is_struct = all[at].text == "struct";
            rewriting.tokens(&code, item, is_struct)?;
            rewriting.out.push('\n');
            at = end + 1;
        }
        Some(rewriting.out)
    }
}

/// The names of a function's arguments and variables: they hide bindings.
fn declared(function: &[Token<'_>]) -> BTreeSet<String> {
    let names = function.windows(2).filter_map(|pair| {
        let is_declaration = matches!(pair[0].text, "let" | "var" | "const");
        let is_argument = pair[1].text == ":" && pair[0].is_word();
        if is_declaration { Some(pair[1].text) } else { is_argument.then_some(pair[0].text) }
    });
    names.map(str::to_owned).collect()
}

struct Rewriting<'a> {
    apart: &'a Apart,
    instance: &'a Instance<'a>,
    shadowed: BTreeSet<String>,
    out: String,
}

impl Rewriting<'_> {
    /// Writes tokens of `code` with the names of this instance.
    fn tokens(&mut self, code: &str, all: &[Token<'_>], is_struct: bool) -> Option<()> {
        let number = self.instance.number;
        let mut before: Option<Token<'_>> = None;
        let mut at = 0;
        while let Some(token) = all.get(at).copied() {
            let next = all.get(at + 1).map_or("", |token| token.text);
            if let Some(before) = before {
                self.out.push_str(&code[before.end()..token.at]);
            }
            let is_member = before.is_some_and(|before| before.text == ".") || is_struct && next == ":";
            let binding = self.apart.bindings.iter().position(|bound| bound.name == token.text);
            let mut last = at;
            if is_member || !token.is_word() {
                self.out.push_str(token.text);
            } else if token.text == "params" && next == "." {
                self.out.push_str(&format!("params_{number}"));
            } else if let Some(binding) = binding.filter(|_| !self.shadowed.contains(token.text)) {
                last = self.access(code, all, at, binding)?;
            } else if self.apart.names.contains(token.text) || token.text == ENTRY {
                self.out.push_str(&format!("{}_{number}", token.text));
            } else {
                self.out.push_str(token.text);
            }
            before = Some(all[last]);
            at = last + 1;
        }
        Some(())
    }

    /// Writes what is done with a binding, whose name is at `at`. Gives the last token of it.
    fn access(&mut self, code: &str, all: &[Token<'_>], at: usize, binding: usize) -> Option<usize> {
        let word = |n: usize| all.get(n).map_or("", |token| token.text);
        if word(at + 1) != "[" {
            return None;
        }
        let close = closing(all, at + 1)?;
        let bound = &self.apart.bindings[binding];
        let (element, memory) = (bound.element, self.instance.memories[binding]);
        let index = self.inner(code, &all[at + 2..close])?;
        let number = self.instance.number;
        let place = format!("params_{number}.place_of_{} + u32({index})", bound.name);
        let is_assigned = |n: usize| word(n) == "=" && word(n + 1) != "=";
        if !is_assigned(close + 1) {
            // Operators that assign, and parts of elements that are written, are not known here.
            let operator = matches!(word(close + 1), "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^");
            if operator && word(close + 2) == "=" {
                return None;
            }
            let part = match word(close + 1) {
                "." => close + 3,
                "[" => closing(all, close + 1)? + 1,
                _ => close + 1,
            };
            if part > close + 1 && is_assigned(part) {
                return None;
            }
            let loaded = match (element.vector, element.scalar) {
                (true, "u32") => format!("memory_{memory}[{place}]"),
                (true, _) => format!("bitcast<{}>(memory_{memory}[{place}])", element.ty()),
                (false, "u32") => format!("word_{memory}({place})"),
                (false, _) => format!("bitcast<{}>(word_{memory}({place}))", element.ty()),
            };
            self.out.push_str(&loaded);
            return Some(close);
        }
        let end = (close..all.len()).find(|n| word(*n) == ";")?;
        let value = self.inner(code, &all[close + 2..end])?;
        let value = match (element.vector, element.scalar) {
            (_, "u32") => format!("{}({value})", element.ty()),
            (true, _) => format!("bitcast<vec4<u32>>({}({value}))", element.ty()),
            (false, _) => format!("bitcast<u32>({}({value}))", element.ty()),
        };
        self.out.push_str(&if element.vector {
            format!("memory_{memory}[{place}] = {value};")
        } else {
            format!("set_word_{memory}({place}, {value});")
        });
        Some(end)
    }

    /// The text of an expression.
    fn inner(&mut self, code: &str, all: &[Token<'_>]) -> Option<String> {
        let outer = std::mem::take(&mut self.out);
        let written = self.tokens(code, all, false);
        let inner = std::mem::replace(&mut self.out, outer);
        written.map(|()| inner)
    }
}
