//! What serde does to a field through a module, which schemars takes for a type.

use quote::ToTokens;
use syn::{Attribute, LitStr, Path};

use super::model::{Event, What};
use super::notes;
use crate::errors::Errors;

/// Reports where a schema is asked for and `#[serde(with = "module")]` hides what is written and read.
pub(super) fn check(event: &Event<'_>, errors: &mut Errors) {
    for case in &event.cases {
        let has_schema = matches!(&case.what, What::Routed(route) if route.schema.is_some());
        if has_schema {
            let of_variant = case.variant.map(|_| case.attributes);
            let of_fields = case.fields.iter().map(|field| field.attrs.as_slice());
            of_variant
                .into_iter()
                .chain(of_fields)
                .for_each(|attributes| check_one(attributes, errors));
        }
    }
}

fn check_one(attributes: &[Attribute], errors: &mut Errors) {
    let hidden = notes::texts(attributes, "with").into_iter().filter(is_module);
    for module in hidden.filter(|_| !notes::is_declared(attributes)) {
        let name = module.to_token_stream();
        errors.at(
            &module,
            format!(
                "`with = {name}` hides from the schema what is written and read: add `#[schemars(with = \"String\")]`, \
                 with a type that serde writes and reads like that, or `#[schemars(schema_with = \"function\")]`"
            ),
        );
    }
}

/// A module's name is in lower case; a type is what schemars can look at.
fn is_module(path: &LitStr) -> bool {
    let path = path.parse_with(Path::parse_mod_style);
    path.is_ok_and(|path| {
        let last = path.segments.last().map(|last| last.ident.to_string());
        last.is_some_and(|last| last.chars().next().is_some_and(char::is_lowercase))
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn reported(attributes: &[Attribute]) -> Option<String> {
        let mut errors = Errors::default();
        check_one(attributes, &mut errors);
        errors.into_diagnostics().map(|errors| errors.to_string())
    }

    #[test]
    fn a_module_is_reported_with_what_to_write() {
        let text = reported(&[parse_quote!(#[serde(default, with = "serde_bytes::text")])]).unwrap();
        assert!(
            text.contains("serde_bytes::text") && text.contains("#[schemars(with = "),
            "{text}"
        );
    }

    #[test]
    fn what_schemars_can_look_at_is_fine() {
        assert_eq!(
            reported(&[parse_quote!(#[serde(with = "remote::Definition")])]),
            None
        );
        assert_eq!(reported(&[parse_quote!(#[serde(rename = "with")])]), None);
        for declared in [
            parse_quote!(#[schemars(with = "String")]),
            parse_quote!(#[schemars(schema_with = "text")]),
        ] {
            assert_eq!(reported(&[parse_quote!(#[serde(with = "hex")]), declared]), None);
        }
    }
}
