//! Arguments as patterns: what they bind, and how it is bound once more inside the body.

use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Ident, Pat, PatIdent, PatType, Token};

use crate::errors::Errors;

/// A variable that the body sees.
pub(super) struct Binding {
    /// What the user wants to hear about it.
    pub(super) lints: Vec<Attribute>,
    /// Whether it is there at all: `#[cfg(…)]`.
    pub(super) conditions: Vec<Attribute>,
    pub(super) mutability: Option<Token![mut]>,
    /// None is `_`.
    pub(super) name: Option<Ident>,
}

/// The name of the transaction.
pub(super) fn transaction(argument: &PatType, errors: &mut Errors) -> Option<Binding> {
    let lints = argument
        .attrs
        .iter()
        .filter(|attribute| is_lint(attribute))
        .cloned()
        .collect();
    match &*argument.pat {
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            mutability,
            ident,
            ..
        }) => Some(Binding {
            lints,
            conditions: Vec::new(),
            mutability: *mutability,
            name: Some(ident.clone()),
        }),
        Pat::Wild(_) => Some(Binding {
            lints,
            conditions: Vec::new(),
            mutability: None,
            name: None,
        }),
        other => {
            errors.at(
                other,
                "the transaction is a plain argument: write `tx: &mut OutboxTx<'_, …>`",
            );
            None
        }
    }
}

/// Takes the `mut`s and the lints out of an argument, and gives what it binds with them: the body binds all of
/// it again, so that it owns its arguments under their own names.
pub(super) fn take_bindings(argument: &mut PatType) -> Vec<Binding> {
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
                lints: Vec::new(),
                conditions: Vec::new(),
                mutability,
                name: Some(ident.ident.clone()),
            });
            visit_mut::visit_pat_ident_mut(self, ident);
        }
    }
    let mut take = Take(Vec::new());
    take.visit_pat_mut(&mut argument.pat);
    let lints: Vec<_> = argument
        .attrs
        .extract_if(.., |attribute| is_lint(attribute))
        .collect();
    let conditions = argument.attrs.iter();
    let conditions: Vec<_> = conditions
        .filter(|attribute| is_condition(attribute))
        .cloned()
        .collect();
    for binding in &mut take.0 {
        binding.lints.clone_from(&lints);
        binding.conditions.clone_from(&conditions);
    }
    take.0
}

/// Whether it may take the argument away.
pub(super) fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
}

fn is_lint(attribute: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"]
        .iter()
        .any(|level| attribute.path().is_ident(level))
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn the_body_binds_what_the_pattern_does() {
        let argument: syn::FnArg = syn::parse_quote!(
            #[allow(unused)]
            Json(Order { mut id, ref lines, customer: Customer(mut name, _), .. }): Json<Order>
        );
        let syn::FnArg::Typed(mut argument) = argument else {
            panic!("it is typed")
        };
        let bindings = take_bindings(&mut argument);
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
        let left = argument.to_token_stream().to_string();
        assert!(!left.contains("mut") && !left.contains("allow"), "{left}");
        assert!(bindings.iter().all(|binding| binding.lints.len() == 1));
    }
}
