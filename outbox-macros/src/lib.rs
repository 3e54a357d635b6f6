//! The macros of the transactional outbox. Use them through `outbox-runtime`, which re-exports them beside the
//! trait and the types that they are about; their documentation is there.

mod entries;
mod event;
mod mistakes;
mod spelling;
mod transactional;

use proc_macro::TokenStream;
use syn::parse_macro_input;

#[doc = include_str!("../docs/derive.md")]
#[proc_macro_derive(OutboxEvent, attributes(outbox))]
pub fn derive_outbox_event(input: TokenStream) -> TokenStream {
    event::derive(&parse_macro_input!(input)).into()
}

#[doc = include_str!("../docs/transactional.md")]
#[proc_macro_attribute]
pub fn transactional(options: TokenStream, function: TokenStream) -> TokenStream {
    transactional::attribute(options.into(), function.into()).into()
}
