//! `#[transactional]`.

mod attrs;
mod expand;
mod model;
mod patterns;
mod separate;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

use crate::mistakes::Mistakes;

/// The function inside its transaction, or what is wrong with it beside the function as it was.
pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = attrs::read(options, &mut mistakes);
    let mut function = match model::parse(item.clone()) {
        Ok(function) => function,
        Err(mistake) => {
            mistakes.add(mistake);
            let diagnostics = mistakes.into_diagnostics();
            return quote!(#diagnostics #item);
        }
    };
    validate::signature(&function, &mut mistakes);
    // Told by now, and told once.
    function
        .attributes
        .retain(|attribute| !validate::is_transactional(attribute));
    let model = model::resolve(&function, options, &mut mistakes);
    let diagnostics = mistakes.into_diagnostics();
    // With a wrong option alone the function keeps its callers: they made no mistake.
    let function = model.map_or(item, |model| expand::function(&model));
    quote!(#diagnostics #function)
}
