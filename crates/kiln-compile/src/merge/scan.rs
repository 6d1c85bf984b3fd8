//! The tokens of a kernel's WGSL, with their places, as far as taking kernels apart needs them.

/// An identifier, a number, or a single character of anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// What it is.
    pub text: &'t str,
    /// Its first byte in the whole text.
    pub at: usize,
}

impl Token<'_> {
    /// The first byte behind it.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// Whether it is a name or a keyword.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

/// A text without its comments, which in kernels go to the end of a line.
pub(super) fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code).trim_end());
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// The tokens of a text without comments.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || first.is_ascii_digit() && c == '.';
        let length = if first.is_ascii_alphanumeric() || first == '_' {
            text[at..].find(|c| !is_part(c)).unwrap_or(text.len() - at)
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(Token { text: &text[at..at + length], at });
        }
        at += length;
    }
    tokens
}

/// The place of the bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (n, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => continue,
        }
        if depth == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
