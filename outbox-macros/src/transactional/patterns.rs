//! Arguments as patterns: what they bind, and how it is bound once more inside the body.

use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Pat, PatIdent, Token};

use crate::mistakes::Mistakes;

/// A variable that the body sees.
pub(super) struct Binding {
    pub(super) mutability: Option<Token![mut]>,
    /// None is `_`.
    pub(super) name: Option<Ident>,
}

/// The name of the transaction.
pub(super) fn transaction(pattern: &Pat, mistakes: &mut Mistakes) -> Option<Binding> {
    match pattern {
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            mutability,
            ident,
            ..
        }) => Some(Binding {
            mutability: *mutability,
            name: Some(ident.clone()),
        }),
        Pat::Wild(_) => Some(Binding {
            mutability: None,
            name: None,
        }),
        other => {
            mistakes.at(
                other,
                "the transaction is a plain argument: write `tx: &mut OutboxTx<'_, …>`",
            );
            None
        }
    }
}

/// Takes the `mut`s out of an argument's pattern, and gives what it binds with them: the body binds all of it
/// again, so that it owns its arguments under their own names.
pub(super) fn take_bindings(pattern: &mut Pat) -> Vec<Binding> {
    struct Take(Vec<Binding>);
    impl VisitMut for Take {
        fn visit_pat_ident_mut(&mut self, ident: &mut PatIdent) {
            // `ref mut x` binds a reference, which needs no `mut` of its own.
            let mutability = if ident.by_ref.is_none() {
                ident.mutability.take()
            } else {
                None
            };
            self.0.push(Binding {
                mutability,
                name: Some(ident.ident.clone()),
            });
            visit_mut::visit_pat_ident_mut(self, ident);
        }
    }
    let mut take = Take(Vec::new());
    take.visit_pat_mut(pattern);
    take.0
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};
    use syn::parse::Parser;

    use super::*;

    #[test]
    fn the_body_binds_what_the_pattern_does() {
        let tokens = quote!(
            Json(Order {
                mut id,
                ref lines,
                customer: Customer(mut name, _),
                ..
            })
        );
        let mut pattern = Pat::parse_single.parse2(tokens).unwrap();
        let bindings = take_bindings(&mut pattern);
        let shown = |binding: &Binding| {
            format!(
                "{}{}",
                if binding.mutability.is_some() { "mut " } else { "" },
                binding.name.as_ref().unwrap()
            )
        };
        assert_eq!(
            bindings.iter().map(shown).collect::<Vec<_>>(),
            ["mut id", "lines", "mut name"]
        );
        assert!(!pattern.to_token_stream().to_string().contains("mut"));
    }
}
