//! `#[derive(OutboxEvent)]`.

mod attrs;
mod expand;
mod fallback;
mod forms;
mod hidden;
mod model;
mod names;
mod notes;
mod register;
mod resolve;
mod token_text;
mod topic;
mod validate;
mod value;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::errors::Errors;

/// The implementation for `input`, or what is wrong with it and a stand-in.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let attrs = attrs::of_item(input, &mut errors);
    let runtime = attrs.runtime(&mut errors);
    let event = resolve::event(input, &attrs, &mut errors);
    if let Some(event) = &event {
        hidden::check(event, &mut errors);
    }
    match (errors.into_diagnostics(), event) {
        (None, Some(event)) => {
            let implementation = expand::implementation(input, &runtime, &event);
            let registration = register::registration(input, &runtime, &event);
            quote::quote!(#implementation #registration)
        }
        (diagnostics, _) => {
            let stand_in = fallback::stand_in(input, &runtime);
            quote::quote!(#diagnostics #stand_in)
        }
    }
}
