//! Spans of generated code: the compiler reports errors in it there.

use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// The tokens with their hygiene, all at one span.
///
/// The compiler shows an expression whose ends have different spans at the macro's name.
pub(crate) fn at(span: Span, tokens: TokenStream) -> TokenStream {
    tokens.into_iter().map(|token| moved(span, token)).collect()
}

fn moved(span: Span, token: TokenTree) -> TokenTree {
    let located = token.span().located_at(span);
    let mut token = match token {
        TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), at(span, group.stream()))),
        other => other,
    };
    token.set_span(located);
    token
}
