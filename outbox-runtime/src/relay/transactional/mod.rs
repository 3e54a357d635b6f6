//! Exactly-once delivery: records and the cursor behind them in one transaction of the broker.
//!
//! Under one lease, one `run` follows another. A run `start`s by becoming the broker's only client for this log, and by
//! `compare`-ing the two cursors: the broker's, which says what was delivered, and the row in the database, which says
//! which window that is a position in. Then it sends `page`s, one or more in a transaction (`transaction_size`): a
//! `batch` is what it takes of them, and `commit` ends it. What cannot be sent is written to the dead letters before
//! the transaction that leaves it out. A topic that takes none is waited for or suspended (`unavailable_topic`). A
//! `redelivery` knows what it needs next, `redeliveries` says whose turn it is, and `send_redelivery` sends rows of the
//! dead letters in transactions that name them. Whatever is uncertain ends a run, and the next one finds out: there is
//! one way to recover, and it is also the way to start. `leave` goes back to at-least-once delivery.

mod batch;
mod commit;
mod compare;
mod counts;
mod leave;
mod page;
mod page_progress;
pub(super) mod redeliveries;
mod redelivery;
pub(super) mod run;
mod send_redelivery;
pub(super) mod start;
mod transaction_size;
mod unavailable_topic;

pub(super) use leave::leave;
