//! The forms of a generic event: `instances(Wrapper<OrderV1>, …)`, or with names of their own.

use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Data, DeriveInput, LitStr, Token, Type};

use super::attrs::{Attrs, Name};
use super::model::{Forms, NamedForm};
use super::token_text::token_text;
use super::validate;
use crate::errors::Errors;

/// One entry of `instances(…)`.
pub(super) struct FormEntry {
    name: Option<LitStr>,
    ty: Type,
}

impl Parse for FormEntry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = if input.peek(LitStr) {
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            Some(name)
        } else {
            None
        };
        Ok(Self {
            name,
            ty: input.parse()?,
        })
    }
}

/// The forms that the item has.
pub(super) fn resolve(input: &DeriveInput, attrs: &Attrs, errors: &mut Errors) -> Forms {
    let name = &input.ident;
    let is_generic =
        input.generics.type_params().next().is_some() || input.generics.const_params().next().is_some();
    let given = attrs.given.iter().find(|(given, _)| *given == Name::Instances);
    let Some((_, span)) = given else {
        return if is_generic { Forms::Any } else { Forms::Item };
    };
    let Some(entries) = &attrs.instances else {
        return if is_generic { Forms::Any } else { Forms::Item };
    };
    if !is_generic {
        errors.at_span(
            *span,
            format!("`{name}` has no type parameters, so it has one form: leave `instances` out"),
        );
        return Forms::Item;
    }
    if entries.is_empty() {
        errors.at_span(
            *span,
            format!("`instances` names no form: write `instances({name}<Argument>, …)`"),
        );
    }
    check_types(input, entries, errors);
    if entries.iter().all(|entry| entry.name.is_none()) {
        return Forms::Alike(entries.iter().map(|entry| entry.ty.clone()).collect());
    }
    Forms::Named(named(input, attrs, entries, errors))
}

fn named(input: &DeriveInput, attrs: &Attrs, entries: &[FormEntry], errors: &mut Errors) -> Vec<NamedForm> {
    if let Data::Enum(_) = input.data {
        for name in entries.iter().filter_map(|entry| entry.name.as_ref()) {
            errors.at(
                name,
                "the events of an enum are called like its variants: leave the name out, or use a struct",
            );
        }
    }
    for (given, span) in &attrs.given {
        if matches!(given, Name::EventType | Name::Version) {
            let given = given.as_str();
            errors.at_span(
                *span,
                format!("the forms have names of their own, which `{given}` contradicts: leave it out"),
            );
        }
    }
    let mut forms = Vec::new();
    for entry in entries {
        let Some(name) = &entry.name else {
            errors.at(
                &entry.ty,
                format!(
                    "the other forms have names of their own, and this has none: write `\"…\" = {}`",
                    token_text(entry.ty.to_token_stream())
                ),
            );
            continue;
        };
        validate::text("the name of a form", name, errors);
        let event_type = name.value();
        let version = validate::version(&event_type, name.span(), None, errors);
        forms.push(NamedForm {
            event_type,
            version,
            ty: entry.ty.clone(),
        });
    }
    forms
}

/// Each is a form of this item, with arguments, and named once.
fn check_types(input: &DeriveInput, entries: &[FormEntry], errors: &mut Errors) {
    let name = &input.ident;
    let text = |entry: &FormEntry| token_text(entry.ty.to_token_stream());
    for (position, entry) in entries.iter().enumerate() {
        let last = match &entry.ty {
            Type::Path(path) => path.path.segments.last(),
            _ => None,
        };
        let is_form = last.is_some_and(|last| last.ident == *name && !last.arguments.is_empty());
        if !is_form {
            errors.at(
                &entry.ty,
                format!(
                    "`{}` is no form of `{name}`: write `{name}<Argument>`",
                    text(entry)
                ),
            );
        } else if entries[..position]
            .iter()
            .any(|earlier| text(earlier) == text(entry))
        {
            errors.at(&entry.ty, format!("`{}` is given twice: leave one", text(entry)));
        }
    }
}

/// The arguments of a form: `<OrderV1>` of `Wrapper<OrderV1>`.
pub(super) fn arguments(form: &Type) -> syn::PathArguments {
    match form {
        Type::Path(path) => path.path.segments.last().map(|last| last.arguments.clone()),
        _ => None,
    }
    .unwrap_or_default()
}
