//! Concurrent writers that do everything that is hard on a relay, and know afterwards what they committed.
//!
//! ```no_run
//! # async fn example(pool: sqlx::PgPool) {
//! use outbox_tests::kafka::Topic;
//! use outbox_tests::writers::Writers;
//!
//! let topic = Topic::create("orders", 6).await;
//! let writers = Writers::on(&pool, [topic.name()]).transactions(2_000).start().await;
//! // … a relay runs, is stopped, runs again …
//! let ledger = writers.finish().await;
//! // … the relay drains what is left …
//! let report = ledger.check(&topic.read_all().await);
//! assert!(report.is_exact(), "{report}");
//! # }
//! ```

pub mod business;
mod event;
mod ledger;
mod library;
mod progress;
mod run;
mod shape;
mod sql;
mod transaction;

pub use event::{Event, Value};
pub use ledger::{Ledger, WrittenEvent};
pub use run::{RunningWriters, Writers};
pub use shape::Shape;
