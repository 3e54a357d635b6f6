//! The File Service of an essay platform: files come in over HTTP, their texts are checked, and every step is
//! announced to the others through the outbox.
//!
//! Read [`uploads`] first: the four transactions, each a row and its event. [`events`] is what the others get,
//! [`Processor`] what happens after an upload was taken, [`Service`] how it all starts and stops.

mod config;
mod content_store;
mod extraction;
mod http;
mod processing;
mod program;
mod service;
pub mod uploads;
mod validation;

pub use contracts::file as events;

pub use config::Config;
pub use content_store::{ContentStore, ContentWriter, Kind, Stored, sweep};
pub use extraction::extract_text;
pub use http::UploadLimits;
pub use processing::Processor;
pub use program::main;
pub use service::{MIGRATIONS, Service, ServiceError};
pub use validation::{Refusal, TextLength, ValidationErrorCode, ValidationErrorDetail};
