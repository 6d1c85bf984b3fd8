//! Source files, and places in them.

use std::io::Read;
use std::path::{Path, PathBuf};

use ruff_python_ast::ModModule;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, Parsed, lexer};

use crate::advice;
use crate::limits::{MAX_LINE_TOKENS, MAX_SOURCE};
use crate::python::Fault;

/// A Python file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A part of a file; bytes `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    /// Which file, in the order of reading.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// Byte behind the last.
    pub end: u32,
}

impl Span {
    /// The span of a syntax node.
    pub(crate) fn of(file: u32, node: &impl ruff_text_size::Ranged) -> Self {
        let range = node.range();
        Self { file, start: range.start().into(), end: range.end().into() }
    }
}

impl SourceFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("cannot read `{}`: {e}", path.display());
        // Before it is opened: opening a pipe waits for a writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(format!("`{}` is not a regular file", path.display()));
        }
        let mut bytes = vec![];
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_SOURCE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_SOURCE {
            return Err(format!(
                "`{}` has more than {MAX_SOURCE} bytes; a file that defines a model has at most as many",
                path.display()
            ));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("`{}` is not Python source: it is not text in UTF-8", path.display()))?;
        Ok(Self { path: path.into(), text })
    }

    /// Line and column, both from 1, of a byte.
    pub(crate) fn position(&self, at: u32) -> (usize, usize) {
        let before = usize::try_from(at).ok().and_then(|at| self.text.get(..at)).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Parses the file, which is number `file`.
    pub(crate) fn parse(&self, file: u32) -> Result<Parsed<ModModule>, Fault> {
        if u64::try_from(self.text.len()).unwrap_or(u64::MAX) > MAX_SOURCE {
            return Err(Fault::limit(format!("a file that defines a model has at most {MAX_SOURCE} bytes")));
        }
        self.refuse_depth()?;
        ruff_python_parser::parse_module(&self.text).map_err(|error| {
            let span = Span { file, start: error.location.start().into(), end: error.location.end().into() };
            advice::syntax(&self.text, &error.error.to_string(), span)
        })
    }

    /// Syntax trees are walked by recursion, so excessive nesting in a hostile file is refused in advance. What is
    /// nested within a line has as many words and signs there; deeper blocks are indented further.
    fn refuse_depth(&self) -> Result<(), Fault> {
        let mut lexer = lexer::lex(&self.text, Mode::Module);
        let (mut tokens, mut brackets, mut blocks) = (0usize, 0usize, 0usize);
        loop {
            match lexer.next_token() {
                TokenKind::EndOfFile => return Ok(()),
                TokenKind::Comment | TokenKind::NonLogicalNewline => continue,
                TokenKind::Newline => (tokens, brackets) = (0, 0),
                TokenKind::Indent => blocks += 1,
                TokenKind::Dedent => blocks = blocks.saturating_sub(1),
                TokenKind::Lpar
                | TokenKind::Lsqb
                | TokenKind::Lbrace
                | TokenKind::FStringStart
                | TokenKind::TStringStart => brackets += 1,
                TokenKind::Rpar
                | TokenKind::Rsqb
                | TokenKind::Rbrace
                | TokenKind::FStringEnd
                | TokenKind::TStringEnd => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            tokens += 1;
            // CPython's own limits are 200 brackets and 100 levels of indentation.
            if brackets > 200 {
                return Err(Fault::limit("brackets are nested too deeply"));
            }
            if blocks > 100 {
                return Err(Fault::limit("blocks are nested too deeply"));
            }
            if tokens > MAX_LINE_TOKENS {
                return Err(Fault::limit("an expression is too long"));
            }
        }
    }
}
