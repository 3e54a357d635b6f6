//! The health of an outbox: each reason is provoked on real servers, and its neighbours are silent.

mod delivery;
mod outages;
mod scene;
mod sqlite;
mod tables;
mod top;
