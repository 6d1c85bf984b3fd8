//! The size of a kernel once every call, constant, structure and array is expanded, as naga and drivers expand them.
//!
//! A declaration is as large as its tokens; a name of another declaration counts as that, and `array<T, n>` as `n`
//! times `T`. A local constant counts as what it was made of. So functions that call each other twice, structures of
//! two structures and arrays of arrays have the size that they double to, and it is found without writing anything out.

use std::collections::HashMap;

use super::{Token, WgslLimits};
use crate::Problem;

/// The sum over all declarations.
pub(super) fn expanded(tokens: &[Token<'_>], limits: &WgslLimits) -> Result<u64, Problem> {
    let declarations = split(tokens);
    if declarations.len() > limits.declarations {
        let (count, limit) = (declarations.len(), limits.declarations);
        return Err(Problem::TooMany { what: "declarations in its source", count, limit });
    }
    let names = declarations.iter().enumerate();
    let names = names.filter_map(|(i, declaration)| Some((declared_name(declaration)?, i))).collect();
    let states = vec![State::New; declarations.len()];
    let mut sizes = Sizes { declarations: &declarations, names, states, row: 0, array: 0, limits };
    let mut sum = 0u64;
    for index in 0..declarations.len() {
        sum = sum.saturating_add(sizes.of_declaration(index, limits.chain)?);
    }
    let what = "tokens of source once calls, constants, structures and arrays are written out";
    if sum > limits.expanded { Err(Problem::too_many(what, sum, limits.expanded)) } else { Ok(sum) }
}

/// The declarations of a module, each up to its `;` or its closing `}`.
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut declarations = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth = depth.saturating_sub(1),
            Token::Sign(_) | Token::Word(_) | Token::Number(_) => {}
        }
        if depth == 0 && matches!(token, Token::Sign(';' | '}')) {
            declarations.push(&tokens[start..=i]);
            start = i + 1;
        }
    }
    if start < tokens.len() {
        declarations.push(&tokens[start..]);
    }
    declarations
}

/// The name that a declaration introduces.
fn declared_name<'a>(declaration: &[Token<'a>]) -> Option<&'a str> {
    let keyword = |token: &Token<'_>| {
        matches!(token, Token::Word("fn" | "struct" | "alias" | "const" | "override" | "var"))
    };
    let mut rest = declaration.get(declaration.iter().position(keyword)? + 1..)?;
    if rest.first() == Some(&Token::Sign('<')) {
        // `var<storage, read>`
        rest = rest.get(rest.iter().position(|token| *token == Token::Sign('>'))? + 1..)?;
    }
    rest.first()?.word()
}

/// Whether a declaration is of a variable in a buffer or in workgroup memory.
fn is_shared(declaration: &[Token<'_>]) -> bool {
    let at = declaration.iter().position(|token| *token == Token::Word("var"));
    let space = at.and_then(|at| declaration.get(at + 1..at + 3));
    matches!(space, Some([Token::Sign('<'), Token::Word("storage" | "uniform" | "workgroup")]))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// Being looked at: a declaration that names it names itself, if only through a local name that is the same.
    Open,
    /// Its size, and how many declarations in a row it is made of.
    Known(u64, usize),
}

struct Sizes<'t, 'a> {
    declarations: &'t [&'t [Token<'a>]],
    names: HashMap<&'a str, usize>,
    states: Vec<State>,
    /// The longest row of declarations that what is looked at is made of, as far as it is known.
    row: usize,
    /// The limit for arrays in the declaration that is looked at.
    array: u64,
    limits: &'t WgslLimits,
}

impl<'a> Sizes<'_, 'a> {
    fn of_declaration(&mut self, index: usize, chain: usize) -> Result<u64, Problem> {
        match self.states[index] {
            State::Known(size, row) => {
                self.row = self.row.max(row);
                return Ok(size);
            }
            State::Open => return Err(Problem::Recursive { what: "a declaration in its source" }),
            State::New => {}
        }
        let chain = self.deeper(chain)?;
        self.states[index] = State::Open;
        let outer = std::mem::take(&mut self.row);
        let (array, tokens) = (self.array, self.declarations[index]);
        self.array = if is_shared(tokens) { self.limits.array } else { self.limits.private_array };
        let size = self.of_body(tokens, chain)?;
        self.array = array;
        let row = self.row + 1;
        self.deeper((self.limits.chain + 1).saturating_sub(row))?;
        self.states[index] = State::Known(size, row);
        self.row = outer.max(row);
        Ok(size)
    }

    /// The size of what a declaration consists of.
    fn of_body(&mut self, tokens: &[Token<'a>], chain: usize) -> Result<u64, Problem> {
        // What local constants were made of; of several with one name the largest.
        let mut constants: HashMap<&'a str, u64> = HashMap::new();
        let mut open: Option<(&'a str, u64)> = None;
        let mut sum = 0u64;
        let mut depth = 0usize;
        let mut at = 0;
        let mut own_name = declared_name(tokens);
        while let Some(token) = tokens.get(at) {
            match token {
                Token::Sign('{') => depth += 1,
                Token::Sign(';') => {
                    if let Some((name, before)) = open.take() {
                        let size = constants.entry(name).or_default();
                        *size = (*size).max(sum.saturating_sub(before));
                    }
                }
                Token::Sign(_) | Token::Word(_) | Token::Number(_) => {}
            }
            let (size, next) = match token {
                Token::Word("array") if tokens.get(at + 1) == Some(&Token::Sign('<')) => {
                    self.of_array(tokens, at, chain)?
                }
                Token::Word("const") if depth > 0 => {
                    open = tokens.get(at + 1).and_then(|name| name.word()).map(|name| (name, sum));
                    (2, at + 2)
                }
                Token::Word(word) => {
                    let local = constants.get(word).copied().unwrap_or(1);
                    // Where it is declared it names itself.
                    let global = if own_name.take_if(|own| own == word).is_some() {
                        1
                    } else {
                        self.of_name(word, chain)?
                    };
                    (local.max(global), at + 1)
                }
                Token::Number(_) | Token::Sign(_) => (1, at + 1),
            };
            sum = sum.saturating_add(size);
            at = next;
        }
        Ok(sum)
    }

    /// What is left of the limit, one declaration or array further in.
    fn deeper(&self, chain: usize) -> Result<usize, Problem> {
        let (count, limit) = (self.limits.chain + 1, self.limits.chain);
        let what = "declarations and arrays in a row, each made of the next, in its source";
        chain.checked_sub(1).ok_or(Problem::TooMany { what, count, limit })
    }

    fn of_name(&mut self, name: &str, chain: usize) -> Result<u64, Problem> {
        self.names.get(name).copied().map_or(Ok(1), |index| self.of_declaration(index, chain))
    }

    /// The size of `array<T, n>`, whose first token is at `at`, and where it ends.
    fn of_array(&mut self, tokens: &[Token<'a>], at: usize, chain: usize) -> Result<(u64, usize), Problem> {
        let chain = self.deeper(chain)?;
        // Behind `array<`.
        let mut at = at + 2;
        let mut element = 0u64;
        let mut inner = 0usize;
        let unreadable = || Problem::NotUsable {
            what: "size of an array in its source",
            value: "not a number or the name of a constant that is one".to_string(),
        };
        loop {
            let (size, next) = match tokens.get(at).ok_or_else(unreadable)? {
                Token::Word("array") if tokens.get(at + 1) == Some(&Token::Sign('<')) => {
                    self.of_array(tokens, at, chain)?
                }
                Token::Word(word) => (self.of_name(word, chain)?, at + 1),
                Token::Sign('<') => {
                    inner += 1;
                    (1, at + 1)
                }
                Token::Sign('>') if inner == 0 => return Ok((element.max(1), at + 1)),
                Token::Sign('>') => {
                    inner -= 1;
                    (1, at + 1)
                }
                Token::Sign(',') if inner == 0 => break,
                Token::Sign(';' | '{' | '}') => return Err(unreadable()),
                Token::Number(_) | Token::Sign(_) => (1, at + 1),
            };
            element = element.saturating_add(size);
            at = next;
        }
        let (count, end) = match *tokens.get(at + 1..).unwrap_or_default() {
            [count, Token::Sign('>'), ..] => (count, at + 3),
            [count, Token::Sign(','), Token::Sign('>'), ..] => (count, at + 4),
            _ => return Err(unreadable()),
        };
        let count = self.number(count).ok_or_else(unreadable)?;
        let size = element.max(1).saturating_mul(count);
        if size > self.array {
            return Err(Problem::too_many("elements of an array in its source", size, self.array));
        }
        Ok((size.max(1), end))
    }

    /// The value of a number, or of a constant that is one.
    fn number(&self, token: Token<'a>) -> Option<u64> {
        let text = match token {
            Token::Number(text) => text,
            Token::Word(name) => match self.declarations[*self.names.get(name)?] {
                [
                    Token::Word("const"),
                    Token::Word(_),
                    ..,
                    Token::Sign('='),
                    Token::Number(text),
                    Token::Sign(';'),
                ] => text,
                _ => return None,
            },
            Token::Sign(_) => return None,
        };
        let digits = text.trim_end_matches(['u', 'i']);
        match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        }
    }
}
