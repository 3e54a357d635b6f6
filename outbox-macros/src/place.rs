//! Where generated code claims to stand: the compiler's word about it is said there.

use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// The tokens, each with the meaning that it has, all at one place.
///
/// All of them, or none: an expression whose ends are at different places is shown at the macro's name.
pub(crate) fn at(place: Span, tokens: TokenStream) -> TokenStream {
    tokens.into_iter().map(|token| moved(place, token)).collect()
}

fn moved(place: Span, token: TokenTree) -> TokenTree {
    let span = token.span().located_at(place);
    let mut token = match token {
        TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), at(place, group.stream()))),
        other => other,
    };
    token.set_span(span);
    token
}
