//! What `docs/onnx.md` says of each operator, made from a run of all cases.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use kiln::onnx::OperatorInfo;

use crate::case::{Gradient, Outcome, Verdict};
use crate::suite::Case;

/// The lines between which the page is generated.
const MARKS: [&str; 2] = ["<!-- made by scripts/conformance --write -->", "<!-- end -->"];

/// Element types that count: what devices compute with.
const TYPES: &[&str] = &["float", "int32", "int64", "bool"];

/// Passed, and all.
#[derive(Clone, Copy, Default)]
struct Count(usize, usize);

impl Count {
    fn add(&mut self, outcome: &Outcome) {
        self.0 += usize::from(*outcome == Outcome::Passed);
        self.1 += 1;
    }

    fn text(self) -> String {
        format!("{} of {}", self.0, self.1)
    }
}

/// Compares the page with what the run gives, or writes it if `KILN_WRITE` is set.
pub(crate) fn check(cases: &[Case], verdicts: &BTreeMap<String, Verdict>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/onnx.md");
    let page = std::fs::read_to_string(&path).expect("docs/onnx.md is committed");
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?)));
    let (before, (made, after)) = parts.expect("docs/onnx.md has the marks between which it is made");
    let wanted = format!("\n{}", generated(cases, verdicts));
    if made == wanted {
        return;
    }
    if std::env::var_os("KILN_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}"))
            .expect("docs/onnx.md can be written");
        return;
    }
    panic!("docs/onnx.md is not what this run gives; scripts/conformance --write writes it");
}

fn generated(cases: &[Case], verdicts: &BTreeMap<String, Verdict>) -> String {
    let operators = kiln::onnx::operators();
    let mut text = summary(cases, verdicts, &operators);
    text +=
        "\n| operator | operator sets | inference | gradient | cases |\n| --- | --- | --- | --- | --- |\n";
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for info in operators.iter().filter(|info| info.left_out.is_none()) {
        let row = rows.entry(full_name(info)).or_default();
        row.versions = match info.until {
            Some(until) => format!("{} to {}", info.since, until - 1),
            None => format!("since {}", info.since),
        };
    }
    for case in cases.iter().filter(|case| case.kind == "node") {
        let verdict = &verdicts[&case.key()];
        let Some(row) = rows.get_mut(&case.operator) else { continue };
        row.count.add(&verdict.outcome);
        row.gradients.extend(verdict.gradient);
    }
    for (name, row) in &rows {
        let _ = writeln!(
            text,
            "| {name} | {} | yes | {} | {} |",
            row.versions,
            row.gradient(),
            if row.count.1 == 0 { "none in the suite".into() } else { row.count.text() }
        );
    }
    text += "\nLeft out on purpose, with the message of `kiln check`:\n\n";
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for info in &operators {
        if let Some(why) = info.left_out {
            reasons.entry(why).or_default().push(full_name(info));
        }
    }
    for (why, names) in reasons {
        let _ = writeln!(text, "- {}: {why}.", names.join(", "));
    }
    text
}

/// The figures above the table.
fn summary(cases: &[Case], verdicts: &BTreeMap<String, Verdict>, operators: &[OperatorInfo]) -> String {
    let left_out: Vec<String> = operators.iter().filter(|o| o.left_out.is_some()).map(full_name).collect();
    let mut text = String::from("| cases | passed |\n| --- | --- |\n");
    let mut row = |what: &str, chosen: &dyn Fn(&Case) -> bool| {
        let mut count = Count::default();
        cases.iter().filter(|case| chosen(case)).for_each(|case| count.add(&verdicts[&case.key()].outcome));
        let _ = writeln!(text, "| {what} | {} |", count.text());
    };
    let counts = |case: &Case| {
        case.kind == "node"
            && case.types.iter().all(|ty| TYPES.contains(&ty.as_str()))
            && !left_out.contains(&case.operator)
            && !case.operators.iter().any(|operator| left_out.contains(operator))
    };
    row("node, of float32, int32, int64 and bool, operators that are not left out", &counts);
    row("node, all", &|case| case.kind == "node");
    for kind in ["pytorch-operator", "pytorch-converted", "simple", "light"] {
        row(kind, &|case| case.kind == kind);
    }
    text
}

#[derive(Default)]
struct Row {
    versions: String,
    count: Count,
    gradients: Vec<Gradient>,
}

impl Row {
    fn gradient(&self) -> &'static str {
        let has = |gradient| self.gradients.contains(&gradient);
        match (has(Gradient::Derived), has(Gradient::Missing)) {
            (true, false) => "yes",
            (true, true) => "partly",
            (false, true) => "no",
            (false, false) if self.gradients.is_empty() => "–",
            // Nothing continuous goes through it.
            (false, false) => "none",
        }
    }
}

fn full_name(info: &OperatorInfo) -> String {
    if info.domain.is_empty() { info.name.into() } else { format!("{}.{}", info.domain, info.name) }
}
