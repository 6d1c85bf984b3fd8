//! The text of a kernel that does the work of several launches, and what it is launched with.
//!
//! Each launch is an entry in the table of parameters: those of its kernel, where its bindings begin in the memory that is
//! bound, its workgroups, and how many workgroups are in front of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use kiln_graph::Dim;
use kiln_plan::{Access, Range};

use super::kernel::{Apart, ENTRY, Instance, WORKGROUP};
use crate::lower::merged::Merged;
use crate::lower::realize::Launch;
use crate::wgsl::params::Uniform;

/// A launch whose buffers have places.
pub(crate) struct Placed<'a> {
    /// The launch.
    pub launch: &'a Launch,
    /// Its kernel.
    pub kernel: &'a Apart,
    /// The place of each of its bindings.
    pub places: Vec<Range>,
}

/// A kernel of several launches.
pub(crate) struct MergedKernel {
    /// Its text.
    pub wgsl: String,
    /// What is bound, each with how.
    pub bindings: Vec<(Range, Access)>,
    /// Its parameters.
    pub uniforms: Vec<Uniform>,
    /// Workgroups in a row, not folded.
    pub workgroups: Dim,
}

/// Makes one kernel of `merged`, whose launches `placed` knows by number, with `lanes` invocations in the workgroup that runs them in
/// sequence, and of which no binding is larger than `most_bytes` that
/// need not be. `None` if it cannot be written.
pub(crate) fn merged_kernel(
    merged: &Merged,
    placed: &BTreeMap<usize, Placed<'_>>,
    lanes: u32,
    most_bytes: u64,
) -> Option<MergedKernel> {
    let mut table = Table::new(placed, most_bytes);
    let main = match merged {
        Merged::Alone(_) => return None,
        Merged::SideBySide(parts) => table.side_by_side(parts)?,
        Merged::InSequence(stages) => table.in_sequence(stages, lanes)?,
    };
    let workgroups = match merged {
        Merged::SideBySide(_) => table.workgroups.clone(),
        Merged::Alone(_) | Merged::InSequence(_) => 1.into(),
    };
    Some(MergedKernel {
        wgsl: table.text()? + &main,
        uniforms: table.uniforms(),
        bindings: table.memories,
        workgroups,
    })
}

/// What is bound for some launches: of each buffer as few ranges as have the size, which do not overlap. All of a buffer's are
/// bound in one way, since WebGPU does not let a dispatch read a buffer that it writes, even elsewhere.
fn memories(placed: &BTreeMap<usize, Placed<'_>>, most_bytes: u64) -> Vec<(Range, Access)> {
    let bound = placed.values().flat_map(|placed| placed.places.iter().zip(&placed.launch.bindings));
    let mut places: Vec<(Range, Access)> = bound.map(|(place, (_, access))| (*place, *access)).collect();
    places.sort_by_key(|(place, _)| (place.buffer, place.offset));
    let mut memories: Vec<(Range, Access)> = Vec::new();
    for (place, access) in places {
        let written = memories
            .iter()
            .any(|(range, access)| range.buffer == place.buffer && *access == Access::ReadWrite);
        let access = if written { Access::ReadWrite } else { access };
        if access == Access::ReadWrite {
            let of_buffer = memories.iter_mut().filter(|(range, _)| range.buffer == place.buffer);
            of_buffer.for_each(|(_, access)| *access = Access::ReadWrite);
        }
        let end = place.offset + place.size;
        match memories.last_mut().filter(|(range, _)| range.buffer == place.buffer) {
            Some((range, _))
                if end - range.offset <= most_bytes || place.offset < range.offset + range.size =>
            {
                range.size = range.size.max(end - range.offset);
            }
            Some(_) | None => memories.push((place, access)),
        }
    }
    memories
}

/// A kernel whose bindings are in certain memories, with the launches that run it.
struct Kind<'a> {
    shader: usize,
    memories: Vec<usize>,
    kernel: &'a Apart,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    placed: &'a Placed<'a>,
    /// Workgroups in front of it.
    first: Dim,
}

/// What is gathered of a merged kernel.
struct Table<'a> {
    placed: &'a BTreeMap<usize, Placed<'a>>,
    memories: Vec<(Range, Access)>,
    kinds: Vec<Kind<'a>>,
    workgroups: Dim,
}

impl<'a> Table<'a> {
    fn new(placed: &'a BTreeMap<usize, Placed<'a>>, most_bytes: u64) -> Self {
        Self { placed, memories: memories(placed, most_bytes), kinds: vec![], workgroups: 0.into() }
    }

    /// The kind of a launch, which is added if it is new.
    fn kind(&mut self, launch: usize) -> Option<usize> {
        let placed = self.placed.get(&launch)?;
        let holds = |range: &Range, place: &Range| {
            range.buffer == place.buffer
                && range.offset <= place.offset
                && place.offset + place.size <= range.offset + range.size
        };
        let memory = |place: &Range| self.memories.iter().position(|(range, _)| holds(range, place));
        let memories = placed.places.iter().map(memory).collect::<Option<Vec<_>>>()?;
        let shader = placed.launch.shader;
        let known = self.kinds.iter().position(|kind| kind.shader == shader && kind.memories == memories);
        Some(known.unwrap_or_else(|| {
            self.kinds.push(Kind { shader, memories, kernel: placed.kernel, entries: vec![] });
            self.kinds.len() - 1
        }))
    }

    /// Adds a launch, and gives its kind and its place among the entries of that.
    fn enter(&mut self, launch: usize, first: &Dim) -> Option<(usize, usize)> {
        let kind = self.kind(launch)?;
        let placed = self.placed.get(&launch)?;
        self.kinds[kind].entries.push(Entry { placed, first: first.clone() });
        Some((kind, self.kinds[kind].entries.len() - 1))
    }

    /// The entry point for parts of a grid. Parts of the same kinds lie side by side, so that a workgroup finds its own by
    /// bisection.
    fn side_by_side(&mut self, parts: &[Vec<usize>]) -> Option<String> {
        let mut classes: Vec<(Vec<usize>, Vec<&Vec<usize>>)> = Vec::new();
        for part in parts {
            let kinds = part.iter().map(|launch| self.kind(*launch)).collect::<Option<Vec<_>>>()?;
            match classes.iter_mut().find(|(known, _)| *known == kinds) {
                Some((_, members)) => members.push(part),
                None => classes.push((kinds, vec![part])),
            }
        }
        let width = self.placed.values().next()?.kernel.width;
        let mut main = format!(
            "@compute @workgroup_size({width})\n\
             fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) row: vec3<u32>, \
             @builtin(local_invocation_index) local: u32) {{\n  let workgroup = group.x + group.y * row.x;\n"
        );
        let mut calls = Vec::new();
        for (kinds, members) in &classes {
            let mut first: Vec<usize> = Vec::new();
            for part in members {
                let at = self.workgroups.clone();
                let entries =
                    part.iter().map(|launch| self.enter(*launch, &at)).collect::<Option<Vec<_>>>()?;
                if first.is_empty() {
                    first = entries.iter().map(|(_, entry)| *entry).collect();
                }
                let [x, y, _] = &self.placed.get(part.first()?)?.launch.workgroups;
                self.workgroups = at + x * y;
            }
            calls.push((kinds.clone(), first, members.len()));
        }
        // Last to first: each begins where what is in front of it ends.
        for (n, (kinds, first, count)) in calls.iter().enumerate().rev() {
            let condition = format!(
                "workgroup >= {}",
                self.first_workgroup(*kinds.first()?, &format!("{}u", first.first()?))
            );
            let (open, close) =
                if n == 0 { ("  {", "  }") } else { ("  if CONDITION {", "    return;\n  }") };
            let _ = writeln!(main, "{}", open.replace("CONDITION", &condition));
            main += &self.found_part(kinds, first, *count);
            let _ = writeln!(main, "{close}");
        }
        Some(main + "}\n")
    }

    /// The word of the table that says how many workgroups are in front of an entry.
    fn first_workgroup(&self, kind: usize, entry: &str) -> String {
        let (base, rows) = (self.base(kind), self.kinds[kind].rows());
        format!("table[{base}u + ({entry}) * {rows}u].x")
    }

    /// What a workgroup does that belongs to one of `count` parts of the same kinds, whose entries begin at `first`.
    fn found_part(&self, kinds: &[usize], first: &[usize], count: usize) -> String {
        // A kernel that is twice in a part has two entries in each.
        let entry = |n: usize, part: &str| {
            let (kind, first) = (kinds[n], first[n]);
            match (kinds.iter().filter(|other| **other == kind).count(), count) {
                (_, 1) => format!("{first}u"),
                (1, _) => format!("{first}u + {part}"),
                (times, _) => format!("{first}u + {part} * {times}u"),
            }
        };
        let kind = kinds[0];
        let width = self.kinds[kind].kernel.width;
        let mut code = String::new();
        if count > 1 {
            let _ = writeln!(
                code,
                "    var part = 0u;\n    var end = {count}u;\n    while part + 1u < end {{\n      \
                 let middle = (part + end) / 2u;\n      if workgroup >= {} {{\n        part = middle;\n      \
                 }} else {{\n        end = middle;\n      }}\n    }}",
                self.first_workgroup(kind, &entry(0, "middle"))
            );
        }
        let _ = writeln!(
            code,
            "    load_{kind}({});\n    let at = workgroup - params_{kind}.first_workgroup;\n    \
             let groups = vec3<u32>(params_{kind}.groups_x, params_{kind}.groups_y, 1u);\n    \
             let own = vec3<u32>(at % groups.x, at / groups.x, 0u);\n    \
             let id = vec3<u32>(own.x * {width}u + local, own.y, 0u);\n    {ENTRY}_{kind}(id, groups, own, local);",
            entry(0, "part")
        );
        for (n, kind) in kinds.iter().enumerate().skip(1) {
            let _ = writeln!(
                code,
                "    load_{kind}({});\n    {ENTRY}_{kind}(id, groups, own, local);",
                entry(n, "part")
            );
        }
        code
    }

    /// The entry point for stages of one workgroup.
    fn in_sequence(&mut self, stages: &[Vec<usize>], lanes: u32) -> Option<String> {
        let mut body = String::new();
        for (n, stage) in stages.iter().enumerate() {
            if n > 0 {
                body += "  storageBarrier();\n";
            }
            let mut calls: Vec<(usize, usize, usize)> = Vec::new();
            for launch in stage {
                let (kind, entry) = self.enter(*launch, &0.into())?;
                match calls.last_mut() {
                    Some((last, _, end)) if *last == kind && *end == entry => *end += 1,
                    Some(_) | None => calls.push((kind, entry, entry + 1)),
                }
            }
            for (kind, from, to) in calls {
                let _ = if to - from == 1 {
                    writeln!(body, "  load_{kind}({from}u);\n  run_{kind}(local);")
                } else {
                    writeln!(
                        body,
                        "  for (var entry = {from}u; entry < {to}u; entry++) {{\n    load_{kind}(entry);\n    \
                         run_{kind}(local);\n  }}"
                    )
                };
            }
        }
        let mut runs = String::new();
        for kind in 0..self.kinds.len() {
            let _ = writeln!(
                runs,
                "fn run_{kind}(local: u32) {{\n  let width = params_{kind}.groups_x;\n  \
                 for (var at = local; at < width * {WORKGROUP}u; at += {lanes}u) {{\n    \
                 {ENTRY}_{kind}(vec3<u32>(at, 0u, 0u), vec3<u32>(width, 1u, 1u), vec3<u32>(at / {WORKGROUP}u, 0u, 0u), at % {WORKGROUP}u);\n  }}\n}}"
            );
        }
        Some(format!(
            "{runs}@compute @workgroup_size({lanes})\nfn main(@builtin(local_invocation_index) local: u32) {{\n{body}}}\n"
        ))
    }

    /// The first row of a kind in the table, which has rows of four words.
    fn base(&self, kind: usize) -> usize {
        self.kinds[..kind].iter().map(|kind| kind.rows() * kind.entries.len()).sum()
    }

    /// Everything but the entry point.
    fn text(&self) -> Option<String> {
        let rows = self.base(self.kinds.len());
        let mut text = format!(
            "// Several kernels in one dispatch.\n@group(0) @binding(0) var<uniform> table: array<vec4<u32>, {rows}>;\n"
        );
        for (n, (_, access)) in self.memories.iter().enumerate() {
            let how = match access {
                Access::Read => "read",
                Access::ReadWrite => "read_write",
            };
            let _ = writeln!(
                text,
                "@group(0) @binding({}) var<storage, {how}> memory_{n}: array<vec4<u32>>;\n\
                 fn word_{n}(at: u32) -> u32 {{\n  return memory_{n}[at >> 2u][at & 3u];\n}}",
                n + 1
            );
            if *access == Access::ReadWrite {
                let _ = writeln!(
                    text,
                    "fn set_word_{n}(at: u32, value: u32) {{\n  memory_{n}[at >> 2u][at & 3u] = value;\n}}"
                );
            }
        }
        for (number, kind) in self.kinds.iter().enumerate() {
            text += &kind.parameters(number, self.base(number));
            text += &kind.kernel.function(&Instance { number, memories: &kind.memories })?;
        }
        Some(text)
    }

    /// The words of the table.
    fn uniforms(&self) -> Vec<Uniform> {
        let mut words = Vec::new();
        for kind in &self.kinds {
            for Entry { placed, first } in &kind.entries {
                let [x, y, _] = &placed.launch.workgroups;
                words.extend([first, x, y].map(|dim| Uniform::Int(dim.clone())));
                words.extend(placed.launch.uniforms.iter().cloned());
                for (n, bound) in kind.kernel.bindings.iter().enumerate() {
                    let (memory, place) = (&self.memories[kind.memories[n]].0, &placed.places[n]);
                    let at = (place.offset - memory.offset) / bound.element.bytes();
                    words.push(Uniform::from(i64::try_from(at).unwrap_or(i64::MAX)));
                }
                words.resize(words.len().next_multiple_of(4), Uniform::from(0));
            }
        }
        words
    }
}

impl Kind<'_> {
    /// The fields of an entry, with their types.
    fn fields(&self) -> Vec<(String, &str)> {
        let own = ["first_workgroup", "groups_x", "groups_y"].map(|name| (name.to_owned(), "u32"));
        let params = self.kernel.fields.iter().map(|(name, ty)| (name.clone(), ty.as_str()));
        let places = self.kernel.bindings.iter().map(|bound| (format!("place_of_{}", bound.name), "u32"));
        own.into_iter().chain(params).chain(places).collect()
    }

    /// Rows of the table that an entry takes.
    fn rows(&self) -> usize {
        (self.kernel.fields.len() + self.kernel.bindings.len() + 3).div_ceil(4)
    }

    /// The parameters of one launch, and how they are loaded.
    fn parameters(&self, number: usize, base: usize) -> String {
        let (rows, fields) = (self.rows(), self.fields());
        let mut text = format!("struct Params_{number} {{\n");
        for (name, ty) in &fields {
            let _ = writeln!(text, "  {name}: {ty},");
        }
        let _ = writeln!(
            text,
            "}}\nvar<private> params_{number}: Params_{number};\nfn load_{number}(entry: u32) {{\n  \
             let at = {base}u + entry * {rows}u;"
        );
        for row in 0..rows {
            let _ = writeln!(text, "  let row_{row} = table[at + {row}u];");
        }
        let words = fields.iter().enumerate().map(|(n, (_, ty))| {
            let word = format!("row_{}[{}]", n / 4, n % 4);
            if *ty == "u32" { word } else { format!("bitcast<{ty}>({word})") }
        });
        let _ = writeln!(
            text,
            "  params_{number} = Params_{number}({});\n}}",
            words.collect::<Vec<_>>().join(", ")
        );
        text
    }
}
