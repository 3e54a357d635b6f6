//! Exactly-once delivery: records and the cursor behind them in one transaction of the broker.
//!
//! Under the lease, `term` runs one `session` after another. A session `start`s by becoming the broker's only client
//! for this log, and by `compare`-ing the two cursors: the broker's, which tells what was delivered, and the row in
//! the database, which tells which window that is a place in. Then it works off `page`s, one transaction each; what
//! cannot be sent is told in the dead letters before the transaction that leaves it out (`trouble`), and goes out
//! from there in transactions that name it (`errands`, each in its `redeliveries`). Whatever is uncertain ends a session, and the next one finds
//! out: there is one way to recover, and it is also the way to start. `leave` goes back to at-least-once delivery.

mod batch;
mod compare;
mod errands;
mod lanes;
mod leave;
mod page;
mod session;
mod start;
mod term;
mod trouble;

pub(super) use start::Failed;
