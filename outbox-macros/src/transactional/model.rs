//! The function: its signature taken apart, its body's tokens unchanged.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, FnArg, GenericArgument, PathArguments, ReturnType, Signature, Token, Type, Visibility};

use super::attrs::Options;
use super::patterns::{self, Binding};
use super::validate::{is_no_result, is_of_sqlx};
use crate::errors::Errors;

/// A function or method with a body, whose tokens are kept as they are.
pub(super) struct Function {
    pub(super) attributes: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) signature: Signature,
    pub(super) inner_attributes: Vec<Attribute>,
    pub(super) body: TokenStream,
    /// The braces.
    pub(super) body_span: Span,
}

/// A transactional function, ready to be expanded.
pub(super) struct Model<'a> {
    pub(super) function: &'a Function,
    pub(super) options: Options,
    /// The name that the body knows the transaction by.
    pub(super) tx: Binding,
    /// The type behind `&mut`.
    pub(super) tx_type: Type,
    /// The database, where the type says it in plain sight.
    pub(super) database: Option<Type>,
    /// All arguments behind the transaction.
    pub(super) arguments: Vec<Argument>,
    pub(super) output: &'a Type,
}

/// An argument, as callers see it, and what the body binds.
pub(super) struct Argument {
    pub(super) outer: FnArg,
    pub(super) ty: Type,
    pub(super) bindings: Vec<Binding>,
}

/// Reads a function.
pub(super) fn parse(item: TokenStream) -> syn::Result<Function> {
    syn::parse2(item)
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let ahead = input.fork();
        let Ok(mut signature) = ahead.parse::<Signature>() else {
            // What the parser says about a broken signature is best said by itself.
            if is_function(input) {
                input.parse::<Signature>()?;
            }
            return Err(input.error("`#[transactional]` goes on an `async fn`"));
        };
        syn::parse::discouraged::Speculative::advance_to(input, &ahead);
        Ungroup.visit_signature_mut(&mut signature);
        if input.peek(Token![;]) {
            let says = "`#[transactional]` goes on the function with the body; the trait declares \
                        `tx: impl TransactionSource<'_, Database>` in place of `tx: &mut OutboxTx<'_, Database>`";
            return Err(syn::Error::new_spanned(&signature, says));
        }
        let TokenTree::Group(group) = input.parse()? else {
            return Err(input.error("expected the function's body"));
        };
        let group = ungrouped(group);
        if group.delimiter() != Delimiter::Brace {
            return Err(syn::Error::new(group.span(), "expected the function's body"));
        }
        let (inner_attributes, body) = syn::parse::Parser::parse2(split_body, group.stream())?;
        Ok(Self {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body,
            body_span: group.span(),
        })
    }
}

/// Takes away the invisible group around what a macro of the user's passed on: `$t:ty`.
struct Ungroup;

impl VisitMut for Ungroup {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        while let Type::Group(group) = ty {
            *ty = (*group.elem).clone();
        }
        visit_mut::visit_type_mut(self, ty);
    }
}

/// The braces in an invisible group: `$body:block`.
fn ungrouped(group: Group) -> Group {
    if group.delimiter() != Delimiter::None {
        return group;
    }
    let mut inside = group.stream().into_iter();
    match (inside.next(), inside.next()) {
        (Some(TokenTree::Group(inner)), None) => ungrouped(inner),
        _ => group,
    }
}

fn is_function(input: ParseStream<'_>) -> bool {
    input.peek(Token![fn])
        || input.peek(Token![async])
        || input.peek(Token![const])
        || input.peek(Token![unsafe])
}

fn split_body(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, TokenStream)> {
    Ok((input.call(Attribute::parse_inner)?, input.parse()?))
}

/// Resolves a function whose signature is sound; none if it is not.
pub(super) fn resolve<'a>(
    function: &'a Function,
    options: Options,
    errors: &mut Errors,
) -> Option<Model<'a>> {
    let mut typed = function
        .signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        });
    let tx = typed.next()?;
    let Type::Reference(reference) = &*tx.ty else {
        return None;
    };
    let ReturnType::Type(_, output) = &function.signature.output else {
        return None;
    };
    let sound = function.signature.asyncness.is_some()
        && is_mutable(reference)
        && !is_of_sqlx(&reference.elem)
        && !is_no_result(output);
    let binding = patterns::transaction(tx, errors)?;
    let arguments = typed.map(|argument| {
        let mut outer = argument.clone();
        let bindings = patterns::take_bindings(&mut outer);
        Argument {
            ty: (*argument.ty).clone(),
            outer: FnArg::Typed(outer),
            bindings,
        }
    });
    let arguments = arguments.collect();
    let tx_type = (*reference.elem).clone();
    let database = database_in_sight(&tx_type);
    sound.then_some(Model {
        function,
        options,
        tx: binding,
        tx_type,
        database,
        arguments,
        output,
    })
}

/// Whether a reference is `&mut`.
pub(super) fn is_mutable(reference: &syn::TypeReference) -> bool {
    reference.mutability.is_some()
}

/// `OutboxTx<'_, Postgres>` names its database; an alias has to be asked.
fn database_in_sight(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "OutboxTx")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Lifetime(_)), Some(GenericArgument::Type(database)), None) => {
            Some(database.clone())
        }
        _ => None,
    }
}
