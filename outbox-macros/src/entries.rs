//! `name = value, name(…), name` in an attribute: raw and spanned, going on after a mistake.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, Ident, Token};

use crate::mistakes::Mistakes;

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
}

/// Reads a comma-separated list of entries. What cannot be read is skipped up to the next comma.
pub(crate) fn read(tokens: TokenStream, mistakes: &mut Mistakes) -> Vec<Entry> {
    list(tokens, mistakes)
}

/// Reads a comma-separated list of anything, in the same way.
pub(crate) fn list<T: Parse>(tokens: TokenStream, mistakes: &mut Mistakes) -> Vec<T> {
    let mut entries = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let ahead = input.fork();
            match ahead.parse::<T>().and_then(|entry| ends(&ahead).map(|()| entry)) {
                Ok(entry) => {
                    entries.push(entry);
                    input.advance_to(&ahead);
                }
                Err(mistake) => {
                    mistakes.add(mistake);
                    skip_to_comma(input)?;
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(mistake) = parser.parse2(tokens) {
        mistakes.add(mistake);
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

fn ends(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    Err(input.error("expected `,`"))
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // Words such as `crate` and `type` too: a keyword is only another unknown name.
        let name = Ident::parse_any(input)?;
        let value = if input.peek(Token![=]) {
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
    fn reading_goes_on_behind_a_mistake() {
        let mut mistakes = Mistakes::default();
        let tokens = quote!(topic = "a", key = , = 3, headers("x" = y), transparent, crate = "z", a b);
        let names: Vec<_> = read(tokens, &mut mistakes)
            .iter()
            .map(|entry| entry.name.to_string())
            .collect();
        assert_eq!(names, ["topic", "headers", "transparent", "crate"]);
        let told = mistakes.into_diagnostics().unwrap().to_string();
        assert_eq!(told.matches("compile_error").count(), 3, "{told}");
    }
}
