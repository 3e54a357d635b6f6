//! The macros of the transactional outbox. Use them through `outbox-runtime`, which re-exports them beside the
//! trait and the types that they are about; their documentation is there.

mod entries;
mod errors;
mod event;
mod span;
mod spelling;
mod transactional;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Implements `outbox_runtime::OutboxEvent`; documented there, where it is re-exported.
#[proc_macro_derive(OutboxEvent, attributes(outbox))]
pub fn derive_outbox_event(input: TokenStream) -> TokenStream {
    event::derive(&parse_macro_input!(input)).into()
}

/// Runs a function in a transaction; documented in `outbox_runtime`, which re-exports it.
#[proc_macro_attribute]
pub fn transactional(options: TokenStream, function: TokenStream) -> TokenStream {
    transactional::attribute(options.into(), function.into()).into()
}
