//! What the example services share: their database, their start and stop, and the folder with the texts of essays.
//!
//! A service is a [`Blueprint`]: its tables, its consumer, its API. [`start`] runs it with a relay in the same process,
//! and [`main`] is the program around it.

mod context;
mod database;
mod error;
mod program;
mod service;
mod settings;
mod texts;

pub use database::{Db, Store, Tables, Tx, connect, create_tables, open_outbox};
pub use error::{ApiError, ServiceError};
pub use program::main;
pub use service::{Blueprint, Running, relay, start};
pub use settings::Settings;
pub use texts::Texts;
