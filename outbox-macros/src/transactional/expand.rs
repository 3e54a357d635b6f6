//! The function with its transaction around its body.
//!
//! The generated code has no closure: a future that is made by one does not stay `Send` under every
//! caller. The first argument becomes a `TransactionSource`, which is turned into a value of one type at
//! once; the body runs in an async block, and the runtime settles what it returned.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    FnArg, Ident, Lifetime, Path, PathArguments, ReceiverKind, Signature, Type, parse_quote,
    parse_quote_spanned,
};

use super::attrs::Options;
use super::model::{Function, Model};
use super::patterns::Binding;
use super::separate;
use crate::span::at;

/// The names that the generated code uses for itself; no name of the user's is the same.
struct Names {
    source: Ident,
    attempts: Ident,
    begun: Ident,
    tx: Ident,
    body: Ident,
    outcome: Ident,
    result: Ident,
    pause: Ident,
}

impl Names {
    fn new() -> Self {
        let name = |name| Ident::new(name, Span::mixed_site());
        Self {
            source: name("__outbox_source"),
            attempts: name("__outbox_attempts"),
            begun: name("__outbox_begun"),
            tx: name("__outbox_tx"),
            body: name("__outbox_body"),
            outcome: name("__outbox_outcome"),
            result: name("__outbox_result"),
            pause: name("__outbox_pause"),
        }
    }
}

/// The whole function.
pub(super) fn function(model: &Model<'_>) -> TokenStream {
    let Function {
        attributes,
        visibility,
        inner_attributes,
        ..
    } = model.function;
    let runtime = &model.options.runtime;
    let private: Path = parse_quote!(#runtime::__private);
    let names = Names::new();
    let database = match &model.database {
        Some(database) => database.to_token_stream(),
        None => {
            let tx = with_lifetimes(&model.tx_type, "static");
            let transaction = at(tx.span(), quote!(#private::TransactionType));
            quote!(<#tx as #transaction>::Database)
        }
    };
    let (signature, source) = signature(model, runtime, &private, &names, &database);
    let options = options(model, runtime);
    let attempt = attempt(model, &private, &names);
    let Names {
        attempts,
        result,
        pause,
        ..
    } = &names;
    let run = match model.options.retry {
        None => attempt,
        // A loop and no closure, for the reason above. The runtime decides when to try again.
        Some(_) => quote! {
            loop {
                let #result = { #attempt };
                let #pause = #private::again!(#attempts, &#result);
                match #pause {
                    #private::Some(pause) => pause.await,
                    #private::None => break #result,
                }
            }
        },
    };
    quote! {
        #(#attributes)*
        #visibility #signature {
            #(#inner_attributes)*
            let mut #attempts = #private::Attempts::<#database>::new(#source, #options);
            #run
        }
    }
}

/// The signature that callers see, and the expression for what they passed.
fn signature(
    model: &Model<'_>,
    runtime: &Path,
    private: &Path,
    names: &Names,
    database: &TokenStream,
) -> (Signature, TokenStream) {
    let mut signature = model.function.signature.clone();
    let mut inputs: Vec<FnArg> = signature
        .inputs
        .iter()
        .filter(|argument| matches!(argument, FnArg::Receiver(_)))
        .cloned()
        .collect();
    let source = match &model.options.outbox {
        Some(outbox) => {
            let begin_on = at(outbox.span(), quote!(#private::begin_on::<#database, _>));
            quote!(#begin_on(&(#outbox)))
        }
        None => {
            // Under the name that the user gave it: other attributes may ask for that.
            let name = model.tx.name.as_ref().unwrap_or(&names.source);
            let lifetime = syn::Lifetime::new("'__outbox_tx", Span::mixed_site());
            signature.generics.params.insert(0, parse_quote!(#lifetime));
            inputs.push(parse_quote_spanned!(model.tx_type.span()=> #name: impl #runtime::TransactionSource<#lifetime, #database>));
            quote!(#private::source(#name))
        }
    };
    inputs.extend(model.arguments.iter().map(|argument| argument.outer.clone()));
    signature.inputs = inputs.into_iter().collect();
    (signature, source)
}

fn options(model: &Model<'_>, runtime: &Path) -> TokenStream {
    let isolation = model.options.isolation.iter();
    let retry = model.options.retry.iter();
    quote! {
        #runtime::TransactionOptions::new()
            #(.isolation(#runtime::Isolation::#isolation))*
            #(.retry(#retry))*
    }
}

/// Span of a `Result`'s error type, or else of the whole type.
fn error_span(output: &Type) -> Span {
    argument_span(output, 1)
}

/// Span of its success type, or else of the whole type.
fn success_span(output: &Type) -> Span {
    argument_span(output, 0)
}

fn argument_span(output: &Type, position: usize) -> Span {
    let Type::Path(path) = output else {
        return output.span();
    };
    let Some(PathArguments::AngleBracketed(arguments)) =
        path.path.segments.last().map(|last| &last.arguments)
    else {
        return output.span();
    };
    arguments
        .args
        .iter()
        .nth(position)
        .map_or_else(|| output.span(), Spanned::span)
}

/// Begin, run the body, settle.
fn attempt(model: &Model<'_>, private: &Path, names: &Names) -> TokenStream {
    let Names {
        attempts,
        begun,
        tx,
        body,
        outcome,
        ..
    } = names;
    let clones = model.options.retry.map(|_| clones(model, private));
    let (function, boxed) = match separate::function(model, tx) {
        Some(separate) => {
            let boxed = quote!({
                #[allow(unused_imports)]
                use #private::BoxedAsItIs as _;
                #private::Unboxed(#separate).boxed()
            });
            (Some(separate.item), boxed)
        }
        None => {
            let block = body_block(model, private, names);
            (None, quote!(#private::Box::pin(#block)))
        }
    };
    let (receive, judge) = match (&model.options.inbox, &model.options.consumer) {
        (Some(message), Some(consumer)) => {
            let incoming = at(message.span(), quote!(#private::incoming(&(#message))));
            let receive = quote!(#begun.receive(&(#consumer), #incoming).await;);
            (Some(receive), quote!(judge_message))
        }
        _ => (None, quote!(judge)),
    };
    let span = if receive.is_some() {
        success_span(model.output)
    } else {
        error_span(model.output)
    };
    let judged = at(span, quote!(#private::#judge(#outcome)));
    quote! {
        #function
        let mut #begun = #attempts.begin().await;
        #receive
        let #outcome = match #begun.open() {
            #private::Some((#tx, #body)) => {
                #clones
                #private::Some(#body.run(#boxed).await)
            }
            #private::None => #private::None,
        };
        #begun.settle(#judged).await
    }
}

/// Each attempt has its own copy of the arguments.
fn clones(model: &Model<'_>, private: &Path) -> TokenStream {
    let clones = model.arguments.iter().flat_map(|argument| {
        argument.bindings.iter().filter_map(|binding| {
            let (name, conditions) = (binding.name.as_ref()?, &binding.conditions);
            let clone = at(argument.ty.span(), quote!(#private::clone_for_attempt(&#name)));
            Some(quote!(#(#conditions)* let #name = #clone;))
        })
    });
    quote!(#(#clones)*)
}

/// The user's statements, with their arguments under their own names.
fn body_block(model: &Model<'_>, private: &Path, names: &Names) -> TokenStream {
    let bindings = model.arguments.iter().flat_map(|argument| &argument.bindings);
    let rebound = bindings.map(
        |Binding {
             lints,
             conditions,
             mutability,
             name,
         }| {
            let used = name
                .as_ref()
                .is_some_and(|name| is_used_by_options(model, name))
                .then(|| quote!(#[allow(unused_variables)]));
            quote!(#(#conditions)* #(#lints)* #used let #mutability #name = #name;)
        },
    );
    let (tx, tx_type) = (&names.tx, with_lifetimes(&model.tx_type, "_"));
    let Binding {
        lints,
        mutability,
        name,
        ..
    } = &model.tx;
    let name = name.as_ref().map_or_else(|| quote!(_), ToTokens::to_token_stream);
    let tx_binding = quote!(#(#lints)* let #mutability #name: &mut #tx_type = #tx;);
    let output = without_impl_trait(model.output);
    let statements = &model.function.body;
    let moves = moves(model);
    let never = Ident::new("__outbox_never", Span::mixed_site());
    let inside = quote! {
        #tx_binding
        #(#rebound)*
        // Fixes the block's return type before the compiler meets the first `?`.
        #[allow(unknown_lints, unreachable_code, clippy::all, clippy::pedantic, clippy::restriction)]
        if false {
            let #never: #output = #private::never();
            return #never;
        }
        #statements
    };
    // With the span of the function's own block: the compiler reports a missing result there.
    let mut block = Group::new(Delimiter::Brace, inside);
    block.set_span(model.function.body_span);
    quote!(async #moves #block)
}

/// Whether an argument is what `outbox = …` or `inbox = …` is made of: then the body need not use it.
pub(super) fn is_used_by_options(model: &Model<'_>, name: &Ident) -> bool {
    fn contains(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == *name,
            TokenTree::Group(group) => contains(group.stream(), name),
            _ => false,
        })
    }
    let Options {
        outbox,
        inbox,
        consumer,
        ..
    } = &model.options;
    [outbox, inbox, consumer]
        .into_iter()
        .flatten()
        .any(|option| contains(option.to_token_stream(), name))
}

/// The transaction's own lifetimes do not matter, and cannot be named everywhere.
fn with_lifetimes(ty: &Type, name: &str) -> Type {
    struct Named<'n>(&'n str);
    impl VisitMut for Named<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            lifetime.ident = Ident::new(self.0, lifetime.ident.span());
        }
    }
    let mut ty = ty.clone();
    Named(name).visit_type_mut(&mut ty);
    ty
}

/// `self` cannot be copied under its own name, so attempts share one that was passed by value.
fn moves(model: &Model<'_>) -> Option<syn::Token![move]> {
    let by_value = model
        .function
        .signature
        .receiver()
        .is_some_and(|receiver| match &receiver.kind {
            ReceiverKind::Value => true,
            ReceiverKind::Typed(_, ty) => !matches!(**ty, Type::Reference(_)),
            _ => false,
        });
    (!(by_value && model.options.retry.is_some())).then(Default::default)
}

/// `impl Trait` is not allowed inside of the function; `_` is.
fn without_impl_trait(output: &Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = parse_quote!(_);
            } else {
                syn::visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut output = output.clone();
    Infer.visit_type_mut(&mut output);
    output
}
