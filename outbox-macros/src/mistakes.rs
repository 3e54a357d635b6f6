//! All mistakes of one macro call, each at its own place.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects mistakes, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    all: Option<syn::Error>,
}

impl Mistakes {
    /// Adds one at the tokens that are wrong.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, says: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, says));
    }

    /// Adds one at a span.
    pub(crate) fn at_span(&mut self, span: Span, says: impl std::fmt::Display) {
        self.add(syn::Error::new(span, says));
    }

    /// Adds one that a parser found.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    /// The diagnostics, if there were mistakes.
    pub(crate) fn into_diagnostics(self) -> Option<TokenStream> {
        self.all.map(|all| all.into_compile_error())
    }
}
