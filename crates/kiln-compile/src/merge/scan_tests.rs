//! A text falls into tokens, and these say where they are.

use super::{closing, tokens, without_comments};

#[test]
fn a_text_falls_into_tokens() {
    let text = without_comments("// what\nlet a_1 = b[i + 1u] * 2.5e3f; // why\n\n  x.y == z\n");
    assert_eq!(text, "let a_1 = b[i + 1u] * 2.5e3f;\n  x.y == z\n");
    let tokens = tokens(&text);
    let words: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let expected =
        ["let", "a_1", "=", "b", "[", "i", "+", "1u", "]", "*", "2.5e3f", ";", "x", ".", "y", "=", "=", "z"];
    assert_eq!(words, expected);
    assert_eq!(closing(&tokens, 4), Some(8));
    assert_eq!(closing(&tokens[..8], 4), None);
}
