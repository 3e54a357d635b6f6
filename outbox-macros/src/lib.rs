//! The macros of the transactional outbox. Use them through `outbox-runtime`, which re-exports and documents
//! them.

mod entries;
mod errors;
mod event;
mod span;
mod spelling;
mod transactional;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Implements `outbox_runtime::OutboxEvent`. `outbox_runtime` re-exports and documents it.
#[proc_macro_derive(OutboxEvent, attributes(outbox))]
pub fn derive_outbox_event(input: TokenStream) -> TokenStream {
    event::derive(&parse_macro_input!(input)).into()
}

/// Runs a function in a transaction. `outbox_runtime` re-exports and documents it.
#[proc_macro_attribute]
pub fn transactional(options: TokenStream, function: TokenStream) -> TokenStream {
    transactional::attribute(options.into(), function.into()).into()
}
