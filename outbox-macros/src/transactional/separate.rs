//! The body as a function of its own, which looks like the one in the source.
//!
//! The compiler knows of another function's future whether it is `Send`, and of a block's only when it is through
//! with the function around it. So what is made of the body can depend on that.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{FnArg, GenericParam, Pat, Signature, parse_quote};

use super::expand::is_used_by_options;
use super::model::Model;
use super::patterns::is_condition;
use super::validate::looks_like_transaction;

/// An inner function with the body, and how it is called.
pub(super) struct Separate {
    pub(super) item: TokenStream,
    call: TokenStream,
}

impl ToTokens for Separate {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.call.to_tokens(tokens);
    }
}

/// The body as an inner function, where it can be one: an inner function knows neither `self` nor the
/// parameters of an `impl` around it, and its arguments have to have names by which they are passed on.
pub(super) fn function(model: &Model<'_>, tx: &Ident) -> Option<Separate> {
    let declared = &model.function.signature;
    if !can_be_separate(model, declared) {
        return None;
    }
    let mut arguments = Vec::new();
    for argument in &model.arguments {
        let FnArg::Typed(typed) = &argument.outer else {
            return None;
        };
        match &*typed.pat {
            // What is taken away cannot be passed on.
            _ if typed.attrs.iter().any(is_condition) => return None,
            Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => arguments.push(&name.ident),
            _ => return None,
        }
    }
    let name = Ident::new(
        "__outbox_function",
        Span::mixed_site().located_at(declared.ident.span()),
    );
    let mut signature = Signature {
        ident: name.clone(),
        ..declared.clone()
    };
    for (argument, name) in signature.inputs.iter_mut().skip(1).zip(&arguments) {
        if let FnArg::Typed(typed) = argument
            && is_used_by_options(model, name)
        {
            typed.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
    }
    let parameters = own_parameters(declared);
    let parameters = (!parameters.is_empty()).then(|| quote!(::<#(#parameters),*>));
    let (inner_attributes, body) = (&model.function.inner_attributes, &model.function.body);
    let mut block =
        proc_macro2::Group::new(proc_macro2::Delimiter::Brace, quote!(#(#inner_attributes)* #body));
    block.set_span(model.function.body_span);
    Some(Separate {
        item: quote! {
            #[allow(clippy::too_many_arguments, clippy::unused_async)]
            #signature #block
        },
        call: quote!(#name #parameters (#tx, #(#arguments),*)),
    })
}

fn can_be_separate(model: &Model<'_>, signature: &Signature) -> bool {
    let own_name = &signature.ident;
    let own_parameters = own_parameters(signature);
    let speaks_of_more = |name: &Ident| {
        *name == "self"
            || *name == "Self"
            || name == own_name
            || (is_called_like_a_parameter(name) && !own_parameters.contains(&name))
    };
    looks_like_transaction(&model.tx_type)
        && signature.receiver().is_none()
        && !mentions(signature.inputs.to_token_stream(), &speaks_of_more)
        && !mentions(signature.generics.to_token_stream(), &speaks_of_more)
        && !mentions(signature.generics.where_clause.to_token_stream(), &speaks_of_more)
        && !mentions(signature.output.to_token_stream(), &|name| {
            *name == "impl" || speaks_of_more(name)
        })
        && !mentions(model.function.body.clone(), &speaks_of_more)
}

/// The parameters of the function itself, which the inner function declares again.
fn own_parameters(signature: &Signature) -> Vec<&Ident> {
    let parameters = signature.generics.params.iter();
    parameters
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect()
}

/// `T`, `DB`, `T1`: what may be a parameter of the `impl` around the function.
fn is_called_like_a_parameter(name: &Ident) -> bool {
    let name = name.to_string();
    name.len() <= 2
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .chars()
            .all(|char| char.is_ascii_uppercase() || char.is_ascii_digit())
}

fn mentions(tokens: TokenStream, wanted: &impl Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => wanted(&name),
        TokenTree::Group(group) => mentions(group.stream(), wanted),
        _ => false,
    })
}
