//! Comments for Kiln in a file: `# kiln: --input 3,32,32 --arg n_blocks=10`, in the syntax of the command's flags.
//!
//! A comment in a class or function, or right above it, is for this one; any other is for the whole file.

use ruff_python_ast::Stmt;
use ruff_text_size::Ranged;

/// Comments for Kiln in a file.
const MAX_COMMENTS: usize = 200;

/// What comments say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// `--input`
    pub inputs: Vec<String>,
    /// `--arg`
    pub args: Vec<String>,
}

/// The comments for the definition called `name`.
pub(crate) fn find(text: &str, statements: &[Stmt], name: &str) -> Result<Hints, String> {
    let (mut own, mut common) = (Hints::default(), Hints::default());
    let (mut offset, mut count) = (0, 0);
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let Some(words) = line.trim().strip_prefix("# kiln:") else { continue };
        count += 1;
        if count > MAX_COMMENTS {
            return Err(format!("there are more than {MAX_COMMENTS} comments for Kiln"));
        }
        match owner(text, statements, start) {
            Some(names) if names.iter().any(|other| other == name) => read(words, &mut own)?,
            Some(_) => {}
            None => read(words, &mut common)?,
        }
    }
    if own.inputs.is_empty() {
        own.inputs = common.inputs;
    }
    if own.args.is_empty() {
        own.args = common.args;
    }
    Ok(own)
}

/// The names of the definition that a comment at byte `at` belongs to.
fn owner(text: &str, statements: &[Stmt], at: usize) -> Option<Vec<String>> {
    let range = |statement: &Stmt| {
        let range = statement.range();
        (
            usize::try_from(u32::from(range.start())).unwrap_or(0),
            usize::try_from(u32::from(range.end())).unwrap_or(0),
        )
    };
    let next = statements.iter().find(|statement| range(statement).1 > at)?;
    if !matches!(next, Stmt::ClassDef(_) | Stmt::FunctionDef(_) | Stmt::Assign(_)) {
        return None;
    }
    let between = text.get(at..range(next).0).unwrap_or_default();
    let is_near = between.lines().all(|line| line.trim().starts_with('#'));
    (range(next).0 <= at || is_near).then(|| crate::python::assigned(next))
}

fn read(words: &str, hints: &mut Hints) -> Result<(), String> {
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let list = match word {
            "--input" => &mut hints.inputs,
            "--arg" => &mut hints.args,
            _ => return Err(format!("`{word}` in a comment for Kiln is neither `--input` nor `--arg`")),
        };
        list.push(
            words.next().ok_or_else(|| format!("`{word}` in a comment for Kiln lacks its value"))?.to_owned(),
        );
    }
    Ok(())
}
