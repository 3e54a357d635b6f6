//! How all clients of Kafka are made: with what every one of them starts from, and with the tokens that they log in
//! with.

mod build;
mod clients;
mod native;
mod rights;
mod tokens;

pub use clients::{Clients, Connected};
pub use native::Native;
pub use rights::Right;
pub use tokens::{KafkaToken, TokenProvider};
