//! What the integration tests stand on: real servers, topics and databases of their own, and waiting for
//! states.
//!
//! A panic is a test's report, so nothing here returns an error that a test could only unwrap.

mod database;
pub mod delay;
pub mod kafka;
pub mod numbers;
pub mod program;
pub mod proxy;
pub mod servers;
pub mod torture;
mod wait;
pub mod writers;

pub use database::{NextTables, TestDatabase};
pub use program::program;
pub use wait::wait_until;

/// The code in the documentation compiles, and runs if it needs no server.
#[cfg(doctest)]
mod documentation {
    macro_rules! pages {
        ($($name:ident = $file:literal),* $(,)?) => {
            $(
                #[doc = include_str!(concat!("../../docs/", $file))]
                struct $name;
            )*
        };
    }

    pages! {
        Service = "guide/service.md",
        Events = "guide/events.md",
        Transactions = "guide/transactions.md",
        Relay = "guide/relay.md",
        Consumers = "guide/consumers.md",
        Migrations = "guide/migrations.md",
        Operations = "guide/operations.md",
        Rollout = "guide/rollout.md",
        Health = "guide/health.md",
        Testing = "guide/testing.md",
        Services = "guide/services.md",
        Monitoring = "guide/monitoring.md",
        Tracing = "guide/tracing.md",
        OtherStacks = "guide/other-stacks.md",
        HandMade = "guide/from-a-hand-made-outbox.md",
        Schemas = "schemas.md",
    }
}
