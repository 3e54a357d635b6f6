//! The other names under which serde reads a field: `#[serde(alias = "…")]`, which schemars does not put into a schema.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Field, Fields, Lit, LitStr, Meta, Token, parse_quote};

/// Under this keyword a schema tells them, and whoever compares two versions looks for them.
const KEYWORD: &str = "x-serde-alias";

/// A struct with nothing but the fields that have aliases, each named as in the payload: schemars reads the same attributes
/// from it, and so decides their names. `None` if no field has any.
pub(super) fn names(item: &[Attribute], fields: &Fields, name: &TokenStream) -> Option<TokenStream> {
    let aliased: Vec<TokenStream> = fields
        .iter()
        .filter_map(|field| {
            let (extension, naming) = (extension(field)?, naming(&field.attrs, "rename"));
            let name = field.ident.as_ref()?;
            Some(quote!(#(#naming)* #extension #name: ()))
        })
        .collect();
    let naming = naming(item, "rename_all");
    (!aliased.is_empty()).then(|| quote!(#(#naming)* struct #name { #(#aliased),* }))
}

/// What adds a field's aliases to its schema; none where it has none, or says them to schemars itself.
pub(super) fn extension(field: &Field) -> Option<Attribute> {
    let aliases: Vec<LitStr> = field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .flat_map(items)
        .filter_map(alias)
        .collect();
    let told = field.attrs.iter().any(|attribute| {
        attribute.path().is_ident("schemars") && attribute.to_token_stream().to_string().contains(KEYWORD)
    });
    (!aliases.is_empty() && !told).then(|| parse_quote!(#[schemars(extend(#KEYWORD = [#(#aliases),*]))]))
}

fn alias(item: Meta) -> Option<LitStr> {
    match item {
        Meta::NameValue(item) if item.path.is_ident("alias") => match item.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Of these attributes, what names something: `rename` or `rename_all`.
fn naming(attributes: &[Attribute], wanted: &str) -> Vec<TokenStream> {
    let attributes = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde") || attribute.path().is_ident("schemars"));
    let named = attributes.flat_map(|attribute| {
        let path = attribute.path();
        let items = items(attribute)
            .into_iter()
            .filter(|item| item.path().is_ident(wanted));
        items.map(move |item| quote!(#[#path(#item)]))
    });
    named.collect()
}

/// What stands in the parentheses. What is no list of these is for serde or schemars to complain about.
fn items(attribute: &Attribute) -> Vec<Meta> {
    let items = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    items.map(|items| items.into_iter().collect()).unwrap_or_default()
}
