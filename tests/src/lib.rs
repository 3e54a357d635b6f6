//! What the integration tests stand on: real servers, topics and databases of their own, and waiting for
//! states.
//!
//! A panic is a test's report, so nothing here returns an error that a test could only unwrap.

mod database;
pub mod kafka;
pub mod numbers;
pub mod program;
pub mod proxy;
pub mod servers;
pub mod torture;
mod wait;
pub mod writers;

pub use database::TestDatabase;
pub use program::program;
pub use wait::wait_until;

/// The code of the guide compiles, and runs where it needs no server.
#[cfg(doctest)]
mod guide {
    macro_rules! pages {
        ($($name:ident = $file:literal),* $(,)?) => {
            $(
                #[doc = include_str!(concat!("../../docs/guide/", $file))]
                struct $name;
            )*
        };
    }

    pages! {
        Service = "service.md",
        Events = "events.md",
        Transactions = "transactions.md",
        Relay = "relay.md",
        Consumers = "consumers.md",
        Migrations = "migrations.md",
        Operations = "operations.md",
        HandMade = "from-a-hand-made-outbox.md",
    }
}
