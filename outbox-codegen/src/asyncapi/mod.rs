//! AsyncAPI 3.0: the channels, messages and headers of a service, for people and for other tools.

mod document;
mod example;
mod headers;
mod page;
mod pattern;
mod schemas;

pub(crate) use document::{Service, document};
pub(crate) use page::page;
