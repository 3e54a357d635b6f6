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
mod topic;
mod validate;
mod value;
mod written;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::mistakes::Mistakes;

/// The implementation for `input`, or what is wrong with it and a stand-in.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let attrs = attrs::of_item(input, &mut mistakes);
    let runtime = attrs.runtime(&mut mistakes);
    let event = resolve::event(input, &attrs, &mut mistakes);
    if let Some(event) = &event {
        hidden::check(event, &mut mistakes);
    }
    match (mistakes.into_diagnostics(), event) {
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
