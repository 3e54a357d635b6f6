//! What a transactional function's signature has to be.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, PatType, ReturnType, Type};

use super::model::{Function, is_mutable};
use crate::errors::Errors;

/// Reports everything that is wrong with the signature.
pub(super) fn signature(function: &Function, errors: &mut Errors) {
    let signature = &function.signature;
    for attribute in &function.attributes {
        if is_transactional(attribute) {
            errors.at(attribute.path(), "`#[transactional]` is given twice: leave one");
        }
    }
    if signature.asyncness.is_none() {
        // `#[async_trait]` comes first and has made it a function that returns a boxed future.
        let says = if returns_boxed_future(&signature.output) {
            format!(
                "`#[async_trait]` has rewritten `{0}` before `#[transactional]` could see it: put \
                 `#[transactional]` on a method of its own, and call that from the trait's `{0}`",
                signature.ident
            )
        } else {
            format!(
                "a transactional function is async: write `async fn {}`",
                signature.ident
            )
        };
        errors.at(signature.fn_token, says);
    }
    match signature.inputs.iter().find_map(typed) {
        Some(first) => transaction(first, errors),
        None => errors.at(
            parenthesized(function),
            "the first argument is the transaction: add `tx: &mut OutboxTx<'_, Postgres>` (or `Sqlite`)",
        ),
    }
    match &signature.output {
        ReturnType::Default => errors.at(
            &signature.ident,
            "a transactional function returns a `Result`, whose `Ok` commits and whose `Err` rolls back: \
             add `-> Result<(), Error>`",
        ),
        ReturnType::Type(_, ty) if is_no_result(ty) => errors.at(
            ty,
            format!(
                "a transactional function returns a `Result`, whose `Ok` commits and whose `Err` rolls back: \
                 write `Result<{}, Error>`",
                spaced(ty)
            ),
        ),
        ReturnType::Type(..) => {}
    }
}

/// Whether it is this attribute once more.
pub(super) fn is_transactional(attribute: &syn::Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|last| last.ident == "transactional")
}

fn typed(argument: &FnArg) -> Option<&PatType> {
    match argument {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    }
}

fn transaction(first: &PatType, errors: &mut Errors) {
    let PatType { pat, ty, .. } = first;
    match &**ty {
        Type::Reference(reference) if is_mutable(reference) && is_of_sqlx(&reference.elem) => errors.at(
            ty,
            format!(
                "`{}` knows no events: write `&mut OutboxTx<'_, Postgres>` (or `Sqlite`), which gives the \
                 connection as `&mut **{}`",
                spaced(&reference.elem),
                spaced(pat)
            ),
        ),
        Type::Reference(reference) if is_mutable(reference) => {}
        Type::Reference(reference) if looks_like_transaction(&reference.elem) => errors.at(
            ty,
            format!("a transaction is changed by what is done in it: write `&mut {}`", spaced(&reference.elem)),
        ),
        other if looks_like_transaction(other) => errors.at(
            ty,
            format!(
                "the transaction is borrowed, so that it can be committed afterwards: write `{}: &mut {}`",
                spaced(pat),
                spaced(other)
            ),
        ),
        _ => errors.at(
            first,
            "the first argument is the transaction: write `tx: &mut OutboxTx<'_, Postgres>` (or `Sqlite`) before it",
        ),
    }
}

/// `OutboxTx<…>`, or an alias that is called like one.
pub(super) fn looks_like_transaction(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        name.ends_with("Tx") || name.ends_with("Transaction")
    })
}

/// The connections and transactions of sqlx.
pub(super) fn is_of_sqlx(ty: &Type) -> bool {
    const KNOWN: [&str; 6] = [
        "PgConnection",
        "SqliteConnection",
        "Transaction",
        "PgTransaction",
        "SqliteTransaction",
        "PoolConnection",
    ];
    let Type::Path(path) = ty else { return false };
    path.path
        .segments
        .last()
        .is_some_and(|last| KNOWN.iter().any(|known| last.ident == known))
}

/// Types that no alias can make a `Result` of.
pub(super) fn is_no_result(ty: &Type) -> bool {
    const KNOWN: [&str; 18] = [
        "Option", "Vec", "String", "str", "bool", "char", "u8", "u16", "u32", "u64", "usize", "i8", "i16",
        "i32", "i64", "isize", "f64", "Box",
    ];
    match ty {
        Type::Path(path) => {
            path.qself.is_none()
                && path
                    .path
                    .segments
                    .last()
                    .is_some_and(|last| KNOWN.iter().any(|known| last.ident == known))
        }
        Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::Never(_) | Type::ImplTrait(_) => true,
        _ => false,
    }
}

fn returns_boxed_future(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else {
        return false;
    };
    let Type::Path(path) = &**ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Pin")
        && ty.to_token_stream().to_string().contains("'async_trait")
}

/// The argument list, for an error about an argument that is not there.
fn parenthesized(function: &Function) -> TokenStream {
    let name = &function.signature.ident;
    quote!(#name)
}

/// Tokens as a person writes them.
fn spaced(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (loose, tight) in [
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :: ", "::"),
        ("& ", "&"),
        ("< ", "<"),
        (" <", "<"),
    ] {
        text = text.replace(loose, tight);
    }
    text
}
