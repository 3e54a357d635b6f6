//! `#[transactional]`.

mod attrs;
mod expand;
mod model;
mod patterns;
mod separate;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// The function inside its transaction, or what is wrong with it beside the function as it was.
pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = attrs::read(options, &mut errors);
    let mut function = match model::parse(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.add(error);
            let diagnostics = errors.into_diagnostics();
            return quote!(#diagnostics #item);
        }
    };
    validate::signature(&function, &mut errors);
    // Reported by now, and reported once.
    function
        .attributes
        .retain(|attribute| !validate::is_transactional(attribute));
    let model = model::resolve(&function, options, &mut errors);
    let diagnostics = errors.into_diagnostics();
    // With a wrong option alone the function keeps its callers: they are right.
    let function = model.map_or(item, |model| expand::function(&model));
    quote!(#diagnostics #function)
}
