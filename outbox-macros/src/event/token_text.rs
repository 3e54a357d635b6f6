//! Code as text, spaced as people space it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The tokens on one line: `self.key()`, `format!("{}-{}", a.b, c)`, `Wrapper<OrderV1>`.
pub(super) fn token_text(tokens: TokenStream) -> String {
    let mut text = String::new();
    let mut before = Before::Nothing;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                push_group(&mut text, &group, before);
                before = Before::Operand;
            }
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                match sign {
                    ',' | ';' => {
                        text.push(sign);
                        if tokens.peek().is_some() {
                            text.push(' ');
                        }
                        before = Before::Nothing;
                    }
                    // Behind an operand these take two; angle brackets are those of types far more often.
                    '+' | '*' | '/' | '%' | '|' | '^' | '=' if before == Before::Operand => {
                        text.push(' ');
                        text.push(sign);
                        text.push(' ');
                        before = Before::Nothing;
                    }
                    _ => {
                        text.push(sign);
                        before = Before::Nothing;
                    }
                }
            }
            word @ (TokenTree::Ident(_) | TokenTree::Literal(_)) => {
                if matches!(before, Before::Operand | Before::Keyword) {
                    text.push(' ');
                }
                let word = word.to_string();
                before = match word.as_str() {
                    "as" | "if" | "else" | "match" | "return" | "mut" | "dyn" | "move" | "in" => {
                        Before::Keyword
                    }
                    _ => Before::Operand,
                };
                text.push_str(&word);
            }
        }
    }
    text
}

fn push_group(text: &mut String, group: &Group, before: Before) {
    let is_block = group.delimiter() == Delimiter::Brace && before == Before::Operand;
    if is_block || before == Before::Keyword {
        text.push(' ');
    }
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{ ", " }"),
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    text.push_str(&token_text(group.stream()));
    text.push_str(close);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Operand,
    Keyword,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_reads_as_it_was_written() {
        for code in [
            "order_id",
            ".id()",
            "self.key()",
            "format!(\"{}-{}\", self.region, self.order.id)",
            "self.parts[0]",
            "self.id + 1",
            "*self.id",
            "-1",
            "Wrapper<OrderV1>",
            "Wrapper<'static, [u8; 4], Vec<crate::a::B>>",
            "self.id as u64",
            "&self.0",
            "if self.a { 1 } else { 2 }",
        ] {
            assert_eq!(token_text(code.parse().unwrap()), code);
        }
    }
}
