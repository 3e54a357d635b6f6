//! `name = value, name(…), name` in an attribute: raw and spanned, going on after an error.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, Ident, Token};

use crate::errors::Errors;

/// The names of an attribute's entries, as an enum: the compiler checks that each match handles all of them.
macro_rules! names {
    ($(#[$about:meta])* $enum:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $enum { $($variant,)+ }

        impl $enum {
            /// As in the source.
            const TEXTS: [&'static str; [$($text),+].len()] = [$($text),+];

            /// The variant of this name.
            fn of(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// As in the source.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}
pub(crate) use names;

/// One entry of an attribute's list.
pub(crate) struct Entry {
    pub(crate) name: Ident,
    pub(crate) value: EntryValue,
}

/// What follows its name.
pub(crate) enum EntryValue {
    Nothing,
    Expr(Box<Expr>),
    List(TokenStream),
    /// Something that could not be read. The error is recorded.
    Broken,
}

/// Reads a comma-separated list of entries. What cannot be read becomes an error, and reading goes on at the next
/// comma.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Vec<Entry> {
    let broken = |input: ParseStream<'_>| {
        let name = Ident::parse_any(&input.fork()).ok()?;
        Some(Entry {
            name,
            value: EntryValue::Broken,
        })
    };
    list(tokens, broken, errors)
}

/// Reads a comma-separated list of anything, in the same way; `broken` stands in for what cannot be read.
pub(crate) fn list<T: Parse>(
    tokens: TokenStream,
    broken: impl Fn(ParseStream<'_>) -> Option<T>,
    errors: &mut Errors,
) -> Vec<T> {
    let mut entries = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let ahead = input.fork();
            match ahead.parse::<T>() {
                Ok(entry) => {
                    entries.push(entry);
                    input.advance_to(&ahead);
                }
                Err(error) => {
                    errors.add(error);
                    entries.extend(broken(input));
                    skip_to_comma(input)?;
                }
            }
            if input.peek(Token![,]) {
                input.parse::<Token![,]>()?;
            } else if input.peek(Token![;]) {
                let wrong: Token![;] = input.parse()?;
                errors.at(wrong, "a comma stands between two: write `,` in place of `;`");
            } else if let Some((next, _)) = input.cursor().token_tree() {
                errors.at(&next, format!("a comma is missing before `{next}`"));
                if !matches!(next, TokenTree::Ident(_) | TokenTree::Literal(_)) {
                    skip_to_comma(input)?;
                }
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.add(error);
    }
    entries
}

/// An expression without the invisible group around what a macro of the user's passed on.
pub(crate) fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        other => other,
    }
}

/// What stands where `=` belongs: another sign, or the value at once.
pub(crate) fn in_place_of_equals(input: ParseStream<'_>) -> Option<TokenTree> {
    let wrong =
        input.peek(Token![=>]) || input.peek(Token![==]) || input.peek(Token![:]) || input.peek(syn::Lit);
    wrong.then(|| input.fork().parse().ok()).flatten()
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // Words such as `crate` and `type` too: a keyword is only another unknown name.
        let name = Ident::parse_any(input)?;
        let value = if let Some(instead) = in_place_of_equals(input) {
            return Err(syn::Error::new(
                instead.span(),
                format!("`{name}` and its value have `=` between them: write `{name} = …`"),
            ));
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(syn::Error::new(name.span(), format!("`{name} =` needs a value")));
            }
            EntryValue::Expr(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            EntryValue::List(content.parse()?)
        } else {
            EntryValue::Nothing
        };
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn reading_goes_on_after_an_error() {
        let mut errors = Errors::default();
        let tokens = quote!(topic = "a", key = , = 3, headers("x" = y), transparent, crate = "z", a b);
        let names: Vec<_> = read(tokens, &mut errors)
            .iter()
            .map(|entry| entry.name.to_string())
            .collect();
        assert_eq!(
            names,
            ["topic", "key", "headers", "transparent", "crate", "a", "b"]
        );
        let diagnostics = errors.into_diagnostics().unwrap().to_string();
        assert_eq!(diagnostics.matches("compile_error").count(), 3, "{diagnostics}");
    }
}
