//! WGSL as a list of words, numbers and signs: as much of the language as counting needs. Comments end where naga ends
//! them, since what one of the two takes for a comment the other must not take for code.

/// A word, a number, or one sign: `>>` is two, which is what the end of `array<vec4<f32>>` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Number(&'a str),
    Sign(char),
}

impl<'a> Token<'a> {
    /// The word, if it is one.
    pub(super) fn word(self) -> Option<&'a str> {
        match self {
            Token::Word(word) => Some(word),
            Token::Number(_) | Token::Sign(_) => None,
        }
    }
}

/// The tokens of a text.
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The beginning of what is left, up to the first character of another kind.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn skip_block_comment(&mut self) {
        let mut chars = self.rest.chars();
        // The opening sign.
        chars.by_ref().take(2).for_each(drop);
        let mut depth = 1;
        let mut before = chars.next();
        while depth > 0
            && let Some(c) = chars.next()
        {
            match (before, c) {
                (Some('*'), '/') => {
                    depth -= 1;
                    before = None;
                }
                (Some('/'), '*') => {
                    depth += 1;
                    before = None;
                }
                _ => before = Some(c),
            }
        }
        self.rest = chars.as_str();
    }
}

fn ends_line(c: char) -> bool {
    matches!(c, '\u{a}'..='\u{d}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn in_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace() && !ends_line(c))
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.run(|c| c.is_whitespace() || ends_line(c));
            if self.rest.starts_with("//") {
                self.run(|c| !ends_line(c));
            } else if self.rest.starts_with("/*") {
                self.skip_block_comment();
            } else {
                break;
            }
        }
        let first = self.rest.chars().next()?;
        Some(match first {
            '0'..='9' => Token::Number(self.run(|c| c == '.' || in_word(c))),
            c if in_word(c) => Token::Word(self.run(in_word)),
            c => {
                self.rest = &self.rest[c.len_utf8()..];
                Token::Sign(c)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_signs() {
        let text =
            "fn f(a: f32)->u32 { // no } here\u{85}return 0x1fu >> /* nor /* } */ } */ 1.5e3;\n} /*/*/";
        let found: Vec<String> = Tokens::new(text)
            .map(|token| match token {
                Token::Word(text) | Token::Number(text) => text.to_string(),
                Token::Sign(sign) => sign.to_string(),
            })
            .collect();
        assert_eq!(found.join(" "), "fn f ( a : f32 ) - > u32 { return 0x1fu > > 1.5e3 ; }");
        assert_eq!(Tokens::new("").next(), None);
        assert_eq!(Tokens::new("/**/größe").next(), Some(Token::Word("größe")));
    }
}
