//! Limits on the work of compiling a kernel's WGSL.
//!
//! naga and the compilers of drivers walk expressions, blocks and declarations by recursion, and write out calls,
//! arrays and structures: a text of a few hundred bytes can overflow the stack or take all memory. So the text is
//! counted before any of them sees it, in time proportional to its length. Text that passes need not be correct; naga
//! checks that.

mod size;
#[cfg(test)]
mod tests;
mod tokens;

use kiln_files::wide;

use crate::Problem;
use tokens::{Token, Tokens};

/// How much of everything a kernel may have: a few times what the largest kernels of Kiln have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WgslLimits {
    /// Bytes of text.
    pub bytes: usize,
    /// Blocks within blocks, each `else` of a chain counted as one more.
    pub blocks: usize,
    /// Brackets within brackets, blocks not counted.
    pub brackets: usize,
    /// Tokens between two of `;`, `{` and `}`: what an expression can be made of.
    pub statement: usize,
    /// Statements.
    pub statements: usize,
    /// Branches and loops: `if`, `else`, `case`, `default`, `for`, `while`, `loop`.
    pub branches: usize,
    /// Functions, structures, variables, constants and aliases.
    pub declarations: usize,
    /// Declarations and arrays in a row, each made of the next.
    pub chain: usize,
    /// Elements of an array of fixed size, those of its elements counted, that a buffer or workgroup memory holds.
    pub array: u64,
    /// The same for all others: what does not stay in registers takes drivers minutes to compile.
    pub private_array: u64,
    /// Tokens once every call, constant, structure and array is written out.
    pub expanded: u64,
    /// The same for each byte of the text, above [`expanded_free`](Self::expanded_free) of them.
    pub expanded_per_byte: u64,
    /// Tokens that a text of any length may be written out to.
    pub expanded_free: u64,
}

/// The limits of this version of the format.
pub const WGSL_LIMITS: WgslLimits = WgslLimits {
    bytes: 128 << 10,
    blocks: 64,
    brackets: 64,
    statement: 512,
    statements: 1 << 12,
    branches: 384,
    declarations: 512,
    chain: 32,
    array: 1 << 14,
    private_array: 1 << 8,
    expanded: 1 << 20,
    expanded_per_byte: 32,
    expanded_free: 1 << 16,
};

/// Whether a kernel's text is within the limits of this version of the format.
pub fn check_wgsl(text: &str) -> Result<(), Problem> {
    measure(text, &WGSL_LIMITS).map(drop)
}

/// Counts a kernel's text and gives its size once everything is written out.
pub(crate) fn measure(text: &str, limits: &WgslLimits) -> Result<u64, Problem> {
    if text.len() > limits.bytes {
        return Err(Problem::TooLong { what: "source", bytes: text.len(), limit: limits.bytes });
    }
    let tokens: Vec<Token<'_>> = Tokens::new(text).collect();
    let mut counts = Counts::default();
    for token in &tokens {
        counts.add(*token);
        counts.check(limits)?;
    }
    let expanded = size::expanded(&tokens, limits)?;
    check_expanded(expanded, text.len(), limits.expanded_free, limits)?;
    Ok(expanded)
}

/// Whether kernels with `bytes` of text in all may be written out to so many tokens.
pub(crate) fn check_expanded(
    tokens: u64,
    bytes: usize,
    free: u64,
    limits: &WgslLimits,
) -> Result<(), Problem> {
    let limit = free.saturating_add(limits.expanded_per_byte.saturating_mul(wide(bytes)));
    if tokens <= limit {
        return Ok(());
    }
    let what = "tokens of source once calls, constants, structures and arrays are written out";
    Err(Problem::too_many(what, tokens, limit))
}

/// What has been seen of a text so far.
#[derive(Default)]
struct Counts {
    /// For each open block, how many `else` of the same chain came before what is in it now.
    open: Vec<usize>,
    /// The sum of these.
    chained: usize,
    /// Whether a block was closed by the last token.
    closed: bool,
    brackets: usize,
    statement: usize,
    statements: usize,
    branches: usize,
}

impl Counts {
    fn add(&mut self, token: Token<'_>) {
        if std::mem::take(&mut self.closed)
            && let Some(chain) = self.open.last_mut()
        {
            if token == Token::Word("else") {
                *chain += 1;
                self.chained += 1;
            } else {
                self.chained -= std::mem::take(chain);
            }
        }
        self.statement += 1;
        match token {
            Token::Sign('(' | '[') => self.brackets += 1,
            Token::Sign(')' | ']') => self.brackets = self.brackets.saturating_sub(1),
            Token::Sign('{') => {
                self.open.push(0);
                self.end_statement();
            }
            Token::Sign('}') => {
                self.chained -= self.open.pop().unwrap_or(0);
                self.closed = true;
                self.end_statement();
            }
            Token::Sign(';') => self.end_statement(),
            Token::Word("if" | "else" | "case" | "default" | "for" | "while" | "loop") => self.branches += 1,
            Token::Word(_) | Token::Number(_) | Token::Sign(_) => {}
        }
    }

    fn end_statement(&mut self) {
        self.statements += 1;
        self.statement = 0;
    }

    fn check(&self, limits: &WgslLimits) -> Result<(), Problem> {
        let counts = [
            ("nested blocks in its source", self.open.len() + self.chained, limits.blocks),
            ("nested brackets in its source", self.brackets, limits.brackets),
            ("tokens in a statement of its source", self.statement, limits.statement),
            ("statements in its source", self.statements, limits.statements),
            ("branches and loops in its source", self.branches, limits.branches),
        ];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(Problem::TooMany { what, count, limit }),
            None => Ok(()),
        }
    }
}
