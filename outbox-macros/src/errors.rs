//! All errors of one macro call, each at its own span.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects errors, so that all are reported at once.
///
/// In tests, it panics if it is dropped before it was read: an error that nobody reports would be lost.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Option<syn::Error>,
    read: bool,
}

impl Errors {
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

    /// The diagnostics, if there were errors.
    pub(crate) fn into_diagnostics(mut self) -> Option<TokenStream> {
        self.read = true;
        self.all.take().map(|all| all.into_compile_error())
    }
}

#[cfg(test)]
impl Drop for Errors {
    #[allow(clippy::panic, reason = "it fails the test")]
    fn drop(&mut self) {
        if !self.read && !std::thread::panicking() {
            panic!("the errors of a macro call were not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "were not read"]
    fn errors_that_nobody_reads_fail_a_test() {
        Errors::default().at_span(Span::call_site(), "wrong");
    }
}
